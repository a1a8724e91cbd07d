//! `caril eval`: measure a pack on recorded frames or in closed loop, and a driven path against a
//! reference.

mod drive;
pub mod flips;
#[cfg(feature = "burn")]
mod frames;
mod trajectory;

use clap::Subcommand;

use crate::exit::Exit;

/// What to evaluate.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    #[cfg(feature = "burn")]
    /// Measure packs on recorded frames: are they right, and do they know when they are not?
    Frames(frames::FramesArgs),
    /// Run recorded frames through several backends: do they decide the same?
    Flips(flips::FlipsArgs),
    /// Drive a suite in closed loop with several arms and compare them pair by pair
    Drive(drive::DriveArgs),
    /// Measure a driven path against a reference
    Trajectory(trajectory::TrajectoryArgs),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub fn run(command: &EvalCommand) -> anyhow::Result<Exit> {
    match command {
        #[cfg(feature = "burn")]
        EvalCommand::Frames(args) => frames::run(args),
        EvalCommand::Flips(args) => flips::run(args),
        EvalCommand::Drive(args) => drive::run(args),
        EvalCommand::Trajectory(args) => trajectory::run(args),
    }
}
