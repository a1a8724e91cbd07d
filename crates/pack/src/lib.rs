//! The policy pack's files: a folder with `card.toml` and `weights.bpk`, checked when read, whole
//! when written. What the weights' bytes mean is for the crates that run them (docs/policy-pack.md).

mod error;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use caril_core::{Architecture, CardError, PACK_FORMAT, PolicyCard};
use sha2::{Digest as _, Sha256};

pub use error::PackError;

/// Name of the card in a pack.
pub const CARD_FILE: &str = "card.toml";
/// Name of the weights in a pack.
pub const WEIGHTS_FILE: &str = "weights.bpk";

/// Reads a card without its weights.
///
/// # Errors
/// [`PackError`] if it cannot be read, a value makes no sense or the backbone does not fit.
pub fn load_card(dir: &Path) -> Result<(PolicyCard, Architecture), PackError> {
    let path = dir.join(CARD_FILE);
    let syntax = |message: String| PackError::CardSyntax { message, path: path.clone() };
    let text = String::from_utf8(read(&path)?).map_err(|e| syntax(e.to_string()))?;
    // The format first: another format's card may well have other fields.
    let table: toml::Table = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
    let got = table.get("format").and_then(toml::Value::as_integer);
    if let Some(got) = got.filter(|got| *got != i64::from(PACK_FORMAT)) {
        let source = CardError::Format { got: u32::try_from(got).unwrap_or(u32::MAX) };
        return Err(PackError::Card { source, path });
    }
    let card: PolicyCard = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
    let architecture = check(&card, &path)?;
    Ok((card, architecture))
}

/// Reads a card and the bytes of its weights, whose sha256 is the card's.
///
/// # Errors
/// As [`load_card`], and [`PackError::Hash`].
pub fn load(dir: &Path) -> Result<(PolicyCard, Architecture, Vec<u8>), PackError> {
    let (card, architecture) = load_card(dir)?;
    let path = dir.join(WEIGHTS_FILE);
    let bytes = read(&path)?;
    let found = sha256(&bytes);
    if found != card.weights_sha256 {
        return Err(PackError::Hash { expected: card.weights_sha256, found, path });
    }
    Ok((card, architecture, bytes))
}

/// Writes a pack, creating the folder, and puts the hash of the weights into the card. Both files
/// are written beside their final names and renamed when complete, weights first: who reads in
/// between, or after a crash, sees the old pack or a hash that does not match, never a mixture
/// that loads.
///
/// # Errors
/// [`PackError`] if the card makes no sense or a file cannot be written.
pub fn save(card: &mut PolicyCard, weights: &[u8], dir: &Path) -> Result<(), PackError> {
    card.weights_sha256 = sha256(weights);
    let text = card_text(card, dir)?;
    fs::create_dir_all(dir).map_err(|source| io("create the folder", source, dir))?;
    let (weights_path, card_path) = (dir.join(WEIGHTS_FILE), dir.join(CARD_FILE));
    let weights = write_beside(&weights_path, weights)?;
    let card = write_beside(&card_path, text.as_bytes())?;
    rename(&weights, &weights_path)?;
    rename(&card, &card_path)
}

/// Replaces the card of a pack on disk, for example after calibration.
///
/// # Errors
/// [`PackError`] if the card makes no sense or cannot be written.
pub fn save_card(card: &PolicyCard, dir: &Path) -> Result<(), PackError> {
    let path = dir.join(CARD_FILE);
    let temporary = write_beside(&path, card_text(card, dir)?.as_bytes())?;
    rename(&temporary, &path)
}

fn card_text(card: &PolicyCard, dir: &Path) -> Result<String, PackError> {
    let path = dir.join(CARD_FILE);
    check(card, &path)?;
    toml::to_string(card).map_err(|e| PackError::CardSyntax { message: e.to_string(), path })
}

fn check(card: &PolicyCard, path: &Path) -> Result<Architecture, PackError> {
    let path = || path.to_path_buf();
    card.validate().map_err(|source| PackError::Card { source, path: path() })?;
    let architecture = Architecture::from_name(&card.architecture).ok_or_else(|| {
        PackError::Architecture { found: card.architecture.clone(), path: path() }
    })?;
    match architecture.misfit(&card.input, &card.inputs) {
        None => Ok(architecture),
        Some(expected) => {
            Err(PackError::Inputs { architecture: architecture.name(), expected, path: path() })
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn io(action: &'static str, source: std::io::Error, path: &Path) -> PackError {
    PackError::Io { action, source, path: path.to_path_buf() }
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(|source| io("read", source, path))
}

fn rename(from: &Path, to: &Path) -> Result<(), PackError> {
    fs::rename(from, to).map_err(|source| io("rename into place", source, to))
}

/// Writes `path` with `.tmp` added to its name, to the disk.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, PackError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let write = || {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| io("write", source, &temporary))?;
    Ok(temporary)
}
