//! Lets the expert drive random routes on maps and says how well it kept its lane.
//!
//! `cargo run --release -p caril-sim --example expert_check -- [--routes N] [--traffic N]
//! [--disturb] MAP.xodr…`
//!
//! One line a route, one total a map; exit code 1 if a bar is missed.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use caril_core::EndReason;
use caril_road::RoadMap;
use caril_sim::{Disturbance, RouteSpec, SimConfig, drive_expert};

fn main() -> ExitCode {
    let (mut routes, mut traffic, mut disturb, mut maps) = (20, 0, false, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        match a.as_str() {
            "--routes" => routes = number(),
            "--traffic" => traffic = number() as u32,
            "--disturb" => disturb = true,
            _ => maps.push(a),
        }
    }
    let mut good = true;
    for path in &maps {
        let map = match RoadMap::load(Path::new(path)) {
            Ok(map) => Arc::new(map),
            Err(e) => {
                println!("{e}");
                return ExitCode::FAILURE;
            }
        };
        let began = Instant::now();
        let (mut ticks, mut passed) = (0, 0);
        let (mut p95, mut max, mut jerk) = (0.0f64, 0.0f64, 0.0f64);
        for seed in 1..=routes {
            let mut config = SimConfig::new(map.clone());
            config.seed = seed;
            config.traffic = traffic;
            config.route = RouteSpec::Random { min_m: 300.0, max_m: 800.0 };
            config.disturbance = disturb.then(Disturbance::default);
            let s = match drive_expert(config) {
                Ok(s) => s,
                Err(e) => {
                    println!("{} route {seed}: {e}", map.name());
                    good = false;
                    continue;
                }
            };
            let ok = s.end == EndReason::GoalReached
                && (disturb || s.deviation_p95_m <= 0.3)
                && s.collisions == 0
                && s.off_road_m == 0.0
                && (disturb || s.lane_invasions == 0);
            println!(
                "{} route {seed}: {} {:?} {:.0} m {:.0} s, deviation mean {:.3} p95 {:.3} max \
                 {:.3} m, lateral {:.1} m/s2, jerk p99 {:.1} m/s3, steer {:.2}, collisions {}, \
                 invasions {}, off road {:.1} m, hash {:016x}",
                map.name(),
                if ok { "ok" } else { "BAD" },
                s.end,
                s.route_length_m,
                s.seconds,
                s.deviation_mean_m,
                s.deviation_p95_m,
                s.deviation_max_m,
                s.lateral_max_mps2,
                s.jerk_p99_mps3,
                s.steer_max,
                s.collisions,
                s.lane_invasions,
                s.off_road_m,
                s.state_hash,
            );
            ticks += s.frames;
            passed += u64::from(ok);
            p95 = p95.max(s.deviation_p95_m);
            max = max.max(s.deviation_max_m);
            jerk = jerk.max(s.jerk_p99_mps3);
        }
        let per_s = ticks as f64 / began.elapsed().as_secs_f64();
        println!(
            "{}: {passed} of {routes} ok, worst p95 {p95:.3} m, max {max:.3} m, jerk p99 \
             {jerk:.1} m/s3, {per_s:.0} ticks/s",
            map.name(),
        );
        good &= passed == routes;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
