//! `caril quantize`: lets a pack run with int8, if it then still decides the same.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_core::{Frame, Policy as _, PolicyCard};
use caril_infer::{CpuPolicy, Options};
use caril_record::Recording;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::BackendArg;
use crate::eval::flips;
use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// The file in a pack that `--backend int8` needs.
const FILE: &str = "int8.json";

/// Measure on recordings what a pack's layers read, so that `--backend int8` can run it. Accepted
/// only if few enough decisions flip.
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
pub fn load(dir: &Path, change: impl FnOnce(&mut PolicyCard)) -> anyhow::Result<CpuPolicy> {
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
    Ok(CpuPolicy::load_int8(dir, Options::default(), int8.ranges, change)?)
}

/// Runs the command. If too many decisions flip, int8.json is not kept: exit code 1.
///
/// # Errors
/// If the pack or a recording cannot be used or the file cannot be written.
pub fn run(args: &QuantizeArgs) -> anyhow::Result<Exit> {
    if args.frames == 0 {
        return Err(usage("--frames 0: expected at least one"));
    }
    let dir = scenario::pack_dir(&args.policy)?;
    let mut ranges = Vec::new();
    for path in &args.data {
        measure(path, args.frames.div_ceil(args.data.len()), &dir, &mut ranges)
            .with_context(|| format!("cannot use {}", path.display()))?;
    }
    let (card, _) = caril_pack::load_card(&dir)?;
    let path = dir.join(FILE);
    let mut int8 = Int8 { weights_sha256: card.weights_sha256, ranges, report: "none".into() };
    write(&path, &int8)?;
    let backends = [BackendArg::Cpu, BackendArg::Int8];
    let compared = flips::compare(&dir, &args.data, &backends, args.frames);
    let accepted = match &compared {
        Ok(found) => found.figures.iter().all(|f| f.flip_share <= args.flips_max),
        Err(_) => false,
    };
    if !accepted {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let compared = compared?;
    int8.report = serde_json::to_value(&compared)?;
    if accepted {
        write(&path, &int8)?;
    }
    if args.json {
        output::print_json(&serde_json::json!({ "accepted": accepted, "report": int8.report }))?;
    } else {
        output::print_text(&flips::table(&compared))?;
    }
    if !accepted {
        let most = 100.0 * args.flips_max;
        eprintln!("not accepted: more than {most} % of the decisions flip");
        return Ok(Exit::Failed);
    }
    eprintln!("{}: --backend int8 runs this pack", path.display());
    Ok(Exit::Ok)
}

fn write(path: &Path, int8: &Int8) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(int8)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Widens the ranges by about `count` frames of a recording.
fn measure(
    path: &Path,
    count: usize,
    dir: &Path,
    ranges: &mut Vec<[f32; 2]>,
) -> anyhow::Result<()> {
    let recording = Recording::open(path)?;
    let camera = recording.header().plant.camera;
    let mut policy = CpuPolicy::load_with(dir, Options::default(), |card| card.camera = camera)?;
    let every = (recording.frames().count() / count).max(1);
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
        }
    }
    match used {
        0 => Err(usage("no frame with a picture")),
        _ => Ok(()),
    }
}
