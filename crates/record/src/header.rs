//! What a recording says of itself before its first step.

use std::collections::BTreeMap;

use caril_core::{CameraSpec, PlantInfo, PolicyCard};
use serde::{Deserialize, Serialize};

use crate::RecordError;

/// Facts about a whole drive: the message on `/meta`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingHeader {
    /// What made it: `drive`, `collect`, `import`, `replay`, …
    pub kind: String,
    /// Version of caril.
    pub version: String,
    /// The command line, program first.
    pub command_line: Vec<String>,
    /// Wall clock at the start, seconds since 1970; 0 if unknown.
    pub created_unix_s: u64,
    /// Seed of the drive.
    pub seed: u64,
    /// The resolved configuration.
    pub config: serde_json::Value,
    /// The camera of the pictures.
    pub camera: CameraSpec,
    /// The plant: name, map, weather, camera, rate, pacing, route.
    pub plant: PlantInfo,
    /// Name of the policy: a pack's, or `expert`, `none`, ….
    pub policy: String,
    /// The pack's card, if a pack drove.
    pub card: Option<PolicyCard>,
    /// Anything else worth knowing, by name: backend, machine, map file's hash, ….
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

impl RecordingHeader {
    /// A header with the given plant and everything else default; `kind` is `drive`.
    pub fn new(plant: PlantInfo) -> Self {
        Self {
            kind: "drive".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            command_line: Vec::new(),
            created_unix_s: 0,
            seed: 0,
            config: serde_json::Value::Null,
            camera: plant.camera,
            plant,
            policy: "none".into(),
            card: None,
            extra: BTreeMap::new(),
        }
    }

    /// As JSON; refuses what could not be read (a NaN in a route, for example).
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|e| RecordError::Header(e.to_string()))?;
        Self::from_json(&json)
            .map(|_| json)
            .map_err(|e| RecordError::Header(format!("cannot be read back: {e}")))
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let header: Self = serde_json::from_slice(json)?;
        // Memory for its pictures is asked for by these.
        if !header.camera.is_valid() || !header.plant.camera.is_valid() {
            let what =
                "a camera that cannot be: expected a size up to 4096 and a field of view 1–170°";
            return Err(serde::de::Error::custom(what));
        }
        Ok(header)
    }

    /// The short facts for MCAP's metadata record, readable without decoding `/meta`.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = self.extra.clone();
        let mut put = |key: &str, value: String| {
            facts.insert(key.to_owned(), value);
        };
        put("kind", self.kind.clone());
        put("version", self.version.clone());
        put("command_line", self.command_line.join(" "));
        put("seed", self.seed.to_string());
        put("plant", self.plant.name.clone());
        put("map", self.plant.map.clone());
        put("weather", self.plant.weather.clone());
        put("policy", self.policy.clone());
        if let Some(card) = &self.card {
            put("weights_sha256", card.weights_sha256.clone());
        }
        facts
    }
}
