//! The vector that the kernels are written for: sixteen f32, on whatever registers there are.

/// Channels are handled in blocks of so many: one AVX-512 register, one cache line.
pub const LANES: usize = 16;

/// Adding this to a value below 2²² leaves it rounded (half to even) in the lowest bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// Sixteen f32 lanes.
///
/// # Safety
/// Of every function: the processor has the instruction set of the implementing type, and the
/// pointers are good for sixteen values (any alignment).
pub(super) trait Simd {
    /// Sixteen values.
    type V: Copy;
    /// Output pixels of a tile of a convolution, by blocks of channels in it (0 to 4): as many
    /// accumulators as there are registers for.
    const ROWS: [usize; 5];
    /// Blocks of channels that one tile of a convolution over many pixels covers.
    const GROUP: usize;
    /// Output pixels of a tile of a depthwise convolution.
    const STRIP: usize;

    /// Asks for a cache line that will be needed soon, anywhere: nothing is read.
    #[inline(always)]
    fn prefetch(_: *const f32) {}
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once except in the portable version.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Sixteen bytes: `v · factor + zero`, rounded after each step, the last time to whole numbers
    /// (half to even), limited to 0–255. NaN becomes 0.
    #[inline(always)]
    unsafe fn bytes(to: *mut u8, v: Self::V, factor: Self::V, zero: Self::V) {
        let mut values = [[0.0f32; LANES]; 3];
        // SAFETY: the caller's promise: `to` is good for sixteen bytes.
        unsafe {
            Self::store(values[0].as_mut_ptr(), v);
            Self::store(values[1].as_mut_ptr(), factor);
            Self::store(values[2].as_mut_ptr(), zero);
            for i in 0..LANES {
                let v = values[0][i] * values[1][i] + values[2][i];
                let v = if v > 0.0 { v } else { 0.0 };
                let v = if v < 255.0 { v } else { 255.0 };
                to.add(i).write((v + ROUNDER).to_bits() as u8);
            }
        }
    }
    /// Limits to lo..hi; NaN stays NaN, so that a broken network is noticed.
    unsafe fn clamp(v: Self::V, lo: Self::V, hi: Self::V) -> Self::V;
}

/// Plain Rust; multiplication and addition are rounded apart.
pub(super) struct Portable;

impl Simd for Portable {
    type V = [f32; LANES];
    const ROWS: [usize; 5] = [0, 3, 2, 1, 1];
    const GROUP: usize = 1;
    const STRIP: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller's promise; an array of f32 is aligned like f32.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::V, b: Self::V) -> Self::V {
        for i in 0..LANES {
            a[i] += b[i];
        }
        a
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, mut c: Self::V) -> Self::V {
        for i in 0..LANES {
            c[i] += a[i] * b[i];
        }
        c
    }
    #[inline(always)]
    unsafe fn clamp(mut v: Self::V, lo: Self::V, hi: Self::V) -> Self::V {
        for i in 0..LANES {
            // Not f32::max: that would drop a NaN.
            let low = if v[i] < lo[i] { lo[i] } else { v[i] };
            v[i] = if low > hi[i] { hi[i] } else { low };
        }
        v
    }
}
