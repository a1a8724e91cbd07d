//! Pooling: the maximum over windows, and the mean over the whole map.

use std::ops::Range;

use super::depthwise::Grid;
use super::memory::{Arena, Share};
use super::simd::{LANES, Simd};

/// Maximum over `kernel`×`kernel` windows. The padding is zero, so inputs must not be negative
/// (they come out of a ReLU).
#[derive(Debug)]
pub struct MaxPool {
    /// `offset` is that of the first window's first pixel (in the padding).
    pub input: Grid,
    /// Where the maxima go.
    pub output: Grid,
    /// Rows of the output.
    pub rows: usize,
    /// Columns of the output.
    pub columns: usize,
    /// Channels, a multiple of sixteen.
    pub channels: usize,
    /// Side of a window.
    pub kernel: usize,
    /// Pixels from window to window.
    pub stride: usize,
}

impl MaxPool {
    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let far = |n: usize| n.saturating_sub(1) * self.stride + self.kernel;
        [
            self.input.span(far(self.rows), far(self.columns), self.channels),
            self.output.span(self.rows, self.columns, self.channels),
        ]
    }

    /// Runs one thread's share: a range of output rows.
    ///
    /// # Safety
    /// As [`super::Conv::run`].
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, arena: Arena, share: Share) {
        for y in share.of(self.rows) {
            for x in 0..self.columns {
                let window = y * self.stride * self.input.row + x * self.stride * self.input.pixel;
                let place = y * self.output.row + x * self.output.pixel;
                for block in 0..self.channels / LANES {
                    let mut most = [0.0f32; LANES];
                    for ky in 0..self.kernel {
                        for kx in 0..self.kernel {
                            let at = window + ky * self.input.row + kx * self.input.pixel;
                            // SAFETY: the caller's promise: `spans` covers every window.
                            let pixel: [f32; LANES] = unsafe {
                                arena
                                    .at(self.input.offset + at + block * LANES)
                                    .cast::<[f32; LANES]>()
                                    .read_unaligned()
                            };
                            for (most, value) in most.iter_mut().zip(pixel) {
                                // A NaN is kept, so that a broken network is noticed.
                                let keep = most.is_nan() || value <= *most;
                                *most = if keep { *most } else { value };
                            }
                        }
                    }
                    // SAFETY: the caller's promise: `spans` covers the output.
                    unsafe {
                        let out = arena.at(self.output.offset + place + block * LANES);
                        out.cast::<[f32; LANES]>().write_unaligned(most);
                    }
                }
            }
        }
    }
}

/// Mean of every channel over all pixels of a map without padding.
#[derive(Debug)]
pub struct Mean {
    /// First value of the map.
    pub input: usize,
    /// Where the means go.
    pub output: usize,
    /// Pixels.
    pub pixels: usize,
    /// Channels, a multiple of sixteen.
    pub channels: usize,
}

impl Mean {
    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let output = self.output..self.output + self.channels;
        [self.input..self.input + self.pixels * self.channels, output]
    }

    /// Runs one thread's share: a range of channels.
    ///
    /// # Safety
    /// As [`super::Conv::run`].
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, arena: Arena, share: Share) {
        let factor = 1.0 / self.pixels as f32;
        for block in share.of(self.channels / LANES) {
            // SAFETY: the caller's promise: `spans` covers the map and the means.
            unsafe {
                let zero = S::splat(0.0);
                let mut sum = zero;
                for pixel in 0..self.pixels {
                    let at = self.input + pixel * self.channels + block * LANES;
                    sum = S::add(sum, S::load(arena.at(at).cast_const()));
                }
                let mean = S::fma(sum, S::splat(factor), zero);
                S::store(arena.at(self.output + block * LANES), mean);
            }
        }
    }
}
