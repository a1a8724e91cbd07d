//! From the world's state to the frame that arrives: picture, then the stream's faults.

use caril_core::{Frame, Pose};

use crate::config::SimConfig;
use crate::contact::Obstacles;
use crate::stream::{StreamEffect, StreamFault, StreamFaultSpec, effect};
use crate::traffic::Traffic;

/// Camera and stream of one world.
pub(crate) struct Sight {
    draw: bool,
    seed: u64,
    faults: Vec<StreamFaultSpec>,
    /// Frames as they were taken, newest at `frame id % len`; empty without a fault that needs it.
    past: Vec<Frame>,
}

impl Sight {
    pub(crate) fn new(config: &SimConfig, _cars: usize) -> Self {
        let needs = |f: StreamFault| config.faults.iter().any(|s| s.fault == f);
        let keep = if needs(StreamFault::Delay) {
            StreamFault::DELAY_MAX + 1
        } else if needs(StreamFault::Freeze) || needs(StreamFault::Duplicate) {
            2
        } else {
            0
        };
        Self {
            draw: config.draw,
            seed: config.seed,
            faults: config.faults.clone(),
            past: vec![Frame::for_camera(&config.camera); keep],
        }
    }

    pub(crate) fn obstacles(&self) -> Obstacles {
        Obstacles::default()
    }

    fn effect(&self, frame: u64) -> StreamEffect {
        if self.faults.is_empty() {
            StreamEffect::default()
        } else {
            effect(&self.faults, self.seed, frame)
        }
    }

    /// Whether the frame never arrives.
    pub(crate) fn is_lost(&self, frame: u64) -> bool {
        self.effect(frame).dropped
    }

    /// Puts the picture into `out`, whose other fields are set, and lets the faults have it.
    pub(crate) fn take(&mut self, out: &mut Frame, _p: &Pose, _t: &Traffic, id: u64, _time_s: f64) {
        let e = self.effect(id);
        if e.black && self.draw {
            out.image.data.fill(0);
        }
    }
}
