//! Tests of whole episodes on small roads made by hand.

use caril_core::{CameraSpec, PixelOrder};

use super::*;
use crate::config::{Disturbance, RouteSpec};
use crate::fault::{CameraFault, FaultSpec};
use crate::summary::drive_expert;
use crate::vehicle::LENGTH_M;

/// One road with one lane each way and a pavement on both sides.
fn road(geometry: &str, length_m: f64, ring: bool) -> Arc<RoadMap> {
    let link = if ring {
        r#"<link><predecessor elementType="road" elementId="1" contactPoint="end"/>
           <successor elementType="road" elementId="1" contactPoint="start"/></link>"#
    } else {
        ""
    };
    let ends = |id: i32| {
        if ring {
            format!(r#"<link><predecessor id="{id}"/><successor id="{id}"/></link>"#)
        } else {
            String::new()
        }
    };
    let lane = |id: i32, kind: &str, width: f64| {
        format!(
            r#"<lane id="{id}" type="{kind}" level="false">{}
            <width sOffset="0" a="{width}" b="0" c="0" d="0"/>
            <roadMark sOffset="0" type="solid" color="white" width="0.12"/></lane>"#,
            ends(id)
        )
    };
    let xml = format!(
        r#"<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4"/>
        <road name="" length="{length_m}" id="1" junction="-1">{link}
        <planView>{geometry}</planView><lanes><laneSection s="0">
        <left>{}{}</left>
        <center><lane id="0" type="none" level="false">
        <roadMark sOffset="0" type="broken" color="yellow" width="0.12"/></lane></center>
        <right>{}{}</right></laneSection></lanes></road></OpenDRIVE>"#,
        lane(2, "sidewalk", 2.0),
        lane(1, "driving", 3.5),
        lane(-1, "driving", 3.5),
        lane(-2, "sidewalk", 2.0),
    );
    Arc::new(RoadMap::from_xodr("hand", &xml).unwrap())
}

fn straight() -> Arc<RoadMap> {
    road(r#"<geometry s="0" x="0" y="0" hdg="0" length="400"><line/></geometry>"#, 400.0, false)
}

fn oval() -> Arc<RoadMap> {
    let pi = core::f64::consts::PI;
    let arc = 30.0 * pi;
    let geometry = format!(
        r#"<geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry>
        <geometry s="100" x="100" y="0" hdg="0" length="{arc}"><arc curvature="{k}"/></geometry>
        <geometry s="{a}" x="100" y="60" hdg="{pi}" length="100"><line/></geometry>
        <geometry s="{b}" x="0" y="60" hdg="{pi}" length="{arc}"><arc curvature="{k}"/></geometry>"#,
        k = 1.0 / 30.0,
        a = 100.0 + arc,
        b = 200.0 + arc,
    );
    road(&geometry, 200.0 + 2.0 * arc, true)
}

/// On the right lane of the straight road, which lies at y = 1.75 and runs east.
fn config(map: &Arc<RoadMap>) -> SimConfig {
    let mut c = SimConfig::new(map.clone());
    c.route = RouteSpec::Points { from: (10.0, 1.75), to: (380.0, 1.75) };
    c.draw = false;
    c.camera = CameraSpec { width: 32, height: 24, order: PixelOrder::Bgra, ..CameraSpec::PAPER };
    c
}

fn command(steer: f32, throttle: f32, brake: f32) -> Command {
    Command { steer, throttle, brake, ..Command::default() }
}

#[test]
fn same_config_same_bits_other_seed_others() {
    let drive = |seed| {
        let mut c = config(&oval());
        c.route = RouteSpec::Random { min_m: 200.0, max_m: 300.0 };
        c.traffic = 4;
        c.disturbance = Some(Disturbance::default());
        c.seed = seed;
        drive_expert(c).unwrap()
    };
    assert_eq!(drive(3), drive(3));
    assert_ne!(drive(3).state_hash, drive(4).state_hash);
}

#[test]
fn expert_reaches_the_goal_in_its_lane() {
    let s = drive_expert(config(&straight())).unwrap();
    assert_eq!(s.end, EndReason::GoalReached);
    assert!(s.deviation_p95_m < 0.02 && s.completion == 100.0, "{s:?}");
    assert_eq!((s.collisions, s.lane_invasions, s.off_road_m), (0, 0, 0.0));
}

#[test]
fn expert_recovers_from_a_disturbed_start() {
    for seed in 0..12 {
        let mut c = config(&straight());
        c.seed = seed;
        c.disturbance =
            Some(Disturbance { start_lateral_m: 1.5, start_yaw_deg: 25.0, start_speed_mps: 12.0 });
        let mut w = SimWorld::new(c).unwrap();
        assert!(w.place().lateral_m.abs() <= 1.5);
        for i in 0..400 {
            let e = w.expert_command();
            w.tick(Some(&e));
            if i > 200 {
                assert!(w.place().lateral_m.abs() < 0.15, "seed {seed}: {:?}", w.place());
            }
        }
    }
}

#[test]
fn watchdog_brakes_when_commands_stop() {
    let mut w = SimWorld::new(config(&straight())).unwrap();
    for _ in 0..60 {
        w.tick(Some(&command(0.0, 1.0, 0.0)));
    }
    let fast = w.ego().speed_mps;
    assert!(fast > 8.0);
    for _ in 0..9 {
        w.tick(None);
    }
    assert!(!w.watchdog_active() && w.ego().speed_mps > fast, "the last command is held");
    let nan = command(f32::NAN, 1.0, 0.0);
    for _ in 0..60 {
        w.tick(Some(&nan));
    }
    assert!(w.watchdog_active() && w.ego().speed_mps == 0.0, "nonsense is no command");
    w.tick(Some(&command(0.0, 1.0, 0.0)));
    assert!(!w.watchdog_active() && w.ego().speed_mps > 0.0);
}

#[test]
fn leaving_the_road_is_measured_and_ends_the_episode() {
    let mut w = SimWorld::new(config(&straight())).unwrap();
    // To the right: over the lane's edge and the pavement (off road) into the fields.
    while w.ended().is_none() {
        let steer = if w.ego().pose.yaw_rad < 0.2 { 0.05 } else { 0.0 };
        let throttle = if w.ego().speed_mps < 5.0 { 0.3 } else { 0.05 };
        w.tick(Some(&command(steer, throttle, 0.0)));
    }
    let t = w.truth();
    assert_eq!(w.ended(), Some(EndReason::LeftRoute));
    assert_eq!(t.lane_invasions, 2, "one line a lane's width: {t:?}");
    // From its edge wheel (0.95 m of room) to 5 m beyond the lane's edge, at about 0.2 rad.
    let yaw = w.ego().pose.yaw_rad;
    let want = (5.0 + TRACK_HALF) / libm::sin(yaw);
    assert!((f64::from(t.off_road_m) / want - 1.0).abs() < 0.2, "{} {want}", t.off_road_m);
    assert!(t.lane_deviation_m > 5.0 && t.route_completion < 50.0);
}

const TRACK_HALF: f64 = crate::vehicle::TRACK_M / 2.0;

#[test]
fn a_visit_to_the_other_lane_is_one_invasion_and_no_off_road() {
    let mut w = SimWorld::new(config(&straight())).unwrap();
    let mut far = 0.0f64;
    for i in 0..260 {
        let e = w.expert_command();
        // Pushed to the left for a while, then the expert comes back.
        let push = if (100..124).contains(&i) { -0.06 } else { 0.0 };
        w.tick(Some(&command(e.steer + push, e.throttle, e.brake)));
        far = far.min(w.place().lateral_m);
    }
    assert!(far < -1.1 && far > -2.5, "{far}");
    let t = w.truth();
    assert_eq!((t.lane_invasions, t.off_road_m), (1, 0.0));
}

#[test]
fn a_collision_counts_once_and_stops_the_car() {
    let mut w = SimWorld::new(config(&straight())).unwrap();
    w.obstacles = Obstacles::new(vec![Footprint {
        x_m: 60.0,
        y_m: 1.75,
        z_m: f64::NAN,
        yaw_rad: 0.0,
        half_length_m: 1.0,
        half_width_m: 2.0,
    }]);
    for _ in 0..300 {
        w.tick(Some(&command(0.0, 0.5, 0.0)));
    }
    assert_eq!(w.truth().collisions, 1);
    assert!(w.vehicle().x_m <= 59.0 - LENGTH_M / 2.0 + 0.05, "{:?}", w.vehicle());
}

#[test]
fn episodes_end_for_their_reasons() {
    let run = |mut c: SimConfig, cmd: Command, limit_s: Option<f64>| {
        c.time_limit_s = limit_s;
        let mut w = SimWorld::new(c).unwrap();
        while w.ended().is_none() {
            w.tick(Some(&cmd));
        }
        let frames = w.frame_count();
        w.tick(Some(&cmd));
        assert_eq!(w.frame_count(), frames, "nothing moves after the end");
        (w.ended().unwrap(), w.time_s())
    };
    let stand = command(0.0, 0.0, 1.0);
    let (end, t) = run(config(&straight()), stand, None);
    assert_eq!(end, EndReason::Blocked);
    assert!((t - 120.0).abs() < 0.2);
    let (end, t) = run(config(&straight()), stand, Some(7.0));
    assert_eq!(end, EndReason::Timeout);
    assert!((t - 7.0).abs() < 0.06);
    let mut c = config(&straight());
    c.frame_limit = Some(50);
    let mut w = SimWorld::new(c).unwrap();
    let mut frame = Frame::for_camera(&w.info().camera.clone());
    let mut seen = 0;
    while w.observe(&mut frame, 0).observed == Observed::Fresh {
        seen += 1;
        w.actuate(&stand).unwrap();
    }
    assert_eq!((seen, w.ended()), (50, Some(EndReason::FrameLimit)));
    let mut w = SimWorld::new(config(&straight())).unwrap();
    w.stop();
    assert_eq!(w.observe(&mut frame, 0).observed, Observed::Ended(EndReason::Stopped));
}

#[test]
fn traffic_keeps_apart_and_moves() {
    let mut c = config(&oval());
    c.route = RouteSpec::Points { from: (10.0, 1.75), to: (90.0, 1.75) };
    c.traffic = 10;
    let mut w = SimWorld::new(c).unwrap();
    let n = w.traffic().cars().len();
    assert!(n >= 6, "{n}");
    let before: Vec<_> = w.traffic().cars().iter().map(|c| (c.pose.x_m, c.pose.y_m)).collect();
    let start = w.ego().pose;
    for (x, y) in &before {
        assert!(libm::hypot(x - start.x_m, y - start.y_m) > traffic::SPAWN_CLEAR_M);
    }
    for _ in 0..800 {
        // The ego stands on its lane: those behind must queue.
        w.tick(Some(&command(0.0, 0.0, 1.0)));
        let cars: Vec<_> = w.traffic().cars().iter().map(|c| c.footprint()).collect();
        for (i, a) in cars.iter().enumerate() {
            for b in cars.iter().skip(i + 1) {
                assert!(a.overlap(b, 0.0).is_none(), "{a:?} {b:?}");
            }
        }
    }
    assert_eq!(w.truth().collisions, 0);
    let moved = w.traffic().cars().iter().zip(&before);
    let moved = moved.filter(|(c, b)| libm::hypot(c.pose.x_m - b.0, c.pose.y_m - b.1) > 5.0);
    assert!(moved.count() >= n / 2);
}

#[test]
fn stream_faults_do_what_they_say() {
    let frames = |fault, severity| {
        let mut c = config(&straight());
        c.faults = vec![FaultSpec { fault, severity }];
        c.draw = true;
        let mut w = SimWorld::new(c).unwrap();
        let mut frame = Frame::for_camera(&w.info().camera.clone());
        let mut got = Vec::new();
        for _ in 0..60 {
            assert_eq!(w.observe(&mut frame, 0).observed, Observed::Fresh);
            got.push((frame.id.0, frame.image.data.clone(), w.frame_count()));
            let e = w.expert_command();
            w.actuate(&e).unwrap();
        }
        got
    };
    for fault in CameraFault::ALL {
        assert_eq!(frames(fault, 0.5), frames(fault, 0.5), "{fault:?}");
    }
    let clean = frames(CameraFault::Freeze, 0.0);
    assert!(clean.iter().enumerate().all(|(i, f)| f.0 == i as u64 + 1 && f.2 == f.0));
    assert_ne!(clean[10].1, clean[50].1, "the picture moves with the car");
    let frozen = frames(CameraFault::Freeze, 1.0);
    assert!((21..38).all(|i| frozen[i].1 == frozen[20].1 && frozen[i].0 == i as u64 + 1));
    let black = frames(CameraFault::Black, 1.0);
    assert!(black.iter().all(|f| f.1.chunks(4).all(|p| p[..3] == [0, 0, 0])));
    let dropped = frames(CameraFault::Drop, 0.5);
    assert!(dropped[59].0 > 80 && dropped.windows(2).all(|w| w[1].0 > w[0].0));
    let delayed = frames(CameraFault::Delay, 0.5);
    assert!(delayed[59].0 == 55 && delayed[59].2 == 60);
    assert_eq!(delayed[59].1, clean[54].1);
    let twice = frames(CameraFault::Duplicate, 0.5);
    assert!(twice.windows(2).any(|w| w[0].0 == w[1].0 && w[0].1 == w[1].1));
}

#[test]
fn nonsense_is_refused() {
    let refused = |change: fn(&mut SimConfig)| {
        let mut c = config(&straight());
        change(&mut c);
        SimWorld::new(c).is_err()
    };
    assert!(refused(|c| c.rate_hz = f32::NAN));
    assert!(refused(|c| c.camera.width = 0));
    assert!(refused(|c| c.route = RouteSpec::Named("nowhere".into())));
    assert!(refused(|c| c.route = RouteSpec::Points { from: (1e6, 0.0), to: (0.0, 0.0) }));
    assert!(refused(|c| {
        c.faults = vec![FaultSpec { fault: CameraFault::Drop, severity: 7.0 }];
    }));
    assert!(!refused(|_| {}));
}
