//! What one episode came to: a line of `episodes.jsonl`.

use serde::{Deserialize, Serialize};

use super::measures::Measures;
use super::plan::Episode;

/// Distance between the kept points of a path, m.
pub const PATH_STEP_M: f64 = 2.0;

/// A kept point of the driven path: x, y in metres, distance from the lane's centre in metres,
/// confidence; rounded to centimetres and hundredths.
pub type PathPoint = (f32, f32, f32, f32);

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// It was driven, well or badly.
    Driven {
        /// What was measured.
        measures: Box<Measures>,
        /// Hash over all its steps, hex.
        step_hash: String,
        /// Where it went.
        path: Vec<PathPoint>,
    },
    /// The program crashed: a bug, not a bad drive. It is counted, and no part of any mean.
    Crashed {
        /// What is known of it.
        message: String,
    },
}

/// One episode's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeResult {
    /// The episode.
    pub episode: Episode,
    /// Wall time, s; part of no table.
    pub wall_s: f64,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status,
}

impl EpisodeResult {
    /// What was measured, unless it crashed.
    pub fn measures(&self) -> Option<&Measures> {
        match &self.status {
            Status::Driven { measures, .. } => Some(measures),
            Status::Crashed { .. } => None,
        }
    }

    /// Hash over all its steps, hex, unless it crashed.
    pub fn step_hash(&self) -> Option<&str> {
        match &self.status {
            Status::Driven { step_hash, .. } => Some(step_hash),
            Status::Crashed { .. } => None,
        }
    }
}
