//! Tests of the step: what it answers, which time it goes by, what it counts.

use super::*;
use crate::testing::{PERIOD_NS, Ticking, Told, always, frame, free, sure};
use caril_core::{Fault, FrameId, Mode, Regime, StepRecord};

const NONE: FaultSet = FaultSet::EMPTY;

fn faults(record: &StepRecord) -> Vec<Fault> {
    record.faults.iter().collect()
}

#[test]
fn the_record_is_the_frame_the_prediction_and_the_command() {
    let mut pipeline = Pipeline::new(always(0.4), &Config::default()).unwrap();
    let clock = Ticking::new(0, 10);
    // No time has passed at the first frame, so the wheel stays where it is.
    assert_eq!(pipeline.step(&clock, &mut frame(6), 0, NONE).command.steer, 0.0);
    let mut seen = frame(7);
    let r = pipeline.step(&clock, &mut seen, 2, NONE);
    assert_eq!((r.frame_id, r.command.frame_id, r.sim_time_ns), (seen.id, seen.id, 7 * PERIOD_NS));
    assert_eq!((r.ego, r.nav, r.truth, r.dropped), (seen.ego, seen.nav, seen.truth, 2));
    assert!(r.predicted && r.faults.is_empty());
    assert_eq!((r.regression, r.probs[7], r.confidence, r.neighbour_mass), (0.4, 1.0, 1.0, 1.0));
    // The card's scale: what the network calls 0.4 is 0.1 of the plant's full steer.
    assert!((r.steer_raw - 0.1).abs() < 1e-6 && (r.steer_corrected - 0.1).abs() < 1e-6);
    assert!(r.command.steer > 0.0 && r.command.steer <= 0.1, "limited in rate: {r:?}");
    assert_eq!((r.mode, r.command.mode), (Mode::Nominal, Mode::Nominal));
    // Each of the four readings of the clock is ten later.
    assert_eq!(r.times.ns, [0, 10, 10, 10, 0, 0]);
}

#[test]
fn where_the_frame_tells_no_speed_the_policy_sees_the_last_one_and_steers() {
    let shown = std::cell::RefCell::new(Vec::new());
    let policy = Told::new(|f: &Frame| {
        shown.borrow_mut().push(f.ego.speed_mps);
        sure(0.1)
    });
    let mut pipeline = Pipeline::new(policy, &Config::default()).unwrap();
    let clock = Ticking::new(0, 1);
    let told = [5.0, f32::NAN, f32::INFINITY, 200.0, 3e38, -4.0];
    for (i, speed_mps) in told.into_iter().enumerate() {
        let mut seen = frame(i as u64 + 1);
        seen.ego.speed_mps = speed_mps;
        let r = pipeline.step(&clock, &mut seen, 0, NONE);
        let bits = [speed_mps, seen.ego.speed_mps, r.ego.speed_mps].map(f32::to_bits);
        assert!(bits.iter().all(|b| *b == bits[0]), "frame and record say what was told");
        assert_eq!(faults(&r).contains(&Fault::EgoInvalid), (1..5).contains(&i), "{speed_mps}");
        assert!(r.predicted && r.correction.regime != Regime::NoPrediction, "{speed_mps}");
    }
    assert_eq!(*shown.borrow(), [5.0, 5.0, 5.0, 5.0, 5.0, -4.0]);
}

type First = fn(&Frame) -> Result<Prediction, Fault>;

/// Says one thing at first sight and another at the brightened picture.
struct Twice {
    told: Told<First>,
    second: Result<Prediction, Fault>,
    looks: u32,
}

impl Policy for Twice {
    fn card(&self) -> &PolicyCard {
        self.told.card()
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        self.told.infer(frame)
    }
    fn look_again(&mut self, _: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        assert_eq!(*lift, Lift::of(20.0));
        self.looks += 1;
        self.second
    }
}

fn unsure() -> Prediction {
    let mut probs = [0.0; BIN_COUNT];
    (probs[5], probs[9]) = (0.5, 0.5);
    Prediction::new(0.3, probs).unwrap()
}

#[test]
fn a_dark_picture_is_looked_at_again_and_that_counts() {
    let look = |first: First, second, grey| {
        let policy = Twice { told: Told::new(first), second, looks: 0 };
        let mut pipeline = Pipeline::new(policy, &Config::default()).unwrap();
        let mut seen = frame(3);
        seen.image.data.fill(grey);
        let record = pipeline.step(&Ticking::new(0, 1), &mut seen, 0, NONE);
        (record, pipeline.policy().looks)
    };
    let doubt = |_: &Frame| Ok(unsure());
    let (r, looks) = look(doubt, sure(0.4), 20);
    assert_eq!((looks, r.second_look, r.correction.regime), (1, true, Regime::SecondLook));
    assert_eq!((r.regression, r.second_regression, r.second_probs[7]), (0.3, 0.4, 1.0));
    assert_eq!((r.probs, r.faults), (*unsure().probs(), NONE));
    // A second look that fails is a network that fails.
    let (r, looks) = look(doubt, Err(Fault::PredictionNonFinite), 20);
    assert_eq!((looks, faults(&r)), (1, vec![Fault::PredictionNonFinite]));
    assert_eq!((r.predicted, r.second_look, r.regression), (false, false, 0.0));
    // However sure the first is.
    let (r, looks) = look(|_| sure(0.1), sure(0.4), 20);
    assert_eq!((looks, r.correction.regime, r.correction.steer), (1, Regime::SecondLook, 0.4));
    // Neither in daylight nor where the first look failed.
    for (first, grey) in [(doubt as First, 60), (|_| Err(Fault::PredictionNonFinite), 20)] {
        let (r, looks) = look(first, sure(0.4), grey);
        assert_eq!((looks, r.second_look, r.second_regression), (0, false, 0.0));
        assert_eq!(r.second_probs, [0.0; BIN_COUNT]);
    }
    // Nor does one count that nobody asked for.
    let mut decider = Decider::new(always(0.0).card(), &Config::default()).unwrap();
    let seen = StepRecord { image: ImageCheck { mean_luma: 60.0, ..r.image }, ..r };
    let decided = decider.decide(&seen, sure(0.1), Some(Err(Fault::PredictionNonFinite)));
    assert_eq!((decided.second_look, decided.regression, decided.faults), (false, 0.1, NONE));
}

#[test]
fn the_configurations_thresholds_count_before_the_cards() {
    let regime = |mass_enter: Option<f32>| {
        // Half of the mass lies far off: 0.5 on argmax ± 1, where the card engages below 0.8.
        let mut probs = [0.0; BIN_COUNT];
        (probs[5], probs[9]) = (0.5, 0.5);
        let policy = Told::new(move |_| Ok(Prediction::new(0.0, probs).unwrap()));
        let mut config = Config::default();
        (config.correction.mass_enter, config.correction.mass_floor) = (mass_enter, Some(0.1));
        let mut pipeline = Pipeline::new(policy, &config)?;
        Ok::<_, ConfigError>(
            pipeline.step(&Ticking::new(0, 1), &mut frame(3), 0, NONE).correction.regime,
        )
    };
    assert_eq!(regime(None), Ok(Regime::Slowed));
    assert_eq!(regime(Some(0.9)), Ok(Regime::Slowed));
    assert_eq!(regime(Some(0.4)), Ok(Regime::Kept));
    assert!(regime(Some(0.99)).is_err(), "above the card's exit");
}

#[test]
fn a_policy_that_fails_is_a_fault_and_its_numbers_are_zero() {
    for fault in [Fault::PredictionNonFinite, Fault::PredictionMalformed] {
        let policy = Told::new(move |f| if f.id.0 == 3 { Err(fault) } else { sure(0.2) });
        let mut pipeline = Pipeline::new(policy, &Config::default()).unwrap();
        let clock = Ticking::new(0, 1);
        let before = pipeline.step(&clock, &mut frame(2), 0, NONE);
        let r = pipeline.step(&clock, &mut frame(3), 0, NONE);
        assert_eq!(faults(&r), [fault]);
        assert!(!r.predicted);
        assert_eq!((r.regression, r.probs, r.confidence), (0.0, [0.0; BIN_COUNT], 0.0));
        assert_eq!(r.mode, Mode::SafeStop);
        assert!(r.command.throttle == 0.0 && r.command.brake > 0.8, "hard stop: {:?}", r.command);
        assert_eq!(r.command.steer, before.command.steer, "held");
    }
}

#[test]
fn an_overrun_counts_in_free_pacing_and_in_lockstep_the_clock_changes_nothing() {
    let slow = || Ticking::new(3 * PERIOD_NS, 30_000_000);
    let mut pipeline = Pipeline::new(always(0.1), &free()).unwrap();
    let r = pipeline.step(&slow(), &mut frame(3), 0, NONE);
    assert_eq!((faults(&r), r.mode), (vec![Fault::DeadlineOverrun], Mode::Degraded));
    assert_eq!(r.times.ns[Stage::Infer as usize], 30_000_000);

    let mut same = Vec::new();
    for clock in [slow(), Ticking::new(0, 1)] {
        let mut pipeline = Pipeline::new(always(0.1), &Config::default()).unwrap();
        let mut r = pipeline.step(&clock, &mut frame(3), 0, NONE);
        assert!(r.faults.is_empty(), "{:?}", faults(&r));
        r.times = StageTimes::default();
        same.push(r);
    }
    assert_eq!(same[0], same[1]);
}

#[test]
fn an_old_frame_is_stale_in_free_pacing() {
    let mut pipeline = Pipeline::new(always(0.1), &free()).unwrap();
    let clock = Ticking::new(3 * PERIOD_NS + 210_000_000, 1);
    let r = pipeline.step(&clock, &mut frame(3), 0, NONE);
    assert!(r.faults.contains(Fault::FrameStale), "{:?}", faults(&r));
}

#[test]
fn frames_that_the_loop_dropped_are_counted_and_are_no_gap() {
    for (dropped, gap) in [(3, false), (2, true), (0, true)] {
        let mut pipeline = Pipeline::new(always(0.1), &Config::default()).unwrap();
        let clock = Ticking::new(0, 1);
        assert_eq!(pipeline.step(&clock, &mut frame(5), 0, NONE).dropped, 0);
        let mut later = frame(9);
        // In time, so that only the ids tell.
        later.sim_time_ns = 6 * PERIOD_NS;
        let r = pipeline.step(&clock, &mut later, dropped, NONE);
        assert_eq!(r.dropped, dropped);
        assert_eq!(r.faults.contains(Fault::FrameGap), gap, "{dropped} dropped");
        assert_eq!(r.mode, if gap { Mode::Degraded } else { Mode::Nominal });
    }
}

#[test]
fn faults_that_others_found_reach_the_gate() {
    let mut pipeline = Pipeline::new(always(0.1), &Config::default()).unwrap();
    let clock = Ticking::new(0, 1);
    let r = pipeline.step(&clock, &mut frame(1), 0, FaultSet::of(Fault::MessageMalformed));
    assert_eq!((faults(&r), r.mode), (vec![Fault::MessageMalformed], Mode::Degraded));
    let out = pipeline.no_frame(0, FaultSet::of(Fault::PlantGone));
    assert_eq!((out.mode, out.command.frame_id), (Mode::SafeStop, FrameId(1)));
    assert!(out.command.brake > 0.8 && out.command.throttle == 0.0);
}

#[test]
fn silence_is_judged_on_the_clock_in_free_pacing() {
    let mut pipeline = Pipeline::new(always(0.1), &free()).unwrap();
    let r = pipeline.step(&Ticking::new(3 * PERIOD_NS, 1), &mut frame(3), 0, NONE);
    assert_eq!(r.mode, Mode::Nominal);
    let silent = |p: &mut Pipeline<_>, ms: u64| p.no_frame(3 * PERIOD_NS + ms * 1_000_000, NONE);
    assert_eq!(silent(&mut pipeline, 100).mode, Mode::Nominal);
    assert_eq!(silent(&mut pipeline, 200).mode, Mode::Degraded);
    assert_eq!(silent(&mut pipeline, 600).mode, Mode::SafeStop);
}

#[test]
fn a_slow_plant_in_lockstep_changes_nothing() {
    let drive = |waits: u64| {
        let mut pipeline = Pipeline::new(always(0.1), &Config::default()).unwrap();
        let clock = Ticking::new(0, 1);
        // The machine's clock and the plant's time have nothing to do with each other.
        let wait = |p: &mut Pipeline<_>, n: u64| {
            for k in 0..waits {
                assert_eq!(p.no_frame((n * 1000 + k) * 777_000_000, NONE).faults, NONE);
            }
        };
        wait(&mut pipeline, 0);
        (0..40)
            .map(|i| {
                // It has been driving for a minute when we meet it.
                let mut r = pipeline.step(&clock, &mut frame(1200 + i), 0, NONE);
                wait(&mut pipeline, i);
                r.times = StageTimes::default();
                r
            })
            .collect::<Vec<_>>()
    };
    let steady = drive(0);
    assert!(steady.iter().all(|r| r.mode == Mode::Nominal));
    // Waiting holds the correction's last word, so the records are equal and not only the modes.
    assert_eq!(drive(3), steady);
}

#[test]
fn a_gap_in_the_plants_time_is_silence_in_lockstep_too() {
    let mut pipeline = Pipeline::new(always(0.1), &Config::default()).unwrap();
    let clock = Ticking::new(0, 1);
    pipeline.step(&clock, &mut frame(1), 0, NONE);
    let r = pipeline.step(&clock, &mut frame(20), 18, NONE);
    assert_eq!(faults(&r), [Fault::FrameLate, Fault::FrameMissing]);
    assert_eq!(r.mode, Mode::SafeStop);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let mut config = Config::default();
    config.gate.deadline_ms = 0;
    let error = Pipeline::new(always(0.0), &config).err().expect("refused");
    assert_eq!(error.field, "gate.deadline_ms");
}
