//! The maps of this repository: they load, everything is connected, smooth and drivable.

use std::path::PathBuf;

use caril_core::CounterRng;
use caril_road::{LaneKey, RoadMap};

fn maps() -> Vec<RoadMap> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../maps");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "xodr"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "expected five maps");
    paths.iter().map(|p| RoadMap::load(p).unwrap()).collect()
}

fn degrees(a: f64) -> f64 {
    ((a.to_degrees() + 180.0).rem_euclid(360.0) - 180.0).abs()
}

#[test]
fn every_lane_goes_on_without_gap_or_kink() {
    for map in maps() {
        for lane in map.driving_lanes() {
            let end = map.lane_pose(*lane, f64::INFINITY);
            let next = map.successors(*lane);
            assert!(!next.is_empty(), "{}: {lane:?} ends at {end:?}", map.name());
            for n in next {
                let start = map.lane_pose(*n, 0.0);
                let gap = (end.x_m - start.x_m).hypot(end.y_m - start.y_m);
                let what = format!("{}: {lane:?} to {n:?}", map.name());
                assert!(gap < 0.01 && (end.z_m - start.z_m).abs() < 0.01, "{what}: gap {gap}");
                assert!(degrees(end.yaw_rad - start.yaw_rad) < 1.0, "{what}: kink");
            }
        }
    }
}

#[test]
fn no_lane_is_tighter_than_a_car_turns() {
    for map in maps() {
        for lane in map.driving_lanes() {
            let n = map.lane_length_m(*lane).ceil() as usize * 2;
            for i in 0..=n {
                let p = map.lane_pose(*lane, i as f64 * 0.5);
                assert!(p.curvature_1pm.abs() <= 1.0 / 3.1, "{}: {lane:?} {p:?}", map.name());
                assert!(p.pitch_rad.abs() < 0.1, "{}: {lane:?} {p:?}", map.name());
                assert!((3.0..4.05).contains(&p.width_m));
            }
        }
    }
}

fn reached(map: &RoadMap, from: LaneKey) -> usize {
    let mut seen = std::collections::BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(lane) = open.pop() {
        open.extend(map.successors(lane).iter().filter(|l| seen.insert(**l)));
    }
    seen.len()
}

#[test]
fn every_lane_reaches_nearly_every_other() {
    for map in maps() {
        let all = map.driving_lanes().len();
        for lane in map.driving_lanes() {
            let n = reached(&map, *lane);
            assert!(n * 10 >= all * 9, "{}: {lane:?} reaches {n} of {all}", map.name());
        }
    }
}

#[test]
fn random_routes_exist_and_are_smooth() {
    for map in maps() {
        for seed in 0..50 {
            let route = map.random_route(&mut CounterRng::new(seed, 0), 200.0, 800.0).unwrap();
            assert!((199.0..801.0).contains(&route.length_m()));
            for w in route.points().windows(2) {
                let d = (w[1].x_m - w[0].x_m).hypot(w[1].y_m - w[0].y_m);
                assert!((d - 0.5).abs() < 0.01, "{} {seed}: step of {d} m", map.name());
                let turn = degrees(w[1].yaw_rad - w[0].yaw_rad);
                assert!(turn < 10.0, "{} {seed}: {turn} degrees at {:?}", map.name(), w[0]);
            }
            let middle = route.at(0.5 * route.length_m());
            let (s, lateral) = route.project(middle.x_m, middle.y_m, middle.s_m + 10.0);
            assert!((s - middle.s_m).abs() < 1e-3 && lateral.abs() < 1e-3);
            let again = map.random_route(&mut CounterRng::new(seed, 0), 200.0, 800.0).unwrap();
            assert_eq!(route, again);
        }
    }
}

#[test]
fn a_point_on_a_lane_is_found_on_it() {
    for map in maps() {
        for lane in map.driving_lanes().iter().filter(|l| !map.is_junction(**l)) {
            let along = 0.5 * map.lane_length_m(*lane);
            let p = map.lane_pose(*lane, along);
            // Half a metre to the right of the centre.
            let (x, y) = (p.x_m - 0.5 * p.yaw_rad.sin(), p.y_m + 0.5 * p.yaw_rad.cos());
            let (key, a, lateral) = map.nearest_lane(x, y, p.z_m).unwrap();
            assert_eq!(key, *lane);
            let what = format!("{}: {lane:?} {a} for {along}, {lateral}", map.name());
            assert!((a - along).abs() < 0.01 && (lateral - 0.5).abs() < 1e-3, "{what}");
            let surface = map.surface(x, y, p.z_m).unwrap();
            assert!((surface.z_m - p.z_m).abs() < 0.05);
            assert_eq!(surface.key, *lane);
        }
    }
}

#[test]
fn plans_lead_from_start_to_target() {
    for map in maps() {
        let lanes: Vec<_> =
            map.driving_lanes().iter().filter(|l| !map.is_junction(**l)).copied().collect();
        for i in 0..lanes.len() {
            let (a, b) = (lanes[i], lanes[(i * 7 + 3) % lanes.len()]);
            if a == b {
                continue;
            }
            let route = map.plan((a, 5.0), (b, 10.0)).unwrap();
            let (end, goal) = (route.at(f64::INFINITY), map.lane_pose(b, 10.0));
            assert!((end.x_m - goal.x_m).hypot(end.y_m - goal.y_m) < 0.51, "{}", map.name());
        }
    }
}

#[test]
fn drawings_are_well_formed_and_show_every_lane_and_road() {
    for map in maps() {
        let svg = caril_road::draw_svg(&map);
        assert_eq!(svg, caril_road::draw_svg(&map));
        let count = |what: &str| svg.matches(what).count();
        // Every lane that is drawn is one closed path.
        assert_eq!(count("Z\"/>"), map.strips(2.0).len());
        let roads = map.roads().iter().filter(|r| r.junction.is_none()).count();
        // One text more for the scale bar.
        assert_eq!(count("<text "), roads + 1);
        assert_eq!(count("<text "), count("</text>"));
        assert_eq!(count("<g "), count("</g>"));
        assert!(svg.contains(">100 m<") || svg.contains(">200 m<"), "{}", map.name());
        assert!(svg.contains("#f2c230") && svg.contains("stroke-dasharray"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
