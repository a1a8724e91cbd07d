//! Both ends against each other over tcp, ipc and inproc.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caril_core::{Command, EndReason, Fault, Frame, Observed, Pacing, World};
use caril_link::{
    ConnectOptions, Context, LinkError, PlantSocket, RemoteWorld, ServeEnd, ServeOptions,
};
use common::{SECOND_NS, Scripted, camera, connect, gas, ipc, start, until};

const TCP: &str = "tcp://127.0.0.1:*";

/// Drives to the end; every frame must be what the scripted world made.
fn drive_all(mut world: RemoteWorld, frames: u64) {
    let mut frame = Frame::for_camera(&world.info().camera);
    let mut expected = frame.clone();
    for id in 0..frames {
        let seen = world.observe(&mut frame, 5 * SECOND_NS);
        assert_eq!(seen.observed, Observed::Fresh, "frame {id}");
        assert!(seen.dropped == 0 && seen.faults.is_empty(), "{seen:?}");
        Scripted::fill(id, &mut expected);
        assert!(frame.advisory_speed_mps.is_nan());
        expected.advisory_speed_mps = 0.0;
        frame.advisory_speed_mps = 0.0;
        expected.ego.speed_mps = frame.ego.speed_mps;
        expected.received_ns = frame.received_ns;
        assert!(frame == expected, "content of frame {id}");
        world.actuate(&gas(&frame)).unwrap();
    }
    let end = world.observe(&mut frame, 5 * SECOND_NS);
    assert_eq!(end.observed, Observed::Ended(EndReason::GoalReached));
    assert_eq!(frame.truth.unwrap().route_completion, 100.0);
    assert_eq!(world.stats().frames, frames);
}

fn lockstep_over(endpoint: &str, context: Option<Context>) {
    let options = ServeOptions { context: context.clone(), ..ServeOptions::default() };
    let plant = start(Scripted::new(200, camera(64)), endpoint, options);
    let options = ConnectOptions {
        camera: Some(camera(64)),
        context,
        controller: "test".to_owned(),
        ..ConnectOptions::default()
    };
    drive_all(RemoteWorld::connect(&plant.endpoint, options).unwrap(), 200);
    let (report, world) = plant.join();
    assert_eq!(report.end, ServeEnd::Ended(EndReason::GoalReached));
    assert_eq!((report.stats.frames, report.stats.commands, report.stats.braked), (200, 200, 0));
    // The plant got what a loop without a link would have given it.
    let mut frame = Frame::for_camera(&camera(64));
    for (id, command) in world.got.iter().enumerate() {
        Scripted::fill(id as u64, &mut frame);
        assert_eq!(*command, gas(&frame));
    }
}

#[test]
fn lockstep_over_tcp() {
    lockstep_over(TCP, None);
}

#[test]
fn lockstep_over_ipc_and_no_file_is_left() {
    let (dir, endpoint) = ipc();
    lockstep_over(&endpoint, None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn lockstep_over_inproc() {
    lockstep_over("inproc://lockstep", Some(Context::new()));
}

#[test]
fn the_handshake_says_what_the_plant_is() {
    let options = ServeOptions { pacing: Pacing::Free, rate_hz: 33.0, ..ServeOptions::default() };
    let plant = start(Scripted::new(1, camera(32)), TCP, options);
    let world = connect(&plant.endpoint);
    let info = world.info();
    assert_eq!((info.name.as_str(), info.pacing, info.rate_hz), ("scripted", Pacing::Free, 33.0));
    assert_eq!((info.camera, info.route.len(), world.session()), (camera(32), 2, 1));
    drop(world);
    let (report, world) = plant.finish();
    assert_eq!(report.end, ServeEnd::Stopped);
    assert!(world.got.is_empty(), "nobody said Start, so nothing moved");
}

#[test]
fn newest_frame_wins_and_the_others_are_counted() {
    let options = ServeOptions { pacing: Pacing::Free, rate_hz: 200.0, ..ServeOptions::default() };
    let plant = start(Scripted::new(u64::MAX, camera(64)), TCP, options);
    let mut world = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&world.info().camera);
    let (mut dropped, mut last) = (0, 0);
    for _ in 0..6 {
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        // Slow: ten ticks pass meanwhile.
        let at = plant.ticks.load(Ordering::SeqCst);
        until("ten ticks", || plant.ticks.load(Ordering::SeqCst) >= at + 10);
        let newest = plant.ticks.load(Ordering::SeqCst) as u64;
        world.actuate(&gas(&frame)).unwrap();
        let seen = world.observe(&mut frame, 5 * SECOND_NS);
        assert_eq!(seen.observed, Observed::Fresh);
        assert!(frame.id.0 >= newest, "frame {} is older than {newest}", frame.id.0);
        assert!(seen.dropped >= 8, "{seen:?}");
        dropped += u64::from(seen.dropped);
        last = frame.id.0;
        world.actuate(&gas(&frame)).unwrap();
    }
    let stats = world.stats();
    assert!(stats.dropped >= dropped);
    // Every id was either handed out or counted as dropped.
    assert_eq!(stats.frames + stats.dropped, last + 1);
    let (report, scripted) = plant.finish();
    assert!(report.stats.dropped > 0);
    assert!(scripted.got.iter().any(|c| c.throttle > 0.0), "answers were obeyed");
}

#[test]
fn second_controller_is_refused_and_a_later_one_welcome() {
    let (_dir, endpoint) = ipc();
    let plant = start(Scripted::new(u64::MAX, camera(32)), &endpoint, ServeOptions::default());
    let mut first = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&first.info().camera);
    for _ in 0..5 {
        assert_eq!(first.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        first.actuate(&gas(&frame)).unwrap();
    }
    // Less patience than the link itself has: what it was told counts all the same.
    let timeout = Duration::from_millis(700);
    let options = ConnectOptions { timeout, ..ConnectOptions::default() };
    let refused = RemoteWorld::connect(&plant.endpoint, options);
    let Err(LinkError::Refused { reason, .. }) = refused else {
        unreachable!("a second controller got in")
    };
    assert_eq!(reason, "another controller drives");
    // The first one was not disturbed.
    assert_eq!(first.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
    assert_eq!(frame.id.0, 5);
    drop(first);
    let mut later = connect(&plant.endpoint);
    assert_eq!(later.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
    assert!(frame.id.0 > 5 && frame.ego.speed_mps < 0.1, "it stands: {}", frame.ego.speed_mps);
    drop(later);
    let (report, _) = plant.finish();
    // It asks for a while before it believes that there is no place.
    assert!(report.stats.refused >= 1, "{:?}", report.stats);
    assert_eq!(report.stats.sessions, 2);
}

#[test]
fn a_controller_that_comes_while_another_leaves_gets_its_place() {
    let (_dir, endpoint) = ipc();
    let plant = start(Scripted::new(u64::MAX, camera(32)), &endpoint, ServeOptions::default());
    let mut first = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&first.info().camera);
    for _ in 0..5 {
        assert_eq!(first.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        first.actuate(&gas(&frame)).unwrap();
    }
    let there = plant.endpoint.clone();
    let second = std::thread::spawn(move || {
        RemoteWorld::connect(&there, ConnectOptions::default()).map(|world| world.session())
    });
    std::thread::sleep(Duration::from_millis(200));
    drop(first);
    assert_eq!(second.join().unwrap().ok(), Some(2), "not turned away for good");
    plant.finish();
}

#[test]
fn another_camera_is_refused() {
    let plant = start(Scripted::new(1, camera(32)), TCP, ServeOptions::default());
    let options = ConnectOptions { camera: Some(camera(33)), ..ConnectOptions::default() };
    let refused = RemoteWorld::connect(&plant.endpoint, options);
    assert!(matches!(refused, Err(LinkError::Refused { reason, .. }) if reason.contains("camera")));
    plant.finish();
}

#[test]
fn an_endpoint_in_use_is_said_so() {
    let (_dir, ipc) = ipc();
    for endpoint in [TCP, &ipc] {
        let first = PlantSocket::bind(endpoint, ServeOptions::default()).unwrap();
        let second = PlantSocket::bind(first.endpoint(), ServeOptions::default());
        assert!(matches!(second, Err(LinkError::InUse { .. })), "{endpoint}");
        let endpoint = first.endpoint().to_owned();
        drop(first);
        PlantSocket::bind(&endpoint, ServeOptions::default()).unwrap();
    }
}

#[test]
fn an_ipc_file_of_a_dead_plant_is_no_hindrance() {
    let (dir, endpoint) = ipc();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("plant")).unwrap());
    assert!(dir.path().join("plant").exists());
    PlantSocket::bind(&endpoint, ServeOptions::default()).unwrap();
}

#[test]
fn endpoints_that_are_none_are_refused() {
    for endpoint in ["", "tcp://", "tcp://nohost", "udp://1.2.3.4:5", "/tmp/x", "tcp://h:99999"] {
        let plant = PlantSocket::bind(endpoint, ServeOptions::default());
        assert!(matches!(plant, Err(LinkError::Endpoint { .. })), "{endpoint}");
        let world = RemoteWorld::connect(endpoint, ConnectOptions::default());
        assert!(matches!(world, Err(LinkError::Endpoint { .. })), "{endpoint}");
    }
}

#[test]
fn nobody_there_and_stop_while_connecting() {
    let (_dir, endpoint) = ipc();
    let timeout = Duration::from_millis(120);
    let options = ConnectOptions { timeout, ..ConnectOptions::default() };
    let world = RemoteWorld::connect(&endpoint, options);
    assert!(matches!(world, Err(LinkError::Nobody { waited_ms: 120, .. })));
    let stop = Some(Arc::new(AtomicBool::new(true)));
    let world = RemoteWorld::connect(&endpoint, ConnectOptions { stop, ..Default::default() });
    assert!(matches!(world, Err(LinkError::Stopped { .. })));
}

#[test]
fn a_plant_that_starts_after_its_controller_is_met() {
    let (_dir, endpoint) = ipc();
    let there = endpoint.clone();
    let controller = std::thread::spawn(move || drive_all(connect(&there), 3));
    std::thread::sleep(Duration::from_millis(100));
    let plant = start(Scripted::new(3, camera(8)), &endpoint, ServeOptions::default());
    controller.join().unwrap();
    assert_eq!(plant.join().0.end, ServeEnd::Ended(EndReason::GoalReached));
}

#[test]
fn a_plant_that_goes_is_noticed_and_takes_no_command() {
    for endpoint in [TCP, &ipc().1] {
        let plant = start(Scripted::new(u64::MAX, camera(32)), endpoint, ServeOptions::default());
        let mut world = connect(&plant.endpoint);
        let mut frame = Frame::for_camera(&world.info().camera);
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        assert_eq!(plant.finish().0.end, ServeEnd::Stopped);
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Gone);
        assert_eq!(world.actuate(&gas(&frame)), Err(Fault::PlantGone));
    }
}

#[test]
fn a_stop_flag_ends_waiting() {
    let plant = start(Scripted::new(u64::MAX, camera(8)), TCP, ServeOptions::default());
    let stop = Arc::new(AtomicBool::new(false));
    let options = ConnectOptions { stop: Some(stop.clone()), ..ConnectOptions::default() };
    let mut world = RemoteWorld::connect(&plant.endpoint, options).unwrap();
    let mut frame = Frame::for_camera(&world.info().camera);
    assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
    stop.store(true, Ordering::SeqCst);
    // No command, so in lockstep no frame: without the flag this would last an hour.
    assert_eq!(world.observe(&mut frame, 3600 * SECOND_NS).observed, Observed::Nothing);
    plant.finish();
}

/// Speeds up for twenty frames, then falls silent or vanishes.
fn speed_up(plant: &common::Served) -> RemoteWorld {
    let mut world = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&world.info().camera);
    while frame.ego.speed_mps < 5.0 {
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        world.actuate(&gas(&frame)).unwrap();
    }
    world
}

#[test]
fn the_plant_brakes_when_its_controller_falls_silent() {
    for pacing in [Pacing::Lockstep, Pacing::Free] {
        let options = ServeOptions {
            pacing,
            rate_hz: 200.0,
            command_timeout: Duration::from_millis(100),
            watchdog: Duration::from_millis(100),
            ..ServeOptions::default()
        };
        let plant = start(Scripted::new(u64::MAX, camera(8)), TCP, options);
        let mut world = speed_up(&plant);
        until("the car stands", || plant.speed_mmps.load(Ordering::SeqCst) == 0);
        // It comes back and may drive on.
        let mut frame = Frame::for_camera(&world.info().camera);
        until("the car drives again", || {
            assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
            world.actuate(&gas(&frame)).unwrap();
            plant.speed_mmps.load(Ordering::SeqCst) > 0
        });
        assert!(plant.finish().0.stats.braked >= 5, "{pacing:?}");
    }
}

#[test]
fn the_car_stands_after_its_controller_left() {
    for pacing in [Pacing::Lockstep, Pacing::Free] {
        let options = ServeOptions { pacing, rate_hz: 200.0, once: true, ..Default::default() };
        let plant = start(Scripted::new(u64::MAX, camera(8)), TCP, options);
        drop(speed_up(&plant));
        let (report, world) = plant.join();
        assert_eq!(report.end, ServeEnd::ControllerLeft);
        assert!(world.speed_mps < 0.1, "{pacing:?} {}", world.speed_mps);
        assert!(report.stats.braked >= 4);
    }
}

/// A world whose every frame takes as long.
struct Slow(Scripted, Duration);

impl World for Slow {
    fn info(&self) -> &caril_core::PlantInfo {
        self.0.info()
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> caril_core::Observation {
        std::thread::sleep(self.1);
        self.0.observe(frame, timeout_ns)
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.0.actuate(command)
    }
}

#[test]
fn a_plant_that_is_slower_than_its_rate_still_listens() {
    let options = ServeOptions { pacing: Pacing::Free, rate_hz: 200.0, ..Default::default() };
    let mut socket = PlantSocket::bind(TCP, options).unwrap();
    let endpoint = socket.endpoint().to_owned();
    let mut world = Slow(Scripted::new(u64::MAX, camera(8)), Duration::from_millis(20));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let plant = scope.spawn(|| socket.serve(&mut world, &stop));
        let mut controller = connect(&endpoint);
        let mut frame = Frame::for_camera(&controller.info().camera);
        for _ in 0..30 {
            assert_eq!(controller.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
            controller.actuate(&gas(&frame)).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        plant.join().unwrap()
    });
    // Not each is in time on a busy machine; one that is not heard for half a second never is.
    assert!(report.stats.commands >= 10, "{report:?}");
}

#[test]
fn whoever_is_quickly_there_after_another_takes_over_a_car_that_stands() {
    let options = ServeOptions { pacing: Pacing::Free, rate_hz: 10.0, ..Default::default() };
    let plant = start(Scripted::new(u64::MAX, camera(8)), TCP, options);
    // Five ticks of braking, half a second: the next one is there long before.
    drop(speed_up(&plant));
    let mut next = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&next.info().camera);
    let mut stood = false;
    until("the car stood and drives again", || {
        assert_eq!(next.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        next.actuate(&gas(&frame)).unwrap();
        stood |= frame.ego.speed_mps == 0.0;
        stood && frame.ego.speed_mps > 0.4
    });
    drop(next);
    let (_, world) = plant.finish();
    // Before the first command the plant brakes as well.
    let drove = world.got.iter().position(|c| c.throttle > 0.0).unwrap();
    let braked = drove + world.got[drove..].iter().position(|c| c.brake >= 1.0).unwrap();
    let driven: f32 = world.got[drove..braked].iter().map(|c| c.throttle).sum();
    assert!(driven >= 5.0, "{driven} m/s");
    let stop = &world.got[braked..][..driven.ceil() as usize];
    assert!(stop.iter().all(|c| c.brake >= 1.0), "from {driven} m/s: {stop:?}");
}

#[test]
fn a_command_that_is_none_is_full_brake() {
    let plant = start(Scripted::new(3, camera(8)), TCP, ServeOptions::default());
    let mut world = connect(&plant.endpoint);
    let mut frame = Frame::for_camera(&world.info().camera);
    for steer in [0.5, f32::NAN, 1.5] {
        assert_eq!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Fresh);
        world.actuate(&Command { steer, ..gas(&frame) }).unwrap();
    }
    let brakes: Vec<_> = plant.join().1.got.iter().map(|c| c.brake).collect();
    assert_eq!(brakes, [0.0, 1.0, 1.0]);
}
