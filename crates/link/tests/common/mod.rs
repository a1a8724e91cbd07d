//! A small scripted world and what the socket tests share.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, Command, EndReason, Fault, Frame, FrameId, NavCommand, Observation, Observed,
    Pacing, PlantInfo, Truth, World,
};
use caril_link::{ConnectOptions, PlantSocket, RemoteWorld, ServeOptions, ServeReport};

pub const SECOND_NS: u64 = 1_000_000_000;

/// A car on a line: the throttle speeds it up, the brake slows it down, and every frame's content
/// is a function of its id.
pub struct Scripted {
    info: PlantInfo,
    pub frames: u64,
    pub speed_mps: f32,
    next: u64,
    pending: Option<FrameId>,
    pub got: Vec<Command>,
    /// Ticks so far, readable from outside.
    pub ticks: Arc<AtomicUsize>,
    /// Speed after the last tick, mm/s, readable from outside.
    pub speed_mmps: Arc<AtomicU32>,
}

pub fn camera(side: u32) -> CameraSpec {
    CameraSpec { width: side, height: side, ..CameraSpec::PAPER }
}

impl Scripted {
    pub fn new(frames: u64, camera: CameraSpec) -> Self {
        let info = PlantInfo {
            name: "scripted".to_owned(),
            map: "line".to_owned(),
            weather: "ClearNoon".to_owned(),
            camera,
            rate_hz: 20.0,
            pacing: Pacing::Lockstep,
            route: vec![(0.0, 0.0), (100.0, -1.5)],
        };
        Self {
            info,
            frames,
            speed_mps: 0.0,
            next: 0,
            pending: None,
            got: Vec::new(),
            ticks: Arc::new(AtomicUsize::new(0)),
            speed_mmps: Arc::new(AtomicU32::new(0)),
        }
    }

    /// The content of frame `id`, but for the speed.
    pub fn fill(id: u64, frame: &mut Frame) {
        frame.id = FrameId(id);
        frame.sim_time_ns = id * 50_000_000;
        frame.ego.pose.x_m = id as f64 * 0.5;
        frame.nav = NavCommand::ALL[id as usize % NavCommand::COUNT];
        frame.advisory_speed_mps = f32::NAN;
        frame.truth = Some(Truth { collisions: id as u32, ..Truth::default() });
        frame.image.data.fill(id as u8);
    }
}

impl World for Scripted {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        if self.next >= self.frames {
            frame.truth = Some(Truth { route_completion: 100.0, ..Truth::default() });
            return Observation::plain(Observed::Ended(EndReason::GoalReached));
        }
        Self::fill(self.next, frame);
        frame.ego.speed_mps = self.speed_mps;
        self.pending = Some(frame.id);
        Observation::plain(Observed::Fresh)
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        assert!(self.pending.take().is_some(), "one command a frame");
        self.next += 1;
        self.speed_mps = (self.speed_mps + command.throttle - command.brake).clamp(0.0, 30.0);
        self.got.push(*command);
        self.speed_mmps.store((self.speed_mps * 1000.0) as u32, Ordering::SeqCst);
        self.ticks.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A plant in a thread of its own; stopped and joined by [`Served::finish`].
pub struct Served {
    pub endpoint: String,
    pub stop: Arc<AtomicBool>,
    pub ticks: Arc<AtomicUsize>,
    pub speed_mmps: Arc<AtomicU32>,
    thread: JoinHandle<(ServeReport, Scripted)>,
}

pub fn start(mut world: Scripted, endpoint: &str, options: ServeOptions) -> Served {
    let mut plant = PlantSocket::bind(endpoint, options).unwrap();
    let endpoint = plant.endpoint().to_owned();
    let (ticks, speed_mmps) = (world.ticks.clone(), world.speed_mmps.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let thread = std::thread::spawn(move || (plant.serve(&mut world, &flag), world));
    Served { endpoint, stop, ticks, speed_mmps, thread }
}

impl Served {
    /// Waits for the plant's own end.
    pub fn join(self) -> (ServeReport, Scripted) {
        self.thread.join().unwrap()
    }

    /// Stops it.
    pub fn finish(self) -> (ServeReport, Scripted) {
        self.stop.store(true, Ordering::SeqCst);
        self.join()
    }
}

pub fn connect(endpoint: &str) -> RemoteWorld {
    RemoteWorld::connect(endpoint, ConnectOptions::default()).unwrap()
}

pub fn gas(frame: &Frame) -> Command {
    let steer = (frame.id.0 % 100) as f32 / 100.0;
    Command { frame_id: frame.id, steer, throttle: 0.5, ..Command::default() }
}

/// An endpoint in a folder of its own, which lives as long as the first value.
pub fn ipc() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", dir.path().join("plant").display());
    (dir, endpoint)
}

/// Polls until `done`, at most ten seconds.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
