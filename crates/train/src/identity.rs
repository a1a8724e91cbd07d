//! What a training is made of: a checkpoint belongs to it or does not.

use std::fmt::Write as _;

use caril_core::PolicyCard;
use sha2::{Digest as _, Sha256};

use crate::checkpoint::Identity;
use crate::dataset::{Dataset, Sample};
use crate::options::TrainOptions;

/// Everything that decides about the final weights, by names that a user knows.
pub fn identity(
    dataset: &Dataset,
    train: &[&Sample],
    card: &PolicyCard,
    values: &[f32],
    options: &TrainOptions,
) -> Identity {
    let mut hash = Sha256::new();
    for hashed in &card.training.data_sha256 {
        hash.update(hashed);
    }
    for drive in &dataset.drives {
        hash.update((drive.samples.len() as u64).to_le_bytes());
        drive.samples.iter().for_each(|s| label(&mut hash, s));
    }
    train.iter().for_each(|s| label(&mut hash, s));
    let data = hex(hash);
    let mut hash = Sha256::new();
    values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    let start = hex(hash);

    let o = options;
    [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("data", data),
        ("starting weights", start),
        ("backbone", card.architecture.clone()),
        ("input", format!("{:?}", card.input)),
        ("camera", format!("{:?}", card.camera)),
        ("steer scale", card.steer_scale.to_string()),
        ("speed scale", format!("{:?}", card.inputs.speed_scale_mps)),
        ("backend", o.backend.name().to_owned()),
        ("freezing", format!("{:?}", o.freeze)),
        ("batch", o.batch.to_string()),
        ("lr", o.lr.to_string()),
        ("optimiser", format!("{:?}", o.optimiser)),
        ("epochs", o.epochs.to_string()),
        ("steps", format!("{:?}", o.steps)),
        ("patience", format!("{:?}", o.patience)),
        ("seed", o.seed.to_string()),
        ("held-out-every", o.held_out_every.to_string()),
        ("loss", format!("{:?}", o.loss)),
        ("balance", format!("{:?}", o.balance)),
        ("augmentation", format!("{:?}", o.augment)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn label(hash: &mut Sha256, s: &Sample) {
    hash.update(s.steer.to_le_bytes());
    hash.update(s.speed_mps.to_le_bytes());
    hash.update([s.nav as u8]);
    // One pixel tells pictures apart well enough beside the recordings' hashes.
    hash.update([s.rgb.get(s.rgb.len() / 2).copied().unwrap_or(0)]);
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(8).fold(String::new(), |mut s, b| {
        // Writing into a string cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}
