//! From the world's state to the frame that arrives: picture, then the stream's faults.

use std::sync::Arc;

use caril_core::{CameraSpec, Frame, Pose};

use crate::camera::{BodyPose, Camera, Lens, Scene};
use crate::config::SimConfig;
use crate::contact::{Footprint, Obstacles};
use crate::fault::{CameraFault, FaultSpec};
use crate::stream::{StreamEffect, effect};
use crate::traffic::Traffic;
use crate::weather::Weather;

/// Camera and stream of one world.
pub(crate) struct Sight {
    eye: Option<Eye>,
    draw_every: u64,
    scene: Option<Arc<Scene>>,
    seed: u64,
    faults: Vec<FaultSpec>,
    /// The last frames as they were taken, that of id at `id % len`; empty without a fault that
    /// needs them. Id 0 is a free place.
    past: Vec<Frame>,
}

struct Eye {
    camera: Camera,
    lens: Lens,
    scene: Arc<Scene>,
    weather: Weather,
    bodies: Vec<BodyPose>,
}

impl Sight {
    pub(crate) fn new(config: &SimConfig, cars: usize) -> Self {
        let needs = |f: CameraFault| config.faults.iter().any(|s| s.fault == f);
        let keep = if needs(CameraFault::Delay) {
            CameraFault::DELAY_MAX + 1
        } else if needs(CameraFault::Freeze) || needs(CameraFault::Duplicate) {
            2
        } else {
            0
        };
        let mut scene = config.scene.clone();
        if config.draw && scene.is_none() {
            scene = Some(Arc::new(Scene::build(&config.map, config.appearance_seed)));
        }
        let eye = scene.clone().filter(|_| config.draw).map(|scene| {
            let mut lens = Lens::new(&config.faults, config.seed);
            let mount = lens.mount(&config.camera.mount);
            let mut camera = Camera::new(CameraSpec { mount, ..config.camera });
            if !lens.mixes_rows() {
                camera.seen_rows = config.seen_rows.clone();
                lens.seen_rows = config.seen_rows.clone();
            }
            Eye { camera, lens, scene, weather: config.weather, bodies: Vec::with_capacity(cars) }
        });
        Self {
            eye,
            draw_every: config.draw_every.max(1),
            scene,
            seed: config.seed,
            faults: config.faults.clone(),
            past: vec![Frame::for_camera(&config.camera); keep],
        }
    }

    /// What a car can hit beside the roads.
    pub(crate) fn obstacles(&self) -> Obstacles {
        let boxes = self.scene.iter().flat_map(|s| s.obstacles()).map(|o| Footprint {
            x_m: o.x_m,
            y_m: o.y_m,
            z_m: f64::NAN,
            yaw_rad: o.yaw_rad,
            half_length_m: o.half_length_m,
            half_width_m: o.half_width_m,
        });
        Obstacles::new(boxes.collect())
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
    pub(crate) fn take(&mut self, out: &mut Frame, pose: &Pose, traffic: &Traffic, time_s: f64) {
        let id = out.id.0;
        let e = self.effect(id);
        let before = |past: &[Frame], limit: u64| {
            past.iter()
                .enumerate()
                .filter(|(_, f)| f.id.0 > 0 && f.id.0 <= limit)
                .max_by_key(|(_, f)| f.id)
                .map(|(i, _)| i)
        };
        // The picture as it was taken.
        match before(&self.past, id.saturating_sub(1)).and_then(|i| self.past.get(i)) {
            Some(last) if e.frozen => copy_picture(last, out),
            _ => {
                if let Some(eye) = &mut self.eye
                    && id.saturating_sub(1).is_multiple_of(self.draw_every)
                {
                    eye.look(out, pose, traffic, time_s);
                }
            }
        }
        if e.black && self.eye.is_some() {
            // Opaque black, whatever the order of the channels.
            let n = out.image.order.bytes_per_pixel();
            for p in out.image.data.chunks_exact_mut(n) {
                p.fill(0);
                if let Some(alpha) = p.get_mut(3) {
                    *alpha = 255;
                }
            }
        }
        if self.past.is_empty() {
            return;
        }
        let slot = (id % self.past.len() as u64) as usize;
        if let Some(slot) = self.past.get_mut(slot) {
            copy_frame(out, slot);
        }
        // What arrives may be older.
        let mut wanted = id;
        if e.delay > 0 {
            wanted = id.saturating_sub(e.delay as u64).max(1);
        }
        if e.duplicated {
            wanted = wanted.saturating_sub(1).max(1);
        }
        if wanted != id
            && let Some(old) = before(&self.past, wanted).and_then(|i| self.past.get(i))
        {
            copy_frame(old, out);
        }
    }
}

impl Eye {
    fn look(&mut self, out: &mut Frame, pose: &Pose, traffic: &Traffic, time_s: f64) {
        self.bodies.clear();
        self.bodies.extend(traffic.cars().iter().map(|c| BodyPose::car(c.pose, c.color)));
        let Self { camera, lens, scene, weather, bodies } = self;
        camera.render(scene, weather, pose, bodies, time_s, &mut out.image);
        lens.spoil(&mut out.image, out.id.0);
    }
}

fn copy_picture(from: &Frame, to: &mut Frame) {
    to.image.width = from.image.width;
    to.image.height = from.image.height;
    to.image.order = from.image.order;
    // Keeps the memory, unlike `clone`.
    to.image.data.clone_from(&from.image.data);
}

fn copy_frame(from: &Frame, to: &mut Frame) {
    copy_picture(from, to);
    to.id = from.id;
    to.sim_time_ns = from.sim_time_ns;
    to.received_ns = from.received_ns;
    to.ego = from.ego;
    to.nav = from.nav;
    to.advisory_speed_mps = from.advisory_speed_mps;
    to.truth = from.truth;
}
