//! Times the camera along a route and hashes its pictures, per weather, and those of `depth` and
//! `semantic`:
//! `cargo run --release -p caril-sim --example camera_speed -- FRAMES MAP.xodr… [--weather NAME]`.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use caril_core::{CameraSpec, CounterRng, Image};
use caril_road::RoadMap;
use caril_sim::camera::{BodyPose, Camera, Scene};
use caril_sim::weather::Weather;

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut names = vec!["ClearNoon", "FoggyNoon", "ClearNight", "HardRainNoon", "WetSunset"];
    names.extend(["depth", "semantic"]);
    let chosen;
    if let Some(k) = args.iter().position(|a| a == "--weather") {
        chosen = args.get(k + 1).cloned().expect("a weather's name");
        args.drain(k..k + 2);
        names = vec![chosen.as_str()];
    }
    let frames: u32 = args.remove(0).parse().expect("number of frames");
    let spec = CameraSpec::PAPER;
    let mut camera = Camera::new(spec);
    let mut image = Image::for_camera(&spec);
    for (m, path) in args.iter().enumerate() {
        let map = RoadMap::load(Path::new(path)).expect("map");
        let scene = Scene::build(&map, m as u64 + 1);
        let mut rng = CounterRng::new(m as u64 + 5, 1);
        let route = map.random_route(&mut rng, 300.0, 800.0).expect("route");
        let pose = |s: f64| route.at(s).pose();
        for name in &names {
            let weather = Weather::preset(name);
            let (mut hash, mut seconds) = (0xCBF2_9CE4_8422_2325u64, 0.0);
            for i in 0..frames {
                let s = route.length_m() * f64::from(i) / f64::from(frames);
                let body = BodyPose::car(pose(s + 15.0), [170, 40, 35]);
                let start = Instant::now();
                match &weather {
                    Some(w) => camera.render(&scene, w, &pose(s), &[body], 1.0, &mut image),
                    None if *name == "depth" => {
                        camera.depth(&scene, &pose(s), &[body], &mut image);
                    }
                    None if *name == "semantic" => {
                        camera.semantic(&scene, &pose(s), &[body], &mut image);
                    }
                    None => panic!("no weather {name}"),
                }
                seconds += start.elapsed().as_secs_f64();
                for chunk in image.data.chunks_exact(8) {
                    let v = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
                    hash = (hash ^ v).wrapping_mul(0x0100_0000_01B3);
                }
            }
            let per_s = f64::from(frames) / seconds;
            println!("{path} {name}: {per_s:.0} frames/s, pictures {hash:016x}");
        }
    }
}
