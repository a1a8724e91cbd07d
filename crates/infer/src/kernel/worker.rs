//! The second thread: starts once, spins for a moment after each frame, then sleeps.
//!
//! Both threads take pieces of the operation at hand until none is left. A worker that sleeps or
//! has lost its core costs nothing but its help: the first thread does all pieces that nobody has
//! taken. Who does which piece does not change a bit.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::memory::{Arena, Share};
use super::{Isa, Op, run_share};

/// How often the worker looks for work before it sleeps: some tens of microseconds, so that
/// frames in a row find it awake and 20 frames a second cost nothing in between.
const SPINS: u32 = 20_000;
/// How often the first thread looks for the worker's last piece before it gives its core away.
const PATIENCE: u32 = 2_000;
/// Pieces of an operation: more than threads, so that a late one still finds some.
const PIECES: usize = 4;

/// What the two threads share. One run at a time.
struct Shared {
    ops: Arc<[Op]>,
    isa: Isa,
    /// What to do next: see [`Ticket`].
    ticket: AtomicU64,
    /// Pieces of the operation at hand that are done.
    done: AtomicUsize,
    arena: AtomicPtr<f32>,
    len: AtomicUsize,
    variant: AtomicUsize,
    /// Set by the worker when it has started.
    ready: AtomicBool,
    stop: AtomicBool,
}

/// Number of the step (bits 32 and up, rising from operation to operation and run to run, so that
/// an old ticket never comes again), operation (bits 8 to 31) and next piece (bits 0 to 7).
#[derive(Clone, Copy)]
struct Ticket(u64);

impl Ticket {
    const fn new(step: u64, op: u64, piece: u64) -> Self {
        Self((step << 32) | ((op & 0xFF_FFFF) << 8) | piece)
    }
    const fn op(self) -> usize {
        (self.0 >> 8) as usize & 0xFF_FFFF
    }
    const fn piece(self) -> usize {
        self.0 as usize & 0xFF
    }
}

impl Shared {
    /// Does pieces of the operation at hand until none is left; whether it did any.
    ///
    /// # Safety
    /// As [`Worker::run`].
    unsafe fn help(&self) -> bool {
        let mut helped = false;
        loop {
            let ticket = Ticket(self.ticket.load(Ordering::Acquire));
            if ticket.piece() >= PIECES {
                return helped;
            }
            let Some(op) = self.ops.get(ticket.op()..=ticket.op()) else { return helped };
            // Read before the piece is taken: while it is not, they may belong to another run,
            // and the exchange fails. Once it is, the run cannot end before it is done.
            let start = self.arena.load(Ordering::Relaxed);
            let len = self.len.load(Ordering::Relaxed);
            let variant = self.variant.load(Ordering::Relaxed);
            let next = ticket.0 + 1;
            let taken =
                self.ticket.compare_exchange(ticket.0, next, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_err() {
                continue;
            }
            // SAFETY: the caller's promise: the first thread lends this memory until all pieces
            // are done.
            unsafe {
                let arena = Arena::from_raw(start, len);
                let share = Share { part: ticket.piece(), parts: PIECES };
                run_share(op, self.isa, arena, variant, share);
            }
            self.done.fetch_add(1, Ordering::Release);
            helped = true;
        }
    }
}

/// The second thread of a program.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    step: u64,
}

impl Worker {
    pub(super) fn start(ops: Arc<[Op]>, isa: Isa) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            ops,
            isa,
            ticket: AtomicU64::new(Ticket::new(0, 0, PIECES as u64).0),
            done: AtomicUsize::new(0),
            arena: AtomicPtr::new(ptr::null_mut()),
            len: AtomicUsize::new(0),
            variant: AtomicUsize::new(0),
            ready: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("caril-infer".into()).spawn(move || work(&theirs))?;
        // A thread allocates while it starts: not later, when frames come.
        while !shared.ready.load(Ordering::Acquire) {
            thread::yield_now();
        }
        Ok(Self { shared, thread: Some(thread), step: 0 })
    }

    /// Runs all operations on this thread and the worker; both are done when it returns.
    ///
    /// # Safety
    /// As [`run_share`], for all shares.
    pub(super) unsafe fn run(&mut self, values: &mut [f32], variant: usize) {
        let shared = &*self.shared;
        shared.arena.store(values.as_mut_ptr(), Ordering::Relaxed);
        shared.len.store(values.len(), Ordering::Relaxed);
        shared.variant.store(variant, Ordering::Relaxed);
        for op in 0..shared.ops.len() as u64 {
            self.step += 1;
            shared.done.store(0, Ordering::Relaxed);
            shared.ticket.store(Ticket::new(self.step, op, 0).0, Ordering::Release);
            if op == 0 {
                self.wake();
            }
            // SAFETY: the caller's promise; this does not return before all pieces are done.
            unsafe { shared.help() };
            let mut spins = 0u32;
            while shared.done.load(Ordering::Acquire) < PIECES {
                spins += 1;
                if spins > PATIENCE {
                    // The worker may be waiting for this very core.
                    thread::yield_now();
                }
                std::hint::spin_loop();
            }
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

fn work(shared: &Shared) {
    // The first time sets things up.
    thread::park_timeout(Duration::ZERO);
    shared.ready.store(true, Ordering::Release);
    let mut spins = 0;
    while !shared.stop.load(Ordering::Acquire) {
        // SAFETY: the promise made to `Worker::run`, without which there is no ticket.
        if unsafe { shared.help() } {
            spins = 0;
        } else if spins < SPINS {
            spins += 1;
            std::hint::spin_loop();
        } else {
            thread::park();
            spins = 0;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked in a way that anybody could still be told of.
            let _ = thread.join();
        }
    }
}
