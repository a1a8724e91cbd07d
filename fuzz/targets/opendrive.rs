//! OpenDRIVE: whatever is accepted can be walked, drawn and planned on.
#![no_main]

use caril_core::CounterRng;
use caril_road::RoadMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(map) = RoadMap::from_xodr("fuzz", text) else { return };
    for lane in map.driving_lanes() {
        let p = map.lane_pose(*lane, 0.4 * map.lane_length_m(*lane));
        let numbers = [p.x_m, p.y_m, p.z_m, p.yaw_rad, p.curvature_1pm, p.width_m];
        assert!(numbers.iter().all(|v| v.is_finite()));
        assert!(map.speed_limit_mps(*lane, 1.0) > 0.0);
        let _ = map.nearest_lane(p.x_m, p.y_m, p.z_m);
        let _ = map.surface(p.x_m, p.y_m, p.z_m);
    }
    for strip in map.strips(2.0) {
        assert!(strip.inner.iter().chain(&strip.outer).flatten().all(|v| v.is_finite()));
    }
    let _ = map.waypoints(5.0);
    if let Ok(route) = map.random_route(&mut CounterRng::new(1, 2), 5.0, 60.0) {
        let p = route.at(3.0);
        assert!(p.x_m.is_finite() && route.project(p.x_m, p.y_m, p.z_m).0.is_finite());
    }
});
