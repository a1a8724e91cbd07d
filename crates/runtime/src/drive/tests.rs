//! Tests of the loop: how it ends, what the plant is told last, what is left behind.

use super::*;
use crate::testing::{Line, Told, always, info, sure, well};
use caril_core::{CameraSpec, FaultSet, Mode, Observation, PlantInfo, Truth};
use caril_record::{Recording, RecordingHeader};

fn run_on<W: World, P: Policy>(
    world: &mut W,
    policy: P,
    stop: &StopFlag,
    frame_limit: Option<u64>,
) -> Result<DriveEnd, DriveError> {
    let options = DriveOptions { frame_limit };
    drive(world, policy, &Config::default(), None, stop, options, &mut |_, _| {})
}

#[test]
fn a_panic_in_the_policy_is_a_bug_and_full_brake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let config = Config::default();
    let header = RecordingHeader::new(info());
    let mut recorder = Recorder::start(&path, &header, &config.record).unwrap();
    let policy = Told::new(|f| {
        assert!(f.id.0 < 12, "this policy cannot count to {}", f.id.0);
        sure(0.1)
    });
    let mut world = Line::new(5.0, well);
    let stop = StopFlag::new();
    let options = DriveOptions::default();
    let end =
        drive(&mut world, policy, &config, Some(&mut recorder), &stop, options, &mut |_, _| {});
    let Err(DriveError::Bug { message }) = end else { panic!("{end:?}") };
    assert!(message.contains("cannot count to 12"), "{message}");
    assert_eq!(world.got.len(), 12);
    // The wheels stay as they were: straightened in a bend, a car leaves it.
    let steer = world.got[10].steer;
    assert!(steer > 0.0);
    assert_eq!(world.got.last(), Some(&Command::full_brake(FrameId(12), steer)));
    assert_eq!(recorder.finish().steps, 11);
    let recording = Recording::open(&path).unwrap();
    assert!(recording.complete());
    assert_eq!(recording.steps().map(|s| s.unwrap().frame_id.0).last(), Some(11));
}

#[test]
fn a_panic_in_the_callers_own_code_brakes_as_well() {
    let mut world = Line::new(5.0, well);
    let mut on_step = |r: &StepRecord, _: &DriveStats| assert!(r.frame_id.0 < 4, "{}", "owned");
    let stop = StopFlag::new();
    let options = DriveOptions::default();
    let end =
        drive(&mut world, always(0.0), &Config::default(), None, &stop, options, &mut on_step);
    assert_eq!(end.err(), Some(DriveError::Bug { message: "owned".into() }));
    assert_eq!(world.got.last(), Some(&Command::full_brake(FrameId(4), 0.0)));
}

#[test]
fn a_configuration_that_makes_no_sense_never_reaches_the_plant() {
    let mut world = Line::new(0.0, well);
    let mut config = Config::default();
    config.limits.steer_max = f32::NAN;
    let stop = StopFlag::new();
    let options = DriveOptions::default();
    let end = drive(&mut world, always(0.0), &config, None, &stop, options, &mut |_, _| {});
    assert!(matches!(end, Err(DriveError::Config(e)) if e.field == "limits.steer_max"));
    assert_eq!((world.seen, world.got.len()), (0, 0));
}

#[test]
fn the_frame_limit_ends_a_drive() {
    let mut world = Line::new(5.0, well);
    let end = run_on(&mut world, always(0.0), &StopFlag::new(), Some(30)).unwrap();
    assert_eq!((end.summary.end, end.summary.frames), (Some(EndReason::FrameLimit), 30));
    assert!(!end.stopped && !end.plant_gone);
    assert_eq!(world.got.len(), 30);
}

#[test]
fn one_request_stops_comfortably_and_ends_at_a_stand() {
    let stop = StopFlag::new();
    let mut world = Line::new(8.0, |id, _: &mut Frame| {
        if id == 20 {
            stop.ask();
        }
        Observation::plain(Observed::Fresh)
    });
    let end = run_on(&mut world, always(0.0), &stop, None).unwrap();
    assert_eq!((end.summary.end, end.stopped), (Some(EndReason::Stopped), true));
    assert!(end.summary.faults["stop_requested"] > 10, "{:?}", end.summary.faults);
    assert!(world.speed_mps < STANDING_MPS);
    let brakes: Vec<f32> = world.got.iter().skip(19).map(|c| c.brake).collect();
    assert!(brakes[0] > 0.2 && brakes[0] < 0.5, "comfortable: {brakes:?}");
    assert_eq!(brakes.last(), Some(&1.0));
    assert!(world.got.iter().skip(19).all(|c| c.mode == Mode::SafeStop && c.throttle == 0.0));
}

#[test]
fn a_wait_without_a_frame_is_no_standstill() {
    let stop = StopFlag::new();
    // As with 10 frames/s in free pacing: between two frames there is a wait that brings none.
    let mut waited = false;
    let mut world = Line::new(8.0, |id, _: &mut Frame| {
        if id == 20 {
            stop.ask();
        }
        waited = !waited;
        let plain = Observation::plain(if waited { Observed::Nothing } else { Observed::Fresh });
        // The line counts its waits as frames.
        Observation { dropped: 1, ..plain }
    });
    let end = run_on(&mut world, always(0.0), &stop, None).unwrap();
    assert_eq!((end.summary.end, end.stopped), (Some(EndReason::Stopped), true));
    assert!(world.speed_mps < STANDING_MPS, "{} m/s", world.speed_mps);
    // Two commands a frame; the last ones hold the standing car.
    let brakes: Vec<f32> = world.got.iter().skip(20).map(|c| c.brake).collect();
    assert!(brakes.len() > 50 && brakes[..50].iter().all(|b| *b > 0.2 && *b < 0.5), "{brakes:?}");
}

#[test]
fn a_plant_slower_than_the_gates_patience_is_refused_before_the_start() {
    let drive_at = |rate_hz: f32| {
        let mut world = Line::new(5.0, well);
        world.info.rate_hz = rate_hz;
        let end = run_on(&mut world, always(0.0), &StopFlag::new(), Some(30));
        (end.map(|e| e.summary.modes.nominal).map_err(|e| e.to_string()), world.seen)
    };
    assert_eq!(drive_at(10.0).0, Ok(30));
    let (end, seen) = drive_at(5.0);
    let message = end.unwrap_err();
    assert!(message.contains("set gate.late_ms to 300 or more"), "{message}");
    assert_eq!(seen, 0);
    assert!(drive_at(f32::NAN).0.is_err() && drive_at(0.0).0.is_err());
}

#[test]
fn two_requests_end_at_once_with_full_brake() {
    let stop = StopFlag::new();
    let mut world = Line::new(8.0, |id, _: &mut Frame| {
        if id == 20 {
            stop.ask();
            stop.ask();
            stop.ask();
        }
        Observation::plain(Observed::Fresh)
    });
    let end = run_on(&mut world, always(0.0), &stop, None).unwrap();
    assert_eq!((end.summary.end, end.summary.frames), (Some(EndReason::Stopped), 20));
    assert_eq!(world.got.last(), Some(&Command::full_brake(FrameId(20), 0.0)));
}

#[test]
fn the_plants_end_brings_the_last_marks() {
    let mut world = Line::new(5.0, |id, frame: &mut Frame| {
        if id < 10 {
            return Observation { dropped: u32::from(id == 5) * 3, ..well(id, frame) };
        }
        frame.truth = Some(Truth { route_completion: 100.0, collisions: 1, ..Truth::default() });
        Observation::plain(Observed::Ended(EndReason::GoalReached))
    });
    let s = run_on(&mut world, always(0.0), &StopFlag::new(), None).unwrap().summary;
    assert_eq!((s.end, s.frames), (Some(EndReason::GoalReached), 9));
    assert_eq!((s.route_completion, s.collisions, s.dropped_frames), (100.0, 1, 3));
    assert!((s.driving_score - 100.0 / 1.7).abs() < 1e-9);
}

#[test]
fn a_plant_that_goes_is_said_to_be_gone() {
    let gone = |id, frame: &mut Frame| {
        if id < 10 { well(id, frame) } else { Observation::plain(Observed::Gone) }
    };
    let end = run_on(&mut Line::new(5.0, gone), always(0.0), &StopFlag::new(), None).unwrap();
    assert!(end.plant_gone && !end.stopped);
    assert_eq!((end.summary.end, end.summary.frames), (None, 9));
}

#[test]
fn a_plant_that_falls_silent_is_gone_after_its_time() {
    let mut world = Line::new(5.0, |id, frame: &mut Frame| {
        if id < 10 { well(id, frame) } else { Observation::plain(Observed::Nothing) }
    });
    world.info.rate_hz = 2000.0;
    let mut config = crate::testing::free();
    (config.gate.late_ms, config.gate.missing_ms, config.gate.gone_ms) = (1, 2, 20);
    let stop = StopFlag::new();
    let options = DriveOptions::default();
    let end = drive(&mut world, always(0.0), &config, None, &stop, options, &mut |_, _| {});
    assert!(end.unwrap().plant_gone);
    // Meanwhile the plant was told to brake, with the id of the last frame.
    let last = world.got.last().unwrap();
    assert_eq!((last.frame_id, last.mode, last.throttle), (FrameId(9), Mode::SafeStop, 0.0));
    assert!(last.brake > 0.8);
}

#[test]
fn a_slow_step_of_ours_is_no_silence_of_the_plants() {
    let mut config = Config::default();
    (config.gate.late_ms, config.gate.missing_ms, config.gate.gone_ms) = (80, 90, 100);
    // Twice as long as the plant may be silent; then it needs a moment for its next frame.
    let policy = Told::new(|f| {
        if f.id.0 == 1 {
            std::thread::sleep(Duration::from_millis(200));
        }
        sure(0.0)
    });
    let mut world = Line::new(5.0, |id, frame: &mut Frame| {
        if id == 2 { Observation::plain(Observed::Nothing) } else { well(id, frame) }
    });
    let stop = StopFlag::new();
    let options = DriveOptions { frame_limit: Some(5) };
    let end = drive(&mut world, policy, &config, None, &stop, options, &mut |_, _| {}).unwrap();
    assert!(!end.plant_gone);
    assert_eq!((end.summary.end, end.summary.frames), (Some(EndReason::FrameLimit), 5));
}

/// A plant that takes no command.
struct Deaf(PlantInfo, u64);

impl World for Deaf {
    fn info(&self) -> &PlantInfo {
        &self.0
    }
    fn observe(&mut self, frame: &mut Frame, _: u64) -> Observation {
        self.1 += 1;
        *frame = crate::testing::frame(self.1);
        Observation { faults: FaultSet::of(Fault::MessageMalformed), ..well(self.1, frame) }
    }
    fn actuate(&mut self, _: &Command) -> Result<(), Fault> {
        Err(Fault::PlantGone)
    }
}

#[test]
fn what_world_and_link_report_is_in_the_record() {
    let mut seen = Vec::new();
    let stop = StopFlag::new();
    let options = DriveOptions { frame_limit: Some(2) };
    let mut world = Deaf(PlantInfo { camera: CameraSpec::PAPER, ..info() }, 0);
    let mut on_step = |r: &StepRecord, _: &DriveStats| seen.push((r.faults, r.mode));
    drive(&mut world, always(0.0), &Config::default(), None, &stop, options, &mut on_step).unwrap();
    let both: FaultSet = [Fault::MessageMalformed, Fault::PlantGone].into_iter().collect();
    // That a command was not taken is known after its step; the next one acts on it.
    assert_eq!(seen, [(both, Mode::Degraded), (both, Mode::SafeStop)]);
}

/// A disk that takes the file's beginning and then stands still until the gate is opened.
struct Stalled(usize, std::sync::mpsc::Receiver<()>);

impl std::io::Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_sub(bytes.len());
        if self.0 == 0 {
            let _ = self.1.recv();
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stop_ends_a_drive_that_waits_for_a_stalled_disk() {
    let mut config = Config::default();
    (config.record.lossless, config.record.image_queue) = (true, 1);
    let (gate, closed) = std::sync::mpsc::channel();
    let header = RecordingHeader::new(info());
    let mut recorder =
        Recorder::start_with(Stalled(30_000, closed), &header, &config.record).unwrap();
    let stop = StopFlag::new();
    let mut world = Line::new(5.0, well);
    let options = DriveOptions::default();
    let end = std::thread::scope(|scope| {
        scope.spawn(|| {
            // The loop has long come to wait; if it has not, it ends all the same.
            std::thread::sleep(Duration::from_millis(300));
            stop.ask();
            stop.ask();
        });
        drive(&mut world, always(0.1), &config, Some(&mut recorder), &stop, options, &mut |_, _| {})
    });
    assert_eq!(end.unwrap().summary.end, Some(EndReason::Stopped));
    assert!(matches!(world.got.last(), Some(c) if c.brake == 1.0), "{:?}", world.got.last());
    let stats = recorder.finish_unless(&|| stop.insisted());
    assert!(stats.write_error.is_some() && stats.dropped_images <= 1, "{stats:?}");
    drop(gate);
}

#[test]
fn a_stop_gives_a_slow_disk_time_and_two_give_it_none() {
    let stop = StopFlag::new();
    let hour = Duration::from_secs(3600);
    assert!(!stop.gives_up(hour), "nobody asked");
    stop.ask();
    assert!(!stop.gives_up(Duration::from_millis(100)) && stop.gives_up(hour));
    stop.ask();
    assert!(stop.gives_up(Duration::ZERO));
}
