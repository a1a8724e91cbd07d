//! `caril calibrate`: how far a pack can be believed, measured on drives and written to its card.

use std::path::{Path, PathBuf};

use caril_core::{CalibrationFacts, PolicyCard};
use caril_train::{Progress, WRONG_ABOVE, calibrate_on, load};
use clap::Args;

use crate::args::BackendArg;
use crate::exit::{Exit, usage};
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
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Share of frames that may be wrong without being corrected
    #[arg(long, default_value_t = 0.01, value_name = "SHARE", allow_negative_numbers = true)]
    risk: f32,
    /// A steer further than this from the expert's is wrong, on the scale of ±1
    #[arg(long, default_value_t = WRONG_ABOVE, value_name = "STEER", allow_negative_numbers = true)]
    wrong_above: f32,
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
    if !(args.risk > 0.0 && args.risk < 1.0) {
        return Err(usage(format!("--risk {}: more than 0 and less than 1", args.risk)));
    }
    if !(args.wrong_above > 0.0 && args.wrong_above <= 2.0) {
        return Err(usage(format!("--wrong-above {}: more than 0, at most 2", args.wrong_above)));
    }
    let dir = scenario::pack_dir(&args.policy)?;
    let runner = backend::runner(&dir, args.backend)?;
    let before = caril_pack::load_card(&dir)?.0;
    let (dataset, data_sha256) = load(&args.data, &before, &mut |p| {
        if let Progress::Loaded { path, frames, drives } = p {
            say!("{}: {frames} frames, {drives} drives", path.display());
        }
    })?;
    let command = std::env::args().skip(1).fold("caril".to_owned(), |all, a| all + " " + &a);
    let facts = CalibrationFacts {
        command,
        data_sha256,
        frames: dataset.len() as u64,
        risk_budget: args.risk,
        wrong_above: args.wrong_above,
        risk_reached: None,
        backend: args.backend.name(),
    };
    let card = calibrate_on(&dir, &dataset, facts, &runner, args.threads)?;
    say!("backend {}: {}", args.backend.name(), backend::device_name(args.backend)?);
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
    say!("{}: calibrated (before)", dir.display());
    let line = |name: &str, now: f32, was: f32| say!("  {name:28} {now:8.4} ({was:.4})");
    line("temperature", c.temperature, b.temperature);
    line("engages below mass", c.mass_enter, b.mass_enter);
    line("lets go above mass", c.mass_exit, b.mass_exit);
    line("lowest speed at mass", c.mass_floor, b.mass_floor);
    line("sigma of the regression", c.regression_sigma, b.regression_sigma);
    if let Some(f) = &card.conformal {
        for (row, turn) in f.factor.iter().zip(["straight", "turn"]) {
            for (factor, speed) in row.iter().zip(["slow", "fast"]) {
                say!(
                    "  90 % interval, {turn:8} {speed:5} ±{factor:.3} × (spread + {:.2})",
                    f.spread_floor
                );
            }
        }
    }
    if let Some(facts) = &card.calibrated_on {
        let (budget, reached) = (100.0 * facts.risk_budget, facts.risk_reached.unwrap_or(f32::NAN));
        say!(
            "  among uncorrected frames {:.2} % are more than {} off; {budget:.2} % were accepted{}",
            100.0 * reached,
            facts.wrong_above,
            if reached > facts.risk_budget {
                ": not reached, because at most a twentieth of clean frames is corrected"
            } else {
                ""
            }
        );
    }
}
