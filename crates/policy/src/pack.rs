//! The policy pack: a folder with `card.toml` and `weights.bpk`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::prelude::*;
use burn::store::{BurnpackStore, ModuleSnapshot as _};
use caril_core::{
    Calibration, CameraSpec, InputSpec, PACK_FORMAT, PolicyCard, PolicyInputs, TrainingFacts,
};
use sha2::{Digest as _, Sha256};

use crate::{Architecture, Net, PackError};

/// Name of the card in a pack.
pub const CARD_FILE: &str = "card.toml";
/// Name of the weights in a pack.
pub const WEIGHTS_FILE: &str = "weights.bpk";

/// A network with the facts that belong to it.
#[derive(Debug)]
pub struct Pack {
    /// The facts.
    pub card: PolicyCard,
    /// The network.
    pub net: Net,
}

/// A card for a network yet to be trained: neutral calibration, no training facts, no hash.
pub fn new_card(name: &str, architecture: Architecture, camera: &CameraSpec) -> PolicyCard {
    let input: InputSpec = architecture.default_input();
    let inputs: PolicyInputs = architecture.default_inputs();
    PolicyCard {
        format: PACK_FORMAT,
        name: name.into(),
        architecture: architecture.name().into(),
        camera: *camera,
        input,
        inputs,
        steer_scale: PolicyCard::PAPER_STEER_SCALE,
        bin_edges: PolicyCard::standard_bin_edges(),
        calibration: Calibration::default(),
        conformal: None,
        calibrated_on: None,
        training: TrainingFacts::default(),
        weights_sha256: String::new(),
    }
}

impl Pack {
    /// Reads a card without its weights.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be read or a value makes no sense.
    pub fn load_card(dir: &Path) -> Result<PolicyCard, PackError> {
        let path = dir.join(CARD_FILE);
        let bytes = read(&path)?;
        let syntax = |message: String| PackError::CardSyntax { message, path: path.clone() };
        let text = String::from_utf8(bytes).map_err(|e| syntax(e.to_string()))?;
        // The format first: another format's card may well have other fields.
        let table: toml::Table = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
        let got = table.get("format").and_then(toml::Value::as_integer);
        if let Some(got) = got.filter(|got| *got != i64::from(PACK_FORMAT)) {
            let got = u32::try_from(got).unwrap_or(u32::MAX);
            let source = caril_core::CardError::Format { got };
            return Err(PackError::Card { source, path: path.clone() });
        }
        let card: PolicyCard = toml::from_str(&text).map_err(|e| syntax(e.to_string()))?;
        check(&card, &path)?;
        Ok(card)
    }

    /// Reads a pack and checks everything: format, values, architecture, sha256 of the weights,
    /// that every tensor has its place and shape, that every weight is finite.
    ///
    /// # Errors
    /// [`PackError`], naming the first thing that is wrong.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, PackError> {
        let card = Self::load_card(dir)?;
        let architecture = check(&card, &dir.join(CARD_FILE))?;
        let path = dir.join(WEIGHTS_FILE);
        let bytes = read(&path)?;
        let found = sha256(&bytes);
        if found != card.weights_sha256 {
            return Err(PackError::Hash { expected: card.weights_sha256, found, path });
        }
        let mut net = Net::new(architecture, &card.input, 0, device);
        let weights = |message: String| PackError::Weights { message, path: path.clone() };
        let misfit = |detail: String| PackError::Tensors {
            architecture: architecture.name(),
            detail,
            path: path.clone(),
        };
        let mut store = BurnpackStore::from_bytes(Some(burn::tensor::Bytes::from_bytes_vec(bytes)))
            .allow_partial(true)
            .validate(false);
        let result = net.load_from(&mut store).map_err(|e| weights(e.to_string()))?;
        if let Some(error) = result.errors.first() {
            return Err(misfit(error.to_string()));
        }
        if let Some((missing, _)) = result.missing.first() {
            return Err(misfit(format!("{missing} is missing")));
        }
        if let Some(unused) = result.unused.first() {
            return Err(misfit(format!("{unused} has no place")));
        }
        match non_finite(&net) {
            Some(tensor) => Err(PackError::NonFinite { tensor, path }),
            None => Ok(Self { card, net }),
        }
    }

    /// Writes the pack, creating the folder, and puts the hash of the weights into the card. Both
    /// files are written beside their final names and renamed when complete, weights first: who
    /// reads in between, or after a crash, sees the old pack or a hash that does not match, never
    /// a mixture that loads.
    ///
    /// # Errors
    /// [`PackError`] if the card makes no sense, a weight is not finite (nothing is written) or a
    /// file cannot be written.
    pub fn save(&mut self, dir: &Path) -> Result<(), PackError> {
        let path = dir.join(WEIGHTS_FILE);
        if let Some(tensor) = non_finite(&self.net) {
            return Err(PackError::NonFinite { tensor, path });
        }
        let weights = |message: String| PackError::Weights { message, path: path.clone() };
        let mut store = BurnpackStore::from_bytes(None);
        self.net.save_into(&mut store).map_err(|e| weights(e.to_string()))?;
        let bytes = store.get_bytes().map_err(|e| weights(e.to_string()))?;
        self.card.weights_sha256 = sha256(&bytes);
        let card = card_text(&self.card, dir)?;
        fs::create_dir_all(dir).map_err(|source| io("create the folder", source, dir))?;
        let weights = write_beside(&path, &bytes)?;
        let card_path = dir.join(CARD_FILE);
        let card = write_beside(&card_path, card.as_bytes())?;
        rename(&weights, &path)?;
        rename(&card, &card_path)
    }

    /// Replaces the card of a pack on disk, for example after calibration.
    ///
    /// # Errors
    /// [`PackError`] if the card makes no sense or cannot be written.
    pub fn save_card(card: &PolicyCard, dir: &Path) -> Result<(), PackError> {
        let path = dir.join(CARD_FILE);
        let text = card_text(card, dir)?;
        let temporary = write_beside(&path, text.as_bytes())?;
        rename(&temporary, &path)
    }
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

/// Looks for a weight that is not finite; remembers the path of the first tensor with one.
#[derive(Default)]
struct FindNonFinite {
    path: Vec<String>,
    found: Option<String>,
}

impl ModuleVisitor for FindNonFinite {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data().try_to_vec::<f32>();
        if self.found.is_none() && !values.is_ok_and(|v| v.iter().all(|x| x.is_finite())) {
            self.found = Some(self.path.join("."));
        }
    }
}

fn non_finite(net: &Net) -> Option<String> {
    let mut visitor = FindNonFinite::default();
    net.visit(&mut visitor);
    visitor.found
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
