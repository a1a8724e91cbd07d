//! What docs/safety.md claims, for arbitrary bits in every number and any sequence of steps.

use caril_control::{Controller, FrameMeta, ImageCheck, MAX_DT_S, StepInput, StepOutput};
use caril_core::{
    Calibration, Config, CorrectionMode, EgoState, Fault, FaultSet, FrameId, LongitudinalMode,
    Mode, NavCommand, Pose, Prediction,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Any bit pattern, with the odd ones often.
fn bits() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(f32::from_bits),
        prop::sample::select(vec![
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            -0.0,
        ]),
        -20.0_f32..20.0,
    ]
}

/// Mostly what a drive looks like, so that modes are left as well as entered.
fn mostly(plain: std::ops::Range<f32>) -> impl Strategy<Value = f32> {
    prop_oneof![150 => plain, 1 => bits()]
}

#[derive(Debug, Clone)]
enum Step {
    Frame(Box<StepInput>),
    Silence(u64, FaultSet),
}

fn faults() -> impl Strategy<Value = FaultSet> {
    prop_oneof![
        90 => Just(FaultSet::EMPTY),
        3 => (0..Fault::COUNT).prop_map(|k| FaultSet::of(Fault::ALL[k])),
        1 => (0_u32..1 << Fault::COUNT).prop_map(|b| FaultSet::from_bits(b).unwrap()),
    ]
}

fn prediction() -> impl Strategy<Value = Result<Prediction, Fault>> {
    let plain = (-1.5_f32..1.5, prop::array::uniform11(0.0_f32..1.0)).prop_map(|(r, w)| {
        let sum: f32 = w.iter().sum();
        Prediction::new(r, w.map(|v| v / sum)).map_err(|_| Fault::PredictionMalformed)
    });
    let odd = (bits(), prop::array::uniform11(bits()))
        .prop_map(|(r, w)| Prediction::new(r, w).map_err(|_| Fault::PredictionNonFinite));
    let none = (0..Fault::COUNT).prop_map(|k| Err(Fault::ALL[k]));
    prop_oneof![120 => plain, 1 => odd, 1 => none]
}

/// A step whose frame id, time and clock are differences yet to be added up.
fn step(stand: bool) -> impl Strategy<Value = Step> {
    let speed = if stand { 0.0_f32..0.15 } else { 0.0_f32..16.0 };
    let frame = (
        (prop_oneof![300 => Just(1_u64), 4 => 0_u64..4, 1 => any::<u64>()], 0_u32..2),
        (mostly(speed), mostly(0.0..15.0), mostly(20.0..200.0)),
        (
            prediction(),
            prediction(),
            prop::bool::weighted(0.02),
            prop::bool::weighted(0.005),
            faults(),
        ),
        (any::<u64>(), prop_oneof![150 => Just(50_000_000_u64), 1 => 0_u64..3_000_000_000]),
    )
        .prop_map(
            |(
                (id, dropped),
                (speed, advisory, luma),
                (prediction, second, overrun, malformed, faults),
                (print, dt),
            )| {
                let ego = EgoState {
                    speed_mps: speed,
                    accel_mps2: 0.0,
                    yaw_rate_radps: 0.0,
                    pose: Pose::default(),
                };
                Step::Frame(Box::new(StepInput {
                    now_ns: dt,
                    frame: FrameMeta {
                        id: FrameId(id),
                        sim_time_ns: dt,
                        received_ns: 0,
                        dropped,
                        ego,
                        advisory_speed_mps: advisory,
                        nav: NavCommand::ALL[id as usize % NavCommand::COUNT],
                    },
                    image: ImageCheck { mean_luma: luma, fingerprint: print % 50, malformed },
                    prediction,
                    second: second.ok().filter(|_| print % 3 == 0),
                    overrun,
                    faults,
                }))
            },
        );
    let silence = (0_u64..400_000_000, faults()).prop_map(|(dt, faults)| Step::Silence(dt, faults));
    prop_oneof![30 => frame, 1 => silence]
}

/// Short counts, so that a few hundred steps go through every mode several times.
fn quick_config() -> Config {
    let mut config = Config::default();
    (config.gate.recover_frames, config.gate.tolerate_frames) = (4, 3);
    config
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Stretches of driving and of standing.
    let stretch = any::<bool>().prop_flat_map(|stand| prop::collection::vec(step(stand), 5..60));
    prop::collection::vec(stretch, 1..5).prop_map(|s| s.concat())
}

/// Plays one step at the running time and id.
fn play(c: &mut Controller, now: &mut u64, id: &mut u64, step: &Step) -> StepOutput {
    match step {
        Step::Silence(dt, faults) => {
            *now = now.wrapping_add(*dt);
            c.no_frame(*now, *faults)
        }
        Step::Frame(delta) => {
            let mut input = **delta;
            *now = now.wrapping_add(delta.now_ns);
            *id = id.wrapping_add(delta.frame.id.0);
            input.frame.id = FrameId(*id);
            (input.now_ns, input.frame.sim_time_ns, input.frame.received_ns) = (*now, *now, *now);
            c.step(&input)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_command_is_safe_and_stops_are_left_as_the_table_says(
        steps in steps(), mode in 0..3_u8, paper_speed: bool,
    ) {
        let mut config = quick_config();
        config.correction.mode = match mode {
            0 => CorrectionMode::Off,
            1 => CorrectionMode::Paper,
            _ => CorrectionMode::Calibrated,
        };
        if paper_speed {
            config.longitudinal.mode = LongitudinalMode::Paper;
        }
        let mut c = Controller::new(config, Calibration::default(), 0.25).unwrap();
        let (mut now, mut id) = (0, 0);
        let mut last = c.no_frame(0, FaultSet::EMPTY);
        // A second, plain bookkeeping of what the table allows.
        let (mut never, mut clean_standing, mut clean) = (false, 0, 0);
        for step in &steps {
            let before = now;
            let snapshot = c;
            let out = play(&mut c, &mut now, &mut id, step);
            let cmd = out.command;

            prop_assert!(cmd.is_valid(), "{cmd:?}");
            prop_assert!(cmd.throttle == 0.0 || cmd.brake == 0.0);
            prop_assert!(cmd.steer.abs() <= config.limits.steer_max);
            prop_assert_eq!(cmd.mode, out.mode);
            for v in [out.steer_raw, out.steer_corrected, out.target_speed_mps] {
                prop_assert!(v.is_finite());
            }
            // Time of the limits runs from fresh frame to fresh frame, so silences may add up.
            let moved = (cmd.steer - last.command.steer).abs();
            let most = if matches!(step, Step::Silence(..)) { 0.0 } else { MAX_DT_S };
            prop_assert!(moved <= config.limits.steer_rate_max_per_s * most + 1e-6);
            let _ = before;

            if let Step::Frame(f) = step {
                prop_assert_eq!(cmd.frame_id, FrameId(id));
                let standing = f.frame.ego.speed_mps.abs() < 0.2;
                let is_clean = out.faults.is_empty();
                clean = if is_clean { clean + 1 } else { 0 };
                clean_standing = if is_clean && standing { clean_standing + 1 } else { 0 };
            } else if !out.faults.is_empty() {
                (clean, clean_standing) = (0, 0);
            }
            never |= [Fault::Internal, Fault::StopRequested].iter().any(|f| out.faults.contains(*f));
            let need = config.gate.recover_frames;
            match (last.mode, out.mode) {
                (Mode::SafeStop, Mode::SafeStop) => {}
                (Mode::SafeStop, Mode::Degraded) => {
                    prop_assert!(!never && clean_standing >= need && out.faults.is_empty());
                }
                (Mode::SafeStop, Mode::Nominal) => prop_assert!(false, "never straight to nominal"),
                (Mode::Degraded, Mode::Nominal) => prop_assert!(clean >= need),
                (_, Mode::Nominal) => prop_assert!(out.faults.is_empty()),
                _ => {}
            }
            prop_assert!(!never || out.mode == Mode::SafeStop);
            if out.mode == Mode::SafeStop {
                let comfort = config.gate.comfort_decel_mps2 / config.longitudinal.full_brake_mps2;
                prop_assert!(cmd.throttle == 0.0 && cmd.brake >= comfort);
                prop_assert_eq!(out.target_speed_mps, 0.0);
            }

            let (mut again, mut now2, mut id2) = (snapshot, before, id);
            if let Step::Frame(f) = step {
                id2 = id2.wrapping_sub(f.frame.id.0);
            }
            prop_assert_eq!(play(&mut again, &mut now2, &mut id2, step), out, "from a snapshot");
            last = out;
        }
    }
}

#[test]
fn the_properties_are_not_vacuous() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut changes = std::collections::BTreeMap::new();
    for _ in 0..200 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let mut c = Controller::new(quick_config(), Calibration::default(), 0.25).unwrap();
        let (mut now, mut id, mut last) = (0, 0, Mode::Nominal);
        for step in &steps {
            let mode = play(&mut c, &mut now, &mut id, step).mode;
            *changes.entry((last as u8, mode as u8)).or_insert(0_u32) += 1;
            last = mode;
        }
    }
    for change in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)] {
        assert!(changes.get(&change).is_some_and(|n| *n > 3), "{change:?} in {changes:?}");
    }
}
