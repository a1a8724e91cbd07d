//! What training is told, what it tells, and why it may fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use caril_core::{CameraSpec, PolicyCard};
use caril_policy::{Architecture, PackError};

use crate::evaluate::Quality;
use crate::loss::Loss;

/// What to train and how.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Recordings. Every one is a drive or more; held out is by drive.
    pub data: Vec<PathBuf>,
    /// Folder of the pack; `curves.csv` goes there too.
    pub out: PathBuf,
    /// Name in the card.
    pub name: String,
    /// Backbone.
    pub architecture: Architecture,
    /// A pack to go on from: its weights, input and steer scale are taken.
    pub resume: Option<PathBuf>,
    /// Published weights of the backbone in PyTorch's format.
    pub init: Option<PathBuf>,
    /// Applied steer = network steer · this.
    pub steer_scale: f32,
    /// Samples per step.
    pub batch: usize,
    /// Highest learning rate.
    pub lr: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Passes over as many samples as the training drives have.
    pub epochs: u32,
    /// If given, so many steps instead of `epochs`.
    pub steps: Option<u64>,
    /// Seed of weights, draws and augmentation.
    pub seed: u64,
    /// Every so-many-th drive is held out; 0 holds out none.
    pub held_out_every: usize,
    /// The loss.
    pub loss: Loss,
    /// Whether half of the samples are mirrored: picture, command, steer and class. Off by default:
    /// in the mirror traffic keeps to the left, which teaches that the oncoming lane will do.
    pub mirror: bool,
    /// Whether pictures are changed.
    pub augment: bool,
    /// Worker threads; 0 is one per core. Does not change the result.
    pub threads: usize,
    /// The command line, for the card.
    pub command: String,
    /// Set to stop after the running step; the best pack so far stays.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            out: PathBuf::from("pack"),
            name: "pilotnet".into(),
            architecture: Architecture::PilotNet,
            resume: None,
            init: None,
            steer_scale: PolicyCard::PAPER_STEER_SCALE,
            batch: 64,
            lr: 1e-3,
            weight_decay: 1e-3,
            epochs: 10,
            steps: None,
            seed: 1,
            held_out_every: 8,
            loss: Loss::default(),
            mirror: false,
            augment: true,
            threads: 0,
            command: String::new(),
            stop: None,
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
}

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No recording, or no frame with the expert's steer in them.
    #[error("nothing to learn from: expected frames with pictures and the expert's steer")]
    NoData,
    /// All drives would be held out, or none is left to measure.
    #[error("expected more drives: {train} training and {held_out} held-out frames")]
    TooFewDrives {
        /// Training frames.
        train: usize,
        /// Held-out frames.
        held_out: usize,
    },
    /// Cameras differ.
    #[error(
        "the camera differs from that of the other data: expected {expected:?}, found {found:?}: {path}"
    )]
    Camera {
        /// Of the first recording or the pack.
        expected: Box<CameraSpec>,
        /// Of this one.
        found: Box<CameraSpec>,
        /// Which recording.
        path: PathBuf,
    },
    /// The loss is no longer a number.
    #[error(
        "training diverged at step {step}: the loss is {loss}; a lower learning rate may help (the pack of the last good epoch, if any, is untouched)"
    )]
    Diverged {
        /// When.
        step: u64,
        /// What it was.
        loss: f32,
    },
    /// An option makes no sense.
    #[error("{option} must be {expected}")]
    Option {
        /// Which.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A recording cannot be read.
    #[error("{message}: {path}")]
    Recording {
        /// Why.
        message: String,
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write: {source}: {path}")]
    Io {
        /// Why.
        source: std::io::Error,
        /// Which.
        path: PathBuf,
    },
    /// The pack.
    #[error(transparent)]
    Pack(#[from] PackError),
}
