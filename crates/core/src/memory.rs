//! What a controller remembers between two steps, as plain words: a recording holds it now and
//! then, so that a replay can go on from the middle of a drive.

use serde::{Deserialize, Serialize};

use crate::FrameId;

/// Number of words; the controller that wrote them knows what each one is.
pub const MEMORY_WORDS: usize = 28;

/// Which words mean what. Another controller's memory is not believed: this changes whenever they do.
pub const MEMORY_LAYOUT: u32 = 1;

/// The memory of a controller before a step: everything by which the step depends on those before
/// it. Numbers are held as their bits, so that nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerMemory {
    /// [`MEMORY_LAYOUT`] of who wrote it.
    pub layout: u32,
    /// Newest frame that it has seen; 0 before the first. Never falls.
    pub newest_frame_id: FrameId,
    /// Plant time of the newest frame, nanoseconds.
    pub plant_ns: Option<u64>,
    /// The rest.
    pub words: [u64; MEMORY_WORDS],
}

impl Default for ControllerMemory {
    fn default() -> Self {
        let (layout, newest_frame_id) = (MEMORY_LAYOUT, FrameId(0));
        Self { layout, newest_frame_id, plant_ns: None, words: [0; MEMORY_WORDS] }
    }
}
