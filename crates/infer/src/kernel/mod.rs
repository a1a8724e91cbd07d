//! The kernels: everything that is unsafe in this crate, behind a safe face.
//!
//! A [`Program`] is a list of operations over one arena of f32. All places are checked once, when
//! it is made; a run then neither checks nor allocates. Three reasons for `unsafe`: vector
//! instructions that the build's target need not have (chosen at run time by [`Isa`]), loads and
//! stores without bounds checks in the innermost loops, and the second thread's view of the arena.
#![allow(unsafe_code, reason = "see above; each block says why it is sound")]
#![allow(clippy::needless_range_loop, reason = "loops over registers unroll best with an index")]

mod conv;
mod depthwise;
mod int8;
mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pooling;
mod simd;
mod worker;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use conv::{Conv, Epilogue, Window};
pub use depthwise::{Depthwise, Grid};
pub use int8::{Conv8, Product, Quantize};
use memory::Arena;
pub use memory::{Aligned, Share};
pub use pooling::{MaxPool, Mean};
pub use simd::LANES;
use simd::{Portable, Simd};
use worker::Worker;

use caril_core::{Image, Preprocessor};

use crate::InferError;

/// Instruction sets that there are kernels for. AVX-512, AVX2 and NEON round alike; the portable
/// version rounds products and sums apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW and VL.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// aarch64's vectors.
    Neon,
    /// Plain Rust.
    Portable,
}

impl Isa {
    /// All, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The fastest of this machine.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && Self::Avx2.is_available()
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
            #[allow(unreachable_patterns, reason = "depends on the target")]
            _ => false,
        }
    }

    /// How bytes are multiplied along with it.
    pub(crate) fn product(self) -> Product {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if is_x86_feature_detected!("avx512vnni") => Product::Vnni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx2 => Product::Avx2,
            _ => Product::Plain,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Blocks of sixteen channels that a tile may cover in a layer of so many output pixels and
    /// values under a window. One pixel alone (a dense layer) needs several blocks to hide the
    /// latency of a sum.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "only AVX-512 asks"))]
    pub(crate) fn group(self, pixels: usize, depth: usize) -> usize {
        match self {
            // Two blocks' weights, and the next two's, stay in L2 while the pixels pass.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if pixels > 1 && (pixels <= 26 || depth > 1500) => 2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::GROUP,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if pixels > 1 => x86::Avx2::GROUP,
            #[cfg(target_arch = "aarch64")]
            Self::Neon if pixels > 1 => neon::Neon::GROUP,
            Self::Portable if pixels > 1 => Portable::GROUP,
            _ => 4,
        }
    }
}

/// One operation of a program.
#[derive(Debug)]
pub enum Op {
    /// See [`Conv`].
    Conv(Conv),
    /// See [`Conv8`].
    Conv8(Conv8),
    /// See [`Quantize`].
    Quantize(Quantize),
    /// See [`Depthwise`].
    Depthwise(Depthwise),
    /// See [`MaxPool`].
    MaxPool(MaxPool),
    /// See [`Mean`].
    Mean(Mean),
}

impl Op {
    fn spans(&self) -> [Range<usize>; 2] {
        match self {
            Self::Conv(op) => op.spans(),
            Self::Conv8(op) => op.spans(),
            Self::Quantize(op) => op.spans(),
            Self::Depthwise(op) => op.spans(),
            Self::MaxPool(op) => op.spans(),
            Self::Mean(op) => op.spans(),
        }
    }

    /// Its kind.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "conv",
            Self::Conv8(_) => "int8 conv",
            Self::Quantize(_) => "quantize",
            Self::Depthwise(_) => "depthwise",
            Self::MaxPool(_) => "max pool",
            Self::Mean(_) => "mean",
        }
    }

    /// Its kind and sizes, for reading.
    pub fn describe(&self) -> String {
        match self {
            Self::Conv(op) => op.describe(),
            Self::Conv8(op) => op.describe(),
            Self::Depthwise(op) => op.describe(),
            _ => self.name().to_owned(),
        }
    }

    /// Multiply–adds of one run; 0 for pooling.
    pub fn macs(&self) -> usize {
        match self {
            Self::Conv(op) => op.macs(),
            Self::Depthwise(op) => op.macs(),
            Self::Conv8(op) => op.macs(),
            Self::Quantize(_) | Self::MaxPool(_) | Self::Mean(_) => 0,
        }
    }
}

/// Operations and the memory that they work in.
pub struct Program {
    // Before the arena, so that the worker has ended when that goes.
    worker: Option<Worker>,
    ops: Arc<[Op]>,
    arena: Aligned,
    isa: Isa,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = 1 + usize::from(self.worker.is_some());
        write!(f, "Program({} operations, {}, {threads} threads)", self.ops.len(), self.isa.name())
    }
}

impl Program {
    /// A program over an arena of `len` zeros.
    ///
    /// # Errors
    /// [`InferError::Threads`] unless `threads` is 1 or 2, [`InferError::Isa`] if the machine
    /// lacks it, [`InferError::Worker`] if the second thread cannot be started.
    ///
    /// # Panics
    /// If an operation leaves the arena or reads what it writes: a bug in a network's description.
    pub fn new(ops: Vec<Op>, len: usize, isa: Isa, threads: usize) -> Result<Self, InferError> {
        for op in &ops {
            let [reads, writes] = op.spans();
            let apart = reads.end <= writes.start || writes.end <= reads.start;
            assert!(reads.end <= len && writes.end <= len && apart, "{reads:?} {writes:?} {len}");
        }
        if !isa.is_available() {
            return Err(InferError::Isa { isa: isa.name() });
        }
        let ops: Arc<[Op]> = ops.into();
        let worker = match threads {
            1 => None,
            2 => Some(
                Worker::start(Arc::clone(&ops), isa)
                    .map_err(|source| InferError::Worker { source })?,
            ),
            got => return Err(InferError::Threads { got }),
        };
        Ok(Self { worker, ops, arena: Aligned::new(len), isa })
    }

    /// The arena, to put inputs in and to take outputs from.
    pub fn arena(&mut self) -> &mut [f32] {
        self.arena.as_mut_slice()
    }

    /// The operations.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Which kernels run.
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs the operations one by one on this thread; nanoseconds of each.
    pub fn profile(&mut self, variant: usize) -> Vec<u64> {
        let arena = Arena::new(self.arena.as_mut_slice());
        let timed = |op: &Op| {
            let start = std::time::Instant::now();
            let op = std::slice::from_ref(op);
            // SAFETY: as in `run`.
            unsafe { run_share(op, self.isa, arena, variant, Share::WHOLE) };
            start.elapsed().as_nanos() as u64
        };
        self.ops.iter().map(timed).collect()
    }

    /// Runs the operations one by one on this thread; before each, `look` sees its number and the
    /// arena.
    pub fn watch(&mut self, variant: usize, look: &mut dyn FnMut(usize, &[f32])) {
        for number in 0..self.ops.len() {
            look(number, self.arena.as_slice());
            let arena = Arena::new(self.arena.as_mut_slice());
            // SAFETY: as in `run`.
            unsafe {
                run_share(&self.ops[number..=number], self.isa, arena, variant, Share::WHOLE);
            }
        }
    }

    /// Runs all operations; of weights in several variants the one given.
    pub fn run(&mut self, variant: usize) {
        let values = self.arena.as_mut_slice();
        // SAFETY: `new` has checked every operation's spans against the arena's length and each
        // other, and that the instruction set is there.
        unsafe {
            match &mut self.worker {
                Some(worker) => worker.run(values, variant),
                None => {
                    let arena = Arena::new(values);
                    run_share(&self.ops, self.isa, arena, variant, Share::WHOLE);
                }
            }
        }
    }
}

/// Runs one share of operations.
///
/// # Safety
/// `isa` is available, every operation's spans lie within `arena` and do not overlap, and only the
/// shares of this run touch the arena.
unsafe fn run_share(ops: &[Op], isa: Isa, arena: Arena, variant: usize, share: Share) {
    // SAFETY: the caller's promise.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => run_avx512(ops, arena, variant, share),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => run_avx2(ops, arena, variant, share),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => run_on::<neon::Neon>(ops, arena, variant, share),
            _ => run_on::<Portable>(ops, arena, variant, share),
        }
    }
}

/// # Safety
/// As [`run_share`], with AVX-512 F, BW, VL, and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
unsafe fn run_avx512(ops: &[Op], arena: Arena, variant: usize, share: Share) {
    // SAFETY: the caller's promise.
    unsafe { run_on::<x86::Avx512>(ops, arena, variant, share) }
}

/// # Safety
/// As [`run_share`], with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(ops: &[Op], arena: Arena, variant: usize, share: Share) {
    // SAFETY: the caller's promise.
    unsafe { run_on::<x86::Avx2>(ops, arena, variant, share) }
}

/// Inlined into a function with the features of `S`, so that the vectors stay in registers.
///
/// # Safety
/// As [`run_share`], with the instruction set of `S`.
#[inline(always)]
unsafe fn run_on<S: Simd>(ops: &[Op], arena: Arena, variant: usize, share: Share) {
    for op in ops {
        // SAFETY: the caller's promise.
        unsafe {
            match op {
                Op::Conv(op) => op.run::<S>(arena, variant, share),
                Op::Conv8(op) => op.run(arena, share),
                Op::Quantize(op) => op.run::<S>(arena, share),
                Op::Depthwise(op) => op.run::<S>(arena, share),
                Op::MaxPool(op) => op.run::<S>(arena, share),
                Op::Mean(op) => op.run::<S>(arena, share),
            }
        }
    }
}

/// [`Preprocessor::rgb`] with the vectors of `isa`; the same bits.
pub fn rgb<'a>(isa: Isa, preprocessor: &'a mut Preprocessor, image: &Image) -> Option<&'a [u8]> {
    if !isa.is_available() {
        return None;
    }
    match isa {
        // 512 bits wide the compiler's vectors took 1.4 times as long on a Sapphire Rapids.
        #[cfg(target_arch = "x86_64")]
        // SAFETY: it is available; who has AVX-512 has AVX2 (`is_available`).
        Isa::Avx512 | Isa::Avx2 => unsafe { rgb_avx2(preprocessor, image) },
        _ => preprocessor.rgb(image),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn rgb_avx2<'a>(preprocessor: &'a mut Preprocessor, image: &Image) -> Option<&'a [u8]> {
    preprocessor.rgb_inline(image)
}
