//! Tests of the gate's own part: what becomes of steer and pedals in each mode.

use super::*;
use caril_core::{EgoState, Fault, NavCommand};

const OK: ImageCheck = ImageCheck { mean_luma: 100.0, fingerprint: 1, malformed: false };

struct Drive {
    gate: CommandGate,
    config: Config,
    id: u64,
}

impl Drive {
    fn new() -> Self {
        Self { gate: CommandGate::default(), config: Config::default(), id: 0 }
    }

    fn meta(&self) -> FrameMeta {
        FrameMeta {
            id: FrameId(self.id),
            sim_time_ns: self.id * 50_000_000,
            received_ns: self.id * 50_000_000,
            dropped: 0,
            ego: EgoState::default(),
            advisory_speed_mps: f32::NAN,
            nav: NavCommand::Follow,
        }
    }

    /// The next frame, at `speed`, wanting steer, throttle and brake.
    fn frame(&mut self, speed: f32, found: FaultSet, wanted: [f32; 3]) -> (Verdict, Command) {
        self.id += 1;
        let mut meta = self.meta();
        meta.ego.speed_mps = speed;
        let image = ImageCheck { fingerprint: self.id, ..OK };
        let now = meta.received_ns;
        self.run(now, Some((&meta, &image)), found, wanted)
    }

    fn silent(&mut self, after_ms: u64, found: FaultSet) -> (Verdict, Command) {
        self.run(self.id * 50_000_000 + after_ms * 1_000_000, None, found, [0.5, 0.5, 0.0])
    }

    fn run(
        &mut self,
        now_ns: u64,
        frame: Option<(&FrameMeta, &ImageCheck)>,
        found: FaultSet,
        [steer, throttle, brake]: [f32; 3],
    ) -> (Verdict, Command) {
        let verdict = self.gate.judge(&self.config.gate, now_ns, frame, found);
        let steer = self.gate.steer(&self.config.limits, &verdict, steer);
        assert_eq!(steer, self.gate.last_steer());
        (verdict, self.gate.issue(&self.config, &verdict, throttle, brake))
    }
}

const NONE: FaultSet = FaultSet::EMPTY;
const GO: [f32; 3] = [0.2, 0.4, 0.0];

/// A car that has driven some frames with [`GO`].
fn driving(speed: f32) -> Drive {
    let mut d = Drive::new();
    for _ in 0..10 {
        d.frame(speed, NONE, GO);
    }
    d
}

fn command(id: u64, steer: f32, throttle: f32, brake: f32, mode: Mode) -> Command {
    Command { frame_id: FrameId(id), steer, throttle, brake, mode }
}

#[test]
fn before_the_first_frame_the_brake_is_held() {
    let mut d = Drive::new();
    assert_eq!(d.silent(0, NONE).1, command(0, 0.0, 0.0, 1.0, Mode::Nominal));
    assert_eq!(d.silent(200, NONE).1, command(0, 0.0, 0.0, 1.0, Mode::Degraded));
    assert_eq!(d.silent(600, NONE).1, command(0, 0.0, 0.0, 1.0, Mode::SafeStop));
}

#[test]
fn nominal_passes_what_is_wanted_within_limits() {
    let mut d = driving(3.0);
    let (verdict, out) = d.frame(3.0, NONE, GO);
    assert_eq!(out, command(11, 0.2, 0.4, 0.0, Mode::Nominal));
    let expected = Verdict {
        frame_id: FrameId(11),
        mode: Mode::Nominal,
        faults: NONE,
        fresh: true,
        steering: Steering::Live,
        speed_mps: 3.0,
    };
    assert_eq!(verdict, expected);
    let out = d.frame(3.0, NONE, [0.9, 3.0, 0.0]).1;
    assert!(out.throttle == 1.0 && out.steer > 0.2 && out.steer < 0.3, "{out:?}");
    assert_eq!(d.frame(3.0, NONE, [0.0, 0.5, 0.1]).1.throttle, 0.0, "never both");
    let out = d.frame(3.0, NONE, [f32::NAN; 3]).1;
    assert!(out.is_valid() && out.throttle == 0.0, "{out:?}");
}

#[test]
fn silence_holds_then_coasts_then_brakes() {
    let mut d = driving(3.0);
    assert_eq!(d.silent(100, NONE).1, command(10, 0.2, 0.4, 0.0, Mode::Nominal));
    assert_eq!(d.silent(151, NONE).1, command(10, 0.2, 0.0, 0.0, Mode::Degraded));
    assert_eq!(d.silent(501, NONE).1, command(10, 0.2, 0.0, 7.0 / 8.0, Mode::SafeStop));
    let mut d = driving(3.0);
    d.frame(3.0, NONE, [0.2, 0.0, 0.25]);
    assert_eq!(d.silent(100, NONE).1, command(11, 0.2, 0.0, 0.25, Mode::Nominal));
    assert_eq!(d.silent(151, NONE).1, command(11, 0.2, 0.0, 0.25, Mode::Degraded));
}

#[test]
fn an_old_frame_is_answered_under_its_id_without_being_used() {
    for id in [10, 4] {
        let mut d = driving(3.0);
        let before = d.gate.last_steer();
        d.id = id - 1;
        let (verdict, out) = d.frame(9.0, NONE, [-0.5, 0.9, 0.0]);
        assert_eq!(out, command(id, before, 0.0, 0.0, Mode::Degraded));
        assert_eq!(
            (verdict.fresh, verdict.steering, verdict.speed_mps),
            (false, Steering::Held, 3.0)
        );
    }
}

#[test]
fn stops_brake_as_their_manoeuvre_and_hold_at_a_standstill() {
    for (fault, brake) in [
        (Fault::ImageBlack, 7.0 / 8.0),
        (Fault::EgoInvalid, 2.5 / 8.0),
        (Fault::StopRequested, 2.5 / 8.0),
    ] {
        for speed in [3.0, 0.2, -0.2] {
            let out = driving(3.0).frame(speed, FaultSet::of(fault), GO).1;
            assert_eq!((out.throttle, out.brake, out.mode), (0.0, brake, Mode::SafeStop));
        }
        let out = driving(3.0).frame(0.19, FaultSet::of(fault), GO).1;
        assert_eq!((out.throttle, out.brake), (0.0, 1.0), "{fault:?}");
    }
    let mut weak = driving(3.0);
    weak.config.longitudinal.full_brake_mps2 = 4.0;
    assert_eq!(weak.frame(3.0, FaultSet::of(Fault::ImageBlack), GO).1.brake, 1.0);
}

#[test]
fn steering_is_live_or_held_as_the_table_says() {
    for fault in Fault::ALL {
        let mut d = driving(3.0);
        let before = d.gate.last_steer();
        let (verdict, out) = d.frame(3.0, FaultSet::of(fault), [0.1, 0.0, 0.0]);
        let held = crate::rule(fault).steering == Steering::Held;
        assert_eq!(verdict.steering == Steering::Held, held, "{fault:?}");
        assert_eq!(out.steer == before, held, "{fault:?}");
    }
}

#[test]
fn a_held_steer_still_obeys_the_limits() {
    let mut d = driving(3.0);
    let out = d.frame(14.0, FaultSet::of(Fault::ImageBlack), [0.2, 0.0, 0.0]).1;
    assert!((out.steer - 0.125).abs() < 1e-6, "towards the lateral bound at 1.5/s: {out:?}");
}

#[test]
fn recovery_passes_through_a_standstill_and_degraded() {
    let mut d = driving(3.0);
    d.frame(3.0, FaultSet::of(Fault::ImageBlack), GO);
    // The threshold itself is still motion.
    for speed in [1.0, STANDSTILL_MPS, -STANDSTILL_MPS] {
        for _ in 0..50 {
            assert_eq!(d.frame(speed, NONE, GO).1.mode, Mode::SafeStop);
        }
    }
    let modes: std::vec::Vec<Mode> = (0..40).map(|_| d.frame(0.0, NONE, GO).1.mode).collect();
    assert!(modes[..19].iter().all(|m| *m == Mode::SafeStop));
    assert!(modes[19..39].iter().all(|m| *m == Mode::Degraded));
    assert_eq!(modes[39], Mode::Nominal);
}
