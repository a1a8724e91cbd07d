//! Packs with random weights: for benches and tests, where only the shape matters.

use std::collections::BTreeMap;
use std::path::Path;

use caril_core::{Architecture, CameraSpec, InputSpec, PolicyCard};
use caril_pack::{PackError, WEIGHTS_FILE};

use crate::InferError;
use crate::bpk::{self, Tensor};
use crate::net::Net;

/// Writes a pack with random weights, the same for the same seed. It drives nothing.
///
/// # Errors
/// [`InferError`] if the input does not fit the architecture or a file cannot be written.
pub fn invent_pack(
    dir: &Path,
    architecture: Architecture,
    camera: &CameraSpec,
    input: InputSpec,
    seed: u64,
) -> Result<PolicyCard, InferError> {
    let path = || dir.join(WEIGHTS_FILE);
    let mut card = PolicyCard::new("random", architecture, camera);
    card.input = input;
    let misfit =
        |detail| PackError::Tensors { architecture: architecture.name(), detail, path: path() };
    let tensors: BTreeMap<String, Tensor> =
        Net::invent(architecture, &card.input, seed).map_err(misfit)?;
    caril_pack::save(&mut card, &bpk::write(&tensors), dir)?;
    Ok(card)
}
