//! The one binary, `caril`: parses the command line, runs one command, turns its result into an
//! exit code. 0 ok, 1 failed, 2 usage, 3 finished but degraded, 70 a bug in the drive loop.

#![warn(clippy::print_stderr)]

// First, for its macro.
#[macro_use]
mod output;

mod alive;
mod args;
mod backend;
mod bench;
mod bench_dump;
mod bench_infer;
mod bench_start;
#[cfg(feature = "burn")]
mod bench_train;
#[cfg(feature = "burn")]
mod calibrate;
mod carla_server;
mod collect;
mod correct;
mod doctor;
mod drive;
mod earlier;
mod eval;
mod exit;
mod export;
mod import;
mod inspect;
mod keys;
mod map;
mod mine;
mod quantize;
mod realtime;
mod replay;
mod report;
mod scenario;
mod sim;
#[cfg(feature = "burn")]
mod train;
mod trigger;
mod view;

use clap::{Parser, Subcommand};

use exit::Exit;

/// Embedded confidence controller for camera-driven cars.
#[derive(Debug, Parser)]
#[command(name = "caril", version, long_version = backend::VERSION.as_str(), about, long_about = None, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  caril drive                # the embedded world, the shipped policy, a report at the end\n  caril drive --weather FoggyNoon --seed 7"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Drive in a closed loop and write a recording and a report
    Drive(drive::DriveArgs),
    /// The embedded simulator: serve it as a plant, or draw one picture
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Look at road networks
    #[command(subcommand)]
    Map(map::MapCommand),
    /// Serve the CARLA 0.9.16 client protocol over the embedded world
    CarlaServer(carla_server::CarlaServerArgs),
    /// Drive with the expert and record labelled frames
    Collect(collect::CollectArgs),
    /// Turn recorded drives of others into our recording
    Import(import::ImportArgs),
    /// Train a policy pack from recordings
    #[cfg(feature = "burn")]
    Train(train::TrainArgs),
    #[cfg(feature = "burn")]
    /// Measure on drives how far a pack can be believed, and write it to its card
    Calibrate(calibrate::CalibrateArgs),
    /// Evaluate packs: in closed loop, on recorded frames; a driven path against a reference
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Correct predictions: JSON Lines on stdin to JSON Lines on stdout
    Correct(correct::CorrectArgs),
    /// Run recorded drives again and say what came out otherwise
    Replay(replay::ReplayArgs),
    /// Let a pack run with int8, if it then still decides the same
    Quantize(quantize::QuantizeArgs),
    /// Hand a policy pack to other runtimes
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Say what is in a recording or a policy pack
    Inspect(inspect::InspectArgs),
    /// Keys of links that leave the machine
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at this machine, and say whether it would hold a rate
    Doctor(doctor::DoctorArgs),
    /// Measure a stage: infer, step, sim, link or train; or the start
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    output::init_logging();
    let result = match cli.command {
        Command::Drive(args) => drive::run(&args),
        Command::Sim(command) => sim::run(&command),
        Command::Map(command) => map::run(&command),
        Command::CarlaServer(args) => carla_server::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::Import(args) => import::run(&args),
        #[cfg(feature = "burn")]
        Command::Train(args) => train::run(&args),
        #[cfg(feature = "burn")]
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Eval(command) => eval::run(&command),
        Command::Correct(args) => correct::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Export(command) => export::run(&command),
        Command::Inspect(args) => inspect::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(command) => bench::run(&command),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => Exit::report(&error).into(),
    }
}
