//! `caril train`: recordings in, a policy pack out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_policy::{Architecture, Pack};
use caril_train::{
    Augmentation, Balance, Freeze, Loss, Progress, TrainEnd, TrainOptions, TrainSummary,
};
use clap::{Args, ValueEnum};

use crate::args::BackendArg;
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

/// Named configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecipeArg {
    /// Ours: PilotNet, smeared classes, AdamW, cosine
    Default,
    /// ResNet-50 as published: its loss, optimiser, freezing, balance, epochs and patience
    Paper,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    Yes,
    /// No
    No,
}

/// What is done to pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AugmentArg {
    /// Brightness, contrast, shadow, blur, noise, hidden pictures
    Full,
    /// Pictures as they are
    None,
}

/// Train a policy pack from recordings.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril collect --map town_blocks --frames 8000 --out town.mcap\n  caril train --data town.mcap --out weights/mine --epochs 10\n  caril train --data town.mcap --out weights/mine --epochs 10 --resume   # after an interruption\n  caril train --data town.mcap --out weights/paper --recipe paper --init resnet50.pth"
)]
pub struct TrainArgs {
    /// Recordings with pictures and the expert's steer
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// Frames to leave out: a text file of lines `RECORDING FIRST-LAST`
    #[arg(long, value_name = "LIST.txt")]
    exclude: Option<PathBuf>,
    /// Leave out frames whose expert steers more than this (CARLA scale)
    #[arg(long, value_name = "STEER")]
    steer_max: Option<f32>,
    /// Folder of the new pack; curves and checkpoint go there too
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from the checkpoint in --out, if there is one: the same command gives the same
    /// weights, bit by bit, as without the interruption
    #[arg(long)]
    resume: bool,
    /// What the other options' defaults are
    #[arg(long, value_enum, default_value_t = RecipeArg::Default)]
    recipe: RecipeArg,
    /// The paper's mistake, to see what it costs: mirrored pictures keep their class
    #[arg(long)]
    paper_label_bug: bool,
    /// Network [default: the recipe's, or that of --from]
    #[arg(long, value_name = "pilotnet|efficientnet-lite0|resnet50")]
    backbone: Option<String>,
    /// ImageNet weights of the backbone
    #[arg(long, value_name = "FILE.pth", conflicts_with = "from")]
    init: Option<PathBuf>,
    /// Pack whose weights, input and steer scale to begin with
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Train the heads alone, on features of the backbone that are computed once
    #[arg(long)]
    freeze: bool,
    /// Name of the pack [default: the folder's]
    #[arg(long)]
    name: Option<String>,
    /// Applied steer = network steer · this [default: 0.25]
    #[arg(long)]
    steer_scale: Option<f32>,
    /// Passes over the data [default: 10; paper: 50]
    #[arg(long)]
    epochs: Option<u32>,
    /// So many steps instead of --epochs
    #[arg(long)]
    steps: Option<u64>,
    /// End after so many epochs without improvement on held-out drives [default: never; paper: 10]
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<u32>,
    /// Samples per step [default: 64; paper: 32]
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate [default: 1e-3; paper: 1e-4]
    #[arg(long)]
    lr: Option<f32>,
    /// Decoupled weight decay [default: 1e-3; paper: 0]
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Loss function [default: smeared; paper: paper]
    #[arg(long, value_enum)]
    loss: Option<LossArg>,
    /// Rare steers: weighted draws, or at most N frames of each of 20 steering bins [default:
    /// weight; paper: cap:20000]
    #[arg(long, value_name = "none|weight|cap:N")]
    balance: Option<String>,
    /// Changes of pictures [default: full; paper and --freeze: none]
    #[arg(long, value_enum)]
    augment: Option<AugmentArg>,
    /// Mirror half of the samples: picture, command, steer and class [default: no, for in the
    /// mirror traffic keeps to the left; paper: yes]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes")]
    mirror: Option<Switch>,
    /// Views from up to so many metres aside, with the steer that leads back
    #[arg(long, default_value_t = 0.0, value_name = "METRES")]
    shift: f32,
    /// Views turned by up to so many degrees, likewise
    #[arg(long, default_value_t = 0.0, value_name = "DEGREES")]
    yaw: f32,
    /// Every n-th drive is held out; 0 holds out none [default: 8; paper: 10]
    #[arg(long, value_name = "N")]
    held_out_every: Option<usize>,
    /// Seed of weights, order and augmentation
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a checkpoint every so many steps, and after each epoch
    #[arg(long, default_value_t = 200, value_name = "STEPS")]
    checkpoint_every: u64,
    /// Threads; 0 takes all
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// What computes gradients. The same command gives the same weights, to the bit, on flex alone
    #[arg(long, value_enum, default_value_t = BackendArg::Flex)]
    backend: BackendArg,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

impl TrainArgs {
    fn options(&self) -> anyhow::Result<TrainOptions> {
        let Some(backend) = self.backend.of_burn() else {
            let name = self.backend.name();
            return Err(usage(format!("--backend {name} cannot train: flex can, and wgpu")));
        };
        // Says early, and by which feature, what this build or machine lacks.
        crate::backend::device_name(self.backend)?;
        let base = match self.recipe {
            RecipeArg::Default => TrainOptions::default(),
            RecipeArg::Paper => TrainOptions::paper(),
        };
        let architecture = match (&self.backbone, &self.from) {
            (Some(name), _) => Architecture::from_name(name).ok_or_else(|| {
                usage(format!(
                    "no backbone {name}; there are: pilotnet, efficientnet-lite0, resnet50"
                ))
            })?,
            (None, Some(pack)) => {
                let card = Pack::load_card(pack)?;
                Architecture::from_name(&card.architecture).unwrap_or_default()
            }
            (None, None) => base.architecture,
        };
        // The paper's freezing is of ResNet-50's layers.
        let freeze = match base.freeze {
            _ if self.freeze => Freeze::Backbone,
            Freeze::Paper if architecture != Architecture::ResNet50 => Freeze::None,
            other => other,
        };
        let picture = match self.augment {
            Some(AugmentArg::Full) => true,
            Some(AugmentArg::None) => false,
            None => base.augment.picture && !self.freeze,
        };
        let mut optimiser = base.optimiser;
        optimiser.weight_decay = self.weight_decay.unwrap_or(optimiser.weight_decay);
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self.out.file_name().map_or_else(
                || architecture.name().to_owned(),
                |n| n.to_string_lossy().into_owned(),
            ),
        };
        Ok(TrainOptions {
            data: self.data.clone(),
            exclude: self.exclude.clone(),
            steer_max: self.steer_max.or(base.steer_max),
            out: self.out.clone(),
            name,
            architecture,
            from: self.from.clone(),
            resume: self.resume,
            init: self.init.clone(),
            freeze,
            steer_scale: self.steer_scale.unwrap_or(base.steer_scale),
            batch: self.batch.unwrap_or(base.batch),
            lr: self.lr.unwrap_or(base.lr),
            optimiser,
            epochs: self.epochs.unwrap_or(base.epochs),
            steps: self.steps,
            patience: self.patience.or(base.patience),
            seed: self.seed,
            held_out_every: self.held_out_every.unwrap_or(base.held_out_every),
            loss: match self.loss {
                Some(LossArg::Smeared) => Loss::default(),
                Some(LossArg::Paper) => Loss::Paper,
                None => base.loss,
            },
            balance: self.balance.as_deref().map_or(Ok(base.balance), balance)?,
            augment: Augmentation {
                mirror: self.mirror.map_or(base.augment.mirror, |s| s == Switch::Yes),
                picture,
                shift_m: self.shift,
                yaw_deg: self.yaw,
                label_bug: self.paper_label_bug,
            },
            checkpoint_every: self.checkpoint_every,
            threads: self.threads,
            // A resumed training is the same training.
            backend,
            command: std::env::args()
                .skip(1)
                .filter(|a| a != "--resume")
                .fold("caril".to_owned(), |all, a| all + " " + &a),
            stop: None,
        })
    }
}

fn balance(text: &str) -> anyhow::Result<Balance> {
    let cap = text.strip_prefix("cap:").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    match (text, cap) {
        ("none", _) => Ok(Balance::None),
        ("weight", _) => Ok(Balance::Weight),
        (_, Some(frames)) => Ok(Balance::Cap { bins: 20, frames }),
        _ => Err(usage(format!("--balance must be none, weight or cap:N, found {text:?}"))),
    }
}

/// Runs the command.
///
/// # Errors
/// If a recording cannot be used or training fails; no half-written pack is left.
pub fn run(args: &TrainArgs) -> anyhow::Result<Exit> {
    let halt = Arc::new(AtomicBool::new(false));
    let options = TrainOptions { stop: Some(Arc::clone(&halt)), ..args.options()? };
    let stop = output::stop_on_ctrl_c_saying("writing a checkpoint for --resume")?;
    let watch = Arc::clone(&halt);
    // The loop looks at its flag after every step; progress comes but once a second.
    std::thread::spawn(move || {
        while !stop.asked() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        watch.store(true, Ordering::Relaxed);
    });
    let bar = output::progress(1, "{bar:32} step {pos}/{len}  {msg}  {eta} left");
    let summary =
        caril_train::train_files(&options, &mut |progress| show(&bar, &options, progress))?;
    bar.finish_and_clear();
    report(args, &summary)?;
    Ok(if summary.end == TrainEnd::Stopped { Exit::Degraded } else { Exit::Ok })
}

fn show(bar: &indicatif::ProgressBar, options: &TrainOptions, progress: Progress) {
    let say = |text: String| bar.suspend(|| say!("{text}"));
    match progress {
        Progress::CutOff { path } => {
            say(format!("{}: cut off; what is whole of it is used", path.display()));
        }
        Progress::Loaded { path, frames, drives } => {
            say(format!("{}: {frames} frames, {drives} drives", path.display()));
        }
        Progress::Resumed { step } => say(format!("goes on after step {step}")),
        Progress::GivenUp => say(format!(
            "begins anew; the unfinished training in {} is given up (--resume goes on)",
            options.out.display()
        )),
        Progress::Step { step, steps, loss, images_per_second, .. } => {
            bar.set_length(steps);
            bar.set_position(step);
            bar.set_message(format!("loss {loss:.4}  {images_per_second:.0} images/s"));
        }
        Progress::Epoch { epoch, epochs, train_loss, held_out, best } => say(format!(
            "epoch {epoch}/{epochs}: loss {train_loss:.4}, held out: loss {:.4}, MAE {:.4} (turns {:.4}), accuracy {:.1} % (±1: {:.1} %){}",
            held_out.loss,
            held_out.mae,
            held_out.mae_turn,
            100.0 * held_out.accuracy,
            100.0 * held_out.accuracy_within_one,
            if best { "  saved" } else { "" }
        )),
    }
}

fn report(args: &TrainArgs, summary: &TrainSummary) -> anyhow::Result<()> {
    say!(
        "{}: {} frames, {} steps, {:.0} images/s; {}; {}",
        summary.pack.display(),
        summary.train_frames,
        summary.steps,
        summary.images_per_second,
        match summary.end {
            TrainEnd::Complete => "complete",
            TrainEnd::EarlyStop => "ended early, held-out drives improve no more",
            TrainEnd::Stopped => "stopped; the same command with --resume goes on",
        },
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
            "held_out": summary.held_out,
            "steps": summary.steps,
            "end": summary.end,
            "images_per_second": summary.images_per_second,
            "waited_share": summary.waited_share,
            "calibrated": summary.calibrated,
        }))?;
    }
    Ok(())
}
