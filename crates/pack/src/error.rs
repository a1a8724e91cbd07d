//! Why a policy pack cannot be used or written.

use std::path::PathBuf;

use caril_core::CardError;

/// Why a policy pack cannot be used or written. What was expected and found comes first, the path
/// last.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file could not be read or written.
    #[error("cannot {action}: {source}: {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
        /// On which file.
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
        /// What the store says.
        message: String,
        /// The weights.
        path: PathBuf,
    },
    /// The tensors are not those of the architecture.
    #[error("the weights do not fit {architecture}: {detail}: {path}")]
    Tensors {
        /// Of the card.
        architecture: &'static str,
        /// First misfit.
        detail: String,
        /// The weights.
        path: PathBuf,
    },
    /// A weight is NaN or infinite.
    #[error("a weight of {tensor} is not finite: {path}")]
    NonFinite {
        /// Which tensor.
        tensor: String,
        /// The weights.
        path: PathBuf,
    },
    /// A backend that this build does not have.
    #[error("backend {name} is not compiled in: of Burn's this build has {known}")]
    Backend {
        /// Which.
        name: &'static str,
        /// Those that are.
        known: String,
    },
    /// There is no device that the backend could run on, or it failed.
    #[error("backend {name} has no device that works: {message}")]
    Device {
        /// Which backend.
        name: &'static str,
        /// Why.
        message: String,
    },
}
