//! A plant that shows some frames of one drive over and over, whatever the controller answers: no
//! picture is drawn while it runs, so that a million frames take minutes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use caril_core::{
    Command, EndReason, Fault, Frame, FrameId, Observation, Observed, PlantInfo, World,
};
use caril_sim::{SimConfig, SimWorld};

use super::course::Shared;
use crate::exit::usage;

/// Periods that are driven before the film begins: the car has its speed by then.
const LEAD: u32 = 100;

/// The film.
pub struct Film {
    info: PlantInfo,
    frames: Vec<Frame>,
    period_ns: u64,
    /// Frames shown and answered.
    at: u64,
    limit: Option<u64>,
    shared: Arc<Shared>,
}

impl Film {
    /// Drives the expert and keeps `pictures` frames, after its first seconds.
    ///
    /// # Errors
    /// If there is no such world, or no or too many pictures are wanted.
    pub fn new(
        sim: &SimConfig,
        pictures: usize,
        limit: Option<u64>,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        if !(8..=1000).contains(&pictures) {
            return Err(usage(format!("--film {pictures}: 8 to 1000 pictures")));
        }
        let mut world = SimWorld::new(sim.clone())?;
        let info = world.info().clone();
        let mut frame = Frame::for_camera(&info.camera);
        for _ in 0..LEAD {
            let command = world.expert_command();
            world.tick(Some(&command));
        }
        let mut frames = Vec::with_capacity(pictures);
        while frames.len() < pictures {
            if world.observe(&mut frame, 0).observed != Observed::Fresh {
                return Err(usage(format!("--film {pictures}: the route is shorter")));
            }
            frames.push(frame.clone());
            let command = world.expert_command();
            world.tick(Some(&command));
        }
        let period_ns = (1e9 / f64::from(sim.rate_hz)).round() as u64;
        Ok(Self { info, frames, period_ns, at: 0, limit, shared })
    }
}

/// What was kept, as the frame after `at` others. Keeps the frame's memory, unlike `clone`.
pub fn show(kept: &Frame, frame: &mut Frame, at: u64, period_ns: u64) {
    frame.image.data.clone_from(&kept.image.data);
    (frame.image.width, frame.image.height) = (kept.image.width, kept.image.height);
    frame.image.order = kept.image.order;
    (frame.ego, frame.nav, frame.truth) = (kept.ego, kept.nav, kept.truth);
    frame.advisory_speed_mps = kept.advisory_speed_mps;
    frame.id = FrameId(at + 1);
    frame.sim_time_ns = at * period_ns;
}

impl World for Film {
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
        let Some(shown) = self.frames.get((self.at % self.frames.len() as u64) as usize) else {
            return Observation::plain(Observed::Gone);
        };
        show(shown, frame, self.at, self.period_ns);
        Observation::plain(Observed::Fresh)
    }

    fn actuate(&mut self, _command: &Command) -> Result<(), Fault> {
        self.at += 1;
        Ok(())
    }
}
