//! `caril eval flips`: the same frames through several backends. Do they decide the same?

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_control::{CorrectionState, correct};
use caril_core::{
    CorrectionConfig, CorrectionMode, Frame, FrameId, Policy as _, Prediction, Regime, bin_of,
};
use caril_eval::confidence::expected_calibration_error;
use caril_record::Recording;
use clap::Args;
use serde::Serialize;

use crate::args::BackendArg;
use crate::backend;
use crate::exit::{Exit, usage};
use crate::output;
use crate::scenario::{self, AnyPolicy};

/// A drive is over where the plant's time jumps by more than this.
const DRIVE_GAP_NS: u64 = 1_000_000_000;

/// Run recorded frames through several backends and count how many decisions differ.
#[derive(Debug, Args)]
#[command(
    after_help = "A decision is the class of the highest probability and whether the correction steps in. The first backend is what the others are compared with.\n\nExample:\n  caril eval flips --data held.mcap --backend flex cpu --json"
)]
pub struct FlipsArgs {
    /// Policy pack
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    policy: String,
    /// Recordings with pictures
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// Backends, the reference first
    #[arg(long, value_enum, num_args = 1.., required = true)]
    backend: Vec<BackendArg>,
    /// Frames, evenly spread over all recordings
    #[arg(long, default_value_t = 1000)]
    frames: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What one backend made of the frames.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Name of the backend.
    pub backend: String,
    /// What it runs on.
    device: String,
    /// Frames on which it failed and the reference did not, or the other way round.
    faults: usize,
    /// Another class is the most probable.
    class_flips: usize,
    /// The correction steps in, or does not, or otherwise.
    regime_flips: usize,
    /// Frames with either.
    flips: usize,
    /// Of all frames, those with a flip or a fault.
    pub flip_share: f64,
    regression_difference_max: f32,
    probability_difference_max: f32,
    /// Against the expert, where the recordings have one.
    mean_absolute_error: Option<f64>,
    accuracy: Option<f64>,
    /// At the card's temperature.
    expected_calibration_error: Option<f64>,
}

/// What was decided on one frame.
#[derive(Debug, Clone, Copy)]
struct Decision {
    prediction: Prediction,
    class: usize,
    regime: Regime,
}

/// One backend and all that it decided.
struct Runner {
    backend: BackendArg,
    policy: AnyPolicy,
    state: CorrectionState,
    decided: Vec<Option<Decision>>,
}

impl Runner {
    fn decide(&mut self, frame: &Frame) {
        let calibration = self.policy.card().calibration;
        let config =
            CorrectionConfig { mode: CorrectionMode::Calibrated, ..CorrectionConfig::default() };
        let decided = self.policy.infer(frame).ok().map(|prediction| {
            let key = (1, frame.id);
            let corrected = correct(&config, &calibration, &prediction, &mut self.state, key);
            Decision { prediction, class: argmax(&prediction), regime: corrected.regime }
        });
        self.decided.push(decided);
    }
}

fn argmax(prediction: &Prediction) -> usize {
    let best = |best: (usize, f32), (i, p): (usize, &f32)| if *p > best.1 { (i, *p) } else { best };
    prediction.probs().iter().enumerate().fold((0, f32::NEG_INFINITY), best).0
}

/// What all backends made of the frames.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Frames.
    pub frames: usize,
    /// Per backend, the reference first.
    pub figures: Vec<Figures>,
}

/// Runs the command.
///
/// # Errors
/// If a pack, a backend or a recording cannot be used.
pub fn run(args: &FlipsArgs) -> anyhow::Result<Exit> {
    if args.frames == 0 {
        return Err(usage("--frames 0: expected at least one"));
    }
    let dir = scenario::pack_dir(&args.policy)?;
    let compared = compare(&dir, &args.data, &args.backend, args.frames)?;
    if args.json {
        output::print_json(&compared)?;
    } else {
        output::print_text(&table(&compared))?;
    }
    Ok(Exit::Ok)
}

/// Runs about `frames` frames of some recordings through several backends.
///
/// # Errors
/// As [`run`].
pub fn compare(
    dir: &Path,
    data: &[PathBuf],
    backends: &[BackendArg],
    frames: usize,
) -> anyhow::Result<Compared> {
    let mut runners: Vec<Runner> = Vec::new();
    let mut experts: Vec<Option<f32>> = Vec::new();
    for path in data {
        watch(path, frames.div_ceil(data.len()), dir, backends, &mut runners, &mut experts)
            .with_context(|| format!("cannot use {}", path.display()))?;
    }
    let reference = runners.first().map(|r| r.decided.clone()).unwrap_or_default();
    if !reference.iter().any(Option::is_some) {
        anyhow::bail!("no frame that {:?} can use", backends.first());
    }
    let figures = runners.iter().map(|r| figures(r, &reference, &experts));
    Ok(Compared { frames: reference.len(), figures: figures.collect::<anyhow::Result<_>>()? })
}

/// Shows about `count` frames of a recording to every backend.
fn watch(
    path: &Path,
    count: usize,
    dir: &Path,
    backends: &[BackendArg],
    runners: &mut Vec<Runner>,
    experts: &mut Vec<Option<f32>>,
) -> anyhow::Result<()> {
    let recording = Recording::open(path)?;
    let camera = recording.header().plant.camera;
    if runners.is_empty() {
        for backend in backends {
            let policy = backend::open(dir, *backend, 1, |card| card.camera = camera)?;
            let (state, decided) = (CorrectionState::default(), Vec::new());
            runners.push(Runner { backend: *backend, policy, state, decided });
        }
    }
    let scale = runners.first().map_or(1.0, |r| r.policy.card().steer_scale);
    let every = (recording.frames().count() / count).max(1);
    let mut frame = Frame::for_camera(&camera);
    let mut last_ns: Option<u64> = None;
    // Beside the frames that `caril quantize` measures ranges on.
    for step in recording.frames().skip(every / 2).step_by(every) {
        let (step, picture) = step?;
        let Some(picture) = picture else { continue };
        frame.image = picture.decode()?;
        frame.id = FrameId(step.frame_id.0);
        frame.sim_time_ns = step.sim_time_ns;
        frame.ego = step.ego;
        frame.nav = step.nav;
        let gap = DRIVE_GAP_NS.saturating_mul(every as u64);
        let anew = last_ns.is_some_and(|last| step.sim_time_ns.abs_diff(last) > gap);
        last_ns = Some(step.sim_time_ns);
        for runner in runners.iter_mut() {
            if anew {
                runner.state = CorrectionState::default();
            }
            runner.decide(&frame);
        }
        let steer = step.truth.map(|t| t.expert_steer).filter(|s| s.is_finite());
        experts.push(steer.map(|s| (s / scale).clamp(-1.0, 1.0)));
    }
    Ok(())
}

fn figures(
    runner: &Runner,
    reference: &[Option<Decision>],
    experts: &[Option<f32>],
) -> anyhow::Result<Figures> {
    let mut f = Figures {
        backend: runner.backend.name(),
        device: backend::device_name(runner.backend)?,
        faults: 0,
        class_flips: 0,
        regime_flips: 0,
        flips: 0,
        flip_share: 0.0,
        regression_difference_max: 0.0,
        probability_difference_max: 0.0,
        mean_absolute_error: None,
        accuracy: None,
        expected_calibration_error: None,
    };
    for pair in runner.decided.iter().zip(reference) {
        let (Some(mine), Some(theirs)) = pair else {
            f.faults += usize::from(pair.0.is_some() != pair.1.is_some());
            continue;
        };
        let (class, regime) = (mine.class != theirs.class, mine.regime != theirs.regime);
        f.class_flips += usize::from(class);
        f.regime_flips += usize::from(regime);
        f.flips += usize::from(class || regime);
        let off = (mine.prediction.regression() - theirs.prediction.regression()).abs();
        f.regression_difference_max = f.regression_difference_max.max(off);
        for (a, b) in mine.prediction.probs().iter().zip(theirs.prediction.probs()) {
            f.probability_difference_max = f.probability_difference_max.max((a - b).abs());
        }
    }
    f.flip_share = (f.flips + f.faults) as f64 / reference.len().max(1) as f64;
    let judged: Vec<(Decision, f32)> =
        runner.decided.iter().zip(experts).filter_map(|(d, e)| Some(((*d)?, (*e)?))).collect();
    if !judged.is_empty() {
        let n = judged.len() as f64;
        let error = |(d, e): &(Decision, f32)| f64::from((d.prediction.regression() - e).abs());
        let right: Vec<bool> =
            judged.iter().map(|(d, e)| bin_of(*e).is_some_and(|bin| bin == d.class)).collect();
        let temperature = runner.policy.card().calibration.temperature;
        let sure = |(d, _): &(Decision, f32)| {
            f64::from(d.prediction.temperature_scaled(temperature).confidence()).min(1.0)
        };
        let sure: Vec<f64> = judged.iter().map(sure).collect();
        f.mean_absolute_error = Some(judged.iter().map(error).sum::<f64>() / n);
        f.accuracy = Some(right.iter().filter(|r| **r).count() as f64 / n);
        f.expected_calibration_error = Some(expected_calibration_error(&sure, &right)?);
    }
    Ok(f)
}

/// The figures as text.
pub fn table(compared: &Compared) -> String {
    let frames = compared.frames;
    let mut text = format!(
        "{frames} frames  flips  (class, regime)  |Δ regression|  |Δ probability|  MAE     accuracy  ECE\n"
    );
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.4}"));
    for f in &compared.figures {
        text += &format!(
            "{:12} {:5.2} %  ({:5}, {:5})  {:14.2e}  {:15.2e}  {}  {}    {}\n",
            f.backend,
            100.0 * f.flip_share,
            f.class_flips,
            f.regime_flips,
            f.regression_difference_max,
            f.probability_difference_max,
            number(f.mean_absolute_error),
            number(f.accuracy),
            number(f.expected_calibration_error),
        );
    }
    text
}
