//! Depthwise convolution: each channel by itself, sixteen at a time.

use std::ops::Range;

use super::Quantize;
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
    /// Written as bytes instead of f32.
    bytes: Option<Bytes>,
}

/// Where and how values become bytes, see [`super::Quantize`].
#[derive(Debug, Clone, Copy)]
struct Bytes {
    /// Where in the arena (in f32) the bytes begin.
    start: usize,
    factor: f32,
    zero: f32,
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
            bytes: None,
        })
    }

    /// Makes it write what `quantize` would write of its output, and nothing else: the same bytes
    /// without their f32 going through memory. `false`, and nothing is changed, if that reads
    /// other values than this writes.
    pub fn fuse(&mut self, quantize: &Quantize) -> bool {
        let [_, writes] = self.spans();
        // Without padding there is nothing between its pixels that `quantize` would have to set.
        let fits = quantize.input == writes && writes.len() == self.outputs();
        if fits {
            let (factor, zero) = quantize.steps();
            self.bytes = Some(Bytes { start: quantize.output, factor, zero });
        }
        fits
    }

    fn outputs(&self) -> usize {
        self.rows * self.columns * self.blocks * LANES
    }

    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let far = |n: usize| (n - 1) * self.stride + self.kernel;
        let width = self.blocks * LANES;
        let writes = match self.bytes {
            Some(bytes) => bytes.start..bytes.start + self.outputs().div_ceil(4),
            None => self.output.span(self.rows, self.columns, width),
        };
        [self.input.span(far(self.rows), far(self.columns), width), writes]
    }

    /// Multiply–adds of one run.
    pub fn macs(&self) -> usize {
        self.outputs() * self.kernel * self.kernel
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
            if let Some(bytes) = self.bytes {
                let (factor, zero) = (S::splat(bytes.factor), S::splat(bytes.zero));
                let out = arena.at(bytes.start).cast::<u8>().add(place);
                for n in 0..N {
                    let value = S::clamp(sums[n], lo, hi);
                    S::bytes(out.add(n * self.output.pixel), value, factor, zero);
                }
            } else {
                let out = arena.at(self.output.offset + place);
                for n in 0..N {
                    S::store(out.add(n * self.output.pixel), S::clamp(sums[n], lo, hi));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Isa, Op, Program};

    const CHANNELS: usize = 32;
    const OUT: usize = 1024;
    const BYTES: usize = OUT + 9 * CHANNELS;

    fn depthwise() -> Depthwise {
        // 5×5 pixels under windows of 3×3: 3×3 pixels.
        let input = Grid { offset: 0, pixel: CHANNELS, row: 5 * CHANNELS };
        let output = Grid { offset: OUT, pixel: CHANNELS, row: 3 * CHANNELS };
        let weights: Vec<f32> =
            (0..9 * CHANNELS).map(|i| (i * 37 % 101) as f32 * 0.02 - 1.0).collect();
        let epilogue = Epilogue { add: false, lo: 0.0, hi: 6.0 };
        let bias = [0.1; CHANNELS];
        Depthwise::new((input, output), (3, 3), (3, 1), &weights, &bias, epilogue).unwrap()
    }

    fn quantize(input: Range<usize>) -> Quantize {
        Quantize { input, output: BYTES, scale: 6.0 / 255.0, zero: 3 }
    }

    #[test]
    fn bytes_written_at_once_are_those_of_two_steps() {
        let run = |ops: fn(Depthwise, Quantize) -> Vec<Op>, op: Depthwise, isa| {
            let ops = ops(op, quantize(OUT..BYTES));
            let mut program = Program::new(ops, BYTES + 9 * CHANNELS / 4, isa, 1).unwrap();
            for (i, v) in program.arena()[..OUT].iter_mut().enumerate() {
                *v = (i * 61 % 97) as f32 * 0.03 - 1.0;
            }
            program.run(0);
            let bits: Vec<u32> = program.arena()[BYTES..].iter().map(|v| v.to_bits()).collect();
            assert!(bits.iter().any(|b| *b != 0));
            bits
        };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let mut one = depthwise();
            assert!(one.fuse(&quantize(OUT..BYTES)));
            let two = run(|op, q| vec![Op::Depthwise(op), Op::Quantize(q)], depthwise(), isa);
            assert_eq!(run(|op, _| vec![Op::Depthwise(op)], one, isa), two, "{}", isa.name());
        }
    }

    #[test]
    fn only_the_whole_output_is_fused() {
        let mut op = depthwise();
        let spans = op.spans();
        assert!(!op.fuse(&quantize(OUT..BYTES - CHANNELS)));
        assert_eq!(op.spans(), spans);
    }
}
