//! Tests of the statistics against figures worked out by hand.

use super::*;
use caril_core::{Correction, FaultSet, Regime};

use crate::Pipeline;
use crate::testing::{PERIOD_NS, Ticking, always, frame};

const MS: u64 = 1_000_000;

/// Step `i` of a drive at 5 m/s in which all is well.
fn step(i: u64) -> StepRecord {
    let mut pipeline = Pipeline::new(always(0.0), &caril_core::Config::default()).unwrap();
    pipeline.step(&Ticking::new(0, 0), &mut frame(i), 0, FaultSet::EMPTY)
}

fn near(got: f64, expected: f64, relative: f64) {
    assert!((got - expected).abs() <= expected.abs() * relative, "{got}, expected {expected}");
}

#[test]
fn percentiles_of_a_hundred_durations() {
    let mut stats = DriveStats::new(95 * MS);
    // 1 to 100 ms, in an order that is not theirs.
    for i in 0..100_u64 {
        let ms = 1 + (i * 37) % 100;
        let mut r = step(i);
        r.times.ns[Stage::Infer as usize] = ms * MS;
        r.times.ns[Stage::Observe as usize] = 7_000 * MS;
        for stage in [Stage::Check, Stage::Decide, Stage::Actuate, Stage::Record] {
            r.times.ns[stage as usize] = ms * MS / 4;
        }
        r.times.age_ns = ms * MS;
        stats.add(&r);
    }
    let s = stats.finish(None, 2.0);
    // Three digits are what the histogram keeps.
    for q in [s.infer_ms, s.overhead_ms, s.age_ms] {
        near(q.p50, 50.0, 2e-3);
        near(q.p99, 99.0, 2e-3);
        near(q.max, 100.0, 2e-3);
    }
    // The loop is network and own work together, and waiting for frames is in neither.
    near(s.loop_ms.p50, 100.0, 2e-3);
    near(s.loop_ms.max, 200.0, 2e-3);
    assert_eq!(s.deadline_misses, 5, "96 to 100 ms");
    assert_eq!((s.frames, s.wall_seconds), (100, 2.0));
    near(s.sim_seconds, 99.0 * PERIOD_NS as f64 * 1e-9, 1e-9);
}

#[test]
fn durations_beyond_the_histogram_are_its_last_value() {
    let mut stats = DriveStats::new(MS);
    let mut r = step(1);
    r.times.ns = [u64::MAX / 8; Stage::COUNT];
    r.times.age_ns = u64::MAX;
    stats.add(&r);
    let s = stats.finish(None, 0.0);
    assert!(s.loop_ms.max >= 59_000.0 && s.deadline_misses == 1, "{:?}", s.loop_ms);
}

#[test]
fn marks_modes_faults_and_corrections() {
    let mut stats = DriveStats::new(MS);
    let modes = [Mode::Nominal, Mode::Degraded, Mode::SafeStop, Mode::SafeStop];
    for i in 0..20_u64 {
        let mut r = step(i);
        r.mode = modes[i as usize % 4];
        r.dropped = (i % 3) as u32;
        if i % 4 == 2 {
            r.faults = [Fault::ImageBlack, Fault::FrameGap].into_iter().collect();
        }
        let regime = if i < 5 { Regime::Fused } else { Regime::PaperUnsureKept };
        r.correction = Correction { regime, ..r.correction };
        let side = if i % 2 == 0 { -1.0 } else { 1.0 };
        r.truth = Some(Truth {
            lane_deviation_m: side * (i + 1) as f32 * 0.1,
            route_length_m: 100.0,
            route_completion: 5.0 * (i + 1) as f32,
            off_road_m: 0.95,
            collisions: 2,
            lane_invasions: 3,
            ..Truth::default()
        });
        stats.add(&r);
    }
    assert_eq!((stats.frames(), stats.truth().map(|t| t.collisions)), (20, Some(2)));
    let s = stats.finish(Some(EndReason::GoalReached), 1.0);
    assert_eq!(s.modes, ModeCounts { nominal: 5, degraded: 5, safe_stop: 10 });
    assert_eq!(s.faults.into_iter().collect::<Vec<_>>(), [("frame_gap", 5), ("image_black", 5)]);
    assert_eq!((s.corrections, s.corrected_share, s.dropped_frames), (5, 0.25, 19));
    near(s.lane_deviation_mean_m, 1.05, 1e-6);
    near(s.lane_deviation_p95_m, 1.9, 2e-3);
    near(s.lane_deviation_max_m, 2.0, 1e-6);
    assert_eq!((s.collisions, s.lane_invasions, s.end), (2, 3, Some(EndReason::GoalReached)));
    near(s.off_road_m, 0.95, 1e-6);
    // 19 periods at 5 m/s are 4.75 m, a fifth of them off the road; two collisions.
    near(s.driving_score, 100.0 * 0.8 / 2.4, 1e-6);
}

#[test]
fn nothing_driven_gives_figures_and_not_nan() {
    let s = DriveStats::new(MS).finish(None, 0.0);
    let numbers = [
        s.sim_seconds,
        s.driving_score,
        s.lane_deviation_mean_m,
        s.lane_deviation_p95_m,
        s.corrected_share,
        s.infer_ms.p99,
    ];
    assert_eq!(numbers, [0.0; 6]);
    assert!(s.faults.is_empty());
}

#[test]
fn the_last_marks_replace_those_of_the_last_step() {
    let mut stats = DriveStats::new(MS);
    stats.add(&step(1));
    stats.set_final_truth(Truth { route_completion: 100.0, ..Truth::default() });
    assert_eq!(stats.finish(None, 0.0).route_completion, 100.0);
}
