//! `caril correct`: the correction alone, from JSON Lines to JSON Lines.

use std::io::{BufRead as _, BufReader, BufWriter, Read, Write};

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
    /// Which rule (`calibrated` without a second look: there is no picture here)
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
    answer(std::io::stdin().lock(), std::io::stdout().lock(), &config, &calibration, args.seed)?;
    Ok(Exit::Ok)
}

/// Answers line by line. Answers go out in blocks only while further whole lines are at hand: who
/// writes one line and waits for its answer must get it.
fn answer(
    input: impl Read,
    out: impl Write,
    config: &CorrectionConfig,
    calibration: &Calibration,
    seed: u64,
) -> anyhow::Result<()> {
    let mut state = CorrectionState::default();
    let (mut input, mut out) = (BufReader::new(input), BufWriter::new(out));
    let mut text = String::new();
    for number in 1_u64.. {
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
        text.clear();
        if input.read_line(&mut text).context("cannot read stdin")? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let at = || format!("line {number}");
        let line: Line = serde_json::from_str(&text).with_context(at)?;
        let prediction = Prediction::new(line.regression, line.probs).with_context(at)?;
        let key = (seed, FrameId(line.frame_id));
        let done = correct(config, calibration, &prediction, &mut state, key);
        let corrected =
            Corrected { frame_id: line.frame_id, steer: done.steer, regime: done.regime };
        serde_json::to_writer(&mut out, &corrected)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A script that writes a line, waits for its answer, and only then writes the next.
    struct Script<'a> {
        asked: usize,
        answered: &'a RefCell<Vec<u8>>,
    }

    impl Read for Script<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let answers = self.answered.borrow().iter().filter(|b| **b == b'\n').count();
            assert_eq!(answers, self.asked, "it would wait for ever");
            if self.asked == 3 {
                return Ok(0);
            }
            self.asked += 1;
            let mut probs = [0.0; BIN_COUNT];
            probs[self.asked] = 1.0;
            let line =
                format!("{{\"frame_id\":{},\"regression\":0.1,\"probs\":{probs:?}}}\n", self.asked);
            into[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    struct Out<'a>(&'a RefCell<Vec<u8>>);

    impl Write for Out<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_waits_for_an_answer_gets_it() {
        let answered = RefCell::new(Vec::new());
        let script = Script { asked: 0, answered: &answered };
        let (config, calibration) = (CorrectionConfig::default(), Calibration::default());
        answer(script, Out(&answered), &config, &calibration, 1).unwrap();
        let text = String::from_utf8(answered.borrow().clone()).unwrap();
        assert!(text.starts_with("{\"frame_id\":1,") && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn lines_before_a_bad_one_are_answered() {
        let answered = RefCell::new(Vec::new());
        let line = "{\"frame_id\":7,\"regression\":0,\"probs\":[0,0,0,0,0,1,0,0,0,0,0]}";
        let input = format!("{line}\n\nnonsense\n{line}\n");
        let (config, calibration) = (CorrectionConfig::default(), Calibration::default());
        let done = answer(input.as_bytes(), Out(&answered), &config, &calibration, 1);
        assert_eq!(done.unwrap_err().to_string(), "line 3");
        assert_eq!(answered.borrow().iter().filter(|b| **b == b'\n').count(), 1);
    }
}
