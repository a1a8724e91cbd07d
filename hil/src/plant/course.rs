//! The world as the rig serves it: lap after lap with rising ids, with faults of picture, ego state
//! and time, and with a tape of what the car did.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caril_core::{
    Command, EndReason, Fault, Frame, FrameId, Mode, Observation, Observed, PlantInfo, World,
};
use caril_sim::{SimConfig, SimError, SimWorld};
use serde::Serialize;

use crate::fault::{Kind, Planned, Where};

/// One tick as the car drove it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tick {
    /// Seconds since the first tick.
    pub time_s: f64,
    /// The frame of the tick.
    pub frame_id: u64,
    /// Along the vehicle, m/s, before the tick.
    pub speed_mps: f32,
    /// Driven so far, metres.
    pub driven_m: f64,
    /// From the lane's centre, metres.
    pub deviation_m: f32,
    /// Lane edges crossed so far.
    pub lane_invasions: u32,
    /// Collisions so far.
    pub collisions: u32,
    /// Driven off the road so far, metres.
    pub off_road_m: f64,
    /// The mode that the command says: 0 nominal, 1 degraded, 2 safe stop.
    pub mode: u8,
    /// The brake that was applied, [0, 1].
    pub brake: f32,
    /// The plant braked by itself.
    pub own: bool,
}

/// What plant and conductor share.
#[derive(Debug, Default)]
pub struct Shared {
    /// When the first frame was asked for.
    pub began: OnceLock<Instant>,
    /// The episode is to end.
    pub over: AtomicBool,
    /// The plant braked by itself in this tick.
    pub own_brake: AtomicBool,
    /// Last known mode.
    pub mode: AtomicU8,
    /// The tape; the plant holds the lock for an instant a tick.
    pub tape: Mutex<Vec<Tick>>,
    /// The class that the plant's thread runs in, or why not in real time.
    pub class: OnceLock<Result<String, String>>,
    /// Where the live page is, if there is one.
    pub page: Mutex<Option<SocketAddr>>,
}

impl Shared {
    /// The class of the plant's thread in words.
    pub fn class(&self) -> String {
        match self.class.get() {
            Some(Ok(class)) => class.clone(),
            Some(Err(why)) => format!("not in real time: {why}"),
            None => "as everyone".to_owned(),
        }
    }

    /// Seconds since the first tick, if there was one.
    pub fn time_s(&self) -> Option<f64> {
        self.began.get().map(|t| t.elapsed().as_secs_f64())
    }

    /// Where the live page is.
    pub fn page(&self) -> Option<SocketAddr> {
        *self.page.lock().ok()?
    }

    /// It is there; whether that is news.
    pub fn set_page(&self, at: SocketAddr) -> bool {
        self.page.lock().is_ok_and(|mut page| page.replace(at) != Some(at))
    }

    /// The newest tick.
    pub fn newest(&self) -> Option<Tick> {
        self.tape.lock().ok()?.last().copied()
    }
}

/// Sums of the laps before this one.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    frames: u64,
    time_ns: u64,
    lane_invasions: u32,
    collisions: u32,
    off_road_m: f64,
}

/// Lap after lap.
pub struct Course {
    world: SimWorld,
    config: SimConfig,
    /// The next lap's world, made while this one is driven: making one takes longer than a period.
    next: Option<JoinHandle<Result<SimWorld, SimError>>>,
    faults: Vec<Planned>,
    frozen: Option<Vec<u8>>,
    shifted: Vec<u8>,
    frame_limit: Option<u64>,
    shared: Arc<Shared>,
    before: Sums,
    laps: u32,
    driven_m: f64,
    speed_mps: f32,
    gone: bool,
}

impl Course {
    /// A course in the world of `config`, whose scene is built already; faults of other places than
    /// the world are passed over.
    ///
    /// # Errors
    /// If there is no such world.
    pub fn new(
        config: SimConfig,
        faults: &[Planned],
        frame_limit: Option<u64>,
        shared: Arc<Shared>,
    ) -> Result<Self, SimError> {
        // Whatever ends an episode by time or by standing still is the rig's to say.
        let config = SimConfig { time_limit_s: Some(f64::INFINITY), ..config };
        let world = SimWorld::new(config.clone())?;
        let mut course = Self {
            world,
            config,
            next: None,
            faults: faults.iter().filter(|f| f.kind.place() == Where::World).copied().collect(),
            frozen: None,
            shifted: Vec::new(),
            frame_limit,
            shared,
            before: Sums::default(),
            laps: 0,
            driven_m: 0.0,
            speed_mps: 0.0,
            gone: false,
        };
        course.prepare();
        Ok(course)
    }

    fn prepare(&mut self) {
        self.laps += 1;
        let seed = self.config.seed.wrapping_add(u64::from(self.laps));
        let config = SimConfig { seed, ..self.config.clone() };
        self.next = Some(std::thread::spawn(move || {
            crate::realtime::leave();
            SimWorld::new(config)
        }));
    }

    /// On to the next lap; false if there is none.
    fn lap(&mut self) -> bool {
        let truth = self.world.truth();
        // The lap's last state is never shown: the next lap's first has its place in order and time.
        self.before.frames += self.world.frame_count() - 1;
        self.before.time_ns += (self.world.time_s() * 1e9).round() as u64;
        self.before.lane_invasions += truth.lane_invasions;
        self.before.collisions += truth.collisions;
        self.before.off_road_m += f64::from(truth.off_road_m);
        match self.next.take().and_then(|thread| thread.join().ok()) {
            Some(Ok(world)) => self.world = world,
            _ => return false,
        }
        self.prepare();
        true
    }

    fn on(&self, kind: Kind) -> Option<Planned> {
        let now_s = self.shared.time_s()?;
        self.faults.iter().find(|f| f.kind == kind && f.is_on(now_s)).copied()
    }

    fn spoil(&mut self, frame: &mut Frame) {
        if self.faults.is_empty() {
            return;
        }
        let bytes = frame.image.order.bytes_per_pixel();
        let paint = |data: &mut [u8], value: u8| {
            for pixel in data.chunks_exact_mut(bytes) {
                pixel.fill(value);
            }
        };
        match (self.on(Kind::CameraFrozen), &self.frozen) {
            (Some(_), Some(old)) => frame.image.data.clone_from(old),
            (Some(_), None) => self.frozen = Some(frame.image.data.clone()),
            (None, _) => self.frozen = None,
        }
        if self.on(Kind::CameraBlack).is_some() {
            paint(&mut frame.image.data, 0);
        }
        if self.on(Kind::CameraBlownOut).is_some() {
            paint(&mut frame.image.data, 255);
        }
        if let Some(fault) = self.on(Kind::CameraShifted) {
            let row = frame.image.width as usize * bytes;
            let by = (f64::from(frame.image.width) * 0.25 * fault.severity) as usize * bytes;
            self.shifted.clone_from(&frame.image.data);
            let rows = frame.image.data.chunks_exact_mut(row);
            for (to, from) in rows.zip(self.shifted.chunks_exact(row)) {
                to[by..].copy_from_slice(&from[..row - by]);
            }
        }
        if self.on(Kind::EgoMissing).is_some() {
            let nan = f32::NAN;
            (frame.ego.speed_mps, frame.ego.accel_mps2, frame.ego.yaw_rate_radps) = (nan, nan, nan);
            (frame.ego.pose.x_m, frame.ego.pose.y_m) = (f64::NAN, f64::NAN);
        }
        if self.on(Kind::EgoNan).is_some() {
            frame.ego.speed_mps = f32::NAN;
        }
        if self.on(Kind::EgoJumping).is_some() && frame.id.0.is_multiple_of(2) {
            frame.ego.speed_mps = 200.0;
        }
    }
}

impl World for Course {
    fn info(&self) -> &PlantInfo {
        self.world.info()
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        self.shared.began.get_or_init(Instant::now);
        let limit =
            self.frame_limit.is_some_and(|n| self.before.frames + self.world.frame_count() > n);
        if self.gone || limit || self.shared.over.load(Ordering::Relaxed) {
            frame.truth = Some(self.world.truth());
            let reason = if limit { EndReason::FrameLimit } else { EndReason::Stopped };
            return Observation::plain(Observed::Ended(reason));
        }
        if self.on(Kind::PlantPaused).is_some() {
            std::thread::sleep(Duration::from_nanos(timeout_ns).min(Duration::from_millis(5)));
            return Observation::plain(Observed::Nothing);
        }
        let mut seen = self.world.observe(frame, timeout_ns);
        if let Observed::Ended(_) = seen.observed {
            if !self.lap() {
                self.gone = true;
                return Observation::plain(Observed::Gone);
            }
            seen = self.world.observe(frame, timeout_ns);
        }
        frame.id = FrameId(frame.id.0 + self.before.frames);
        frame.sim_time_ns += self.before.time_ns;
        // What the car does is told by the plant's own eyes, not by what the controller sees.
        self.speed_mps = frame.ego.speed_mps;
        self.spoil(frame);
        // The plant's end of the link asks the frame whether the car stands.
        seen
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        let at = (self.world.vehicle().x_m, self.world.vehicle().y_m);
        let own = self.shared.own_brake.swap(false, Ordering::Relaxed);
        let done = self.world.actuate(command);
        let car = self.world.vehicle();
        self.driven_m += (car.x_m - at.0).hypot(car.y_m - at.1);
        let truth = self.world.truth();
        let mode = if own { Mode::SafeStop } else { command.mode } as u8;
        self.shared.mode.store(mode, Ordering::Relaxed);
        let tick = Tick {
            time_s: self.shared.time_s().unwrap_or(0.0),
            frame_id: self.before.frames + self.world.frame_count() - 1,
            speed_mps: self.speed_mps,
            driven_m: self.driven_m,
            deviation_m: truth.lane_deviation_m,
            lane_invasions: self.before.lane_invasions + truth.lane_invasions,
            collisions: self.before.collisions + truth.collisions,
            off_road_m: self.before.off_road_m + f64::from(truth.off_road_m),
            mode,
            brake: command.brake,
            own,
        };
        if let Ok(mut tape) = self.shared.tape.lock() {
            tape.push(tick);
        }
        done
    }
}
