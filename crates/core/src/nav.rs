//! What the navigation asks for.

use serde::{Deserialize, Serialize};

/// The navigation's command, as CARLA's planner gives it before a junction or a lane change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum NavCommand {
    /// Follow the lane.
    #[default]
    Follow = 0,
    /// Turn left at the junction.
    Left = 1,
    /// Turn right at the junction.
    Right = 2,
    /// Go straight on at the junction.
    Straight = 3,
    /// Change to the lane on the left.
    ChangeLeft = 4,
    /// Change to the lane on the right.
    ChangeRight = 5,
}

impl NavCommand {
    /// Number of commands: the width of a one-hot encoding.
    pub const COUNT: usize = 6;
    /// All commands, in the order of their codes.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Follow,
        Self::Left,
        Self::Right,
        Self::Straight,
        Self::ChangeLeft,
        Self::ChangeRight,
    ];

    /// The command as seen in a mirror.
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::ChangeLeft => Self::ChangeRight,
            Self::ChangeRight => Self::ChangeLeft,
            Self::Follow | Self::Straight => self,
        }
    }

    /// From its wire code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Follow,
            1 => Self::Left,
            2 => Self::Right,
            3 => Self::Straight,
            4 => Self::ChangeLeft,
            5 => Self::ChangeRight,
            _ => return None,
        })
    }
}
