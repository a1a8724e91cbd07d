//! Makes a long recording of a short one, for measuring replay: its frames over and over, decided
//! anew by the controller as one drive, with the predictions of then and the pictures byte for byte.
//!
//!     cargo run --release -p caril-runtime --example long_recording -- SHORT.mcap LONG.mcap FRAMES

use std::path::Path;

use caril_core::{Config, FrameId, StepRecord};
use caril_record::{EncodedImage, Recording, RecordingWriter};
use caril_runtime::{Decider, recorded_looks};

/// As a recorder does.
const MEMORY_EVERY: u64 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [short, long, frames] = args.as_slice() else {
        return Err("expected SHORT.mcap LONG.mcap FRAMES".into());
    };
    let recording = Recording::open(Path::new(short))?;
    let mut all: Vec<(StepRecord, Option<EncodedImage>)> = Vec::new();
    for frame in recording.frames() {
        all.push(frame?);
    }
    let header = recording.header();
    let card = header.card.as_ref().ok_or("nobody drove it")?;
    let config: Config = serde_json::from_value(header.config.clone())?;
    let mut decider = Decider::new(card, &config)?;
    let mut writer = RecordingWriter::create(Path::new(long), header)?;
    let period_ns = (1e9 / f64::from(header.plant.rate_hz)) as u64;
    for (n, (then, picture)) in (0..frames.parse::<u64>()?).zip(all.iter().cycle()) {
        let mut seen = *then;
        (seen.frame_id, seen.sim_time_ns) = (FrameId(n + 1), n * period_ns);
        (seen.times.received_ns, seen.times.judged_ns) = (seen.sim_time_ns, seen.sim_time_ns);
        // Pictures that come again must not count as frozen, nor frames left out then as a gap now.
        (seen.image.fingerprint, seen.dropped) = (n + 1, 0);
        let (first, second) = recorded_looks(then);
        if n > 0 && n % MEMORY_EVERY == 0 {
            writer.write_memory(&decider.memory())?;
        }
        writer.write(&decider.decide(&seen, first, second), picture.as_ref())?;
    }
    let stats = writer.finish()?;
    eprintln!("{} steps, {} pictures, {} bytes", stats.steps, stats.images, stats.bytes);
    Ok(())
}
