//! `caril correct`: the correction alone, from JSON Lines to JSON Lines.

use std::io::{BufRead as _, Write as _};

use anyhow::Context as _;
use caril_control::{CorrectionState, correct};
use caril_core::{BIN_COUNT, Calibration, CorrectionConfig, FrameId, Prediction, Regime};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::CorrectionArg;
use crate::exit::Exit;
use crate::scenario;

/// Correct predictions: {frame_id, regression, probs} in, {frame_id, steer, regime} out.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  echo '{\"frame_id\":1,\"regression\":0.1,\"probs\":[0,0,0,0,0,0.5,0.5,0,0,0,0]}' | caril correct --mode paper --seed 1"
)]
pub struct CorrectArgs {
    /// Which rule
    #[arg(long, value_enum, default_value_t = CorrectionArg::Calibrated)]
    mode: CorrectionArg,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Policy pack whose calibration is used (mode `calibrated`); neutral values without one
    #[arg(long, value_name = "NAME|DIR")]
    policy: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    frame_id: u64,
    regression: f32,
    probs: [f32; BIN_COUNT],
}

#[derive(Serialize)]
struct Corrected {
    frame_id: u64,
    steer: f32,
    regime: Regime,
}

/// Runs the command.
///
/// # Errors
/// If a line is not as documented; lines before it have been answered.
pub fn run(args: &CorrectArgs) -> anyhow::Result<Exit> {
    let calibration = match &args.policy {
        Some(policy) => scenario::load_card(policy)?.calibration,
        None => Calibration::default(),
    };
    let config = CorrectionConfig { mode: args.mode.into(), ..CorrectionConfig::default() };
    let mut state = CorrectionState::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.context("cannot read stdin")?;
        if line.trim().is_empty() {
            continue;
        }
        let at = || format!("line {}", number + 1);
        let line: Line = serde_json::from_str(&line).with_context(at)?;
        let prediction = Prediction::new(line.regression, line.probs).with_context(at)?;
        let key = (args.seed, FrameId(line.frame_id));
        let done = correct(&config, &calibration, &prediction, &mut state, key);
        let corrected =
            Corrected { frame_id: line.frame_id, steer: done.steer, regime: done.regime };
        serde_json::to_writer(&mut out, &corrected)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(Exit::Ok)
}
