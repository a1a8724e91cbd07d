//! No allocation in `infer`, on one thread and on two, whatever the frame.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use caril_core::{Fault, Frame, Policy as _};
use caril_infer::{CpuPolicy, Isa, Options};
use caril_policy::Architecture;
use common::{camera, frame, save, spec};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "a global allocator is; it hands everything to the system's")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// One test only: another one at the same time would be counted, too.
#[test]
fn infer_does_not_allocate() {
    for architecture in [Architecture::PilotNet, Architecture::EfficientNetLite0] {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), architecture, spec(architecture, 40, 40));
        let mut frames: Vec<Frame> = (0..6).map(|i| frame(&camera(), i, 256)).collect();
        frames[2].ego.speed_mps = f32::NAN;
        frames[3].image.data.pop();
        for threads in [1, 2] {
            for isa in [Isa::best(), Isa::Portable] {
                let mut policy = CpuPolicy::load(dir.path(), Options { threads, isa }).unwrap();
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                let good = frames.iter().filter(|frame| policy.infer(frame).is_ok()).count();
                let bad = policy.infer(&frames[3]) == Err(Fault::ImageMalformed);
                let after = ALLOCATIONS.load(Ordering::Relaxed);
                assert_eq!(after - before, 0, "{architecture:?} {threads} {isa:?}");
                assert!(good >= 4 && bad);
            }
        }
    }
}
