//! `caril eval`: measure a pack on recorded frames or in closed loop, and a driven path against a
//! reference.

mod drive;
mod frames;
mod trajectory;

use clap::Subcommand;

use crate::exit::Exit;

/// What to evaluate.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Measure packs on recorded frames: are they right, and do they know when they are not?
    Frames(frames::FramesArgs),
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
        EvalCommand::Frames(args) => frames::run(args),
        EvalCommand::Drive(args) => drive::run(args),
        EvalCommand::Trajectory(args) => trajectory::run(args),
    }
}
