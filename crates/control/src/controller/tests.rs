//! Tests of the whole controller: how the parts are put together.

use super::*;
use caril_core::{CorrectionMode, EgoState, FrameId, NavCommand};

const PERIOD_NS: u64 = 50_000_000;

fn controller() -> Controller {
    Controller::new(Config::default(), Calibration::default(), 0.25).unwrap()
}

fn sure(regression: f32) -> Prediction {
    let mut probs = [0.0; 11];
    probs[caril_core::bin_of(regression).unwrap()] = 1.0;
    Prediction::new(regression, probs).unwrap()
}

fn unsure() -> Prediction {
    let mut probs = [0.0; 11];
    probs[2] = 0.5;
    probs[8] = 0.5;
    Prediction::new(0.2, probs).unwrap()
}

fn input(id: u64, speed_mps: f32, prediction: Prediction) -> StepInput {
    StepInput {
        now_ns: id * PERIOD_NS,
        frame: FrameMeta {
            id: FrameId(id),
            sim_time_ns: id * PERIOD_NS,
            received_ns: id * PERIOD_NS,
            dropped: 0,
            ego: EgoState { speed_mps, ..EgoState::default() },
            advisory_speed_mps: f32::NAN,
            nav: NavCommand::Follow,
        },
        image: ImageCheck { mean_luma: 90.0, fingerprint: id, malformed: false },
        prediction: Ok(prediction),
        second: None,
        overrun: false,
        faults: FaultSet::EMPTY,
    }
}

/// After `n` frames at 5 m/s that want to go gently right.
fn driven(n: u64) -> Controller {
    let mut c = controller();
    for id in 1..=n {
        c.step(&input(id, 5.0, sure(0.1)));
    }
    c
}

#[test]
fn the_policy_is_told_the_last_known_speed_where_the_frame_tells_none() {
    let c = driven(10);
    for (told, shown) in [(7.0, 7.0), (-100.0, -100.0), (100.1, 5.0), (f32::NAN, 5.0)] {
        let ego = EgoState { speed_mps: told, accel_mps2: 1.5, ..EgoState::default() };
        let expected = EgoState { speed_mps: shown, ..ego };
        assert_eq!(c.ego_for_policy(&ego), expected, "{told}");
    }
}

#[test]
fn a_steer_scale_or_configuration_that_makes_no_sense_is_refused() {
    for scale in [0.0, -0.1, 1.01, f32::NAN, f32::INFINITY] {
        let error = Controller::new(Config::default(), Calibration::default(), scale).unwrap_err();
        assert_eq!(error.field, "steer_scale");
    }
    assert!(Controller::new(Config::default(), Calibration::default(), 1.0).is_ok());
    let mut config = Config::default();
    config.gate.frozen_frames = 0;
    let error = Controller::new(config, Calibration::default(), 0.25).unwrap_err();
    assert_eq!(error.field, "gate.frozen_frames");
}

#[test]
fn a_sure_prediction_is_scaled_and_driven() {
    let out = driven(40).step(&input(41, 5.0, sure(0.1)));
    assert!((out.steer_raw - 0.025).abs() < 1e-6 && out.steer_raw == out.steer_corrected);
    assert_eq!(out.command.steer, out.steer_corrected);
    assert_eq!((out.correction.regime, out.mode), (Regime::Kept, Mode::Nominal));
    assert_eq!((out.faults, out.command.frame_id), (FaultSet::EMPTY, FrameId(41)));
    // 0.025 · 70° bends with √(2 · 2.875 / tan 1.75°) = 13.7 m/s: the cruise speed is lower.
    assert_eq!(out.target_speed_mps, 12.0);
    assert!((out.command.throttle - 1.8 / 4.0).abs() < 1e-6);
    let out = driven(1).step(&input(2, 5.0, sure(1.0)));
    assert!(out.command.steer < 0.25 && out.steer_raw == 0.25, "limited: {out:?}");
    let far = Prediction::new(1.5, *sure(1.0).probs()).unwrap();
    assert_eq!(driven(1).step(&input(2, 5.0, far)).steer_raw, 0.25, "clamped");
}

#[test]
fn doubt_caps_the_speed_and_lasts() {
    let mut c = driven(10);
    let out = c.step(&input(11, 11.0, unsure()));
    assert_eq!(out.correction.regime, Regime::Slowed);
    assert!((out.steer_raw - 0.05).abs() < 1e-6 && out.steer_corrected == out.steer_raw);
    assert_eq!(out.target_speed_mps, out.correction.speed_cap_mps);
    assert!(out.target_speed_mps < 10.0 && out.command.brake > 0.0);
    // The doubt is remembered: a mass between enter and exit stays engaged.
    let mut probs = [0.0; 11];
    (probs[5], probs[0]) = (0.85, 0.15);
    let between = Prediction::new(0.0, probs).unwrap();
    assert_eq!(c.step(&input(12, 11.0, between)).correction.regime, Regime::Slowed);
    assert_eq!(driven(10).step(&input(11, 11.0, between)).correction.regime, Regime::Kept);
}

#[test]
fn a_dark_picture_is_looked_at_again() {
    let dark = ImageCheck { mean_luma: 20.0, fingerprint: 11, malformed: false };
    let bright = ImageCheck { mean_luma: 60.0, ..dark };
    let c = driven(10);
    assert!(c.asks_again(&dark) && !c.asks_again(&bright));
    let black = |mean_luma| ImageCheck { mean_luma, ..dark };
    let black_mean = Config::default().gate.black_mean;
    assert!(!c.asks_again(&black(black_mean)), "the gate stops the car");
    assert!(c.asks_again(&black(black_mean + 0.1)));
    assert!(!c.asks_again(&ImageCheck { malformed: true, ..dark }));
    let other = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        let c = Controller::new(config, Calibration::default(), 0.25).unwrap();
        c.asks_again(&dark)
    };
    assert!(other(|_| ()));
    assert!(!other(|c| c.correction.second_look = false));
    assert!(!other(|c| c.correction.mode = CorrectionMode::Paper));
    assert!(!other(|c| c.correction.mode = CorrectionMode::Off));

    // Sure at second sight: its steer, without a cap; the first look's is the counterfactual.
    let again = |second| {
        let mut c = c;
        c.step(&StepInput { image: dark, second: Some(second), ..input(11, 11.0, unsure()) })
    };
    let out = again(sure(0.1));
    assert_eq!(out.correction.regime, Regime::SecondLook);
    assert!((out.steer_raw - 0.05).abs() < 1e-6 && (out.steer_corrected - 0.025).abs() < 1e-6);
    assert_eq!(out.correction.speed_cap_mps, f32::INFINITY);
    // Still unsure: the second look's steer all the same, slowly.
    let still = Prediction::new(-0.3, *unsure().probs()).unwrap();
    let out = again(still);
    assert_eq!(out.correction.regime, Regime::SecondLook);
    assert!((out.steer_raw - 0.05).abs() < 1e-6, "{out:?}");
    assert!((out.steer_corrected + 0.075).abs() < 1e-6, "{out:?}");
    assert!(out.correction.speed_cap_mps.is_finite());
}

#[test]
fn degraded_and_advisory_lower_the_target() {
    let mut c = driven(10);
    let gentle = StepInput { overrun: true, ..input(11, 8.0, sure(0.1)) };
    let out = c.step(&gentle);
    assert_eq!((out.mode, out.faults), (Mode::Degraded, FaultSet::of(Fault::DeadlineOverrun)));
    assert_eq!(out.target_speed_mps, 5.0);
    assert!(out.command.brake > 0.0 && out.command.steer > 0.0);
    let mut slow = input(11, 5.0, sure(0.1));
    slow.frame.advisory_speed_mps = 3.0;
    let mut c = driven(10);
    assert_eq!(c.step(&slow).target_speed_mps, 3.0);
    assert_eq!(c.no_frame(11 * PERIOD_NS + 1, FaultSet::EMPTY).target_speed_mps, 3.0);
    let mut c = driven(10);
    let late = c.no_frame(10 * PERIOD_NS + 151_000_000, FaultSet::EMPTY);
    assert_eq!((late.mode, late.target_speed_mps), (Mode::Degraded, 5.0));
}

#[test]
fn without_a_prediction_the_last_steer_is_held() {
    for (what, fault) in [
        (
            StepInput { prediction: Err(Fault::PredictionNonFinite), ..input(31, 5.0, sure(0.1)) },
            Fault::PredictionNonFinite,
        ),
        (
            StepInput {
                image: ImageCheck { mean_luma: 0.0, fingerprint: 0, malformed: false },
                ..input(31, 5.0, sure(-0.9))
            },
            Fault::ImageBlack,
        ),
    ] {
        let mut c = driven(30);
        let held = c.gate.last_steer();
        let out = c.step(&what);
        assert_eq!((out.faults, out.mode), (FaultSet::of(fault), Mode::SafeStop));
        assert_eq!((out.steer_raw, out.steer_corrected, out.command.steer), (held, held, held));
        assert_eq!(out.correction.regime, Regime::NoPrediction);
        assert_eq!(out.correction.confidence, 0.0);
        assert!((out.correction.steer - held / 0.25).abs() < 1e-6);
        assert_eq!((out.target_speed_mps, out.command.throttle), (0.0, 0.0));
    }
    let live = StepInput { prediction: Err(Fault::DeadlineOverrun), ..input(31, 5.0, sure(0.1)) };
    let out = driven(30).step(&live);
    assert_eq!((out.mode, out.correction.regime), (Mode::Degraded, Regime::NoPrediction));
}

#[test]
fn a_prediction_that_is_not_believed_leaves_no_trace_in_the_correction() {
    let black = ImageCheck { mean_luma: 0.0, fingerprint: 0, malformed: false };
    let mut c = driven(10);
    c.step(&StepInput { image: black, ..input(11, 5.0, unsure()) });
    assert_eq!(c.state, CorrectionState::default());
}

#[test]
fn a_repeated_frame_leaves_the_target_as_it_was() {
    let mut c = driven(10);
    let mut again = input(10, 5.0, sure(0.9));
    again.frame.advisory_speed_mps = 1.0;
    let out = c.step(&again);
    assert_eq!((out.mode, out.target_speed_mps), (Mode::Degraded, 5.0));
    assert_eq!(c.target_speed_mps, 12.0);
}

#[test]
fn a_correction_that_is_no_number_is_a_fault() {
    let calibration = Calibration { regression_sigma: f32::NAN, ..Calibration::default() };
    let mut c = Controller::new(Config::default(), calibration, 0.25).unwrap();
    let out = c.step(&input(1, 5.0, unsure()));
    assert_eq!(out.faults, FaultSet::of(Fault::PredictionNonFinite));
    assert!(out.mode == Mode::SafeStop && out.command.is_valid());
}

#[test]
fn faults_of_others_reach_the_gate() {
    let asked =
        StepInput { faults: FaultSet::of(Fault::StopRequested), ..input(11, 5.0, sure(0.1)) };
    let mut c = driven(10);
    let out = c.step(&asked);
    assert_eq!((out.mode, out.faults), (Mode::SafeStop, asked.faults));
    assert_eq!(out.correction.regime, Regime::Kept, "the steer is live in a stop on request");
    let out = driven(10).no_frame(11 * PERIOD_NS, FaultSet::of(Fault::PlantGone));
    assert_eq!((out.mode, out.faults), (Mode::SafeStop, FaultSet::of(Fault::PlantGone)));
    assert_eq!(out.command.brake, 7.0 / 8.0);
}

#[test]
fn the_seed_decides_the_samples() {
    let steer = |seed, id| {
        let mut config = Config::default();
        config.correction.mode = CorrectionMode::Paper;
        config.drive_loop.seed = seed;
        let mut c = Controller::new(config, Calibration::default(), 0.25).unwrap();
        c.step(&input(id, 5.0, unsure())).correction.steer
    };
    assert_eq!(steer(1, 5), steer(1, 5));
    assert!(steer(1, 5) != steer(2, 5) && steer(1, 5) != steer(1, 6));
}

#[test]
fn a_controller_goes_on_from_its_memory_as_if_it_had_driven_there() {
    let mut r = caril_core::CounterRng::new(11, 0);
    let mut c = controller();
    let mut modes = [false; 3];
    for id in 1..=400 {
        let prediction = if r.below(3) == 0 { unsure() } else { sure(r.range(-0.9, 0.9) as f32) };
        let mut seen = input(id, r.range(0.0, 9.0) as f32, prediction);
        let calm = (id / 40) % 2 == 0;
        match if calm { 99 } else { r.below(8) } {
            0 => seen.frame.ego.speed_mps = f32::NAN,
            1 => seen.prediction = Err(Fault::PredictionNonFinite),
            2 => seen.image.mean_luma = 0.0,
            3 => seen.image.fingerprint = 1,
            4 => seen.frame.id = FrameId(id / 2),
            _ => {}
        }
        // Long enough at a standstill to leave a stop.
        if calm && id > 40 {
            seen.frame.ego.speed_mps = 0.0;
        }
        c.step(&seen);
        if r.below(5) == 0 {
            c.no_frame(id * PERIOD_NS + PERIOD_NS / 2, FaultSet::EMPTY);
        }
        let memory = c.memory();
        // At rest with other limits, and with everything that it remembers: the same.
        assert_eq!(controller().remembering(&memory), Some(c));
        modes[c.no_frame(id * PERIOD_NS, FaultSet::EMPTY).mode as usize] = true;
    }
    assert_eq!(modes, [true; 3]);
}

#[test]
fn words_that_are_no_memory_are_refused() {
    let c = driven(3);
    let memory = c.memory();
    assert_eq!((memory.newest_frame_id, memory.plant_ns), (FrameId(3), None));
    assert!(c.remembering(&memory).is_some());
    let other = ControllerMemory { layout: MEMORY_LAYOUT + 1, ..memory };
    assert_eq!(c.remembering(&other), None);
    let refused = (0..memory.words.len()).filter(|k| {
        let mut words = memory.words;
        words[*k] = u64::MAX;
        c.remembering(&ControllerMemory { words, ..memory }).is_none()
    });
    // All but six numbers that may have any bits.
    assert!(refused.count() >= 18);
}
