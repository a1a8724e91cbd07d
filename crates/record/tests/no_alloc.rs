//! `push` never allocates, also when the queues are full. A binary of its own: the allocator
//! counts what the pushing thread does.
#![allow(unsafe_code)] // A global allocator cannot be written without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use caril_core::{PixelOrder, RecordConfig};
use caril_record::Recorder;
use common::{header, image, random_step};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.with(|n| n.set(n.get() + 1));
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn push_neither_allocates_nor_frees() {
    let mut recorder =
        Recorder::start_with(std::io::sink(), &header(), &RecordConfig::default()).unwrap();
    let image = image(9, PixelOrder::Bgra);
    let steps: Vec<_> = (0..64).map(random_step).collect();
    let mut too_large = image.clone();
    too_large.width *= 2;
    too_large.data.extend(image.data.iter());

    let before = CALLS.with(Cell::get);
    for round in 0..100 {
        for step in &steps {
            recorder.push(step, Some(if round % 2 == 0 { &image } else { &too_large }));
        }
    }
    let calls = CALLS.with(Cell::get) - before;
    assert_eq!(calls, 0);

    let stats = recorder.finish();
    assert_eq!(stats.steps + stats.dropped_steps, 6400);
    assert_eq!(stats.images + stats.dropped_images, 6400);
    assert!(stats.dropped_images >= 3200, "the large ones do not fit");
    assert!(stats.images > 0);
}
