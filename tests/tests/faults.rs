//! Faults in the embedded world: what docs/safety.md's table says, seen on the road. The policy is
//! told the expert's steer, so that whatever happens is the gate's doing.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use caril_control::{Class, Manoeuvre, Recovery, Steering, rule};
use caril_core::{
    Config, Fault, FaultSet, Frame, FrameId, Lift, Mode, Observed, Pacing, Policy, PolicyCard,
    Prediction, StepRecord, World,
};
use caril_runtime::{Clock, DriveOptions, Pipeline, StopFlag};
use caril_sim::stream::{StreamEffect, effect};
use caril_sim::{FaultSpec, SimConfig, SimWorld, fault_names, parse_fault};
use common::{SECOND_NS, Told, sim_config, small_camera};

const PERIOD_NS: u64 = 50_000_000;

/// A car is 1.85 m wide, a lane here at least 3 m: so far its middle may be from the lane's.
const INSIDE_M: f32 = 0.57;

/// What the gate sees of a camera's fault, and at which severity; `None`: nothing at all, which
/// docs/safety.md admits.
fn visible(name: &str) -> (f32, Option<Fault>) {
    match name {
        "freeze" => (0.3, Some(Fault::ImageFrozen)),
        "black" => (0.3, Some(Fault::ImageBlack)),
        "drop" => (0.3, Some(Fault::FrameGap)),
        // In lockstep a delayed plant is late by its own clock from the start: only the first
        // frames, which come again and again, show it.
        "delay" => (0.2, Some(Fault::FrameRepeated)),
        "duplicate" => (0.3, Some(Fault::FrameRepeated)),
        // Brighter, and the picture is blown out: the test below.
        "overexposed" => (0.5, None),
        "noise" | "blur" | "dirt" | "underexposed" | "color_cast" | "yaw_offset"
        | "pitch_offset" => (1.0, None),
        other => panic!("{other} has no row here"),
    }
}

/// The first seed that leaves the first `clean` frames as they are, if there is one.
fn late_start(spec: FaultSpec, clean: u64) -> u64 {
    let untouched =
        |seed: &u64| (0..clean).all(|id| effect(&[spec], *seed, id) == StreamEffect::default());
    (1..3000).find(untouched).unwrap_or(1)
}

fn drive(spec: FaultSpec, seed: u64, frames: u64) -> Vec<StepRecord> {
    let sim = SimConfig { faults: vec![spec], seed, ..sim_config() };
    let mut world = SimWorld::new(sim).expect("world");
    let mut steps = Vec::new();
    let mut keep = |step: &StepRecord, _: &caril_runtime::DriveStats| steps.push(*step);
    let (stop, options) = (StopFlag::new(), DriveOptions { frame_limit: Some(frames) });
    let policy = Told::new(small_camera());
    caril_runtime::drive(&mut world, policy, &Config::default(), None, &stop, options, &mut keep)
        .expect("no bug");
    steps
}

fn assert_inside(step: &StepRecord, what: &str) {
    let truth = step.truth.expect("marks");
    let at = step.frame_id.0;
    assert!(truth.lane_deviation_m.abs() < INSIDE_M, "{what}, frame {at}: {truth:?}");
    assert_eq!((truth.lane_invasions, truth.off_road_m), (0, 0.0), "{what}, frame {at}");
}

#[test]
fn every_fault_of_the_camera_has_the_effect_that_safety_md_states() {
    for name in fault_names() {
        let (severity, expected) = visible(name);
        let spec = parse_fault(&format!("{name}:{severity}")).expect("fault");
        let steps = drive(spec, late_start(spec, 120), 420);
        steps.iter().for_each(|step| assert_inside(step, name));
        let Some(fault) = expected else {
            let clean = |s: &StepRecord| s.mode == Mode::Nominal && s.faults.is_empty();
            assert!(steps.iter().all(clean), "{name} is seen");
            continue;
        };
        let at = steps.iter().position(|s| s.faults.contains(fault));
        let at = at.unwrap_or_else(|| panic!("{name} is not seen"));
        if rule(fault).class == Class::Latent {
            assert_eq!(steps[at].mode, Mode::Degraded, "{name}");
            assert!(steps.iter().all(|s| s.mode != Mode::SafeStop), "{name} is tolerable");
            continue;
        }
        assert!(steps[..at].iter().all(|s| s.mode == Mode::Nominal), "{name}");
        assert!(steps[at].ego.speed_mps > 4.0, "{name} comes while it drives");
        let stands = steps[at..].iter().position(|s| s.ego.speed_mps < 0.05);
        let stands = at + stands.unwrap_or_else(|| panic!("{name}: no stop"));
        for step in &steps[at..=stands] {
            let c = step.command;
            assert_eq!((step.mode, c.throttle), (Mode::SafeStop, 0.0), "{name}");
            assert!(c.brake > 0.8, "{name} is a hard stop: {c:?}");
        }
        // 7 m/s² from this speed, and the actuator's lag.
        let seconds = (stands - at) as f32 * 0.05;
        assert!(seconds < steps[at].ego.speed_mps / 7.0 + 0.8, "{name}: {seconds} s");
    }
}

#[test]
fn a_car_that_is_dazzled_from_the_start_does_not_start() {
    for text in ["overexposed:1", "black:1"] {
        let steps = drive(parse_fault(text).expect("fault"), 1, 60);
        let held = |s: &StepRecord| s.mode == Mode::SafeStop && s.command.brake == 1.0;
        let faults = steps[0].faults;
        assert!(steps.iter().all(held) && steps.len() == 60, "{text}: {faults:?}");
        let expected =
            if text.starts_with("black") { Fault::ImageBlack } else { Fault::ImageBlownOut };
        assert_eq!(faults, FaultSet::of(expected), "{text}");
        assert!(steps.iter().all(|s| s.ego.speed_mps == 0.0), "{text}");
    }
}

/// The policy and what goes wrong inside it.
struct Meddled {
    told: Told,
    error: Rc<Cell<Option<Fault>>>,
    takes_ns: Rc<Cell<u64>>,
    now_ns: Rc<Cell<u64>>,
}

impl Policy for Meddled {
    fn card(&self) -> &PolicyCard {
        self.told.card()
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        self.now_ns.set(self.now_ns.get() + self.takes_ns.get());
        match self.error.get() {
            Some(fault) => Err(fault),
            None => self.told.infer(frame),
        }
    }
    fn look_again(&mut self, frame: &Frame, _: &Lift) -> Result<Prediction, Fault> {
        self.infer(frame)
    }
}

struct At<'a>(&'a Cell<u64>);

impl Clock for At<'_> {
    fn now_ns(&self) -> u64 {
        self.0.get()
    }
}

/// What came of one period.
struct Tick {
    faults: FaultSet,
    mode: Mode,
    command: caril_core::Command,
    speed_mps: f32,
}

/// Periods before anything is wrong: the car drives at its speed by then.
const CLEAN: usize = 160;

/// Drives with free pacing on a clock that the test turns, and does `fault` to it from
/// [`CLEAN`] on; ends when the table's last word has been heard.
fn meddle(fault: Fault) -> Vec<Tick> {
    let (error, takes_ns) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let now_ns = Rc::new(Cell::new(0));
    let policy = Meddled {
        told: Told::new(small_camera()),
        error: Rc::clone(&error),
        takes_ns: Rc::clone(&takes_ns),
        now_ns: Rc::clone(&now_ns),
    };
    let mut config = Config::default();
    config.drive_loop.pacing = Pacing::Free;
    let mut pipeline = Pipeline::new(policy, &config).expect("configuration");
    let sim = SimConfig { pacing: Pacing::Free, ..sim_config() };
    let mut world = SimWorld::new(sim).expect("world");
    let mut taken = Frame::for_camera(&small_camera());
    let mut past: Vec<Frame> = Vec::new();
    let mut ticks: Vec<Tick> = Vec::new();
    let mut standing = 0;
    for t in 0..CLEAN + 500 {
        now_ns.set(t as u64 * PERIOD_NS);
        assert_eq!(world.observe(&mut taken, SECOND_NS).observed, Observed::Fresh);
        let mut shown = taken.clone();
        shown.received_ns = now_ns.get();
        if (CLEAN - 3..CLEAN).contains(&t) {
            past.push(shown.clone());
        }
        let mut found = FaultSet::EMPTY;
        error.set(None);
        takes_ns.set(0);
        // For how many periods from CLEAN on, and what is done in them.
        let wrong = |periods: usize| (CLEAN..CLEAN + periods).contains(&t);
        let mut silent = false;
        match fault {
            Fault::FrameLate => silent = wrong(4),
            Fault::FrameMissing => silent = wrong(11),
            Fault::PlantGone if wrong(1) => {
                silent = true;
                found.insert(fault);
            }
            Fault::FrameStale if wrong(3) => shown.received_ns -= 250_000_000,
            Fault::FrameRepeated if wrong(3) => shown.clone_from(&past[2]),
            Fault::FrameOutOfOrder if wrong(3) => shown.clone_from(&past[1]),
            Fault::FrameGap if wrong(2) => {
                // Lost on the way, and nobody says so.
                world.tick(None);
                continue;
            }
            Fault::ImageFrozen if wrong(60) => shown.image.data.clone_from(&past[2].image.data),
            Fault::ImageBlack if wrong(3) => shown.image.data.fill(0),
            Fault::ImageBlownOut if wrong(3) => shown.image.data.fill(255),
            Fault::ImageMalformed if wrong(3) => shown.image.data.truncate(100),
            Fault::EgoInvalid if wrong(3) => shown.ego.speed_mps = f32::NAN,
            Fault::PredictionNonFinite | Fault::PredictionMalformed if wrong(1) => {
                error.set(Some(fault));
            }
            Fault::DeadlineOverrun if wrong(3) => takes_ns.set(60_000_000),
            Fault::MessageMalformed if wrong(3) => found.insert(fault),
            Fault::Internal | Fault::StopRequested if wrong(1) => found.insert(fault),
            _ => {}
        }
        let tick = if silent {
            let out = pipeline.no_frame(now_ns.get(), found);
            (out.faults, out.mode, out.command)
        } else {
            let out = pipeline.step(&At(&now_ns), &mut shown, 0, found);
            (out.faults, out.mode, out.command)
        };
        let (faults, mode, command) = tick;
        let speed_mps = world.ego().speed_mps;
        ticks.push(Tick { faults, mode, command, speed_mps });
        world.actuate(&command).expect("taken");
        world.tick(None);
        let truth = world.truth();
        assert!(truth.lane_deviation_m.abs() < INSIDE_M, "{fault:?}, period {t}: {truth:?}");
        assert_eq!((truth.lane_invasions, truth.off_road_m), (0, 0.0), "{fault:?}, period {t}");
        // Until it stands and a while more, or until all is well again.
        standing = if speed_mps < 0.05 { standing + 1 } else { 0 };
        let over = t > CLEAN + 60
            && match rule(fault).recovery {
                Recovery::CleanFrames => mode == Mode::Nominal,
                Recovery::Standstill => mode != Mode::SafeStop,
                Recovery::Never => standing > 60,
            };
        if over {
            break;
        }
    }
    ticks
}

#[test]
fn every_fault_has_the_mode_manoeuvre_steering_and_recovery_of_its_row() {
    for fault in Fault::ALL {
        let (rule, ticks) = (rule(fault), meddle(fault));
        let name = fault.name();
        assert!(ticks[..CLEAN].iter().all(|t| t.mode == Mode::Nominal), "{name}");
        assert!(ticks[CLEAN - 1].speed_mps > 4.0, "{name}: it drives");
        let at = ticks.iter().position(|t| t.faults.contains(fault));
        let at = at.unwrap_or_else(|| panic!("{name} is not seen"));
        assert!((CLEAN..CLEAN + 15).contains(&at), "{name} in period {at}");
        if rule.steering == Steering::Held {
            assert_eq!(ticks[at].command.steer, ticks[at - 1].command.steer, "{name}: held");
        }
        let last = ticks.last().expect("periods");
        if rule.class == Class::Latent {
            assert_eq!(ticks[at].mode, Mode::Degraded, "{name}");
            assert!(ticks.iter().all(|t| t.mode != Mode::SafeStop), "{name} is tolerable");
            assert_eq!(last.mode, Mode::Nominal, "{name} is forgotten");
            assert!(last.speed_mps > 3.0, "{name}: it drives on");
            continue;
        }
        let decel_mps2 = if rule.manoeuvre == Manoeuvre::HardStop { 7.0 } else { 2.5 };
        let stands = ticks[at..].iter().position(|t| t.speed_mps < 0.05);
        let stands = at + stands.unwrap_or_else(|| panic!("{name}: no stop"));
        for tick in &ticks[at..stands] {
            let c = tick.command;
            assert_eq!((tick.mode, c.throttle), (Mode::SafeStop, 0.0), "{name}");
            // What another fault asks for may be harder, never softer.
            assert!(c.brake >= decel_mps2 / 8.0 - 1e-6, "{name}: {c:?}");
        }
        if rule.manoeuvre == Manoeuvre::ComfortStop {
            let brake = ticks[at].command.brake;
            assert!((brake - 2.5 / 8.0).abs() < 1e-6, "{name} is comfortable: {brake}");
        }
        assert_eq!(ticks[stands].command.brake, 1.0, "{name}: held at a standstill");
        match rule.recovery {
            Recovery::Never => {
                assert!(ticks[at..].iter().all(|t| t.mode == Mode::SafeStop), "{name}");
                assert_eq!(last.speed_mps, 0.0, "{name}: it stays where it is");
            }
            _ => {
                let left = ticks[at..].iter().position(|t| t.mode != Mode::SafeStop);
                let left = &ticks[at + left.unwrap_or_else(|| panic!("{name}: stuck"))];
                assert_eq!(left.mode, Mode::Degraded, "{name}: on again, slowly");
                assert!(left.speed_mps < 0.2, "{name}: only at a standstill");
            }
        }
    }
}

#[test]
fn a_latent_fault_that_lasts_becomes_a_comfortable_stop() {
    let config = Config::default();
    let mut pipeline = Pipeline::new(Told::new(small_camera()), &config).expect("configuration");
    let mut world = SimWorld::new(sim_config()).expect("world");
    let mut frame = Frame::for_camera(&small_camera());
    let now_ns = Cell::new(0);
    let mut modes = Vec::new();
    for t in 0..400 {
        assert_eq!(world.observe(&mut frame, SECOND_NS).observed, Observed::Fresh);
        let lasting = (CLEAN..CLEAN + 15).contains(&t);
        let found = if lasting { FaultSet::of(Fault::MessageMalformed) } else { FaultSet::EMPTY };
        let step = pipeline.step(&At(&now_ns), &mut frame, 0, found);
        assert_inside(&step, "lasting");
        assert_ne!(step.frame_id, FrameId(0));
        if step.mode == Mode::SafeStop && step.ego.speed_mps > 0.3 {
            assert!((step.command.brake - 2.5 / 8.0).abs() < 1e-6, "{:?}", step.command);
        }
        modes.push((step.mode, step.ego.speed_mps));
        world.actuate(&step.command).expect("taken");
    }
    let tolerated = config.gate.tolerate_frames as usize;
    assert!(modes[CLEAN..CLEAN + tolerated].iter().all(|m| m.0 == Mode::Degraded));
    assert_eq!(modes[CLEAN + tolerated].0, Mode::SafeStop);
    assert!(modes[CLEAN..].iter().any(|m| m.1 < 0.05), "it comes to a stand");
}
