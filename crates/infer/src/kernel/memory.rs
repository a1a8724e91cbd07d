//! Memory of the kernels: aligned vectors, the arena of activations, a thread's share.

use std::ops::Range;

use super::simd::LANES;

/// A vector of f32 whose first value begins a cache line. Its length is fixed.
#[derive(Debug)]
pub struct Aligned {
    values: Vec<f32>,
    skip: usize,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let values = vec![0.0f32; len + LANES];
        // The memory of a vector that does not grow stays where it is.
        let skip = values.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES);
        Self { values, skip, len }
    }

    /// A copy.
    pub fn from_slice(values: &[f32]) -> Self {
        let mut aligned = Self::new(values.len());
        aligned.as_mut_slice().copy_from_slice(values);
        aligned
    }

    /// All values.
    pub fn as_slice(&self) -> &[f32] {
        self.values.get(self.skip..self.skip + self.len).unwrap_or(&[])
    }

    /// All values.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        self.values.get_mut(self.skip..self.skip + self.len).unwrap_or(&mut [])
    }
}

/// The activations, as the kernels of several threads see them.
#[derive(Clone, Copy)]
pub(super) struct Arena {
    start: *mut f32,
    len: usize,
}

impl Arena {
    pub(super) fn new(values: &mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len() }
    }

    /// # Safety
    /// `start` is good for `len` values for as long as this is used.
    pub(super) unsafe fn from_raw(start: *mut f32, len: usize) -> Self {
        Self { start, len }
    }

    /// # Safety
    /// `offset` is at most the arena's length.
    #[inline(always)]
    pub(super) unsafe fn at(self, offset: usize) -> *mut f32 {
        debug_assert!(offset <= self.len, "{offset} of {}", self.len);
        // SAFETY: the caller's promise.
        unsafe { self.start.add(offset) }
    }
}

/// Which part of the work a thread does.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Number of this thread, from 0.
    pub part: usize,
    /// Number of threads.
    pub parts: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { part: 0, parts: 1 };

    /// This thread's range of `n` pieces.
    pub fn of(self, n: usize) -> Range<usize> {
        n * self.part / self.parts..n * (self.part + 1) / self.parts
    }
}
