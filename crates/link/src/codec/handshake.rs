//! The JSON bodies of the handshake. Unknown fields are ignored, so that they may grow.

use caril_core::{CameraSpec, PlantInfo};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::fields::Writer;
use super::{CodecError, HEADER_LEN, Kind};

/// Most bytes that a handshake's body may have: 64 KiB.
pub const HANDSHAKE_MAX: usize = 64 << 10;

/// What a controller says first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the controller's program, for records.
    pub program_version: String,
    /// The controller's name, for records and refusals.
    pub controller: String,
    /// The camera that its policy was trained with; a plant with another one refuses.
    #[serde(default)]
    pub camera: Option<CameraSpec>,
}

/// What a plant answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Version of the plant's program, for records.
    pub program_version: String,
    /// Number of the session, at least 1; every later message of both carries it.
    pub session: u32,
    /// What the plant is.
    pub plant: PlantInfo,
}

/// Why a plant turns a controller away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseCode {
    /// Another controller drives.
    Busy,
    /// Another wire version.
    Version,
    /// Another camera.
    Camera,
    /// The Hello makes no sense.
    Malformed,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refuse {
    /// For programs.
    pub code: RefuseCode,
    /// For people.
    pub reason: String,
    /// The plant's wire version.
    pub wire_version: u16,
}

impl Hello {
    /// The whole message.
    ///
    /// # Errors
    /// [`CodecError`] if the body is longer than [`HANDSHAKE_MAX`].
    pub fn to_message(&self) -> Result<Vec<u8>, CodecError> {
        json_message(Kind::Hello, 0, self)
    }

    /// From the body.
    ///
    /// # Errors
    /// [`CodecError::Json`], or [`CodecError::Field`] for a camera that cannot be.
    pub fn from_body(body: &[u8]) -> Result<Self, CodecError> {
        let hello: Self = from_json(body)?;
        if hello.camera.is_some_and(|c| !c.is_valid()) {
            return Err(CodecError::Field { field: "camera" });
        }
        Ok(hello)
    }
}

impl Welcome {
    /// The whole message. A route that does not fit is thinned: it is for reports only.
    ///
    /// # Errors
    /// [`CodecError`] if the body is longer than [`HANDSHAKE_MAX`] even with two route points.
    pub fn to_message(&self) -> Result<Vec<u8>, CodecError> {
        let mut thin = self.clone();
        loop {
            match json_message(Kind::Welcome, self.session, &thin) {
                Err(CodecError::TooLong { .. }) if thin.plant.route.len() > 2 => {
                    let last = thin.plant.route.last().copied();
                    thin.plant.route = thin.plant.route.iter().step_by(2).copied().collect();
                    if thin.plant.route.last().copied() != last {
                        thin.plant.route.extend(last);
                    }
                    if thin.plant.route.len() == 3 {
                        thin.plant.route.remove(1);
                    }
                }
                done => return done,
            }
        }
    }

    /// From the body.
    ///
    /// # Errors
    /// [`CodecError::Json`], or [`CodecError::Field`] for numbers that cannot be.
    pub fn from_body(body: &[u8]) -> Result<Self, CodecError> {
        let welcome: Self = from_json(body)?;
        let field = |field| Err(CodecError::Field { field });
        if welcome.session == 0 {
            return field("session");
        }
        if !welcome.plant.camera.is_valid() {
            return field("plant.camera");
        }
        if !(welcome.plant.rate_hz > 0.0 && welcome.plant.rate_hz <= 1000.0) {
            return field("plant.rate_hz");
        }
        Ok(welcome)
    }
}

impl Refuse {
    /// The whole message.
    ///
    /// # Errors
    /// [`CodecError`] if the body is longer than [`HANDSHAKE_MAX`].
    pub fn to_message(&self) -> Result<Vec<u8>, CodecError> {
        json_message(Kind::Refuse, 0, self)
    }

    /// From the body.
    ///
    /// # Errors
    /// [`CodecError::Json`].
    pub fn from_body(body: &[u8]) -> Result<Self, CodecError> {
        from_json(body)
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(body)
        .map_err(|e| CodecError::Json { line: e.line(), column: e.column() })
}

fn json_message<T: Serialize>(kind: Kind, session: u32, body: &T) -> Result<Vec<u8>, CodecError> {
    let json = serde_json::to_vec(body)
        .map_err(|e| CodecError::Json { line: e.line(), column: e.column() })?;
    if json.len() > HANDSHAKE_MAX {
        return Err(CodecError::TooLong { limit: HANDSHAKE_MAX, got: json.len() });
    }
    let mut out = vec![0; HEADER_LEN + json.len()];
    Writer::message(&mut out, kind, 0, session).put(&json);
    Ok(out)
}
