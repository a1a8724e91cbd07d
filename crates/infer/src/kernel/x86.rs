//! The vector on AVX-512 and on AVX2 with FMA.

use std::arch::x86_64::*;

use super::simd::Simd;

/// One register of sixteen.
pub(super) struct Avx512;

impl Simd for Avx512 {
    type V = __m512;
    const ROWS: [usize; 5] = [0, 8, 8, 8, 6];
    const GROUP: usize = 4;
    const STRIP: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller's promise: AVX-512F is there.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller's promise: sixteen values are there.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise: there is room for sixteen values.
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn clamp(v: Self::V, lo: Self::V, hi: Self::V) -> Self::V {
        // SAFETY: the caller's promise. If either is NaN these return the second argument.
        unsafe { _mm512_min_ps(hi, _mm512_max_ps(lo, v)) }
    }
}

/// Two registers of eight.
pub(super) struct Avx2;

impl Simd for Avx2 {
    type V = [__m256; 2];
    const ROWS: [usize; 5] = [0, 6, 3, 2, 1];
    const GROUP: usize = 1;
    const STRIP: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller's promise: AVX is there.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller's promise: sixteen values are there.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise: there is room for sixteen values.
        unsafe {
            _mm256_storeu_ps(to, v[0]);
            _mm256_storeu_ps(to.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller's promise: FMA is there.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn clamp(v: Self::V, lo: Self::V, hi: Self::V) -> Self::V {
        // SAFETY: the caller's promise. If either is NaN these return the second argument.
        unsafe {
            [
                _mm256_min_ps(hi[0], _mm256_max_ps(lo[0], v[0])),
                _mm256_min_ps(hi[1], _mm256_max_ps(lo[1], v[1])),
            ]
        }
    }
}
