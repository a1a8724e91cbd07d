//! Published ImageNet weights as a start for training.

use std::path::Path;

use burn::store::{ModuleSnapshot, PytorchStore};

use crate::{Net, PackError};

impl Net {
    /// Takes the backbone's weights from a PyTorch file: `efficientnet-lite0` in the names of the
    /// efficientnet-lite-pytorch package, `resnet50` in those of torchvision. The heads stay as
    /// they are; the classifier of the file is not used.
    ///
    /// # Errors
    /// [`PackError::Inputs`] for `pilotnet`, which has no published weights;
    /// [`PackError::Weights`] if the file cannot be read; [`PackError::Tensors`] if a tensor of
    /// the backbone is missing or has another shape.
    pub fn load_imagenet(self, path: &Path) -> Result<Self, PackError> {
        let store = PytorchStore::from_file(path).allow_partial(true).validate(false);
        match self {
            Self::PilotNet(_) => Err(PackError::Inputs {
                architecture: "pilotnet",
                expected: "no published weights: there are none for it",
                path: path.into(),
            }),
            Self::EfficientNetLite0(mut net) => {
                let store = store.with_key_remapping(r"^_", "").with_key_remapping(r"\._", ".");
                apply(&mut net, store, "efficientnet-lite0", path)?;
                Ok(Self::EfficientNetLite0(net))
            }
            Self::ResNet50(mut net) => {
                apply(&mut net, torchvision(store), "resnet50", path)?;
                Ok(Self::ResNet50(net))
            }
        }
    }
}

/// torchvision's names to ours: four stages become one list of blocks.
fn torchvision(store: PytorchStore) -> PytorchStore {
    let mut store = store
        .with_key_remapping(r"^conv1\.", "stem.conv.")
        .with_key_remapping(r"^bn1\.", "stem.bn.")
        .with_key_remapping(r"downsample\.0\.", "downsample.conv.")
        .with_key_remapping(r"downsample\.1\.", "downsample.bn.");
    for i in 1..=3 {
        let place = i - 1;
        store = store
            .with_key_remapping(
                format!(r"^(layer\d\.\d)\.conv{i}\."),
                format!("$1.convs.{place}.conv."),
            )
            .with_key_remapping(
                format!(r"^(layer\d\.\d)\.bn{i}\."),
                format!("$1.convs.{place}.bn."),
            );
    }
    let mut block = 0;
    for (stage, repeats) in [3, 4, 6, 3].into_iter().enumerate() {
        for i in 0..repeats {
            let from = format!(r"^layer{}\.{i}\.", stage + 1);
            store = store.with_key_remapping(from, format!("blocks.{block}."));
            block += 1;
        }
    }
    store
}

fn apply<M: ModuleSnapshot>(
    net: &mut M,
    mut store: PytorchStore,
    architecture: &'static str,
    path: &Path,
) -> Result<(), PackError> {
    let result = net
        .load_from(&mut store)
        .map_err(|e| PackError::Weights { message: e.to_string(), path: path.into() })?;
    let misfit =
        |detail: String| Err(PackError::Tensors { architecture, detail, path: path.into() });
    if let Some(error) = result.errors.first() {
        return misfit(error.to_string());
    }
    match result.missing.iter().find(|(name, _)| !name.starts_with("heads.")) {
        Some((name, _)) => misfit(format!("{name} is missing")),
        None => Ok(()),
    }
}
