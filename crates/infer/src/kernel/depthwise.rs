//! Depthwise convolution: each channel by itself, sixteen at a time.

use std::ops::Range;

use super::conv::Epilogue;
use super::memory::{Aligned, Arena, Share};
use super::simd::{LANES, Simd};

/// A map in the arena: where its first pixel is and how far apart pixels and rows are.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Place of the first pixel's first channel.
    pub offset: usize,
    /// From pixel to pixel, values.
    pub pixel: usize,
    /// From row to row, values.
    pub row: usize,
}

impl Grid {
    /// The range that `rows`×`columns` pixels of `channels` lie in.
    pub fn span(&self, rows: usize, columns: usize, channels: usize) -> Range<usize> {
        let last = rows.saturating_sub(1) * self.row + columns.saturating_sub(1) * self.pixel;
        self.offset..self.offset + last + channels
    }
}

/// One depthwise convolution, ready to run.
#[derive(Debug)]
pub struct Depthwise {
    /// `offset` is that of the first window's first pixel (in the padding).
    input: Grid,
    output: Grid,
    rows: usize,
    columns: usize,
    blocks: usize,
    kernel: usize,
    stride: usize,
    /// `[block][row of the window][column][16]`
    weights: Aligned,
    bias: Aligned,
    epilogue: Epilogue,
}

impl Depthwise {
    /// * `size` – rows and columns of the output.
    /// * `weights` – `[kernel · kernel][channels]`, channels a multiple of sixteen.
    ///
    /// `None` if sizes do not agree.
    pub fn new(
        (input, output): (Grid, Grid),
        size: (usize, usize),
        (kernel, stride): (usize, usize),
        weights: &[f32],
        bias: &[f32],
        epilogue: Epilogue,
    ) -> Option<Self> {
        let channels = bias.len();
        let taps = kernel.checked_mul(kernel)?;
        let sizes = [size.0, size.1, kernel, stride, channels];
        if sizes.contains(&0) || !channels.is_multiple_of(LANES) || weights.len() != taps * channels
        {
            return None;
        }
        let mut packed = Aligned::new(weights.len());
        for (block, place) in packed.as_mut_slice().chunks_exact_mut(taps * LANES).enumerate() {
            for (place, row) in place.chunks_exact_mut(LANES).zip(weights.chunks_exact(channels)) {
                place.copy_from_slice(row.get(block * LANES..(block + 1) * LANES)?);
            }
        }
        Some(Self {
            input,
            output,
            rows: size.0,
            columns: size.1,
            blocks: channels / LANES,
            kernel,
            stride,
            weights: packed,
            bias: Aligned::from_slice(bias),
            epilogue,
        })
    }

    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let far = |n: usize| (n - 1) * self.stride + self.kernel;
        let width = self.blocks * LANES;
        [
            self.input.span(far(self.rows), far(self.columns), width),
            self.output.span(self.rows, self.columns, width),
        ]
    }

    /// Multiply–adds of one run.
    pub fn macs(&self) -> usize {
        self.rows * self.columns * self.blocks * LANES * self.kernel * self.kernel
    }

    /// Its sizes, for reading.
    pub fn describe(&self) -> String {
        let Self { rows, columns, kernel, stride, .. } = self;
        format!("depthwise {rows}x{columns}x{} k{kernel} s{stride}", self.blocks * LANES)
    }

    /// Runs one thread's share: a range of output rows.
    ///
    /// # Safety
    /// As [`super::Conv::run`].
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, arena: Arena, share: Share) {
        let strips = self.columns.div_ceil(S::STRIP);
        for y in share.of(self.rows) {
            for block in 0..self.blocks {
                let mut x = 0;
                for left in (1..=strips).rev() {
                    let count = (self.columns - x).div_ceil(left);
                    // SAFETY: the caller's promise; y, x + count and block are within the output.
                    unsafe {
                        match count {
                            8 if S::STRIP >= 8 => self.strip::<S, 8>(arena, y, x, block),
                            7 if S::STRIP >= 7 => self.strip::<S, 7>(arena, y, x, block),
                            6 if S::STRIP >= 6 => self.strip::<S, 6>(arena, y, x, block),
                            5 if S::STRIP >= 5 => self.strip::<S, 5>(arena, y, x, block),
                            4 if S::STRIP >= 4 => self.strip::<S, 4>(arena, y, x, block),
                            3 if S::STRIP >= 3 => self.strip::<S, 3>(arena, y, x, block),
                            2 if S::STRIP >= 2 => self.strip::<S, 2>(arena, y, x, block),
                            1 => self.strip::<S, 1>(arena, y, x, block),
                            _ => {}
                        }
                    }
                    x += count;
                }
            }
        }
    }

    /// `N` neighbouring output pixels.
    ///
    /// # Safety
    /// As [`super::Conv::run`]; row `y`, columns x..x + N and `block` are within the output.
    #[inline(always)]
    unsafe fn strip<S: Simd, const N: usize>(
        &self,
        arena: Arena,
        y: usize,
        x: usize,
        block: usize,
    ) {
        let taps = self.kernel * self.kernel;
        // SAFETY: `spans` covers every window and output, checked when the program was made;
        // weights and bias have a place for every block.
        unsafe {
            let mut w = self.weights.as_slice().as_ptr().add(block * taps * LANES);
            let bias = S::load(self.bias.as_slice().as_ptr().add(block * LANES));
            let mut sums = [bias; N];
            let step = self.stride * self.input.pixel;
            let first = y * self.stride * self.input.row + x * step + block * LANES;
            let mut row = arena.at(self.input.offset + first).cast_const();
            for _ in 0..self.kernel {
                let mut a = row;
                for _ in 0..self.kernel {
                    let weight = S::load(w);
                    for n in 0..N {
                        sums[n] = S::fma(S::load(a.add(n * step)), weight, sums[n]);
                    }
                    w = w.add(LANES);
                    // May step past the arena after the last tap, hence wrapping.
                    a = a.wrapping_add(self.input.pixel);
                }
                row = row.wrapping_add(self.input.row);
            }
            let (lo, hi) = (S::splat(self.epilogue.lo), S::splat(self.epilogue.hi));
            let place = y * self.output.row + x * self.output.pixel + block * LANES;
            let out = arena.at(self.output.offset + place);
            for n in 0..N {
                S::store(out.add(n * self.output.pixel), S::clamp(sums[n], lo, hi));
            }
        }
    }
}
