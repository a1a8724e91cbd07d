//! From recordings to a data set, and training from files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use caril_core::PolicyCard;
use caril_record::{EncodedImage, Recording};
use sha2::{Digest as _, Sha256};

use crate::error::TrainError;
use crate::exclude::Exclusions;
use crate::options::{Progress, TrainOptions, TrainSummary};
use crate::{Dataset, DatasetBuilder, RawFrame, starting_card, train_on};

/// A pause longer than this between two frames of a recording begins a new drive.
pub(crate) const DRIVE_GAP_NS: u64 = 1_000_000_000;
/// Frames decoded together: enough for all threads, little memory.
const CHUNK: usize = 256;

/// Reads recordings into a data set for a network with this card. Frames count if they have a
/// picture and the expert's steer. Returns the recordings' SHA-256 beside it.
///
/// # Errors
/// [`TrainError::Recording`] if a file cannot be read, [`TrainError::Camera`] if it was made with
/// another camera than the card's.
pub fn load(
    files: &[PathBuf],
    card: &PolicyCard,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Dataset, Vec<String>), TrainError> {
    load_selected(files, card, &Exclusions::default(), None, progress)
}

/// The same without the frames of a list and without those whose expert steers more than
/// `steer_max` (CARLA scale, either side). What is left of a drive stays one drive.
///
/// # Errors
/// As [`load`], and [`TrainError::Exclusions`] if the list names another recording.
pub fn load_selected(
    files: &[PathBuf],
    card: &PolicyCard,
    exclusions: &Exclusions,
    steer_max: Option<f32>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Dataset, Vec<String>), TrainError> {
    if let Some(name) = exclusions.unknown(files) {
        let message = "the exclusion list names a recording that is not given".into();
        return Err(TrainError::Exclusions { message, path: name.into() });
    }
    let mut builder = DatasetBuilder::new(&card.camera, card.input, card.steer_scale);
    let mut hashes = Vec::new();
    for path in files {
        let before = builder.count();
        let failed = |message: String| TrainError::Recording { message, path: path.clone() };
        let recording = Recording::open(path).map_err(|e| TrainError::recording(&e, path))?;
        let got = recording.header().plant.camera;
        if (got.width, got.height) != (card.camera.width, card.camera.height) {
            let (expected, found) = (Box::new(card.camera), Box::new(got));
            return Err(TrainError::Camera { expected, found, path: path.clone() });
        }
        let mut chunk: Vec<RawFrame<EncodedImage>> = Vec::with_capacity(CHUNK);
        let mut last_time_ns = None;
        let excluded = exclusions.of(path);
        if !recording.complete() {
            progress(Progress::CutOff { path: path.clone() });
        }
        let mut flush = |chunk: &mut Vec<RawFrame<EncodedImage>>, end_drive: bool| {
            let frames = std::mem::take(chunk);
            let done = builder.push(frames, |p| p.decode().map_err(|e| e.to_string()));
            if end_drive {
                builder.end_drive();
            }
            done
        };
        for frame in recording.frames() {
            let (step, picture) = frame.map_err(|e| TrainError::recording(&e, path))?;
            let jump = last_time_ns
                .is_some_and(|last: u64| step.sim_time_ns.abs_diff(last) > DRIVE_GAP_NS);
            last_time_ns = Some(step.sim_time_ns);
            if jump || chunk.len() == CHUNK {
                flush(&mut chunk, jump).map_err(failed)?;
            }
            let (Some(truth), Some(picture)) = (step.truth, picture) else { continue };
            if excluded.iter().any(|ids| ids.contains(&step.frame_id.0))
                || steer_max.is_some_and(|max| truth.expert_steer.abs() > max)
            {
                continue;
            }
            chunk.push(RawFrame {
                frame_id: step.frame_id.0,
                speed_mps: step.ego.speed_mps,
                nav: step.nav,
                expert_steer: truth.expert_steer,
                picture,
            });
        }
        flush(&mut chunk, true).map_err(failed)?;
        hashes.push(sha256(path).map_err(|e| failed(e.to_string()))?);
        let after = builder.count();
        progress(Progress::Loaded {
            path: path.clone(),
            frames: after.0 - before.0,
            drives: after.1 - before.1,
        });
    }
    Ok((builder.finish(), hashes))
}

/// Trains a pack from the recordings of `options.data`.
///
/// # Errors
/// [`TrainError`]; no half-written pack is left.
pub fn train(
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainSummary, TrainError> {
    let first = options.data.first().ok_or(TrainError::NoData)?;
    let camera =
        Recording::open(first).map_err(|e| TrainError::recording(&e, first))?.header().plant.camera;
    let card = starting_card(options, &camera)?;
    let exclusions = match &options.exclude {
        Some(list) => Exclusions::load(list)?,
        None => Exclusions::default(),
    };
    let (dataset, hashes) =
        load_selected(&options.data, &card, &exclusions, options.steer_max, progress)?;
    train_on(&dataset, card, hashes, options, progress)
}

pub(crate) fn sha256(path: &Path) -> std::io::Result<String> {
    use std::fmt::Write as _;
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(buffer.get(..n).unwrap_or_default());
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut s, b| {
        // Writing into a String cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    }))
}
