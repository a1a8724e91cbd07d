//! Measures the recorder: `cargo run --release -p caril-record --example speed -- FILE`.
#![allow(clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use caril_core::{PixelOrder, RecordConfig};
use caril_record::{Recorder, Recording};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/speed.mcap".into());
    let path = std::path::Path::new(&path);
    let mut image = common::image(0, PixelOrder::Bgra);
    for (i, b) in image.data.iter_mut().enumerate() {
        let (x, y) = (i / 4 % 448, i / 1792);
        *b = ((x * y / 64) % 256) as u8;
    }
    let n = 2000;
    let start = Instant::now();
    let mut recorder = Recorder::start(path, &common::header(), &RecordConfig::default())?;
    for i in 0..n {
        recorder.push_blocking(&common::random_step(i), Some(&image));
    }
    let stats = recorder.finish();
    let s = start.elapsed().as_secs_f64();
    println!("{:.0} frames/s, {} bytes a frame, {stats:?}", n as f64 / s, stats.bytes / n);

    let start = Instant::now();
    let read = Recording::open(path)?.frames().filter(Result::is_ok).count();
    println!("read {:.0} frames/s", read as f64 / start.elapsed().as_secs_f64());

    let mut recorder = Recorder::start(path, &common::header(), &RecordConfig::default())?;
    let step = common::random_step(0);
    let mut ns: Vec<_> = (0..500)
        .map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(4));
            let start = Instant::now();
            recorder.push(&step, Some(&image));
            start.elapsed().as_nanos()
        })
        .collect();
    ns.sort_unstable();
    let (p50, p99, worst) = (ns[250], ns[494], ns[499]);
    println!("push: p50 {p50} ns, p99 {p99} ns, worst {worst} ns, {:?}", recorder.finish());
    Ok(())
}
