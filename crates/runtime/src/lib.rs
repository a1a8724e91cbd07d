//! One frame in, one command out, one record.
//!
//! [`Pipeline::step`] is the controller as a function of (state, now, frame); [`drive`] runs it
//! against a [`caril_core::World`] until the episode ends; [`collect`] lets the expert or a policy
//! drive and records labelled frames; [`replay`] runs a recording again. What may not be here:
//! network libraries, sockets, file formats, command lines.

mod collect;
mod drive;
mod hash;
mod noise;
mod pipeline;
mod replay;
mod stats;
#[cfg(test)]
mod testing;
mod thinned;
pub mod wander;

pub use collect::{CollectOptions, CollectSummary, Driver, collect};
pub use drive::{DriveEnd, DriveError, DriveOptions, StopFlag, drive, drive_watched};
pub use hash::StepHash;
pub use pipeline::{Clock, Decider, MonotonicClock, Pipeline};
pub use replay::{
    Changes, Comparison, ExpertDistance, FirstDifference, Picture, ReplayCounts, ReplayError,
    ReplayOptions, SteerDifference, Tick, recorded_looks, replay,
};
pub use stats::{DriveStats, DriveSummary, ModeCounts, Quantiles};
pub use thinned::Thinned;
