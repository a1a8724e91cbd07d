//! `caril bench train`: training throughput beside Burn's bare step on the same batch.

use caril_train::bench_train;
use clap::Args;

use crate::exit::{Exit, usage};
use crate::output;

/// Options of `bench train`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril bench train --steps 20 --json")]
pub struct BenchTrainArgs {
    /// Samples per step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Steps of each kind and round
    #[arg(long, default_value_t = 8)]
    steps: u64,
    /// Rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads; 0 takes all
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the options make no sense or the temporary folder cannot be written.
pub fn run(args: &BenchTrainArgs) -> anyhow::Result<Exit> {
    if args.steps == 0 || args.rounds == 0 {
        return Err(usage("--steps and --rounds must be at least 1"));
    }
    let folder = tempfile::tempdir()?;
    let b = bench_train(folder.path(), (args.batch, args.steps, args.rounds), args.threads)?;
    if args.json {
        output::print_json(&b)?;
    } else {
        output::print_text(&format!(
            "PilotNet, batch {}, {} threads, images/s (median of {} rounds)\n\
             training, all of it       {:7.0}   waits for data {:.2} % of the time\n\
             our step, data ready      {:7.0}\n\
             Burn's step, data ready   {:7.0}   training / Burn's step: {:.2}\n",
            b.batch,
            b.threads,
            args.rounds,
            b.train,
            100.0 * b.waited_share,
            b.step,
            b.burn,
            b.train_per_burn,
        ))?;
    }
    Ok(Exit::Ok)
}
