//! `caril-hil`, the rig: plays the plant and its camera in real time, breaks things on purpose, and
//! judges the controller by numbers. 0 ok, 1 failed, 2 usage, 3 over budget or not as the table says.

#![cfg_attr(not(test), warn(clippy::print_stderr))]

mod exit;
mod fault;
mod kills;
mod matrix;
mod plant;
mod realtime;
mod run;
mod say;

use clap::{Parser, Subcommand};

use exit::Exit;

/// Hardware-in-the-loop rig: plays the plant, breaks things, judges by numbers.
#[derive(Debug, Parser)]
#[command(name = "caril-hil", version, about, long_about = None, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  caril-hil matrix                           # every fault in every mode, against the table\n  caril-hil run --loopback --duration 60s    # the controller beside it, against hil/budgets.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every fault of docs/safety.md's table in every mode, compared with the table
    Matrix(matrix::MatrixArgs),
    /// Play the plant in real time for a controller, break what the schedule says, judge by budgets
    Run(Box<run::RunArgs>),
    /// Kill controller or plant at moments drawn by lot, and look at what is left
    Kills(kills::KillsArgs),
    /// The rig's plant as a process of its own
    Plant(plant::serve::PlantArgs),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Matrix(args) => matrix::run(args),
        Command::Run(args) => run::run(args),
        Command::Kills(args) => kills::run(args),
        Command::Plant(args) => plant::serve::run(args),
    };
    done.unwrap_or_else(|e| Exit::report(&e)).into()
}
