//! What the tests share: a policy that says what it is told, a car on a line, a clock in steps.

use std::cell::Cell;

use caril_core::{
    Architecture, BIN_COUNT, CameraSpec, Command, Config, Fault, Frame, FrameId, Lift, NavCommand,
    Observation, Observed, Pacing, PlantInfo, Policy, PolicyCard, Prediction, Truth, World,
};

use crate::Clock;

/// One frame at 20 frames a second.
pub const PERIOD_NS: u64 = 50_000_000;

pub fn camera() -> CameraSpec {
    CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER }
}

pub fn info() -> PlantInfo {
    PlantInfo {
        name: "line".into(),
        map: "line".into(),
        weather: "ClearNoon".into(),
        camera: camera(),
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    }
}

pub fn free() -> Config {
    let mut config = Config::default();
    config.drive_loop.pacing = Pacing::Free;
    config
}

/// A policy whose predictions are a closure's.
pub struct Told<F> {
    card: PolicyCard,
    say: F,
}

impl<F: FnMut(&Frame) -> Result<Prediction, Fault>> Told<F> {
    pub fn new(say: F) -> Self {
        let card = PolicyCard::new("told", Architecture::PilotNet, &camera());
        Self { card, say }
    }
}

impl<F: FnMut(&Frame) -> Result<Prediction, Fault>> Policy for Told<F> {
    fn card(&self) -> &PolicyCard {
        &self.card
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        (self.say)(frame)
    }
    fn look_again(&mut self, frame: &Frame, _: &Lift) -> Result<Prediction, Fault> {
        (self.say)(frame)
    }
}

/// A prediction that is sure of a normalised steer.
pub fn sure(steer: f32) -> Result<Prediction, Fault> {
    let mut probs = [0.0; BIN_COUNT];
    probs[caril_core::bin_of(steer).expect("finite")] = 1.0;
    Prediction::new(steer, probs).map_err(|_| Fault::PredictionMalformed)
}

/// A policy that always steers the same way.
pub fn always(steer: f32) -> Told<impl FnMut(&Frame) -> Result<Prediction, Fault>> {
    Told::new(move |_| sure(steer))
}

/// Frame `id` of a drive in which all is well: a picture of its own, 5 m/s, in the lane.
pub fn frame(id: u64) -> Frame {
    let mut frame = Frame::for_camera(&camera());
    fill(&mut frame, id, 5.0);
    frame
}

fn fill(frame: &mut Frame, id: u64, speed_mps: f32) {
    frame.id = FrameId(id);
    frame.sim_time_ns = id * PERIOD_NS;
    frame.received_ns = frame.sim_time_ns;
    frame.ego.speed_mps = speed_mps;
    frame.nav = NavCommand::Follow;
    frame.advisory_speed_mps = 8.0;
    frame.truth = Some(Truth { expert_steer: -0.1, expert_speed_mps: 8.0, ..Truth::default() });
    let bytes = frame.image.data.iter_mut().enumerate();
    bytes.for_each(|(i, b)| *b = 60 + ((i as u64 * 7 + id * 13) % 120) as u8);
}

/// A car on a line that obeys throttle and brake; a script may change what is seen.
pub struct Line<S> {
    pub info: PlantInfo,
    script: S,
    /// Observations so far; the id of a frame.
    pub seen: u64,
    pub speed_mps: f32,
    pub got: Vec<Command>,
}

impl<S: FnMut(u64, &mut Frame) -> Observation> Line<S> {
    pub fn new(speed_mps: f32, script: S) -> Self {
        Self { info: info(), script, seen: 0, speed_mps, got: Vec::new() }
    }
}

/// Every frame is fresh and as it should be.
pub fn well(_: u64, _: &mut Frame) -> Observation {
    Observation::plain(Observed::Fresh)
}

impl<S: FnMut(u64, &mut Frame) -> Observation> World for Line<S> {
    fn info(&self) -> &PlantInfo {
        &self.info
    }
    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        self.seen += 1;
        fill(frame, self.seen, self.speed_mps);
        (self.script)(self.seen, frame)
    }
    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.got.push(*command);
        let accel_mps2 = 4.0 * command.throttle - 8.0 * command.brake;
        self.speed_mps = (self.speed_mps + accel_mps2 * 0.05).max(0.0);
        Ok(())
    }
}

/// A clock that goes on by the same step whenever it is read.
pub struct Ticking {
    pub now_ns: Cell<u64>,
    pub step_ns: u64,
}

impl Ticking {
    pub fn new(now_ns: u64, step_ns: u64) -> Self {
        Self { now_ns: Cell::new(now_ns), step_ns }
    }
}

impl Clock for Ticking {
    fn now_ns(&self) -> u64 {
        self.now_ns.set(self.now_ns.get() + self.step_ns);
        self.now_ns.get()
    }
}
