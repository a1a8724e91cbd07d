//! `caril train`: recordings in, a policy pack out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_policy::Architecture;
use caril_train::{Loss, Progress, TrainOptions, TrainSummary};
use clap::{Args, ValueEnum};

use crate::exit::{Exit, usage};
use crate::output;

/// Loss functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LossArg {
    /// Huber, and cross-entropy with a Gaussian-smeared class target
    Smeared,
    /// The paper's: 0.5 MSE + 0.5 cross-entropy with hard classes
    Paper,
}

/// Train a policy pack from recordings.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril collect --map town_blocks --frames 8000 --out town.mcap\n  caril train --data town.mcap --out weights/mine --epochs 10"
)]
pub struct TrainArgs {
    /// Recordings with pictures and the expert's steer
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// Folder of the new pack
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Network
    #[arg(long, default_value = "pilotnet", value_name = "pilotnet|efficientnet-lite0|resnet50")]
    backbone: String,
    /// ImageNet weights of the backbone
    #[arg(long, value_name = "FILE.pth")]
    init: Option<PathBuf>,
    /// Pack whose weights to go on from
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Name of the pack [default: the folder's]
    #[arg(long)]
    name: Option<String>,
    /// Applied steer = network steer · this
    #[arg(long, default_value_t = 0.25)]
    steer_scale: f32,
    /// Passes over the data
    #[arg(long, default_value_t = 10)]
    epochs: u32,
    /// Samples per step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 1e-3)]
    lr: f32,
    /// Loss function
    #[arg(long, value_enum, default_value_t = LossArg::Smeared)]
    loss: LossArg,
    /// Every n-th drive is held out
    #[arg(long, default_value_t = 8, value_name = "N")]
    held_out_every: usize,
    /// Seed of weights, order and augmentation
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
/// If a recording cannot be used or training fails; no half-written pack is left.
pub fn run(args: &TrainArgs) -> anyhow::Result<Exit> {
    let architecture = Architecture::from_name(&args.backbone).ok_or_else(|| {
        usage(format!(
            "no backbone {}; there are: pilotnet, efficientnet-lite0, resnet50",
            args.backbone
        ))
    })?;
    let stop = output::stop_on_ctrl_c()?;
    let halt = Arc::new(AtomicBool::new(false));
    let name = match &args.name {
        Some(name) => name.clone(),
        None => args
            .out
            .file_name()
            .map_or_else(|| args.backbone.clone(), |n| n.to_string_lossy().into_owned()),
    };
    let options = TrainOptions {
        data: args.data.clone(),
        out: args.out.clone(),
        name,
        architecture,
        resume: args.resume.clone(),
        init: args.init.clone(),
        steer_scale: args.steer_scale,
        batch: args.batch,
        lr: args.lr,
        epochs: args.epochs,
        seed: args.seed,
        held_out_every: args.held_out_every,
        loss: match args.loss {
            LossArg::Smeared => Loss::default(),
            LossArg::Paper => Loss::Paper,
        },
        threads: args.threads,
        command: std::env::args().skip(1).fold("caril".to_owned(), |all, a| all + " " + &a),
        stop: Some(Arc::clone(&halt)),
        ..TrainOptions::default()
    };
    let bar = output::progress(1, "{bar:32} step {pos}/{len}  {msg}  {eta} left");
    let summary = caril_train::train_files(&options, &mut |progress| {
        if stop.asked() {
            halt.store(true, Ordering::Relaxed);
        }
        match progress {
            Progress::Loaded { path, frames, drives } => {
                bar.suspend(|| eprintln!("{}: {frames} frames, {drives} drives", path.display()));
            }
            Progress::Step { step, steps, loss, images_per_second, .. } => {
                bar.set_length(steps);
                bar.set_position(step);
                bar.set_message(format!("loss {loss:.4}  {images_per_second:.0} images/s"));
            }
            Progress::Epoch { epoch, epochs, train_loss, held_out, best } => {
                bar.suspend(|| {
                    eprintln!(
                        "epoch {epoch}/{epochs}: loss {train_loss:.4}, held out: loss {:.4}, MAE {:.4} (turns {:.4}), accuracy {:.1} % (±1: {:.1} %){}",
                        held_out.loss,
                        held_out.mae,
                        held_out.mae_turn,
                        100.0 * held_out.accuracy,
                        100.0 * held_out.accuracy_within_one,
                        if best { "  saved" } else { "" }
                    );
                });
            }
        }
    })?;
    bar.finish_and_clear();
    report(args, &summary)?;
    Ok(if halt.load(Ordering::Relaxed) { Exit::Degraded } else { Exit::Ok })
}

fn report(args: &TrainArgs, summary: &TrainSummary) -> anyhow::Result<()> {
    eprintln!(
        "{}: {} frames, {} steps, {:.0} images/s; {}",
        summary.pack.display(),
        summary.train_frames,
        summary.steps,
        summary.images_per_second,
        if summary.calibrated {
            "calibrated on held-out drives"
        } else {
            "too few held-out frames to calibrate"
        }
    );
    if args.json {
        output::print_json(&serde_json::json!({
            "pack": summary.pack,
            "card": summary.card,
            "train_frames": summary.train_frames,
            "held_out_frames": summary.held_out_frames,
            "steps": summary.steps,
            "images_per_second": summary.images_per_second,
            "calibrated": summary.calibrated,
        }))?;
    }
    Ok(())
}
