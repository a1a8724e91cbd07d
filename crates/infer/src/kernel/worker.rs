//! The second thread: starts once, spins for a moment after each frame, then sleeps.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::memory::{Arena, Share};
use super::{Isa, Op, run_share};

/// How often the worker looks for work before it sleeps: some tens of microseconds, so that
/// frames in a row find it awake and 20 frames a second cost nothing in between.
const SPINS: u32 = 20_000;
/// How often a thread looks for the other one before it gives its core away each time: some
/// microseconds, more than two halves of an operation differ by.
const PATIENCE: u32 = 2_000;
/// Threads that run a program when there is a worker.
const PARTS: usize = 2;

/// What the two threads share. One run at a time.
struct Shared {
    ops: Arc<[Op]>,
    isa: Isa,
    /// Number of the newest run.
    run: AtomicUsize,
    arena: AtomicPtr<f32>,
    len: AtomicUsize,
    variant: AtomicUsize,
    barrier: Barrier,
    stop: AtomicBool,
}

/// Where both threads meet after each operation. The count only ever grows.
#[derive(Default)]
pub(super) struct Barrier {
    arrived: AtomicUsize,
}

impl Barrier {
    /// `turn` is the caller's own count of what all threads have done, from 0.
    pub(super) fn wait(&self, turn: &mut usize) {
        *turn = turn.wrapping_add(PARTS);
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0u32;
        // Wrapping difference: as good as new after the count has wrapped.
        while (self.arrived.load(Ordering::Acquire).wrapping_sub(*turn) as isize) < 0 {
            spins += 1;
            if spins > PATIENCE {
                // The other thread may be waiting for this very core.
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

/// The second thread of a program.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    turn: usize,
}

impl Worker {
    pub(super) fn start(ops: Arc<[Op]>, isa: Isa) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            ops,
            isa,
            run: AtomicUsize::new(0),
            arena: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            variant: AtomicUsize::new(0),
            barrier: Barrier::default(),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("caril-infer".into()).spawn(move || work(&theirs))?;
        Ok(Self { shared, thread: Some(thread), turn: 0 })
    }

    /// Runs all operations on this thread and the worker; both are done when it returns.
    ///
    /// # Safety
    /// As [`run_share`], for both shares.
    pub(super) unsafe fn run(&mut self, values: &mut [f32], variant: usize) {
        let shared = &*self.shared;
        let arena = Arena::new(values);
        shared.arena.store(arena.start(), Ordering::Relaxed);
        shared.len.store(arena.len(), Ordering::Relaxed);
        shared.variant.store(variant, Ordering::Relaxed);
        shared.run.fetch_add(1, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        let share = Share { part: 0, parts: PARTS };
        let meet = Some((&shared.barrier, &mut self.turn));
        // SAFETY: the caller's promise; the worker has the other share.
        unsafe { run_share(&shared.ops, shared.isa, arena, variant, share, meet) }
    }
}

fn work(shared: &Shared) {
    let (mut seen, mut turn) = (0usize, 0usize);
    loop {
        let mut spins = 0;
        while shared.run.load(Ordering::Acquire) == seen {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                thread::park();
            }
        }
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        seen = seen.wrapping_add(1);
        let start = shared.arena.load(Ordering::Relaxed);
        let len = shared.len.load(Ordering::Relaxed);
        // SAFETY: `Worker::run` borrows the memory until both threads have met after the last
        // operation.
        let arena = unsafe { Arena::from_raw(start, len) };
        let variant = shared.variant.load(Ordering::Relaxed);
        let share = Share { part: 1, parts: PARTS };
        let meet = Some((&shared.barrier, &mut turn));
        // SAFETY: the promise made to `Worker::run`.
        unsafe { run_share(&shared.ops, shared.isa, arena, variant, share, meet) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.run.fetch_add(1, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot have panicked in a way that anybody could still be told of.
            let _ = thread.join();
        }
    }
}
