//! One suite over every [`World`]: the embedded one by function calls, and the same one through
//! ZeroMQ. What a controller may rely on is the same for both.

mod common;

use std::time::{Duration, Instant};

use caril_core::{Command, EndReason, Fault, Frame, FrameId, Observed, Pacing, World};
use caril_link::{ServeEnd, ServeOptions};
use caril_sim::{SimConfig, SimWorld, WATCHDOG_S};
use common::{SECOND_NS, Served, ipc, sim_config};

const FRAMES: u64 = 60;

fn blank(world: &impl World) -> Frame {
    Frame::for_camera(&world.info().camera)
}

fn gas(frame: &Frame) -> Command {
    let steer = frame.truth.map_or(0.0, |t| t.expert_steer);
    Command { frame_id: frame.id, steer, throttle: 0.6, ..Command::default() }
}

fn fresh(world: &mut impl World, frame: &mut Frame) {
    let seen = world.observe(frame, 5 * SECOND_NS);
    assert_eq!(seen.observed, Observed::Fresh);
    assert!(seen.dropped == 0 && seen.faults.is_empty(), "{seen:?}");
}

/// What every world in lockstep owes its controller; the drive that came of it.
fn suite(mut world: impl World) -> Vec<(u64, u64, f64, Vec<u8>)> {
    let mut frame = blank(&world);
    let info = world.info().clone();
    assert!(info.pacing == Pacing::Lockstep && !info.map.is_empty() && info.route.len() > 2);

    // Fresh frames rise by one, and the plant's time by one period.
    let mut trace = Vec::new();
    let mut last: Option<(FrameId, u64)> = None;
    for _ in 0..30 {
        fresh(&mut world, &mut frame);
        if let Some((id, time_ns)) = last {
            assert_eq!((frame.id.0, frame.sim_time_ns), (id.0 + 1, time_ns + 50_000_000));
        }
        last = Some((frame.id, frame.sim_time_ns));
        assert!(frame.image.is_consistent() && frame.image.width == info.camera.width);
        assert!(frame.ego.is_finite() && frame.truth.is_some());
        trace.push((frame.id.0, frame.sim_time_ns, frame.ego.pose.x_m, frame.image.data.clone()));
        world.actuate(&gas(&frame)).expect("taken");
    }
    assert!(frame.ego.speed_mps > 1.0, "the throttle is obeyed: {}", frame.ego.speed_mps);

    // An answer to a frame that was never sent does no harm, and the right one is still taken.
    fresh(&mut world, &mut frame);
    let before = frame.id;
    let _ = world.actuate(&Command { frame_id: FrameId(before.0 + 1000), ..gas(&frame) });
    let _ = world.actuate(&gas(&frame));
    fresh(&mut world, &mut frame);
    assert!(frame.id > before && frame.id.0 <= before.0 + 2);

    // Numbers that are no command do no harm either.
    for steer in [f32::NAN, f32::INFINITY, 3.0] {
        let before = frame.id;
        let refused = world.actuate(&Command { steer, ..gas(&frame) });
        assert!(matches!(refused, Ok(()) | Err(Fault::MessageMalformed)), "{refused:?}");
        fresh(&mut world, &mut frame);
        assert!(frame.id > before && frame.ego.is_finite());
    }

    // It ends when it is over, with the last marks, and stays so.
    let end = loop {
        let _ = world.actuate(&gas(&frame));
        match world.observe(&mut frame, 5 * SECOND_NS).observed {
            Observed::Fresh => assert!(frame.id.0 <= FRAMES),
            other => break other,
        }
    };
    assert_eq!(end, Observed::Ended(EndReason::FrameLimit));
    let truth = frame.truth.expect("marks");
    assert!(truth.route_length_m > 100.0 && truth.route_completion > 0.0);
    for _ in 0..3 {
        let _ = world.actuate(&gas(&frame));
        let seen = world.observe(&mut frame, 5 * SECOND_NS).observed;
        assert!(matches!(seen, Observed::Ended(_) | Observed::Gone), "{seen:?}");
    }
    trace
}

fn limited() -> SimConfig {
    SimConfig { frame_limit: Some(FRAMES), ..sim_config() }
}

#[test]
fn every_world_passes_the_suite_and_shows_the_same_drive() {
    let direct = suite(SimWorld::new(limited()).expect("world"));
    let (_folder, ipc) = ipc();
    for endpoint in [&ipc, "tcp://127.0.0.1:*"] {
        let plant = Served::start(limited(), endpoint, ServeOptions::default());
        let remote = suite(plant.connect());
        assert!(remote == direct, "{endpoint}: another drive than without the link");
        let (report, world) = plant.join();
        assert_eq!(report.end, ServeEnd::Ended(EndReason::FrameLimit));
        assert_eq!(world.ended(), Some(EndReason::FrameLimit));
    }
}

#[test]
fn a_plant_that_is_stopped_is_gone_or_ended() {
    let (_folder, ipc) = ipc();
    let plant = Served::start(sim_config(), &ipc, ServeOptions::default());
    let mut remote = plant.connect();
    let mut frame = blank(&remote);
    fresh(&mut remote, &mut frame);
    plant.finish();
    assert_eq!(remote.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Gone);
    assert_eq!(remote.actuate(&gas(&frame)), Err(Fault::PlantGone));
    assert_eq!(remote.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Gone, "and stays so");

    let mut direct = SimWorld::new(sim_config()).expect("world");
    fresh(&mut direct, &mut frame);
    direct.stop();
    let seen = direct.observe(&mut frame, SECOND_NS).observed;
    assert_eq!(seen, Observed::Ended(EndReason::Stopped));
}

/// Gives throttle until the car drives.
fn speed_up(world: &mut impl World) -> Frame {
    let mut frame = blank(world);
    while frame.ego.speed_mps < 4.0 {
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        world.actuate(&gas(&frame)).expect("taken");
    }
    frame
}

#[test]
fn the_embedded_world_brakes_by_itself_when_commands_stop() {
    let config = SimConfig { draw: false, ..sim_config() };
    let mut world = SimWorld::new(config).expect("world");
    let speed_mps = speed_up(&mut world).ego.speed_mps;
    let silent = (WATCHDOG_S * 20.0) as u32;
    for _ in 0..silent - 1 {
        world.tick(None);
        assert!(!world.watchdog_active());
    }
    assert!(world.vehicle().speed_mps > f64::from(speed_mps), "until then the command is held");
    for _ in 0..40 {
        world.tick(None);
    }
    assert!(world.watchdog_active());
    assert_eq!(world.vehicle().speed_mps, 0.0);
    assert_eq!(world.truth().lane_invasions, 0);
}

#[test]
fn a_served_world_brakes_by_itself_when_commands_stop() {
    for pacing in [Pacing::Lockstep, Pacing::Free] {
        let (_folder, ipc) = ipc();
        let options = ServeOptions {
            pacing,
            rate_hz: 100.0,
            command_timeout: Duration::from_millis(100),
            watchdog: Duration::from_millis(100),
            ..ServeOptions::default()
        };
        let sim = SimConfig { draw: false, ..sim_config() };
        let plant = Served::start(sim, &ipc, options);
        let mut world = plant.connect();
        assert_eq!(world.info().pacing, pacing);
        let mut frame = speed_up(&mut world);
        // From here on nothing is said; what the plant still shows is its way to a stand.
        let start = Instant::now();
        while frame.ego.speed_mps > 0.0 {
            assert!(start.elapsed() < Duration::from_secs(20), "{pacing:?}: it still rolls");
            let seen = world.observe(&mut frame, SECOND_NS).observed;
            assert!(matches!(seen, Observed::Fresh | Observed::Nothing), "{seen:?}");
        }
        let (report, world) = plant.finish();
        assert!(report.stats.braked >= 5, "{pacing:?}: {report:?}");
        assert_eq!(world.truth().lane_invasions, 0, "{pacing:?}");
    }
}
