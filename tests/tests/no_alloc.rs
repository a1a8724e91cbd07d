//! The frame path but network and plant allocates nothing: receiving over ipc, the step, the
//! recording's hand-off, the statistics, the command. Rust's allocator is counted on the thread
//! that drives; what libzmq's own C++ does with memory is not seen here.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, Config, CorrectionMode, FaultSet, Frame, Observed, StepRecord, World,
};
use caril_link::ServeOptions;
use caril_record::{Recorder, RecordingHeader};
use caril_runtime::{DriveStats, MonotonicClock, Pipeline, Thinned};
use caril_sim::SimConfig;
use caril_tests::{Counting, allocator_calls as calls};
use caril_view::{About, View};

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
    let mut by_stage = [0_u64; 6];
    // So few that it is full again and again: what `drive` does after each step for its report.
    let mut kept = Thinned::new(32);
    while stats.frames() < 300 {
        let marks = [calls(); 7];
        let mut marks = marks;
        let seen = world.observe(&mut frame, 5 * common::SECOND_NS);
        marks[1] = calls();
        assert_eq!(seen.observed, Observed::Fresh);
        let record = pipeline.step(&clock, &mut frame, seen.dropped, FaultSet::EMPTY);
        marks[2] = calls();
        world.actuate(&record.command).expect("sent");
        marks[3] = calls();
        recorder.push(&record, Some(&frame.image));
        marks[4] = calls();
        stats.add(&record);
        marks[5] = calls();
        kept.push(&record);
        marks[6] = calls();
        // The first frames are the warm-up: buffers find their size.
        if stats.frames() > 20 {
            counted += 1;
            for (sum, pair) in by_stage.iter_mut().zip(marks.windows(2)) {
                *sum += pair[1] - pair[0];
            }
        }
    }
    assert_eq!(counted, 280);
    assert_eq!(by_stage, [0; 6], "observe, step, actuate, push, statistics, the report's steps");
    assert!((16..=32).contains(&kept.steps().len()));
    let recorded = recorder.finish();
    assert_eq!(recorded.steps + recorded.dropped_steps, 300);
    drop(world);
    plant.finish();
}

#[test]
fn handing_a_step_to_the_view_neither_allocates_nor_frees() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let view = View::start(address, &CameraSpec::PAPER, &About::default()).expect("a free port");
    let mut frame = Frame::for_camera(&CameraSpec::PAPER);
    let mut step = StepRecord::default();
    let mut push = |n: u64| {
        frame.image.data.fill(n as u8);
        step.frame_id.0 = n;
        let before = calls();
        view.push(&step, Some(&frame.image));
        assert_eq!(calls() - before, 0, "step {n}");
    };
    // While nobody looks: more than the queue holds.
    (0..1000).for_each(&mut push);

    // While somebody does, who gets pictures.
    let mut eye = TcpStream::connect(view.address()).expect("the view listens");
    eye.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let shown = Arc::new(AtomicUsize::new(0));
    let pictures = Arc::clone(&shown);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(eye).lines().map_while(Result::ok) {
            pictures.fetch_add(usize::from(line.contains("\"jpeg\":")), Ordering::SeqCst);
        }
    });
    let start = Instant::now();
    let mut n = 1000;
    while shown.load(Ordering::SeqCst) < 5 {
        push(n);
        n += 1;
        std::thread::sleep(Duration::from_millis(1));
        assert!(start.elapsed() < Duration::from_secs(120), "nothing is shown");
    }
    drop(view);
    reader.join().expect("the reader");
}
