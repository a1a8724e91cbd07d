//! The controller's memory on its topic, by which a replay begins in the middle of a drive.

use caril_core::ControllerMemory;
use serde::{Deserialize, Serialize};

use crate::RecordError;

/// What a controller remembered before the step that follows it in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMemory {
    /// Whether steps before this were left out on purpose: see [`crate::Trigger`].
    pub resumes: bool,
    /// The memory.
    #[serde(flatten)]
    pub memory: ControllerMemory,
}

impl RecordedMemory {
    pub(crate) fn json(&self) -> Result<Vec<u8>, RecordError> {
        serde_json::to_vec(self).map_err(|e| RecordError::Step(e.to_string()))
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, RecordError> {
        serde_json::from_slice(json).map_err(|e| RecordError::Step(format!("memory: {e}")))
    }
}
