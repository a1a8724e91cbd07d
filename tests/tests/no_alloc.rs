//! The frame path but network and plant allocates nothing: receiving over ipc, the step, the
//! recording's hand-off, the statistics, the command. Rust's allocator is counted on the thread
//! that drives; what libzmq's own C++ does with memory is not seen here.

mod common;

use caril_core::{CameraSpec, Config, CorrectionMode, FaultSet, Frame, Observed, World};
use caril_link::ServeOptions;
use caril_record::{Recorder, RecordingHeader};
use caril_runtime::{DriveStats, MonotonicClock, Pipeline};
use caril_sim::SimConfig;
use caril_tests::{Counting, allocator_calls as calls};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_frame_path_neither_allocates_nor_frees() {
    let before = calls();
    drop(std::hint::black_box(Box::new(1_u64)));
    assert_eq!(calls() - before, 2, "the counter counts");

    let (_folder, endpoint) = common::ipc();
    let sim =
        SimConfig { draw: false, scene: None, camera: CameraSpec::PAPER, ..common::sim_config() };
    let plant = common::Served::start(sim, &endpoint, ServeOptions::default());
    let mut world = plant.connect();
    let mut config = Config::default();
    config.correction.mode = CorrectionMode::Calibrated;
    let header = RecordingHeader::new(world.info().clone());
    let mut recorder =
        Recorder::start_with(std::io::sink(), &header, &config.record).expect("recorder");
    let mut pipeline =
        Pipeline::new(common::Told::new(CameraSpec::PAPER), &config).expect("configuration");
    let clock = MonotonicClock::start();
    let mut stats = DriveStats::new(50_000_000);
    let mut frame = Frame::for_camera(&world.info().camera);
    let mut counted = 0;
    let mut by_stage = [0_u64; 5];
    while stats.frames() < 300 {
        let marks = [calls(); 6];
        let mut marks = marks;
        let seen = world.observe(&mut frame, 5 * common::SECOND_NS);
        marks[1] = calls();
        assert_eq!(seen.observed, Observed::Fresh);
        let record = pipeline.step(&clock, &frame, seen.dropped, FaultSet::EMPTY);
        marks[2] = calls();
        world.actuate(&record.command).expect("sent");
        marks[3] = calls();
        recorder.push(&record, Some(&frame.image));
        marks[4] = calls();
        stats.add(&record);
        marks[5] = calls();
        // The first frames are the warm-up: buffers find their size.
        if stats.frames() > 20 {
            counted += 1;
            for (sum, pair) in by_stage.iter_mut().zip(marks.windows(2)) {
                *sum += pair[1] - pair[0];
            }
        }
    }
    assert_eq!(counted, 280);
    assert_eq!(by_stage, [0; 5], "observe, step, actuate, push, statistics");
    let recorded = recorder.finish();
    assert_eq!(recorded.steps + recorded.dropped_steps, 300);
    drop(world);
    plant.finish();
}
