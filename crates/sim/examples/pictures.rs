//! Renders pictures to look at: `cargo run --release -p caril-sim --example pictures -- OUT_DIR
//! MAP.xodr…`. Six weathers a sheet along a route of each map; also times 300 frames of it;
//! and the faults on the first map.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use caril_core::{CameraSpec, CounterRng, Image, PixelOrder};
use caril_road::RoadMap;
use caril_sim::camera::{BodyPose, Camera, Lens, Scene};
use caril_sim::weather::Weather;
use caril_sim::{fault_names, parse_fault};

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
        println!(
            "{path}: built in {built} ms, {} MB, {} obstacles",
            scene.memory_bytes() / 1_000_000,
            scene.obstacles().len()
        );
        let spec = CameraSpec { order: PixelOrder::Rgb, ..CameraSpec::PAPER };
        let mut camera = Camera::new(spec);
        let mut image = Image::for_camera(&spec);
        let route =
            map.random_route(&mut CounterRng::new(m as u64 + 5, 1), 300.0, 800.0).expect("route");
        let length = route.length_m();
        let body = |s: f64| BodyPose::car(route.at(s).pose(), [170, 40, 35]);
        let (cols, rows) = (3u32, 2u32);
        let mut sheet = image::RgbImage::new(cols * spec.width, rows * spec.height);
        for (k, name) in weathers.iter().enumerate() {
            let s = (k as f64 + 0.5) / weathers.len() as f64 * (length - 40.0);
            let weather = Weather::preset(name).expect("preset");
            let other = [body(s + 9.0 + 5.0 * k as f64)];
            camera.render(&scene, &weather, &route.at(s).pose(), &other, 1.0, &mut image);
            let picture = image::RgbImage::from_raw(spec.width, spec.height, image.data.clone())
                .expect("size");
            let at = (k as u32 % cols * spec.width, k as u32 / cols * spec.height);
            image::imageops::replace(&mut sheet, &picture, i64::from(at.0), i64::from(at.1));
            let start = Instant::now();
            let frames = if k == 0 { 300 } else { 60 };
            for i in 0..frames {
                let at = route.at(length * f64::from(i) / f64::from(frames)).pose();
                camera.render(&scene, &weather, &at, &other, 1.0, &mut image);
            }
            let per_s = f64::from(frames) / start.elapsed().as_secs_f64();
            println!("  {name}: {per_s:.0} frames/s");
        }
        let stem = Path::new(&path).file_stem().map_or("map".into(), |s| s.to_string_lossy());
        sheet.save(format!("{dir}/{stem}.png")).expect("written");
        if m > 0 {
            continue;
        }
        // The faults, each at 0.6, on the first map.
        let names = fault_names();
        let mut sheet = image::RgbImage::new(4 * spec.width, 4 * spec.height);
        for (k, name) in names.iter().enumerate() {
            let faults = [parse_fault(&format!("{name}:0.6")).expect("fault")];
            let mut lens = Lens::new(&faults, 1);
            let mut camera = Camera::new(CameraSpec { mount: lens.mount(&spec.mount), ..spec });
            let at = route.at(0.4 * length).pose();
            camera.render(&scene, &Weather::default(), &at, &[], 1.0, &mut image);
            lens.spoil(&mut image, 7);
            let picture = image::RgbImage::from_raw(spec.width, spec.height, image.data.clone())
                .expect("size");
            let at = (k as u32 % 4 * spec.width, k as u32 / 4 * spec.height);
            image::imageops::replace(&mut sheet, &picture, i64::from(at.0), i64::from(at.1));
        }
        sheet.save(format!("{dir}/faults.png")).expect("written");
    }
}
