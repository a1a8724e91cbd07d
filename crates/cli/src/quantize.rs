//! `caril quantize`: lets a pack run with int8, if it then still decides the same.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_core::{Frame, Policy as _, PolicyCard, Prediction};
use caril_infer::{CpuPolicy, Options};
use caril_record::Recording;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::BackendArg;
use crate::eval::flips;
use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// The reference first.
const BACKENDS: [BackendArg; 2] = [BackendArg::Cpu, BackendArg::Int8];
/// Frames that layers are tried alone on.
const TRIED: usize = 64;
/// Of the widest range that was seen, the shares that are tried.
const SHARES: [f32; 7] = [1.0, 0.85, 0.72, 0.61, 0.52, 0.44, 0.37];

/// The file in a pack that `--backend int8` needs.
const FILE: &str = "int8.json";

/// Measure on recordings what a pack's layers read, so that `--backend int8` can run it. Accepted
/// only if few enough decisions flip: as many convolutions as need be stay in f32.
#[derive(Debug, Args)]
#[command(
    after_help = "Writes int8.json into the pack: ranges of the activations, and what was measured on frames between those that the ranges are from.\n\nExample:\n  caril quantize --policy weights/mine --data held.mcap"
)]
pub struct QuantizeArgs {
    /// Policy pack
    #[arg(long, value_name = "NAME|DIR")]
    policy: String,
    /// Recordings with pictures
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// Frames to measure ranges on, and as many others to judge on
    #[arg(long, default_value_t = 500)]
    frames: usize,
    /// Share of decisions that may flip
    #[arg(long, default_value_t = 0.01)]
    flips_max: f64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What `int8.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Int8 {
    /// Of the weights that it belongs to.
    weights_sha256: String,
    /// Least and greatest value, layer by layer.
    ranges: Vec<[f32; 2]>,
    /// Flips, accuracy and calibration error of f32 and of int8.
    report: serde_json::Value,
}

/// Loads a pack with int8.
///
/// # Errors
/// If `caril quantize` has not been run on these weights, or the pack does not load.
pub fn load(
    dir: &Path,
    options: Options,
    change: impl FnOnce(&mut PolicyCard),
) -> anyhow::Result<CpuPolicy> {
    let path = dir.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        usage(format!("--backend int8 needs `caril quantize` first ({e}): {}", path.display()))
    })?;
    let int8: Int8 =
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    let (card, _) = caril_pack::load_card(dir)?;
    if int8.weights_sha256 != card.weights_sha256 {
        return Err(usage(format!(
            "the weights have changed: run `caril quantize` again: {}",
            path.display()
        )));
    }
    let finite = |r: &[f32; 2]| r.iter().all(|v| v.is_finite());
    if !int8.ranges.iter().all(finite) {
        anyhow::bail!("a range is not finite: {}", path.display());
    }
    Ok(CpuPolicy::load_int8(dir, options, int8.ranges, change)?)
}

/// Runs the command. If too many decisions flip, the pack stays as it was: exit code 1.
///
/// # Errors
/// If the pack or a recording cannot be used or the file cannot be written.
pub fn run(args: &QuantizeArgs) -> anyhow::Result<Exit> {
    if args.frames == 0 {
        return Err(usage("--frames 0: expected at least one"));
    }
    let dir = scenario::pack_dir(&args.policy)?;
    let mut ranges = Vec::new();
    let mut some: Vec<Frame> = Vec::new();
    for path in &args.data {
        let count = args.frames.div_ceil(args.data.len());
        measure(path, count, &dir, &mut ranges, &mut some, args.data.len())
            .with_context(|| format!("cannot use {}", path.display()))?;
    }
    let (card, _) = caril_pack::load_card(&dir)?;
    let path = dir.join(FILE);
    let mut int8 = Int8 { weights_sha256: card.weights_sha256, ranges, report: "none".into() };
    // What is tried is tried on a copy: the pack has what was accepted, and nothing else, at any time.
    let copy = tempfile::tempdir().context("cannot make a folder for a copy of the pack")?;
    for name in [caril_pack::CARD_FILE, caril_pack::WEIGHTS_FILE] {
        std::fs::copy(dir.join(name), copy.path().join(name))
            .with_context(|| format!("cannot copy {}", dir.join(name).display()))?;
    }
    let (compared, accepted) = search(args, copy.path(), &some, &mut int8)?;
    let f32_layers = int8.ranges.iter().filter(|[low, high]| low >= high).count();
    let mut report = serde_json::to_value(&compared)?;
    if let serde_json::Value::Object(fields) = &mut report {
        fields.insert("convolutions_in_f32".into(), f32_layers.into());
        fields.insert("convolutions_in_int8".into(), (int8.ranges.len() - f32_layers).into());
    }
    int8.report = report;
    if accepted {
        output::write_whole(&path, &text(&int8)?)?;
    }
    if args.json {
        output::print_json(&serde_json::json!({ "accepted": accepted, "report": int8.report }))?;
    } else {
        output::print_text(&flips::table(&compared))?;
    }
    if !accepted {
        let most = 100.0 * args.flips_max;
        say!("not accepted: more than {most} % of the decisions flip");
        if path.exists() {
            say!("{} is as it was", path.display());
        }
        return Ok(Exit::Failed);
    }
    say!(
        "{}: --backend int8 runs this pack, {f32_layers} of {} convolutions in f32",
        path.display(),
        int8.ranges.len()
    );
    Ok(Exit::Ok)
}

/// Tries layers with bytes one at a time, on a few frames.
struct Alone<'a> {
    dir: &'a Path,
    camera: (u32, u32),
    frames: &'a [Frame],
    exact: Vec<Option<Prediction>>,
    layers: usize,
}

impl<'a> Alone<'a> {
    fn new(dir: &'a Path, frames: &'a [Frame], layers: usize) -> anyhow::Result<Self> {
        let first = frames.first().context("no frame that the pack can use")?;
        let camera = (first.image.width, first.image.height);
        let mut alone = Self { dir, camera, frames, exact: Vec::new(), layers };
        let look = |card: &mut PolicyCard| alone.look(card);
        let mut policy = CpuPolicy::load_with(dir, Options::default(), look)?;
        alone.exact = frames.iter().map(|f| policy.infer(f).ok()).collect();
        Ok(alone)
    }

    fn look(&self, card: &mut PolicyCard) {
        (card.camera.width, card.camera.height) = self.camera;
    }

    /// How far predictions are from those of f32 in sum when one layer has bytes of this range.
    fn effect(&self, layer: usize, range: [f32; 2]) -> anyhow::Result<f32> {
        let mut ranges = vec![[0.0; 2]; self.layers];
        if let Some(place) = ranges.get_mut(layer) {
            *place = range;
        }
        let look = |card: &mut PolicyCard| self.look(card);
        let mut policy = CpuPolicy::load_int8(self.dir, Options::default(), ranges, look)?;
        let off = |(frame, exact): (&Frame, &Option<Prediction>)| match (policy.infer(frame), exact)
        {
            (Ok(a), Some(b)) => {
                let probs = a.probs().iter().zip(b.probs()).map(|(a, b)| (a - b).powi(2));
                probs.sum::<f32>() + (a.regression() - b.regression()).powi(2)
            }
            _ => 1.0,
        };
        Ok(self.frames.iter().zip(&self.exact).map(off).sum())
    }

    /// Narrows the ranges where finer steps are worth more than the rare values that they cut off.
    fn narrow(&self, ranges: &mut [[f32; 2]]) -> anyhow::Result<()> {
        for (layer, range) in ranges.iter_mut().enumerate() {
            let whole = *range;
            let mut least = f32::INFINITY;
            for share in SHARES {
                let narrowed = whole.map(|v| v * share);
                let effect = self.effect(layer, narrowed)?;
                if effect < least {
                    (least, *range) = (effect, narrowed);
                }
            }
        }
        Ok(())
    }

    /// The layers by what each changes, the most last.
    fn order(&self, ranges: &[[f32; 2]]) -> anyhow::Result<Vec<usize>> {
        let effects = ranges.iter().enumerate().map(|(i, range)| Ok((self.effect(i, *range)?, i)));
        let mut effects = effects.collect::<anyhow::Result<Vec<_>>>()?;
        effects.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(effects.into_iter().map(|(_, layer)| layer).collect())
    }
}

fn text(int8: &Int8) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(int8)? + "\n")
}

/// Leaves one convolution after the other in f32, the one that changes predictions most first, until
/// few enough decisions flip. Writes each trial into `dir`. The last comparison, and whether it is good enough.
fn search(
    args: &QuantizeArgs,
    dir: &Path,
    some: &[Frame],
    int8: &mut Int8,
) -> anyhow::Result<(flips::Compared, bool)> {
    let alone = Alone::new(dir, some, int8.ranges.len())?;
    alone.narrow(&mut int8.ranges)?;
    let mut order: Option<Vec<usize>> = None;
    loop {
        output::write_whole(&dir.join(FILE), &text(int8)?)?;
        let compared = flips::compare(dir, &args.data, &BACKENDS, args.frames)?;
        if compared.figures.iter().all(|f| f.flip_share <= args.flips_max) {
            return Ok((compared, true));
        }
        let mut left = match order.take() {
            Some(left) => left,
            None => alone.order(&int8.ranges)?,
        };
        let worst = left.pop().and_then(|layer| int8.ranges.get_mut(layer));
        // With nothing in bytes there is nothing to accept.
        let Some(worst) = worst.filter(|_| !left.is_empty()) else { return Ok((compared, false)) };
        *worst = [0.0; 2];
        order = Some(left);
    }
}

/// Widens the ranges by about `count` frames of a recording, one of `recordings`; some of the
/// frames are kept.
fn measure(
    path: &Path,
    count: usize,
    dir: &Path,
    ranges: &mut Vec<[f32; 2]>,
    some: &mut Vec<Frame>,
    recordings: usize,
) -> anyhow::Result<()> {
    let recording = Recording::open(path)?;
    let camera = recording.header().plant.camera;
    let mut policy = CpuPolicy::load_with(dir, Options::default(), |card| card.camera = camera)?;
    let there = recording.frames().count();
    let every = (there / count).max(1);
    let keep_every = (count.min(there) * recordings).div_ceil(TRIED).max(1);
    let mut frame = Frame::for_camera(&camera);
    let mut used = 0;
    for step in recording.frames().step_by(every) {
        let (step, picture) = step?;
        let Some(picture) = picture else { continue };
        frame.image = picture.decode()?;
        (frame.ego, frame.nav) = (step.ego, step.nav);
        // Speed and branch go in with the frame.
        if policy.infer(&frame).is_ok() {
            policy.widen(caril_core::branch_of(frame.nav), ranges);
            used += 1;
            if used % keep_every == 0 {
                some.push(frame.clone());
            }
        }
    }
    if used == 0 {
        return Err(usage("no frame with a picture that the pack can use"));
    }
    Ok(())
}
