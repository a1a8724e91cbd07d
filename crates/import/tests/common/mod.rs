//! Tiny foreign recordings, made here.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use caril_core::StepRecord;
use caril_import::{ImportError, ImportOptions, ImportSummary, import};
use caril_record::{EncodedImage, Recording};
use image::{ExtendedColorType, ImageEncoder as _};

/// A JPEG of one grey.
pub fn jpeg(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut bytes)
        .encode(&vec![grey; (width * height * 3) as usize], width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// A PNG of one grey, with alpha as CARLA writes it.
pub fn png(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(
            &vec![grey; (width * height * 4) as usize],
            width,
            height,
            ExtendedColorType::Rgba8,
        )
        .unwrap();
    bytes
}

pub fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Name of the n-th picture, 100 ms after the one before.
pub fn udacity_name(side: &str, n: u64) -> String {
    let (second, milli) = (n / 10, n % 10 * 100);
    format!("{side}_2020_02_29_23_{:02}_{:02}_{milli:03}.jpg", 50 + second / 60, second % 60)
}

/// A drive of `rows` rows as Udacity's simulator on Windows leaves it, without header.
pub fn udacity(folder: &Path, rows: u64) {
    let mut log = String::new();
    for n in 0..rows {
        let name =
            |side| format!("C:\\Users\\me\\Desktop\\track 1\\IMG\\{}", udacity_name(side, n));
        let (center, left, right) = (name("center"), name("left"), name("right"));
        let steer = n as f64 / rows as f64;
        log += &format!("{center}, {left}, {right},{steer},0.5,0,10\n");
        write(folder, &format!("IMG/{}", udacity_name("center", n)), jpeg(16, 8, n as u8));
        write(folder, &format!("IMG/{}", udacity_name("left", n)), jpeg(16, 8, 100 + n as u8));
    }
    write(folder, "driving_log.csv", log);
}

/// The paper's layout: two drives of `rows / 2` rows, the second elsewhere.
pub fn caril(folder: &Path, rows: u64) {
    let mut log = String::from(
        "Image_Fname,Steering,Throttle,Brake,Speed,Waypoint_X,Waypoint_Y,Waypoint_Z\r\n",
    );
    for n in 0..rows {
        let name = format!("image_2024-11-05-14-30_{:08}.png", 500 + n);
        let x = if n < rows / 2 { n as f64 } else { 300.0 + n as f64 };
        log += &format!("{name},{},0.75,0.0,36.0,{x},-4.5,0.25\r\n", n as f64 * -0.125);
        write(folder, &format!("front_rgb/{name}"), png(12, 12, n as u8));
    }
    write(folder, "control_commands.csv", log);
}

/// A tub of two sessions in two catalogs, its record 1 deleted.
pub fn donkey(folder: &Path) {
    let record = |n: u64, session: &str| {
        format!(
            "{{\"_index\": {n}, \"_session_id\": \"{session}\", \"_timestamp_ms\": {}, \
             \"cam/image_array\": \"{n}_cam_image_array_.jpg\", \"user/angle\": {}, \
             \"user/mode\": \"user\", \"user/throttle\": {}}}\r\n",
            1_600_000_000_000 + n * 50,
            n as f64 * 0.25 - 0.5,
            if n == 3 { -0.5 } else { 0.25 },
        )
    };
    let first: String = (0..3).map(|n| record(n, "a")).collect();
    let second: String = (3..5).map(|n| record(n, "b")).collect();
    write(folder, "catalog_0.catalog", first);
    write(folder, "catalog_1.catalog", second);
    for n in 0..5 {
        write(folder, &format!("images/{n}_cam_image_array_.jpg"), jpeg(20, 10, n as u8));
    }
    write(
        folder,
        "manifest.json",
        "[\"cam/image_array\", \"user/angle\"]\r\n[\"image_array\", \"float\"]\r\n{}\r\n\
         {\"created_at\": 1600000000.5}\r\n{\"paths\": [\"catalog_0.catalog\", \
         \"catalog_1.catalog\"], \"current_index\": 5, \"max_len\": 3, \"deleted_indexes\": [1]}\r\n",
    );
}

/// The options for a folder, writing to `out.mcap` beside it.
pub fn options(folder: &Path) -> ImportOptions {
    ImportOptions::new(folder, out(folder))
}

pub fn out(folder: &Path) -> PathBuf {
    folder.with_extension("mcap")
}

pub fn run(options: &ImportOptions) -> Result<ImportSummary, ImportError> {
    import(options, &AtomicBool::new(false), &mut |_| {})
}

/// All frames of a recording.
pub fn frames(path: &Path) -> Vec<(StepRecord, EncodedImage)> {
    let recording = Recording::open(path).unwrap();
    assert!(recording.complete());
    recording
        .frames()
        .map(|frame| {
            let (step, picture) = frame.unwrap();
            (step, picture.expect("every imported frame has its picture"))
        })
        .collect()
}
