//! Attachments and lengths that lie: the reader neither panics nor believes them when it takes
//! memory. A binary of its own: the allocator counts bytes.
#![allow(unsafe_code)] // A global allocator cannot be written without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use caril_core::{CameraSpec, PixelOrder, RecordConfig};
use caril_record::{Recorder, Recording, RecordingHeader};
use common::{header, image, random_step};

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Weighing;

// SAFETY: hands everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// What a reader of these small files may take: a chunk, a picture, its buffers.
const ALLOWED: usize = 32 << 20;
const STEPS: usize = 20;
const ATTACHMENT: u8 = 0x09;
const CHUNK: u8 = 0x06;
const DATA_END: u8 = 0x0f;

fn recording(path: &Path) -> Vec<u8> {
    let mut recorder = Recorder::start(path, &header(), &RecordConfig::default()).unwrap();
    let picture = image(90, PixelOrder::Bgra);
    for i in 0..STEPS as u64 {
        recorder.push_blocking(&random_step(i), (i % 10 == 0).then_some(&picture));
    }
    assert_eq!(recorder.finish().write_error, None);
    std::fs::read(path).unwrap()
}

#[test]
fn a_camera_that_cannot_be_is_refused_before_memory_is_asked_for_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let paper = CameraSpec::PAPER;
    for camera in [
        CameraSpec { width: u32::MAX, ..paper },
        CameraSpec { height: 0, ..paper },
        CameraSpec { fov_deg: 0.0, ..paper },
    ] {
        let bad = RecordingHeader { camera, ..header() };
        let path = folder.path().join("bad.mcap");
        // What is written is read first, by what reads.
        let refused = Recorder::start(&path, &bad, &RecordConfig::default()).err();
        assert!(refused.is_some_and(|e| e.to_string().contains("a camera that cannot be")));
    }
}

/// Offset of the first record with this opcode, outside of chunks.
fn offset_of(bytes: &[u8], opcode: u8) -> usize {
    let mut at = 8;
    while bytes[at] != opcode {
        at += 9 + u64::from_le_bytes(bytes[at + 1..at + 9].try_into().unwrap()) as usize;
    }
    at
}

fn record(length: u64, body: &[u8]) -> Vec<u8> {
    [&[ATTACHMENT][..], &length.to_le_bytes(), body].concat()
}

/// Steps that can be read, and how much memory that took at most.
fn read(path: &Path, bytes: &[u8]) -> (usize, usize) {
    std::fs::write(path, bytes).unwrap();
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut steps = 0;
    if let Ok(recording) = Recording::open(path) {
        // An error is an answer too: the walk ends there.
        for (frame, i) in recording.frames().map_while(Result::ok).zip(0..) {
            assert_eq!(format!("{:?}", frame.0), format!("{:?}", random_step(i)));
            steps += 1;
        }
        if let Ok(summary) = recording.summary() {
            assert_eq!(summary.frames, steps as u64);
        }
    }
    (steps, PEAK.load(Ordering::Relaxed) - before)
}

/// One test, because the allocator counts for all threads.
#[test]
fn attachments_that_lie_neither_panic_nor_cost_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mcap");
    let whole = recording(&path);
    let places = [offset_of(&whole, CHUNK), offset_of(&whole, DATA_END)];
    let with = |at: usize, record: &[u8]| [&whole[..at], record, &whole[at..]].concat();

    // Killed before its first step was written: there is no `/meta` yet, and the file says all the
    // same what it is of.
    std::fs::write(&path, &whole[..places[0]]).unwrap();
    let begun = Recording::open(&path).unwrap();
    assert_eq!(begun.header(), &header());
    assert!(!begun.complete() && begun.steps().next().is_none());

    // log time, create time, name, media type, data, CRC
    let body = |name: u32, media: u32, data: u64| {
        let mut body = vec![0; 16];
        body.extend(name.to_le_bytes());
        body.extend(b"n");
        body.extend(media.to_le_bytes());
        body.extend(b"m");
        body.extend(data.to_le_bytes());
        body.extend(b"data\0\0\0\0");
        body
    };
    let mut bodies: Vec<Vec<u8>> = (0..48).step_by(4).map(|n| vec![0; n]).collect();
    bodies.push(body(1, 1, 4));
    for lie in [0, 2, 5, 0x7fff_ffff, u32::MAX] {
        bodies.push(body(lie, 1, 4));
        bodies.push(body(1, lie, 4));
    }
    for lie in [0, 5, 1 << 33, i64::MAX as u64, u64::MAX] {
        bodies.push(body(1, 1, lie));
    }
    for body in &bodies {
        for at in places {
            // The record's own length is true: whatever is inside, all steps are there.
            let (steps, took) = read(&path, &with(at, &record(body.len() as u64, body)));
            assert_eq!(steps, STEPS, "{} bytes: {body:?}", body.len());
            assert!(took < ALLOWED, "{took} bytes of memory for {body:?}");
        }
    }

    // The record's length lies: what came before can be read, and no memory is taken for it.
    for lie in [1 << 20, 255 << 20, 257 << 20, 1 << 33, 1 << 40, i64::MAX as u64, u64::MAX] {
        for (at, expected) in places.into_iter().zip([0, STEPS]) {
            let (steps, took) = read(&path, &with(at, &record(lie, &body(1, 1, lie))));
            assert!(steps >= expected, "{steps} steps before a record of {lie} bytes");
            assert!(took < ALLOWED, "{took} bytes of memory for a record of {lie} bytes");
        }
    }

    // The same lie told by every kind of record there is.
    let places: Vec<usize> = {
        let (mut at, mut all) = (8, Vec::new());
        while at + 9 <= whole.len() - 8 {
            all.push(at);
            at += 9 + u64::from_le_bytes(whole[at + 1..at + 9].try_into().unwrap()) as usize;
        }
        all
    };
    assert!(places.len() > 8);
    for at in places {
        for lie in [0, 1, 200 << 20, 1 << 40, u64::MAX] {
            let mut bytes = whole.clone();
            bytes[at + 1..at + 9].copy_from_slice(&u64::to_le_bytes(lie));
            let (steps, took) = read(&path, &bytes);
            assert!(steps <= STEPS && took < ALLOWED, "{took} bytes of memory, {lie} at {at}");
        }
        // And by the lengths inside of them, of which every four bytes may be one.
        let length = u64::from_le_bytes(whole[at + 1..at + 9].try_into().unwrap()) as usize;
        for inside in at + 9..(at + 9 + length.min(100)).saturating_sub(3) {
            let mut bytes = whole.clone();
            bytes[inside..inside + 4].copy_from_slice(&0xC000_0004_u32.to_le_bytes());
            let (steps, took) = read(&path, &bytes);
            assert!(steps <= STEPS && took < ALLOWED, "{took} bytes of memory, a lie at {inside}");
        }
    }
}
