//! Tests of collecting: labels and noise, ids and times, takeover and hand-back.

use super::*;
use crate::testing::{Line, PERIOD_NS, always, info, well};
use caril_core::{Observation, StepRecord};
use caril_record::{Recording, RecordingHeader};

const OPTIONS: CollectOptions = CollectOptions {
    pictures: 300,
    every: 1,
    noise: 0.0,
    seed: 3,
    wander: false,
    id_offset: 0,
    time_offset_ns: 0,
    steer_scale: 0.25,
};

/// A policy's type where none drives.
type NoPolicy = Box<dyn Policy>;

/// Collects into a file; what came of it, and what lies there.
fn run<S: FnMut(u64, &mut Frame) -> Observation, P: Policy>(
    world: &mut Line<S>,
    driver: &mut Driver<P>,
    options: &CollectOptions,
) -> (CollectSummary, Vec<StepRecord>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.mcap");
    let config = Config::default();
    let header = RecordingHeader::new(info());
    let mut recorder = Recorder::start(&path, &header, &config.record).unwrap();
    let stop = StopFlag::new();
    let summary = collect(world, driver, &config, &mut recorder, &stop, options);
    assert_eq!(recorder.finish().write_error, None);
    let recording = Recording::open(&path).unwrap();
    let frames = recording.frames().map(|frame| frame.unwrap());
    let steps = frames.map(|(step, picture)| {
        assert!(picture.is_some(), "every step that is collected has its picture");
        step
    });
    (summary, steps.collect())
}

#[test]
fn without_noise_the_expert_drives_as_it_says() {
    let mut world = Line::new(5.0, well);
    let (summary, steps) = run(&mut world, &mut Driver::<NoPolicy>::Expert, &OPTIONS);
    assert_eq!((summary.pictures, summary.frames, steps.len()), (300, 300, 300));
    assert!(world.got.iter().all(|c| c.steer == -0.1 && c.is_valid()));
    assert_eq!(summary.takeover_frames, 0);
    // −0.1 of full steer is −0.4 on the network's scale: class 3.
    assert_eq!(summary.histogram[3], 300);
    assert_eq!(summary.histogram.iter().sum::<u64>(), 300);
}

#[test]
fn noise_moves_the_wheel_and_not_the_label_and_is_its_seeds() {
    let drive = |noise: f64, seed: u64| {
        let mut world = Line::new(5.0, well);
        let options = CollectOptions { noise, seed, ..OPTIONS };
        let (_, steps) = run(&mut world, &mut Driver::<NoPolicy>::Expert, &options);
        assert!(steps.iter().all(|s| s.steer_raw == -0.1), "the label stays clean");
        assert!(world.got.iter().all(|c| c.is_valid() && (c.steer + 0.1).abs() <= 0.25 + 1e-6));
        world.got.iter().map(|c| c.steer).collect::<Vec<_>>()
    };
    let disturbed = drive(1.0, 3);
    let moved = disturbed.iter().filter(|s| **s != -0.1).count();
    assert!((20..250).contains(&moved), "now and then: {moved} of 300");
    assert_eq!(drive(1.0, 3), disturbed);
    assert_ne!(drive(1.0, 4), disturbed);
    assert!(drive(0.0, 4).iter().all(|s| *s == -0.1));
}

#[test]
fn ids_and_times_rise_over_the_episodes_of_one_recording() {
    let mut world = Line::new(5.0, well);
    let options = CollectOptions {
        pictures: 10,
        every: 3,
        id_offset: 1000,
        time_offset_ns: 7_000_000_000,
        ..OPTIONS
    };
    let (summary, steps) = run(&mut world, &mut Driver::<NoPolicy>::Expert, &options);
    assert_eq!((summary.pictures, summary.frames), (10, 28), "every third, the first included");
    let ids: Vec<u64> = steps.iter().map(|s| s.frame_id.0).collect();
    assert_eq!(ids, (0..10).map(|k| 1001 + 3 * k).collect::<Vec<_>>());
    for step in &steps {
        let in_episode = step.frame_id.0 - 1000;
        assert_eq!(step.sim_time_ns, 7_000_000_000 + in_episode * PERIOD_NS);
    }
    let last = steps.last().unwrap();
    assert_eq!((summary.last_id, summary.last_time_ns), (last.frame_id.0, last.sim_time_ns));
    // The plant itself is answered under its own ids.
    assert!(world.got.iter().zip(1..).all(|(c, id)| c.frame_id.0 == id));
}

#[test]
fn the_expert_takes_over_a_lost_policy_and_hands_back_when_it_is_well_inside() {
    // Deviation by frame: fine; beyond any bound; better, but not well inside; well inside.
    let deviation = |id: u64| match id {
        0..20 => 0.5,
        20..30 => -5.0,
        30..40 => 0.3,
        _ => 0.1,
    };
    let mut world = Line::new(5.0, |id, frame: &mut Frame| {
        if let Some(truth) = &mut frame.truth {
            truth.lane_deviation_m = deviation(id);
        }
        well(id, frame)
    });
    let pipeline = Pipeline::new(always(0.4), &Config::default()).unwrap();
    let mut driver = Driver::Policy(Box::new(pipeline));
    let options = CollectOptions { pictures: 60, ..OPTIONS };
    let (summary, steps) = run(&mut world, &mut driver, &options);
    assert_eq!(summary.takeover_frames, 20, "frames 20 to 39");
    for (command, id) in world.got.iter().zip(1_u64..) {
        assert_eq!(command.frame_id.0, id);
        let expert = (20..40).contains(&id);
        assert_eq!(command.steer == -0.1, expert, "frame {id}: {}", command.steer);
        // No time has passed at the first frame, so the wheel has not moved yet.
        assert!(expert || id == 1 || command.steer > 0.0, "frame {id}: {}", command.steer);
    }
    // What the policy said is recorded while the expert drives, and the expert's word always.
    assert!(steps.iter().all(|s| s.predicted && s.regression == 0.4));
    assert!(steps.iter().all(|s| s.truth.is_some_and(|t| t.expert_steer == -0.1)));
}

#[test]
fn a_heading_that_is_lost_is_taken_over_too() {
    let at = |lane_deviation_m: f32, heading_error_rad: f32| Truth {
        lane_deviation_m,
        heading_error_rad,
        ..Truth::default()
    };
    assert!(needs_takeover(&at(0.0, -1.1), false, 4.0));
    assert!(!needs_takeover(&at(3.9, 0.9), false, 4.0));
    assert!(needs_takeover(&at(0.0, 0.2), true, 4.0), "not yet straight");
    assert!(!needs_takeover(&at(-0.2, 0.1), true, 4.0));
}

#[test]
fn an_episode_ends_with_its_plant_and_without_truth_there_is_nothing_to_learn() {
    let mut world = Line::new(5.0, |id, frame: &mut Frame| {
        if id <= 5 {
            return well(id, frame);
        }
        Observation::plain(Observed::Ended(EndReason::GoalReached))
    });
    let (summary, steps) = run(&mut world, &mut Driver::<NoPolicy>::Expert, &OPTIONS);
    assert_eq!((summary.end, steps.len()), (Some(EndReason::GoalReached), 5));
    assert!(!summary.no_truth);

    let mut blind = Line::new(5.0, |id, frame: &mut Frame| {
        frame.truth = None;
        well(id, frame)
    });
    let (summary, steps) = run(&mut blind, &mut Driver::<NoPolicy>::Expert, &OPTIONS);
    assert_eq!((summary.end, summary.frames, steps.len()), (None, 0, 0));
    assert!(summary.no_truth, "that is the reason, and whoever asked is told");
}
