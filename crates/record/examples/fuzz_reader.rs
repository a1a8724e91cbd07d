//! Fuzzes the reader: mutated recordings through everything that reads one, for as long as asked.
//! Whatever panics, hangs or takes much memory is a bug; the file that did it is left behind.
//!
//!     cargo run --release -p caril-record --example fuzz_reader -- SECONDS [SEED] [F.mcap …]
//!
//! Without files it begins with a small recording of its own. Mutations know MCAP: bits, bytes and
//! lengths of records, cuts, records doubled, moved and removed; half of them with the checksums
//! of chunks put to 0, which tells a reader not to check them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, ControllerMemory, CounterRng, FrameId, Image, Pacing, PlantInfo, RecordConfig,
    StepRecord,
};
use caril_record::{Recorder, Recording, RecordingHeader, repair};

const CHUNK: u8 = 0x06;

/// A recording with everything in it: steps, pictures, memories, steps without a frame.
fn seed_file(path: &Path) -> Result<(), caril_record::RecordError> {
    let camera = CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER };
    let header = RecordingHeader::new(PlantInfo {
        name: "fuzz".into(),
        map: "none".into(),
        weather: "ClearNoon".into(),
        camera,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    });
    let mut recorder = Recorder::start(path, &header, &RecordConfig::default())?;
    let image = Image::for_camera(&camera);
    for id in 1..=60 {
        if id % 20 == 0 {
            let newest_frame_id = FrameId(id - 1);
            recorder.push_memory(&ControllerMemory { newest_frame_id, ..Default::default() });
        }
        let step = StepRecord {
            frame_id: FrameId(id),
            sim_time_ns: id * 50_000_000,
            ..StepRecord::default()
        };
        recorder.push_blocking(&step, Some(&image));
        if id % 7 == 0 {
            recorder.push_no_frame(&step);
        }
    }
    recorder.finish();
    Ok(())
}

/// Where records outside of chunks begin, as far as their lengths make sense.
fn records(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut all) = (8, Vec::new());
    while let Some(len) = bytes.get(at + 1..at + 9).and_then(|b| b.try_into().ok()) {
        all.push(at);
        match at.checked_add(9).and_then(|n| n.checked_add(u64::from_le_bytes(len) as usize)) {
            Some(next) if next < bytes.len() => at = next,
            _ => break,
        }
    }
    all
}

fn mutate(bytes: &mut Vec<u8>, r: &mut CounterRng) {
    let unchecked = r.below(2) == 0;
    for _ in 0..=r.below(4) {
        let places = records(bytes);
        let pick = |r: &mut CounterRng, n: usize| r.below(n.max(1) as u64) as usize;
        let record = places.get(pick(r, places.len())).copied().unwrap_or(0);
        let at = match r.below(3) {
            0 => pick(r, bytes.len()),
            1 => record + pick(r, 40),
            _ => record + pick(r, 400),
        };
        match r.below(8) {
            0 => bytes.truncate(at),
            1 | 2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << r.below(8);
                }
            }
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0x7f, 0x80, 0xff][r.below(5) as usize];
                }
            }
            4 => {
                let lie = [0, 1, 8, 1 << 20, 1 << 33, u64::MAX][r.below(6) as usize];
                let from = if r.below(2) == 0 { record + 1 } else { at };
                if let Some(place) = bytes.get_mut(from..from + 8) {
                    place.copy_from_slice(&lie.to_le_bytes());
                }
            }
            5 => {
                let to = (at + pick(r, 200)).min(bytes.len());
                if at < to {
                    bytes.drain(at..to);
                }
            }
            _ => {
                // A whole record again, or gone.
                let end = places.iter().find(|p| **p > record).copied().unwrap_or(bytes.len());
                let copy = bytes.get(record..end).unwrap_or_default().to_vec();
                if r.below(2) == 0 && copy.len() < 1 << 20 {
                    let to = places.get(pick(r, places.len())).copied().unwrap_or(8);
                    bytes.splice(to..to, copy);
                } else if end > record {
                    bytes.drain(record..end);
                }
            }
        }
    }
    if unchecked {
        for at in records(bytes) {
            // Start and end time and the uncompressed size come first.
            let is_chunk = bytes.get(at) == Some(&CHUNK);
            if let Some(crc) = bytes.get_mut(at + 9 + 24..at + 9 + 28).filter(|_| is_chunk) {
                crc.fill(0);
            }
        }
    }
}

/// Everything that reads.
fn read(path: &Path, to: &Path, from: u64) -> u64 {
    let Ok(recording) = Recording::open(path) else { return 0 };
    let steps = recording.steps().filter(Result::is_ok).count() as u64;
    for frame in recording.frames().filter_map(Result::ok) {
        if let Some(picture) = frame.1 {
            let _ = picture.decode();
        }
    }
    let _ = recording.summary();
    if let Ok(events) = recording.events_from(true, FrameId(from), &|_| true) {
        events.for_each(drop);
    }
    let _ = repair(path, to);
    steps
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().map_or(Ok(10), |s| s.parse())?;
    let seed: u64 = args.next().map_or(Ok(1), |s| s.parse())?;
    let files: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let folder = std::env::temp_dir().join(format!("caril-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let own = folder.join("seed.mcap");
    seed_file(&own)?;
    let mut seeds = vec![std::fs::read(&own)?];
    for file in files {
        seeds.push(std::fs::read(file)?);
    }
    let (path, to) = (folder.join("case.mcap"), folder.join("repaired.mcap"));
    let start = Instant::now();
    let (mut cases, mut steps, mut slowest) = (0_u64, 0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut r = CounterRng::new(seed, cases);
        let mut bytes = seeds[r.below(seeds.len() as u64) as usize].clone();
        mutate(&mut bytes, &mut r);
        // Left behind if what follows panics.
        std::fs::write(&path, &bytes)?;
        let case = Instant::now();
        steps += read(&path, &to, r.below(70));
        slowest = slowest.max(case.elapsed());
        cases += 1;
    }
    eprintln!(
        "{cases} cases from seed {seed}, {steps} steps read, slowest {slowest:.1?}, no panic"
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
