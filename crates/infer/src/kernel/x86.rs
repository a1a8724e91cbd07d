//! The vector on AVX-512 and on AVX2 with FMA.

use std::arch::x86_64::*;

use super::int8::Dot;
use super::simd::Simd;

/// One register of sixteen.
pub(super) struct Avx512;

impl Simd for Avx512 {
    type V = __m512;
    const ROWS: [usize; 5] = [0, 12, 13, 9, 6];
    const GROUP: usize = 4;
    const STRIP: usize = 8;

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: every x86-64 has it, and it never faults. Into L2: it is needed a tile later.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
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
    unsafe fn bytes(to: *mut u8, v: Self::V, factor: Self::V, zero: Self::V) {
        // SAFETY: the caller's promise. The maximum of NaN and 0 is the second argument, 0.
        unsafe {
            let v = _mm512_add_ps(_mm512_mul_ps(v, factor), zero);
            let v = _mm512_max_ps(v, _mm512_setzero_ps());
            let v = _mm512_cvtps_epi32(_mm512_min_ps(v, _mm512_set1_ps(255.0)));
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(v));
        }
    }
    #[inline(always)]
    unsafe fn clamp(v: Self::V, lo: Self::V, hi: Self::V) -> Self::V {
        // SAFETY: the caller's promise. If either is NaN these return the second argument.
        unsafe { _mm512_min_ps(hi, _mm512_max_ps(lo, v)) }
    }
}

/// With AVX-512 VNNI.
impl Dot for Avx512 {
    type Sums = __m512i;
    const HIGH: [usize; 5] = [1, 8, 8, 8, 6];

    #[inline(always)]
    unsafe fn none() -> Self::Sums {
        // SAFETY: the caller's promise.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::Sums, x: i32, w: *const i8) -> Self::Sums {
        // SAFETY: the caller's promise: VNNI is there, and 64 bytes at `w`.
        unsafe { _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(x), _mm512_loadu_si512(w.cast())) }
    }
    #[inline(always)]
    unsafe fn float(sums: Self::Sums) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
}

/// Two registers of eight.
pub(super) struct Avx2;

impl Simd for Avx2 {
    type V = [__m256; 2];
    const ROWS: [usize; 5] = [0, 5, 2, 1, 1];
    const GROUP: usize = 1;
    const STRIP: usize = 4;

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: every x86-64 has it, and it never faults. Into L2: it is needed a tile later.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
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
    unsafe fn bytes(to: *mut u8, v: Self::V, factor: Self::V, zero: Self::V) {
        // SAFETY: the caller's promise. The maximum of NaN and 0 is the second argument, 0.
        unsafe {
            let whole = |i: usize| {
                let v = _mm256_add_ps(_mm256_mul_ps(v[i], factor[i]), zero[i]);
                let v = _mm256_max_ps(v, _mm256_setzero_ps());
                _mm256_cvtps_epi32(_mm256_min_ps(v, _mm256_set1_ps(255.0)))
            };
            // Packing works on halves of registers; the permutation puts them in order.
            let pairs = _mm256_packs_epi32(whole(0), whole(1));
            let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
            let (low, high) = (_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
            _mm_storeu_si128(to.cast(), _mm_packus_epi16(low, high));
        }
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

/// Bytes widened to words, whose products are added in pairs: exact, unlike the instruction that
/// multiplies bytes and saturates.
impl Dot for Avx2 {
    /// Of every channel two sums side by side, four channels a register.
    type Sums = [__m256i; 4];
    const HIGH: [usize; 5] = [1, 2, 1, 1, 1];

    #[inline(always)]
    unsafe fn none() -> Self::Sums {
        // SAFETY: the caller's promise.
        unsafe { [_mm256_setzero_si256(); 4] }
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::Sums, x: i32, w: *const i8) -> Self::Sums {
        // SAFETY: the caller's promise: 64 bytes at `w`.
        unsafe {
            let x = _mm256_cvtepu8_epi16(_mm_set1_epi32(x));
            let add = |i: usize| {
                let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(16 * i).cast()));
                _mm256_add_epi32(sums[i], _mm256_madd_epi16(x, w))
            };
            [add(0), add(1), add(2), add(3)]
        }
    }
    #[inline(always)]
    unsafe fn float(sums: Self::Sums) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe {
            // Adding pairs works on halves of registers; the permutation puts them in order.
            let eight = |a, b| {
                let pairs = _mm256_hadd_epi32(a, b);
                _mm256_cvtepi32_ps(_mm256_permute4x64_epi64::<0b11_01_10_00>(pairs))
            };
            [eight(sums[0], sums[1]), eight(sums[2], sums[3])]
        }
    }
}
