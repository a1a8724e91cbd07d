//! What the tests of several crates share: an allocator that counts. The tests of the whole house
//! live in `tests/`.
#![allow(unsafe_code)] // `GlobalAlloc` is an unsafe trait; this only counts and passes on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}
static EVERYWHERE: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting its calls. A test binary that wants to count says
/// `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
#[derive(Debug)]
pub struct Counting;

fn count() {
    HERE.with(|n| n.set(n.get() + 1));
    EVERYWHERE.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: hands everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Memory taken and given back on this thread so far, so that others (the test harness's) do not
/// count.
pub fn allocator_calls() -> u64 {
    HERE.with(Cell::get)
}

/// The same on all threads, for work that uses several.
pub fn allocator_calls_everywhere() -> u64 {
    EVERYWHERE.load(Ordering::Relaxed)
}
