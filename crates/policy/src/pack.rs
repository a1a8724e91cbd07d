//! A policy pack as a Burn network with its card.

use std::path::Path;

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::prelude::*;
use burn::store::{BurnpackStore, ModuleSnapshot as _};
use caril_core::PolicyCard;
use caril_pack::{PackError, WEIGHTS_FILE};

use crate::Net;

/// A network with the facts that belong to it.
#[derive(Debug)]
pub struct Pack {
    /// The facts.
    pub card: PolicyCard,
    /// The network.
    pub net: Net,
}

impl Pack {
    /// Reads a card without its weights.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be read or a value makes no sense.
    pub fn load_card(dir: &Path) -> Result<PolicyCard, PackError> {
        Ok(caril_pack::load_card(dir)?.0)
    }

    /// Reads a pack and checks everything: format, values, architecture, sha256 of the weights,
    /// that every tensor has its place and shape, that every weight is finite.
    ///
    /// # Errors
    /// [`PackError`], naming the first thing that is wrong.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, PackError> {
        let (card, architecture, bytes) = caril_pack::load(dir)?;
        let path = dir.join(WEIGHTS_FILE);
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

    /// Writes the pack whole (see [`caril_pack::save`]), and the weights' hash into the card.
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
        caril_pack::save(&mut self.card, &bytes, dir)
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
