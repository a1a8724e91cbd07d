//! Reads a policy pack: the checks of `caril_policy::Pack`, without Burn.

use std::collections::BTreeMap;
use std::path::Path;

use caril_core::{Architecture, CardError, PACK_FORMAT, PolicyCard};
use sha2::{Digest as _, Sha256};

use crate::InferError;
use crate::bpk::{self, Tensor};

/// Name of the card in a pack.
const CARD_FILE: &str = "card.toml";
/// Name of the weights in a pack.
pub const WEIGHTS_FILE: &str = "weights.bpk";

/// A pack's card, its backbone and its tensors by name.
///
/// # Errors
/// [`InferError`], naming the first thing that is wrong.
pub fn load(
    dir: &Path,
) -> Result<(PolicyCard, Architecture, BTreeMap<String, Tensor>), InferError> {
    let (card, architecture) = load_card(dir)?;
    let path = dir.join(WEIGHTS_FILE);
    let bytes = read(&path)?;
    let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if found != card.weights_sha256 {
        return Err(InferError::Hash { expected: card.weights_sha256, found, path });
    }
    let tensors = bpk::read(&bytes).map_err(|message| InferError::Weights { message, path })?;
    Ok((card, architecture, tensors))
}

fn load_card(dir: &Path) -> Result<(PolicyCard, Architecture), InferError> {
    let path = dir.join(CARD_FILE);
    let syntax = |message: String| InferError::CardSyntax { message, path: path.clone() };
    let text = String::from_utf8(read(&path)?).map_err(|e| syntax(e.to_string()))?;
    // The format first: another format's card may well have other fields.
    let table: toml::Table = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
    let got = table.get("format").and_then(toml::Value::as_integer);
    if let Some(got) = got.filter(|got| *got != i64::from(PACK_FORMAT)) {
        let source = CardError::Format { got: u32::try_from(got).unwrap_or(u32::MAX) };
        return Err(InferError::Card { source, path });
    }
    let card: PolicyCard = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
    card.validate().map_err(|source| InferError::Card { source, path: path.clone() })?;
    let Some(architecture) = Architecture::from_name(&card.architecture) else {
        return Err(InferError::Architecture { found: card.architecture, path });
    };
    match architecture.misfit(&card.input, &card.inputs) {
        None => Ok((card, architecture)),
        Some(expected) => {
            Err(InferError::Inputs { architecture: architecture.name(), expected, path })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InferError> {
    std::fs::read(path).map_err(|source| InferError::Io { source, path: path.into() })
}
