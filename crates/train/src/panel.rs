//! Packs side by side over a recording, frame by frame: what each says of a picture and of its
//! mirror image.

use std::path::{Path, PathBuf};

use caril_core::{Image, PolicyCard};
use caril_policy::{Pack, Preprocessor};
use caril_record::{EncodedImage, Recording};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::load::{DRIVE_GAP_NS, sha256};
use crate::novelty::{Reference, features};
use crate::runner::Runner;
use crate::{Predicted, Sample, TrainError, worker_pools};

/// Frames decoded together: whole batches of every thread, and little memory.
const CHUNK: usize = 128;

/// Which frame of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMark {
    /// Number of its step in the file, from 0: frame ids begin anew with every drive.
    pub index: u64,
    /// The plant's number.
    pub frame_id: u64,
    /// The plant's time, nanoseconds.
    pub sim_time_ns: u64,
    /// Number of its drive in the file, from 0.
    pub drive: u32,
}

/// What a pack said of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Of the frame.
    pub as_is: Predicted,
    /// Of the frame in the mirror, left and right still exchanged.
    pub mirrored: Predicted,
    /// Distance of the frame to the training features, if there is a reference.
    pub novelty: Option<f32>,
}

/// Frames that could not be used, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Recorded without a picture.
    pub no_picture: u64,
    /// Recorded without the expert's steer.
    pub no_expert: u64,
    /// Speed or expert's steer is no number.
    pub not_finite: u64,
    /// The picture cannot be decoded or is not of the camera's size.
    pub broken_picture: u64,
}

impl LeftOut {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.no_picture + self.no_expert + self.not_finite + self.broken_picture
    }
}

/// A recording as the packs saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Whether the recorder finished it.
    pub complete: bool,
    /// Width and height of its pictures, pixels.
    pub size: (u32, u32),
    /// Drives with usable frames.
    pub drives: u32,
    /// The usable frames, in order.
    pub frames: Vec<FrameMark>,
    /// What each pack said of each of them: `[pack][frame]`.
    pub said: Vec<Vec<Said>>,
    /// The others.
    pub left_out: LeftOut,
}

/// A pack and what runs it.
struct Seat {
    pack: Pack,
    runner: Runner,
}

/// Packs that look at the same frames.
pub struct Panel {
    seats: Vec<Seat>,
    pools: Vec<ThreadPool>,
    any_camera: bool,
    /// Of every pack, or none at all.
    references: Vec<Reference>,
}

/// A frame before its picture is decoded.
struct Raw {
    mark: FrameMark,
    /// With the steer on CARLA's scale, and no picture yet.
    sample: Sample,
    picture: EncodedImage,
}

impl Panel {
    /// Loads packs, each with what runs it. `any_camera` accepts recordings of another camera than
    /// a pack's; `threads` 0 takes all.
    ///
    /// # Errors
    /// [`TrainError::Pack`] if a pack does not load.
    pub fn load(
        packs: Vec<(PathBuf, Runner)>,
        threads: usize,
        any_camera: bool,
    ) -> Result<Self, TrainError> {
        let load = |(dir, runner): (PathBuf, Runner)| {
            Ok(Seat { pack: Pack::load(&dir, &runner.device())?, runner })
        };
        let seats = packs.into_iter().map(load).collect::<Result<_, TrainError>>()?;
        let pools = worker_pools(threads)?;
        Ok(Self { seats, pools, any_camera, references: Vec::new() })
    }

    /// The packs' cards, in order.
    pub fn cards(&self) -> impl Iterator<Item = &PolicyCard> {
        self.seats.iter().map(|s| &s.pack.card)
    }

    /// Takes recordings of what the packs were trained on as what is known to them: from now on
    /// every frame's distance to it is measured. Returns how many frames were seen.
    ///
    /// # Errors
    /// As [`Self::watch`]; [`TrainError::NoData`] also if there are too few frames.
    pub fn refer_to(
        &mut self,
        paths: &[PathBuf],
        progress: &mut dyn FnMut(usize),
    ) -> Result<usize, TrainError> {
        self.references.clear();
        let mut seen: Vec<Vec<Vec<f32>>> = vec![Vec::new(); self.seats.len()];
        let mut frames = 0;
        for path in paths {
            let before = frames;
            self.walk(path, &mut |panel, chunk, preprocessors, watched| {
                let decoded = decode(chunk, watched);
                frames += decoded.len();
                for ((seat, preprocessor), rows) in
                    panel.seats.iter().zip(preprocessors).zip(&mut seen)
                {
                    let samples = samples(&seat.pack.card, preprocessor, &decoded);
                    rows.extend(seat.features(&samples));
                }
                progress(frames);
            })?;
            if frames == before {
                return Err(TrainError::NoData);
            }
        }
        let references = seen.iter().map(|rows| Reference::new(rows)).collect::<Option<_>>();
        self.references = references.ok_or(TrainError::NoData)?;
        Ok(frames)
    }

    /// Shows a recording to every pack. Frames count if they have a picture and the expert's
    /// steer; `progress` is told how many were looked at so far.
    ///
    /// # Errors
    /// [`TrainError::Recording`] if the file cannot be read, [`TrainError::Camera`] if it was made
    /// with another camera than a pack's, [`TrainError::NoData`] if no frame can be used.
    pub fn watch(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Watched, TrainError> {
        let watched = self.walk(path, &mut |panel, chunk, preprocessors, watched| {
            panel.look(chunk, preprocessors, watched);
            progress(watched.frames.len());
        })?;
        if watched.frames.is_empty() {
            return Err(TrainError::NoData);
        }
        Ok(watched)
    }

    /// Reads a recording chunk by chunk; `each` takes the frames of a chunk.
    fn walk(&self, path: &Path, each: &mut Each<'_>) -> Result<Watched, TrainError> {
        let failed = |message: String| TrainError::Recording { message, path: path.into() };
        let recording = Recording::open(path).map_err(|e| TrainError::recording(&e, path))?;
        let camera = recording.header().plant.camera;
        for card in self.cards().filter(|_| !self.any_camera) {
            let expected = card.camera;
            if (camera.width, camera.height) != (expected.width, expected.height) {
                let (expected, found) = (Box::new(expected), Box::new(camera));
                return Err(TrainError::Camera { expected, found, path: path.into() });
            }
        }
        let preprocessors: Vec<Preprocessor> = self
            .cards()
            .map(|c| Preprocessor::new(&c.input, camera.width, camera.height))
            .collect();
        let mut watched = Watched {
            sha256: sha256(path).map_err(|e| failed(e.to_string()))?,
            complete: recording.complete(),
            size: (camera.width, camera.height),
            drives: 0,
            frames: Vec::new(),
            said: vec![Vec::new(); self.seats.len()],
            left_out: LeftOut::default(),
        };
        let (mut chunk, mut last_time_ns, mut last_id) = (Vec::with_capacity(CHUNK), None, None);
        for (index, frame) in recording.frames().enumerate() {
            let (step, picture) = frame.map_err(|e| TrainError::recording(&e, path))?;
            let time_ns = step.sim_time_ns;
            if last_time_ns.is_some_and(|last: u64| time_ns.abs_diff(last) > DRIVE_GAP_NS) {
                last_id = None;
            }
            last_time_ns = Some(time_ns);
            let out = &mut watched.left_out;
            let Some(truth) = step.truth else {
                out.no_expert += 1;
                continue;
            };
            let Some(picture) = picture else {
                out.no_picture += 1;
                continue;
            };
            let (speed_mps, steer) = (step.ego.speed_mps, truth.expert_steer);
            if !(speed_mps.is_finite() && steer.is_finite()) {
                out.not_finite += 1;
                continue;
            }
            let frame_id = step.frame_id.0;
            watched.drives += u32::from(last_id.is_none_or(|last| frame_id <= last));
            last_id = Some(frame_id);
            let drive = watched.drives - 1;
            let mark = FrameMark { index: index as u64, frame_id, sim_time_ns: time_ns, drive };
            let sample = Sample { rgb: Box::default(), speed_mps, nav: step.nav, steer };
            chunk.push(Raw { mark, sample, picture });
            if chunk.len() == CHUNK {
                each(self, std::mem::take(&mut chunk), &preprocessors, &mut watched);
            }
        }
        each(self, chunk, &preprocessors, &mut watched);
        Ok(watched)
    }

    /// Shows a chunk to every pack.
    fn look(&self, chunk: Vec<Raw>, preprocessors: &[Preprocessor], watched: &mut Watched) {
        let decoded = decode(chunk, watched);
        watched.frames.extend(decoded.iter().map(|(raw, _)| raw.mark));
        for (i, (seat, preprocessor)) in self.seats.iter().zip(preprocessors).enumerate() {
            let card = &seat.pack.card;
            let as_is = samples(card, preprocessor, &decoded);
            let mirrored: Vec<Sample> =
                as_is.par_iter().map(|s| s.mirrored(card.input.width as usize)).collect();
            let scale = card.inputs.speed_scale_mps.unwrap_or(1.0);
            let predict = |samples: &[Sample]| {
                let samples: Vec<&Sample> = samples.iter().collect();
                seat.runner.predict(&seat.pack.net, &samples, &card.input, scale, &self.pools)
            };
            let novelty = match self.references.get(i) {
                Some(reference) => {
                    let distances = reference.distances(&seat.features(&as_is));
                    distances.into_iter().map(Some).collect()
                }
                None => vec![None; as_is.len()],
            };
            let said = predict(&as_is).into_iter().zip(predict(&mirrored)).zip(novelty);
            let said = said.map(|((as_is, mirrored), novelty)| Said { as_is, mirrored, novelty });
            if let Some(all) = watched.said.get_mut(i) {
                all.extend(said);
            }
        }
    }
}

impl Seat {
    /// The pack's features of the samples, in order. Burn's, also where something else predicts.
    fn features(&self, samples: &[Sample]) -> Vec<Vec<f32>> {
        let Pack { card, net } = &self.pack;
        let scale = card.inputs.speed_scale_mps.unwrap_or(1.0);
        let samples: Vec<&Sample> = samples.iter().collect();
        features(net, &samples, &card.input, scale, &self.runner.device())
    }
}

/// What is done with the frames of a chunk.
type Each<'a> = dyn FnMut(&Panel, Vec<Raw>, &[Preprocessor], &mut Watched) + 'a;

/// The frames whose pictures can be decoded and have the recording's size; the others are counted.
fn decode(chunk: Vec<Raw>, watched: &mut Watched) -> Vec<(Raw, Image)> {
    let size = watched.size;
    let decode = |raw: Raw| {
        let image = raw.picture.decode().ok()?;
        let fits = (image.width, image.height) == size && image.is_consistent();
        fits.then_some((raw, image))
    };
    let all = chunk.len();
    let decoded: Vec<(Raw, Image)> = chunk.into_par_iter().filter_map(decode).collect();
    watched.left_out.broken_picture += (all - decoded.len()) as u64;
    decoded
}

/// The frames as a pack's network sees them.
fn samples(
    card: &PolicyCard,
    preprocessor: &Preprocessor,
    decoded: &[(Raw, Image)],
) -> Vec<Sample> {
    let sample = |preprocessor: &mut Preprocessor, (raw, image): &(Raw, Image)| {
        let rgb = preprocessor.rgb(image).unwrap_or_default().into();
        let steer = (raw.sample.steer / card.steer_scale).clamp(-1.0, 1.0);
        Sample { rgb, steer, ..raw.sample.clone() }
    };
    decoded.par_iter().map_init(|| preprocessor.clone(), sample).collect()
}
