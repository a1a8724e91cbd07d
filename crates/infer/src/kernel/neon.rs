//! The vector on NEON, which every aarch64 has.

use std::arch::aarch64::*;

use super::simd::Simd;

/// Four registers of four.
pub(super) struct Neon;

impl Simd for Neon {
    type V = [float32x4_t; 4];
    const ROWS: [usize; 5] = [0, 6, 3, 2, 1];
    const GROUP: usize = 1;
    const STRIP: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller's promise: NEON is there.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller's promise: sixteen values are there.
        unsafe {
            [
                vld1q_f32(from),
                vld1q_f32(from.add(4)),
                vld1q_f32(from.add(8)),
                vld1q_f32(from.add(12)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise: there is room for sixteen values.
        unsafe {
            vst1q_f32(to, v[0]);
            vst1q_f32(to.add(4), v[1]);
            vst1q_f32(to.add(8), v[2]);
            vst1q_f32(to.add(12), v[3]);
        }
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::V, b: Self::V) -> Self::V {
        for i in 0..4 {
            // SAFETY: the caller's promise.
            a[i] = unsafe { vaddq_f32(a[i], b[i]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, mut c: Self::V) -> Self::V {
        for i in 0..4 {
            // SAFETY: the caller's promise.
            c[i] = unsafe { vfmaq_f32(c[i], a[i], b[i]) };
        }
        c
    }
    #[inline(always)]
    unsafe fn clamp(mut v: Self::V, lo: Self::V, hi: Self::V) -> Self::V {
        for i in 0..4 {
            // SAFETY: the caller's promise. NEON's maximum and minimum keep NaN.
            v[i] = unsafe { vminq_f32(hi[i], vmaxq_f32(lo[i], v[i])) };
        }
        v
    }
}
