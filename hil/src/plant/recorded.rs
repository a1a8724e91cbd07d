//! A plant that plays a recorded drive, at the rate of the rig and whatever the controller answers:
//! at its end it begins again. Pictures are read and decoded on a thread of their own, so that a
//! tick never waits for a disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use anyhow::Context as _;
use caril_core::{
    CameraSpec, Command, EndReason, Fault, Frame, Image, Mode, Observation, Observed, Pacing,
    PixelOrder, PlantInfo, World,
};
use caril_record::Recording;

use super::course::{Shared, Tick};
use super::film::show;
use crate::exit::usage;

/// Pictures decoded ahead: 0.4 s at 20 Hz, 13 MB.
const AHEAD: usize = 8;

/// The recorded drive.
pub struct Recorded {
    info: PlantInfo,
    coming: Receiver<Frame>,
    now: Option<Frame>,
    period_ns: u64,
    /// Frames shown and answered.
    at: u64,
    limit: Option<u64>,
    shared: Arc<Shared>,
}

/// The plant of a recording: its header's.
///
/// # Errors
/// A usage error if it is no recording.
pub fn plant_of(path: &Path) -> anyhow::Result<PlantInfo> {
    let recording = Recording::open(path)
        .map_err(|e| usage(format!("cannot play the recording {}: {e}", path.display())))?;
    Ok(recording.header().plant.clone())
}

impl Recorded {
    /// Plays the pictures of `path` one after the other, `rate_hz` of them a second; `limit` frames
    /// at most.
    ///
    /// # Errors
    /// If it is no recording, or holds no picture of its camera.
    pub fn new(
        path: &Path,
        rate_hz: f32,
        limit: Option<u64>,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let plant = plant_of(path)?;
        let camera = plant.camera;
        let info = PlantInfo {
            name: format!("recording {}", path.display()),
            rate_hz,
            // The endpoint keeps the time, as with every world of the rig.
            pacing: Pacing::Lockstep,
            ..plant
        };
        let (give, coming) = sync_channel(AHEAD);
        let file: PathBuf = path.to_owned();
        std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || while lap(&file, &camera, &give) {})
            .context("cannot start the recording's thread")?;
        let Ok(first) = coming.recv() else {
            return Err(usage(format!("no picture to play in {}", path.display())));
        };
        let period_ns = (1e9 / f64::from(rate_hz)).round() as u64;
        Ok(Self { info, coming, now: Some(first), period_ns, at: 0, limit, shared })
    }
}

/// Hands over every picture of the file once, those that cannot be read left out; whether there is
/// reason for another lap.
fn lap(path: &Path, camera: &CameraSpec, give: &SyncSender<Frame>) -> bool {
    let Ok(recording) = Recording::open(path) else { return false };
    let mut some = false;
    for (step, picture) in recording.frames().flatten() {
        let Some(Ok(image)) = picture.map(|p| p.decode()) else { continue };
        if (image.width, image.height) != (camera.width, camera.height) {
            continue;
        }
        let frame = Frame {
            id: step.frame_id,
            sim_time_ns: step.sim_time_ns,
            received_ns: 0,
            image: as_delivered(image, camera.order),
            ego: step.ego,
            nav: step.nav,
            advisory_speed_mps: step.advisory_speed_mps,
            truth: step.truth,
        };
        if give.send(frame).is_err() {
            return false;
        }
        some = true;
    }
    some
}

/// A recorded picture with its channels as the camera had delivered them: a recording keeps RGB.
fn as_delivered(image: Image, order: PixelOrder) -> Image {
    match (image.order, order) {
        (PixelOrder::Rgb, PixelOrder::Bgra) => {
            let (pixels, _) = image.data.as_chunks::<3>();
            let data = pixels.iter().flat_map(|[r, g, b]| [*b, *g, *r, 255]).collect();
            Image { order, data, ..image }
        }
        _ => image,
    }
}

impl World for Recorded {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        self.shared.began.get_or_init(Instant::now);
        if self.limit.is_some_and(|n| self.at >= n) {
            return Observation::plain(Observed::Ended(EndReason::FrameLimit));
        }
        if self.shared.over.load(Ordering::Relaxed) {
            return Observation::plain(Observed::Ended(EndReason::Stopped));
        }
        if self.now.is_none() {
            self.now = self.coming.recv().ok();
        }
        let Some(kept) = &self.now else {
            return Observation::plain(Observed::Gone);
        };
        show(kept, frame, self.at, self.period_ns);
        Observation::plain(Observed::Fresh)
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.at += 1;
        let speed_mps = self.now.take().map_or(0.0, |kept| kept.ego.speed_mps);
        let own = self.shared.own_brake.swap(false, Ordering::Relaxed);
        let mode = if own { Mode::SafeStop } else { command.mode } as u8;
        self.shared.mode.store(mode, Ordering::Relaxed);
        // Where the car went was recorded; of this drive only the answers are judged.
        let tick = Tick {
            time_s: self.shared.time_s().unwrap_or(0.0),
            frame_id: self.at,
            speed_mps,
            driven_m: 0.0,
            deviation_m: 0.0,
            lane_invasions: 0,
            collisions: 0,
            off_road_m: 0.0,
            mode,
            brake: command.brake,
            own,
        };
        if let Ok(mut tape) = self.shared.tape.lock() {
            tape.push(tick);
        }
        Ok(())
    }
}
