//! What training is told, what it tells, and why it may fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use caril_core::PolicyCard;
use caril_policy::{Architecture, Backend};

use crate::balance::Balance;
use crate::evaluate::Quality;
use crate::loss::Loss;
use crate::optimiser::{OptimiserOptions, Schedule};

/// What is done to a drawn sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Half of the draws are mirrored: picture, command, steer and class. Off by default: in the
    /// mirror traffic keeps to the left, which teaches that the oncoming lane will do.
    pub mirror: bool,
    /// Brightness, contrast, shadow, blur, noise, hidden pictures.
    pub picture: bool,
    /// The car stands up to so many metres beside its place, with the label that leads back.
    pub shift_m: f32,
    /// The car looks up to so many degrees aside, likewise.
    pub yaw_deg: f32,
    /// The paper's mistake: a mirrored sample keeps its class.
    pub label_bug: bool,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { mirror: false, picture: true, shift_m: 0.0, yaw_deg: 0.0, label_bug: false }
    }
}

impl Augmentation {
    /// Samples as they are.
    pub const NONE: Self =
        Self { mirror: false, picture: false, shift_m: 0.0, yaw_deg: 0.0, label_bug: false };
}

/// Which values stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freeze {
    /// None: all are trained.
    #[default]
    None,
    /// The backbone: its features of every sample are computed once (the picture is not changed,
    /// only mirrored) and the heads alone are trained.
    Backbone,
    /// The first 120 Keras layers of ResNet-50, as in the paper.
    Paper,
}

/// What to train and how.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Recordings. Every one is a drive or more; held out is by drive.
    pub data: Vec<PathBuf>,
    /// Frames to leave out: see [`crate::Exclusions`].
    pub exclude: Option<PathBuf>,
    /// Frames whose expert steers more (CARLA scale, either side) are left out.
    pub steer_max: Option<f32>,
    /// Folder of the pack; curves and checkpoint go there too.
    pub out: PathBuf,
    /// Name in the card.
    pub name: String,
    /// Backbone.
    pub architecture: Architecture,
    /// A pack to go on from: its weights, input and steer scale are taken.
    pub from: Option<PathBuf>,
    /// Go on from the checkpoint in `out`, if there is one, to the same result as without the
    /// interruption.
    pub resume: bool,
    /// Published weights of the backbone in PyTorch's format.
    pub init: Option<PathBuf>,
    /// What of it is not trained.
    pub freeze: Freeze,
    /// Applied steer = network steer · this.
    pub steer_scale: f32,
    /// Samples per step.
    pub batch: usize,
    /// Highest learning rate.
    pub lr: f32,
    /// The optimiser's settings.
    pub optimiser: OptimiserOptions,
    /// Passes over as many samples as the training drives have.
    pub epochs: u32,
    /// If given, so many steps instead of `epochs`.
    pub steps: Option<u64>,
    /// Ends when so many epochs in a row were no improvement on held-out drives.
    pub patience: Option<u32>,
    /// Seed of weights, draws and augmentation.
    pub seed: u64,
    /// Every so-many-th drive is held out; 0 holds out none.
    pub held_out_every: usize,
    /// The loss.
    pub loss: Loss,
    /// How rare steers are made less rare.
    pub balance: Balance,
    /// How samples are changed.
    pub augment: Augmentation,
    /// A checkpoint is written after so many steps and after each epoch; 0: after epochs only.
    pub checkpoint_every: u64,
    /// Worker threads; 0 is one per core. Does not change the result.
    pub threads: usize,
    /// What computes gradients. flex gives the same weights for the same options, to the bit; what
    /// others promise depends on their device.
    pub backend: Backend,
    /// The command line, for the card.
    pub command: String,
    /// Set to stop after the running step; a checkpoint is written.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            exclude: None,
            steer_max: None,
            out: PathBuf::from("pack"),
            name: "pilotnet".into(),
            architecture: Architecture::PilotNet,
            from: None,
            resume: false,
            init: None,
            freeze: Freeze::None,
            steer_scale: PolicyCard::PAPER_STEER_SCALE,
            batch: 64,
            lr: 1e-3,
            optimiser: OptimiserOptions::default(),
            epochs: 10,
            steps: None,
            patience: None,
            seed: 1,
            held_out_every: 8,
            loss: Loss::default(),
            balance: Balance::default(),
            augment: Augmentation::default(),
            checkpoint_every: 200,
            threads: 0,
            backend: Backend::default(),
            command: String::new(),
            stop: None,
        }
    }
}

impl TrainOptions {
    /// The paper's recipe: ResNet-50 with its first 120 Keras layers frozen, 0.5 MSE + 0.5
    /// cross-entropy of hard classes, Adam at 1e-4 times 0.96 every 10 000 steps, L2 0.01 on the
    /// heads' hidden layers, batch 32, at most 50 epochs, patience 10, 20 steering bins capped at
    /// 20 000, |steer| ≤ 0.25, every picture also mirrored and otherwise as it is. Held out is
    /// every tenth drive, where the paper leaks a tenth of the frames.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            name: "resnet50".into(),
            architecture: Architecture::ResNet50,
            freeze: Freeze::Paper,
            steer_max: Some(0.25),
            batch: 32,
            lr: 1e-4,
            optimiser: OptimiserOptions {
                schedule: Schedule::Exponential { factor: 0.96, steps: 10_000.0 },
                betas: (0.9, 0.999),
                weight_decay: 0.0,
                heads_l2: 0.01,
                clip_norm: f32::INFINITY,
                average_decay: 0.0,
            },
            epochs: 50,
            patience: Some(10),
            held_out_every: 10,
            loss: Loss::Paper,
            balance: Balance::Cap { bins: 20, frames: 20_000 },
            augment: Augmentation { mirror: true, ..Augmentation::NONE },
            ..Self::default()
        }
    }
}

/// What training tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A recording was read.
    Loaded {
        /// Which.
        path: PathBuf,
        /// Samples in it.
        frames: usize,
        /// Drives in it.
        drives: usize,
    },
    /// A recording is not whole: what follows the last whole chunk is missing.
    CutOff {
        /// Which.
        path: PathBuf,
    },
    /// Training goes on from a checkpoint.
    Resumed {
        /// After so many steps.
        step: u64,
    },
    /// A checkpoint of another, unfinished training in the same folder was given up.
    GivenUp,
    /// Some steps were made (about once a second).
    Step {
        /// Steps so far.
        step: u64,
        /// Of so many.
        steps: u64,
        /// Mean loss of the last steps.
        loss: f32,
        /// Learning rate.
        lr: f32,
        /// Samples per second, the last steps.
        images_per_second: f32,
    },
    /// An epoch ended and was measured on held-out drives.
    Epoch {
        /// Which, from 1.
        epoch: u32,
        /// Of so many.
        epochs: u32,
        /// Mean training loss.
        train_loss: f32,
        /// On held-out drives (frames is 0 if there are none).
        held_out: Quality,
        /// Whether it is the best so far, and so was saved.
        best: bool,
    },
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainEnd {
    /// All steps were made.
    Complete,
    /// Held-out drives did not improve any more.
    EarlyStop,
    /// A stop was asked; the checkpoint is there to go on from.
    Stopped,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSummary {
    /// Folder of the pack.
    pub pack: PathBuf,
    /// Its card.
    pub card: PolicyCard,
    /// Training samples.
    pub train_frames: usize,
    /// Held-out samples.
    pub held_out_frames: usize,
    /// Steps made.
    pub steps: u64,
    /// Quality of the saved weights on held-out drives.
    pub held_out: Quality,
    /// Samples per second over all steps.
    pub images_per_second: f32,
    /// Whether held-out drives sufficed to calibrate.
    pub calibrated: bool,
    /// Share of the time of all steps in which the step waited for data.
    pub waited_share: f32,
    /// Why it ended.
    pub end: TrainEnd,
}
