//! Why training may fail.

use std::path::{Path, PathBuf};

use caril_core::CameraSpec;
use caril_policy::PackError;
use caril_record::RecordError;

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No recording, or no frame with the expert's steer in them.
    #[error("nothing to learn from: expected frames with pictures and the expert's steer")]
    NoData,
    /// All drives would be held out, or none is left to measure.
    #[error(
        "expected drives to train on and drives to hold out, found {train} training and {held_out} held-out frames: give more recordings, or hold out none (--held-out-every 0)"
    )]
    TooFewDrives {
        /// Training frames.
        train: usize,
        /// Held-out frames.
        held_out: usize,
    },
    /// Nothing to tell apart.
    #[error(
        "expected frames of several steering classes, found class {class} alone in all {frames} training frames"
    )]
    OneClass {
        /// The class.
        class: usize,
        /// Training frames.
        frames: usize,
    },
    /// The pack to go on from is of another kind.
    #[error("expected a pack of {expected}, found {found}: {path}")]
    Architecture {
        /// Asked for.
        expected: &'static str,
        /// Of the pack.
        found: String,
        /// The pack.
        path: PathBuf,
    },
    /// A checkpoint cannot be gone on from.
    #[error("cannot go on from the checkpoint: {message}: {path}")]
    Checkpoint {
        /// Why.
        message: String,
        /// The checkpoint.
        path: PathBuf,
    },
    /// An exclusion list makes no sense.
    #[error("{message}: {path}")]
    Exclusions {
        /// What is wrong, with the line.
        message: String,
        /// The list.
        path: PathBuf,
    },
    /// Cameras differ.
    #[error(
        "the camera differs from that of the pack or the other data (`eval frames --any-camera` takes it all the same): expected {expected:?}, found {found:?}: {path}"
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
    /// A file cannot be read.
    #[error("cannot read: {source}: {path}")]
    Read {
        /// Why.
        source: std::io::Error,
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

impl TrainError {
    /// A recording's own error, some of which name the file already.
    pub(crate) fn recording(error: &RecordError, path: &Path) -> Self {
        let (message, end) = (error.to_string(), format!(": {}", path.display()));
        let message = message.strip_suffix(&end).unwrap_or(&message).to_owned();
        Self::Recording { message, path: path.into() }
    }
}
