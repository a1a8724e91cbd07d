//! Cut files, broken sinks and sinks that stand still.

mod common;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use caril_core::{CounterRng, PixelOrder, RecordConfig};
use caril_record::{RecordError, Recorder, Recording, repair};
use common::{header, image, random_step};

const STEPS: u64 = 300;

/// A recording of several chunks.
fn write(path: &Path) {
    let config = RecordConfig { lossless: true, ..RecordConfig::default() };
    let mut recorder = Recorder::start(path, &header(), &config).unwrap();
    // A quarter of the camera's: some hundred copies are read.
    let mut noise = image(0, PixelOrder::Rgb);
    (noise.width, noise.height) = (224, 224);
    noise.data.truncate(224 * 224 * 3);
    let mut r = CounterRng::new(3, 3);
    noise.data.iter_mut().for_each(|b| *b = r.next_u64() as u8);
    for i in 0..STEPS {
        recorder.push_blocking(&random_step(i), (i % 40 == 0).then_some(&noise));
    }
    assert_eq!(recorder.finish().write_error, None);
}

fn same(step: &caril_core::StepRecord, i: usize) -> bool {
    format!("{step:?}") == format!("{:?}", random_step(i as u64))
}

#[test]
fn a_cut_file_reads_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mcap");
    write(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mcap");
    let (mut last, mut partial) = (0, 0);
    for k in 0..60 {
        // Sixty places, the last ones inside the summary at the end.
        let len = if k < 50 { bytes.len() * k / 50 } else { bytes.len() - (60 - k) * 7 };
        std::fs::write(&cut, &bytes[..len]).unwrap();
        let recording = match Recording::open(&cut) {
            Ok(recording) => recording,
            Err(RecordError::NoHeader { .. }) => {
                assert_eq!(last, 0, "a longer file has no header");
                continue;
            }
            Err(e) => panic!("{e}"),
        };
        assert!(!recording.complete());
        assert_eq!(*recording.header(), header());
        let mut n = 0;
        for frame in recording.frames() {
            let (step, picture) = frame.unwrap();
            assert!(same(&step, n));
            assert_eq!(picture.is_some(), n % 40 == 0);
            n += 1;
        }
        assert!(n >= last, "{n} steps of {len} bytes, {last} of fewer");
        last = n;
        partial += usize::from(n > 0 && n < STEPS as usize);
        let summary = recording.summary().unwrap();
        assert_eq!((summary.frames, summary.complete), (n as u64, false));
    }
    assert_eq!(last, STEPS as usize);
    assert!(partial > 5, "no cut left a part of the steps");
}

#[test]
fn a_repaired_file_is_whole_and_loses_at_most_a_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut, to) =
        (folder.path().join("whole.mcap"), folder.path().join("cut.mcap"), folder.path().join("b"));
    write(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    let mut r = CounterRng::new(9, 9);
    let mut lengths: Vec<usize> =
        (0..200).map(|_| r.below(bytes.len() as u64) as usize).chain([bytes.len()]).collect();
    lengths.sort_unstable();
    let mut last = 0;
    for len in lengths {
        std::fs::write(&cut, &bytes[..len]).unwrap();
        let repaired = match repair(&cut, &to) {
            Ok(repaired) => repaired,
            Err(RecordError::NoHeader { .. }) => continue,
            Err(e) => panic!("{e}"),
        };
        let before = Recording::open(&cut).unwrap().steps().count();
        let recording = Recording::open(&to).unwrap();
        assert!(recording.complete());
        assert_eq!(*recording.header(), header());
        let steps: Vec<_> = recording.steps().map(Result::unwrap).collect();
        assert!(steps.iter().enumerate().all(|(i, step)| same(step, i)));
        assert_eq!((steps.len(), repaired.steps), (before, before as u64));
        let summary = recording.summary().unwrap();
        assert_eq!((summary.complete, summary.frames), (true, before as u64));
        assert_eq!(summary.images, repaired.images);
        // MCAP's own reader agrees: it goes by the index that a cut file lacks.
        let data = std::fs::read(&to).unwrap();
        let all = mcap::MessageStream::new(&data).unwrap().map(Result::unwrap);
        let of_steps = all.filter(|m| m.channel.topic == "/step").count();
        assert_eq!(of_steps, before);
        assert!(mcap::Summary::read(&data).unwrap().is_some_and(|s| !s.chunk_indexes.is_empty()));
        assert_eq!(repaired.was_complete, len == bytes.len());
        last = before;
    }
    assert_eq!(last, STEPS as usize);
    assert!(matches!(repair(&to, &to), Err(RecordError::Foreign { .. })));
}

#[test]
fn a_damaged_file_gives_whole_steps_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mcap");
    write(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    let path = folder.path().join("damaged.mcap");
    let mut r = CounterRng::new(5, 5);
    for _ in 0..50 {
        let mut bytes = bytes.clone();
        let at = r.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << r.below(8);
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(recording) = Recording::open(&path) {
            for (i, frame) in recording.frames().enumerate() {
                let Ok((step, _)) = frame else { continue };
                assert!(same(&step, i), "step {i} is wrong, bit flipped at {at}");
            }
        }
    }
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    assert!(matches!(Recording::open(&path), Err(RecordError::Io { .. })));
    std::fs::write(&path, b"something else altogether").unwrap();
    assert!(matches!(Recording::open(&path), Err(RecordError::Foreign { .. })));
    let other = mcap::Writer::new(std::fs::File::create(&path).unwrap());
    other.unwrap().finish().unwrap();
    assert!(matches!(Recording::open(&path), Err(RecordError::Foreign { .. })));
}

/// A disk that is full after `room` bytes.
struct Full {
    room: usize,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.room);
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= n;
        self.kept.lock().unwrap().extend(&buf[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_drive() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = Full { room: 1_500_000, kept: Arc::clone(&kept) };
    let config = RecordConfig { lossless: true, ..RecordConfig::default() };
    let mut recorder = Recorder::start_with(sink, &header(), &config).unwrap();
    let mut noise = image(0, PixelOrder::Rgb);
    let mut r = CounterRng::new(3, 3);
    noise.data.iter_mut().for_each(|b| *b = r.next_u64() as u8);
    for i in 0..40 {
        recorder.push_blocking(&random_step(i), Some(&noise));
    }
    let stats = recorder.finish();
    assert!(stats.write_error.is_some());
    assert!(stats.dropped_steps > 0);
    assert_eq!(stats.steps + stats.dropped_steps, 40);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.mcap");
    std::fs::write(&path, &*kept.lock().unwrap()).unwrap();
    let recording = Recording::open(&path).unwrap();
    assert!(!recording.complete());
    let steps: Vec<_> = recording.steps().map(Result::unwrap).collect();
    assert!(!steps.is_empty());
    assert!(steps.iter().enumerate().all(|(i, step)| same(step, i)));
}

#[test]
fn a_disk_that_is_full_from_the_start_is_an_error() {
    let sink = Full { room: 10, kept: Arc::default() };
    assert!(Recorder::start_with(sink, &header(), &RecordConfig::default()).is_err());
}

/// A disk that stands still until the gate is opened.
struct Stalled {
    gate: Arc<(Mutex<bool>, Condvar)>,
    free_writes: usize,
}

impl Write for Stalled {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.free_writes.checked_sub(buf.len()) {
            self.free_writes = left;
            return Ok(buf.len());
        }
        self.free_writes = 0;
        let open = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_disk_drops_and_never_blocks() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    // Room for what `start` writes, so that only the thread can be held up.
    let sink = Stalled { gate: Arc::clone(&gate), free_writes: 30_000 };
    let mut recorder = Recorder::start_with(sink, &header(), &RecordConfig::default()).unwrap();
    let image = image(1, PixelOrder::Bgra);
    let step = random_step(1);
    // If `push` waited for the disk, this would never end: the gate is opened only afterwards.
    let mut pushed = 0u64;
    while recorder.dropped().0 == 0 {
        recorder.push(&step, Some(&image));
        pushed += 1;
    }
    let (steps, images) = recorder.dropped();
    assert!(steps > 0 && images > 0);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let stats = recorder.finish();
    assert_eq!(stats.write_error, None);
    assert_eq!(stats.steps + stats.dropped_steps, pushed);
    assert_eq!(stats.images + stats.dropped_images, pushed);
}

#[test]
fn whoever_waits_for_a_stalled_disk_may_give_up() {
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let sink = Stalled { gate: Arc::clone(&gate), free_writes: 0 };
    let config = RecordConfig { image_queue: 2, ..RecordConfig::default() };
    let mut recorder = Recorder::start_with(sink, &header(), &config).unwrap();
    *gate.0.lock().unwrap() = false;
    let image = image(1, PixelOrder::Bgra);
    let asked = std::cell::Cell::new(0);
    let give_up = |_| {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    // There are two buffers; the gate is not opened again before all is over.
    let mut pushed = 0;
    while recorder.push_waiting(&random_step(pushed), Some(&image), &give_up) {
        pushed += 1;
    }
    assert_eq!((pushed, asked.get()), (2, 21));
    assert_eq!(recorder.dropped(), (0, 1), "the step is still handed over, its picture is not");
    let stats = recorder.finish_unless(&|| true);
    assert!(stats.write_error.is_some_and(|e| e.contains("stands still")));
    assert!(stats.dropped_steps > 0 && stats.steps == 0);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();

    let recorder = Recorder::start_with(io::sink(), &header(), &config).unwrap();
    assert_eq!(recorder.finish_unless(&|| false).write_error, None);
}

#[test]
fn image_every_thins_the_pictures_of_push() {
    let gate = RecordConfig { image_every: 4, image_queue: 64, ..RecordConfig::default() };
    let image = image(1, PixelOrder::Bgra);
    let mut recorder = Recorder::start_with(io::sink(), &header(), &gate).unwrap();
    for i in 0..40 {
        recorder.push(&random_step(i), Some(&image));
    }
    assert_eq!(recorder.finish().images, 10);
    let none = RecordConfig { image_every: 0, ..RecordConfig::default() };
    let mut recorder = Recorder::start_with(io::sink(), &header(), &none).unwrap();
    recorder.push(&random_step(0), Some(&image));
    recorder.push_blocking(&random_step(1), Some(&image));
    let stats = recorder.finish();
    assert_eq!((stats.steps, stats.images, stats.dropped_images), (2, 1, 0));
}
