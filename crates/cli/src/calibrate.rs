//! `caril calibrate`: how far a pack can be believed, measured on drives and written to its card.

use std::path::{Path, PathBuf};

use caril_core::{CalibrationFacts, PolicyCard};
use caril_train::{Progress, RISK_BUDGET, WRONG_ABOVE, calibrate_on, load};
use clap::Args;

use crate::args::BackendArg;
use crate::exit::Exit;
use crate::{backend, output, scenario};

/// Fit temperature, thresholds, variances and conformal intervals of a pack on recordings that it
/// was not trained on, and write them to its card.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril collect --map town_blocks --seed 99 --frames 3000 --out held.mcap\n  caril calibrate --policy weights/mine --data held.mcap"
)]
pub struct CalibrateArgs {
    /// Policy pack; its card is rewritten
    #[arg(long, value_name = "NAME|DIR")]
    policy: String,
    /// Recordings with pictures and the expert's steer
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// What runs the network: that which will drive it
    #[arg(long, value_enum, default_value_t = BackendArg::Flex)]
    backend: BackendArg,
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
/// If the pack or a recording cannot be used, or there are too few frames; the card is then as it
/// was.
pub fn run(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    let dir = scenario::pack_dir(&args.policy)?;
    let runner = backend::runner(&dir, args.backend)?;
    let before = caril_pack::load_card(&dir)?.0;
    let (dataset, data_sha256) = load(&args.data, &before, &mut |p| {
        if let Progress::Loaded { path, frames, drives } = p {
            eprintln!("{}: {frames} frames, {drives} drives", path.display());
        }
    })?;
    let command = std::env::args().skip(1).fold("caril".to_owned(), |all, a| all + " " + &a);
    let facts = CalibrationFacts {
        command,
        data_sha256,
        frames: dataset.len() as u64,
        risk_budget: RISK_BUDGET as f32,
        backend: args.backend.name(),
    };
    let card = calibrate_on(&dir, &dataset, facts, &runner, args.threads)?;
    eprintln!("backend {}: {}", args.backend.name(), backend::device_name(args.backend)?);
    say(&dir, &before, &card);
    if args.json {
        output::print_json(&serde_json::json!({
            "policy": dir,
            "calibration": card.calibration,
            "conformal": card.conformal,
            "calibrated_on": card.calibrated_on,
        }))?;
    }
    Ok(Exit::Ok)
}

fn say(dir: &Path, before: &PolicyCard, card: &PolicyCard) {
    let (b, c) = (&before.calibration, &card.calibration);
    eprintln!("{}: calibrated (before)", dir.display());
    let line = |name: &str, now: f32, was: f32| eprintln!("  {name:28} {now:8.4} ({was:.4})");
    line("temperature", c.temperature, b.temperature);
    line("engages below mass", c.mass_enter, b.mass_enter);
    line("lets go above mass", c.mass_exit, b.mass_exit);
    line("lowest speed at mass", c.mass_floor, b.mass_floor);
    line("sigma of the regression", c.regression_sigma, b.regression_sigma);
    if let Some(f) = &card.conformal {
        for (row, turn) in f.factor.iter().zip(["straight", "turn"]) {
            for (factor, speed) in row.iter().zip(["slow", "fast"]) {
                eprintln!(
                    "  90 % interval, {turn:8} {speed:5} ±{factor:.3} × (spread + {:.2})",
                    f.spread_floor
                );
            }
        }
    }
    eprintln!(
        "  among uncorrected frames at most {:.1} % should be more than {WRONG_ABOVE} off",
        100.0 * RISK_BUDGET
    );
}
