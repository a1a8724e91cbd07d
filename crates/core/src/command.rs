//! What the controller answers.

use serde::{Deserialize, Serialize};

use crate::FrameId;

/// State of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Mode {
    /// Everything as it should be.
    #[default]
    Nominal = 0,
    /// A tolerable fault: driving on, more slowly.
    Degraded = 1,
    /// The minimal risk manoeuvre: braking to a stand.
    SafeStop = 2,
}

impl Mode {
    /// From its wire code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Nominal,
            1 => Self::Degraded,
            2 => Self::SafeStop,
            _ => return None,
        })
    }
}

/// The answer to one frame. Echoes the frame's id, so that whoever sent the frame can measure its
/// age at actuation on its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Command {
    /// The frame that this answers.
    pub frame_id: FrameId,
    /// [−1, 1], +1 is full right.
    pub steer: f32,
    /// [0, 1].
    pub throttle: f32,
    /// [0, 1].
    pub brake: f32,
    /// The controller's mode.
    pub mode: Mode,
}

impl Command {
    /// Full brake with the wheels as `steer` has them: straightened in a bend, a car leaves it.
    pub const fn full_brake(frame_id: FrameId, steer: f32) -> Self {
        Self { frame_id, steer, throttle: 0.0, brake: 1.0, mode: Mode::SafeStop }
    }

    /// Whether every number is finite and in its range.
    pub fn is_valid(&self) -> bool {
        (-1.0..=1.0).contains(&self.steer)
            && (0.0..=1.0).contains(&self.throttle)
            && (0.0..=1.0).contains(&self.brake)
    }
}
