//! Faults of the camera, by name and severity: of its stream and of its pictures.

/// What goes wrong. Every one is a pure function of (seed, frame id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraFault {
    /// The picture stands still while ids and ego state go on: each block of 20 frames does so
    /// with the severity as probability.
    Freeze,
    /// The picture is black: each block of 10 frames with the severity as probability.
    Black,
    /// The frame is lost, the car drives on for one period: each with 0.9 · severity.
    Drop,
    /// Every frame is round(10 · severity) frames old when it comes.
    Delay,
    /// The frame before comes once more, with its old id: each with 0.9 · severity.
    Duplicate,
    /// Noise of the sensor, another in each frame, with a deviation up to 50 of 255.
    Noise,
    /// Out of focus, by up to 6 pixels of a picture 448 pixels high.
    Blur,
    /// Spots on the lens, the same in each frame, up to 24.
    Dirt,
    /// Up to four times too bright.
    Overexposed,
    /// Up to eight times too dark.
    Underexposed,
    /// Channels out of balance, by up to half.
    ColorCast,
    /// The camera points up to 8° beside where it should.
    YawOffset,
    /// The camera points up to 5° above or below where it should.
    PitchOffset,
}

/// A fault with its severity.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FaultSpec {
    /// Which.
    pub fault: CameraFault,
    /// [0, 1]; 0 does nothing.
    pub severity: f32,
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No fault has that name.
    #[error("unknown fault: expected one of {}, got {name}", fault_names().join(", "))]
    Name {
        /// What was asked for.
        name: String,
    },
    /// The severity is no number in [0, 1].
    #[error("severity of {name}: expected a number from 0 to 1, got {got}")]
    Severity {
        /// The fault.
        name: String,
        /// What came.
        got: String,
    },
}

impl CameraFault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Freeze,
        Self::Black,
        Self::Drop,
        Self::Delay,
        Self::Duplicate,
        Self::Noise,
        Self::Blur,
        Self::Dirt,
        Self::Overexposed,
        Self::Underexposed,
        Self::ColorCast,
        Self::YawOffset,
        Self::PitchOffset,
    ];
    /// Most frames that [`CameraFault::Delay`] holds back.
    pub const DELAY_MAX: usize = 10;

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Black => "black",
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Duplicate => "duplicate",
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Dirt => "dirt",
            Self::Overexposed => "overexposed",
            Self::Underexposed => "underexposed",
            Self::ColorCast => "color_cast",
            Self::YawOffset => "yaw_offset",
            Self::PitchOffset => "pitch_offset",
        }
    }

    /// The fault of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// Names of all faults.
pub fn fault_names() -> &'static [&'static str] {
    const NAMES: [&str; CameraFault::ALL.len()] = {
        let mut names = [""; CameraFault::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = CameraFault::ALL[i].name();
            i += 1;
        }
        names
    };
    &NAMES
}

/// A fault from the command line: `NAME` (of severity 0.5) or `NAME:SEVERITY`.
///
/// # Errors
/// [`FaultError`] if there is no such fault, or the severity is not a number from 0 to 1.
///
/// ```
/// use caril_sim::{CameraFault, parse_fault};
/// assert_eq!(parse_fault("blur:0.3")?.fault, CameraFault::Blur);
/// assert_eq!(parse_fault("dirt")?.severity, 0.5);
/// assert!(parse_fault("snow").is_err_and(|e| e.to_string().contains("overexposed")));
/// # Ok::<(), caril_sim::FaultError>(())
/// ```
pub fn parse_fault(text: &str) -> Result<FaultSpec, FaultError> {
    let (name, severity) = match text.split_once(':') {
        Some((name, s)) => (name.trim(), Some(s.trim())),
        None => (text.trim(), None),
    };
    let Some(fault) = CameraFault::from_name(name) else {
        return Err(FaultError::Name { name: name.to_owned() });
    };
    let severity = match severity {
        None => Some(0.5),
        Some(s) => s.parse::<f32>().ok().filter(|v| (0.0..=1.0).contains(v)),
    };
    match severity {
        Some(severity) => Ok(FaultSpec { fault, severity }),
        None => Err(FaultError::Severity {
            name: name.to_owned(),
            got: text.split_once(':').map_or("", |p| p.1).trim().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_parsed_and_errors_say_what_there_is() {
        for name in fault_names() {
            let spec = parse_fault(&format!("{name}:0.25")).unwrap();
            assert_eq!((spec.fault.name(), spec.severity), (*name, 0.25));
        }
        let text = parse_fault("fog:0.5").unwrap_err().to_string();
        assert!(fault_names().iter().all(|n| text.contains(n)) && text.ends_with("got fog"));
        for bad in ["noise:", "noise:1.5", "noise:-1", "noise:NaN", "noise:x"] {
            assert!(matches!(parse_fault(bad), Err(FaultError::Severity { .. })), "{bad}");
        }
    }
}
