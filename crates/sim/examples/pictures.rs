//! Renders pictures to look at: `cargo run --release -p caril-sim --example pictures -- OUT_DIR
//! [MAP.xodr …]`. Also times the camera.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use caril_core::{CameraSpec, Image, PixelOrder, Pose};
use caril_road::RoadMap;
use caril_sim::camera::{Camera, Scene};
use caril_sim::weather::Weather;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| "/tmp/pictures".into());
    std::fs::create_dir_all(&dir).expect("output folder");
    let weathers =
        ["ClearNoon", "ClearSunset", "FoggyNoon", "ClearNight", "HardRainNoon", "WetNoon"];
    for (m, path) in args.enumerate() {
        let map = RoadMap::load(Path::new(&path)).expect("map");
        let start = Instant::now();
        let scene = Scene::build(&map, m as u64 + 1);
        let built = start.elapsed().as_millis();
        println!("{path}: built in {built} ms, {} MB", scene.memory_bytes() / 1_000_000);
        let spec = CameraSpec { order: PixelOrder::Rgb, ..CameraSpec::PAPER };
        let mut camera = Camera::new(spec);
        let mut image = Image::for_camera(&spec);
        let (cols, rows) = (3u32, 2u32);
        let mut sheet = image::RgbImage::new(cols * spec.width, rows * spec.height);
        let lanes = map.driving_lanes();
        for (k, name) in weathers.iter().enumerate() {
            let lane = lanes[(k * 7919 + 13 + m * 31) % lanes.len()];
            let p = map.lane_pose(lane, 0.3 * map.lane_length_m(lane));
            let pose = Pose {
                x_m: p.x_m,
                y_m: p.y_m,
                z_m: p.z_m,
                yaw_rad: p.yaw_rad,
                pitch_rad: p.pitch_rad,
                roll_rad: 0.0,
            };
            let weather = Weather::preset(name).expect("preset");
            camera.render(&scene, &weather, &pose, &[], 1.0, &mut image);
            let start = Instant::now();
            for _ in 0..20 {
                camera.render(&scene, &weather, &pose, &[], 1.0, &mut image);
            }
            println!("  {name}: {:.2} ms", start.elapsed().as_secs_f64() * 50.0);
            let picture = image::RgbImage::from_raw(spec.width, spec.height, image.data.clone())
                .expect("size");
            let at = (k as u32 % cols * spec.width, k as u32 / cols * spec.height);
            image::imageops::replace(&mut sheet, &picture, i64::from(at.0), i64::from(at.1));
        }
        let stem = Path::new(&path).file_stem().map_or("map".into(), |s| s.to_string_lossy());
        sheet.save(format!("{dir}/{stem}.png")).expect("written");
    }
}
