//! The hash changes if, and only if, something of a step but its times changes.

use super::*;
use caril_core::{Fault, FaultSet, FrameId, Mode, NavCommand, Regime, StageTimes};

use crate::Pipeline;
use crate::testing::{Ticking, always, frame};

fn step() -> StepRecord {
    let mut pipeline = Pipeline::new(always(0.3), &caril_core::Config::default()).unwrap();
    pipeline.step(&Ticking::new(0, 1), &mut frame(5), 0, FaultSet::EMPTY)
}

fn hash(steps: &[StepRecord]) -> String {
    let mut hash = StepHash::default();
    steps.iter().for_each(|s| hash.add(s));
    hash.hex()
}

#[test]
fn times_are_left_out() {
    let (a, mut b) = (step(), step());
    b.times = StageTimes { ns: [9; 6], age_ns: 99, ..StageTimes::default() };
    assert_eq!(hash(&[a]), hash(&[b]));
    assert_eq!(hash(&[a]).len(), 64);
}

#[test]
fn every_field_counts() {
    type Change = fn(&mut StepRecord);
    // The least change that each field can have: one bit of a number.
    macro_rules! bit {
        ($($path:tt)+) => {
            (stringify!($($path)+), (|r: &mut StepRecord| {
                r.$($path)+ = f32::from_bits(r.$($path)+.to_bits() ^ 1);
            }) as Change)
        };
    }
    macro_rules! bit64 {
        ($($path:tt)+) => {
            (stringify!($($path)+), (|r: &mut StepRecord| {
                r.$($path)+ = f64::from_bits(r.$($path)+.to_bits() ^ 1);
            }) as Change)
        };
    }
    macro_rules! truth {
        ($field:ident) => {
            (
                stringify!($field),
                (|r: &mut StepRecord| {
                    let t = r.truth.as_mut().unwrap();
                    t.$field = f32::from_bits(t.$field.to_bits() ^ 1);
                }) as Change,
            )
        };
    }
    let changes: &[(&str, Change)] = &[
        ("frame_id", |r| r.frame_id = FrameId(6)),
        ("sim_time_ns", |r| r.sim_time_ns += 1),
        ("dropped", |r| r.dropped += 1),
        ("nav", |r| r.nav = NavCommand::Left),
        ("predicted", |r| r.predicted = false),
        ("mode", |r| r.mode = Mode::Degraded),
        ("command.mode", |r| r.command.mode = Mode::Degraded),
        ("command.frame_id", |r| r.command.frame_id = FrameId(6)),
        ("second_look", |r| r.second_look = true),
        ("regime", |r| r.correction.regime = Regime::Fused),
        ("faults", |r| r.faults = FaultSet::of(Fault::StopRequested)),
        ("probs", |r| r.probs.swap(0, 7)),
        ("second_probs", |r| r.second_probs[3] = 0.5),
        ("truth", |r| r.truth = None),
        ("collisions", |r| r.truth.as_mut().unwrap().collisions += 1),
        ("lane_invasions", |r| r.truth.as_mut().unwrap().lane_invasions += 1),
        bit!(ego.speed_mps),
        bit!(ego.accel_mps2),
        bit!(ego.yaw_rate_radps),
        bit64!(ego.pose.x_m),
        bit64!(ego.pose.y_m),
        bit64!(ego.pose.z_m),
        bit64!(ego.pose.yaw_rad),
        bit64!(ego.pose.pitch_rad),
        bit64!(ego.pose.roll_rad),
        bit!(advisory_speed_mps),
        bit!(regression),
        bit!(second_regression),
        bit!(confidence),
        bit!(entropy_nats),
        bit!(neighbour_mass),
        bit!(correction.steer),
        bit!(correction.speed_cap_mps),
        bit!(correction.confidence),
        bit!(correction.sigma),
        bit!(steer_raw),
        bit!(steer_corrected),
        bit!(target_speed_mps),
        bit!(command.steer),
        bit!(command.throttle),
        bit!(command.brake),
        truth!(expert_steer),
        truth!(expert_speed_mps),
        truth!(lane_deviation_m),
        truth!(heading_error_rad),
        truth!(curvature_1pm),
        truth!(route_length_m),
        truth!(route_completion),
        truth!(off_road_m),
    ];
    let whole = hash(&[step()]);
    let mut all = vec![whole.clone()];
    for (name, change) in changes {
        let mut changed = step();
        change(&mut changed);
        let other = hash(&[changed]);
        assert_ne!(other, whole, "{name} is not in the hash");
        all.push(other);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), changes.len() + 1, "two changes give the same hash");
}

#[test]
fn order_and_number_of_steps_count() {
    let (a, mut b) = (step(), step());
    b.frame_id = FrameId(6);
    let both = hash(&[a, b]);
    assert_eq!(both, hash(&[a, b]));
    assert_ne!(both, hash(&[b, a]));
    assert_ne!(both, hash(&[a]));
    assert_ne!(hash(&[]), hash(&[a]));
}

#[test]
fn reading_the_hash_does_not_end_it() {
    let a = step();
    let mut h = StepHash::default();
    h.add(&a);
    let early = h.hex();
    assert_eq!(h.hex(), early);
    h.add(&a);
    assert_eq!(h.hex(), hash(&[a, a]));
}
