//! Why the executor cannot take a policy pack.

use std::path::PathBuf;

use caril_core::CardError;

/// Why the executor cannot take a policy pack. Expected and found first, the path last.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// A file could not be read.
    #[error("cannot read: {source}: {path}")]
    Io {
        /// Why it failed.
        source: std::io::Error,
        /// Which file.
        path: PathBuf,
    },
    /// The card is not the TOML of a card.
    #[error("the policy card cannot be read: {message}: {path}")]
    CardSyntax {
        /// What the parser says.
        message: String,
        /// The card.
        path: PathBuf,
    },
    /// A value of the card makes no sense, or its format is another.
    #[error("{source}: {path}")]
    Card {
        /// Which.
        source: CardError,
        /// The card.
        path: PathBuf,
    },
    /// No such backbone.
    #[error(
        "unknown architecture {found:?}, expected pilotnet, efficientnet-lite0 or resnet50: {path}"
    )]
    Architecture {
        /// What the card says.
        found: String,
        /// The card.
        path: PathBuf,
    },
    /// The input's size or the inputs beside the image do not fit the backbone.
    #[error("the card's inputs do not fit {architecture}: expected {expected}: {path}")]
    Inputs {
        /// The backbone.
        architecture: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The card.
        path: PathBuf,
    },
    /// The weights are not the ones of the card.
    #[error(
        "the weights' sha256 does not match the card: expected {expected}, found {found}: {path}"
    )]
    Hash {
        /// From the card.
        expected: String,
        /// Of the file.
        found: String,
        /// The weights.
        path: PathBuf,
    },
    /// The weights file cannot be decoded.
    #[error("the weights cannot be read: {message}: {path}")]
    Weights {
        /// What is wrong.
        message: String,
        /// The weights.
        path: PathBuf,
    },
    /// The tensors are not those of the architecture, or a weight is not finite.
    #[error("the weights do not fit {architecture}: {detail}: {path}")]
    Tensors {
        /// Of the card.
        architecture: &'static str,
        /// First misfit.
        detail: String,
        /// The weights.
        path: PathBuf,
    },
    /// The executor runs on one thread or on two.
    #[error("expected 1 or 2 threads, got {got}")]
    Threads {
        /// What was asked for.
        got: usize,
    },
    /// The instruction set that was asked for is not on this machine.
    #[error("this machine has no {isa}")]
    Isa {
        /// Which.
        isa: &'static str,
    },
    /// The worker thread could not be started.
    #[error("cannot start the worker thread: {source}")]
    Worker {
        /// Why.
        source: std::io::Error,
    },
}
