//! Which pack drove a recording, and where it is now.

use std::path::PathBuf;

use caril_core::{Policy, PolicyCard};
use caril_record::RecordingHeader;

use crate::args::BackendArg;
use crate::exit::usage;
use crate::scenario;

/// The card of the pack that drove.
///
/// # Errors
/// If no pack did.
pub fn own_card(header: &RecordingHeader) -> anyhow::Result<&PolicyCard> {
    header.card.as_ref().ok_or_else(|| {
        usage(format!(
            "no pack drove this recording (kind {}, policy {}): give one with --policy",
            header.kind, header.policy
        ))
    })
}

/// Loads the pack of that name or, without one, the recording's own: by its weights' hash, with the
/// card that it had then. The camera is the recording's: the network's input is cut from whatever
/// size its pictures have. With the pack's folder.
///
/// # Errors
/// If there is no such pack, or those of its name have other weights.
pub fn open(
    header: &RecordingHeader,
    name: Option<&str>,
    backend: BackendArg,
) -> anyhow::Result<(PathBuf, Box<dyn Policy>)> {
    let (dir, own) = match name {
        Some(name) => (scenario::pack_dir(name)?, None),
        None => {
            let card = own_card(header)?;
            (find(header, card)?, Some(card.clone()))
        }
    };
    let policy = crate::backend::open(&dir, backend, 1, |card| {
        if let Some(own) = own {
            *card = own;
        }
        if (card.camera.width, card.camera.height) != (header.camera.width, header.camera.height) {
            say!(
                "note: pictures of {}×{}, the pack was trained with {}×{}",
                header.camera.width,
                header.camera.height,
                card.camera.width,
                card.camera.height
            );
        }
        card.camera = header.camera;
    })?;
    Ok((dir, policy))
}

/// The folder whose weights are those of `card`: where it was then, or anywhere in weights/.
fn find(header: &RecordingHeader, card: &PolicyCard) -> anyhow::Result<PathBuf> {
    let then = header.extra.get("policy_dir").map(PathBuf::from);
    let mut others = Vec::new();
    for dir in then.into_iter().chain(scenario::packs()) {
        // Whatever is no pack is none of our business here.
        let Ok((here, _)) = caril_pack::load_card(&dir) else { continue };
        if here.weights_sha256 == card.weights_sha256 {
            return Ok(dir);
        }
        if here.name == card.name {
            others.push(format!("{} ({})", dir.display(), short(&here.weights_sha256)));
        }
    }
    others.dedup();
    let what = format!("pack {} with weights {}", card.name, short(&card.weights_sha256));
    if others.is_empty() {
        return Err(usage(format!(
            "the recording's {what} is not here: give its folder with --policy"
        )));
    }
    Err(usage(format!(
        "the recording was driven by {what}, but there is only {}: give the right one, or this \
         one all the same, with --policy",
        others.join(", ")
    )))
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
