//! Convolution with bytes: activations as u8 with a zero point, weights as i8 with a scale for
//! each channel, sums as i32, and from there on f32 as everywhere.
//!
//! The sums are exact, so every instruction set makes the same integers. VNNI multiplies four
//! pairs of bytes a lane; without it plain Rust does the same.

use std::ops::Range;

use super::conv::{Epilogue, Window, each};
use super::memory::{Aligned, Arena, Share};
use super::simd::{LANES, Portable, ROUNDER, Simd};

/// Values of a map as bytes: `byte = round(value / scale) + zero`, limited to 0–255.
#[derive(Debug)]
pub struct Quantize {
    /// Values read, from the map's first, padding included: it becomes the zero point.
    pub input: Range<usize>,
    /// Where in the arena (in f32) the bytes begin.
    pub output: usize,
    /// Value of one step.
    pub scale: f32,
    /// The byte of 0.
    pub zero: u8,
}

impl Quantize {
    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        [self.input.clone(), self.output..self.output + self.input.len().div_ceil(4)]
    }

    /// What a value is multiplied with, and what is added, before it is rounded.
    pub(super) fn steps(&self) -> (f32, f32) {
        (1.0 / self.scale, f32::from(self.zero))
    }

    /// Runs one thread's share.
    ///
    /// # Safety
    /// As [`super::Conv::run`].
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, arena: Arena, share: Share) {
        let part = share.of(self.input.len() / LANES);
        let (factor, zero) = self.steps();
        // SAFETY: the caller's promise: `spans` covers both, and they do not overlap.
        unsafe {
            let (factor, zero) = (S::splat(factor), S::splat(zero));
            let from = arena.at(self.input.start).cast_const();
            let to = arena.at(self.output).cast::<u8>();
            for block in part {
                let values = S::load(from.add(block * LANES));
                S::bytes(to.add(block * LANES), values, factor, zero);
            }
        }
    }
}

/// Weights and what turns sums into values.
#[derive(Debug)]
struct Coded {
    /// `[group][four values of the window][channel of the group][4]`, as the bytes of f32.
    weights: Aligned,
    /// A sum times `factor` plus `offset` is the value, per channel.
    factor: Aligned,
    offset: Aligned,
}

/// One convolution with bytes, ready to run.
#[derive(Debug)]
pub struct Conv8 {
    /// Per output pixel: at which byte of the input its window begins, and where in the arena its
    /// channels go.
    pixels: Vec<(u32, u32)>,
    /// In bytes.
    window: Window,
    /// Where in the arena the input's bytes begin, and how many there are.
    input: (usize, usize),
    groups: Vec<usize>,
    coded: Coded,
    epilogue: Epilogue,
    product: Product,
}

/// Which instructions multiply bytes. The first two round alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "of other machines"))]
pub enum Product {
    /// AVX-512 VNNI.
    Vnni,
    /// AVX2, with words in between.
    Avx2,
    /// Plain Rust.
    Plain,
}

impl Conv8 {
    /// * `matrix` – `[window value][channel]`, f32; `bias` – one per channel, a multiple of 16.
    /// * `scale`, `zero` – of the input, see [`Quantize`].
    ///
    /// `None` if sizes do not agree.
    pub fn new(
        pixels: Vec<(u32, u32)>,
        window: Window,
        input: (usize, usize),
        (matrix, bias): (&[f32], &[f32]),
        (scale, zero): (f32, u8),
        epilogue: Epilogue,
        product: Product,
    ) -> Option<Self> {
        let channels = bias.len();
        let blocks = channels / LANES;
        let depth = window.segments.checked_mul(window.length)?;
        let wrong = !channels.is_multiple_of(LANES) || !window.length.is_multiple_of(4);
        if wrong || blocks == 0 || depth == 0 || matrix.len() != depth * channels {
            return None;
        }
        let count = blocks.div_ceil(4);
        let groups: Vec<usize> = (0..=count).map(|g| g * blocks / count).collect();
        let mut most = vec![0.0f32; channels];
        for row in matrix.chunks_exact(channels) {
            most.iter_mut().zip(row).for_each(|(most, w)| *most = most.max(w.abs()));
        }
        let steps: Vec<f32> = most.iter().map(|m| if *m > 0.0 { m / 127.0 } else { 1.0 }).collect();
        let (mut bytes, mut sums) = (Vec::with_capacity(depth * channels), vec![0i32; channels]);
        for group in groups.windows(2) {
            for four in matrix.chunks_exact(4 * channels) {
                for channel in group[0] * LANES..group[1] * LANES {
                    for row in four.chunks_exact(channels) {
                        // The largest weight makes 127 exactly.
                        let code = (row[channel] / steps[channel] + ROUNDER).to_bits() as u8;
                        sums[channel] += i32::from(code as i8);
                        bytes.push(code);
                    }
                }
            }
        }
        let (words, _) = bytes.as_chunks::<4>();
        let words: Vec<f32> = words.iter().map(|b| f32::from_ne_bytes(*b)).collect();
        let factor: Vec<f32> = steps.iter().map(|step| step * scale).collect();
        let offset = factor.iter().zip(&sums).zip(bias);
        let offset: Vec<f32> =
            offset.map(|((f, sum), bias)| bias - f * (*sum as f32 * f32::from(zero))).collect();
        let coded = Coded {
            weights: Aligned::from_slice(&words),
            factor: Aligned::from_slice(&factor),
            offset: Aligned::from_slice(&offset),
        };
        Some(Self { pixels, window, input, groups, coded, epilogue, product })
    }

    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let places = || self.pixels.iter().map(|p| p.1 as usize);
        let (first, last) = (places().min().unwrap_or(0), places().max().unwrap_or(0));
        let (start, bytes) = self.input;
        // Every window must lie within the input; a program is refused otherwise.
        let reads =
            self.window.segments.saturating_sub(1) * self.window.stride + self.window.length;
        let end = self.pixels.iter().map(|p| p.0 as usize + reads).max().unwrap_or(0);
        [start..start + bytes.max(end).div_ceil(4), first..last + self.channels()]
    }

    fn channels(&self) -> usize {
        self.groups.last().map_or(0, |blocks| blocks * LANES)
    }

    /// Multiply–adds of one run.
    pub fn macs(&self) -> usize {
        self.pixels.len() * self.window.segments * self.window.length * self.channels()
    }

    /// Its sizes, for reading.
    pub fn describe(&self) -> String {
        let Window { segments, length, .. } = self.window;
        format!("int8 conv {} px {segments}x{length} -> {}", self.pixels.len(), self.channels())
    }

    /// Runs one thread's share.
    ///
    /// # Safety
    /// As [`super::Conv::run`].
    #[inline(always)]
    pub(super) unsafe fn run(&self, arena: Arena, share: Share) {
        // SAFETY: the caller's promise; `product` is one that the machine has (`Isa::product`).
        unsafe {
            match self.product {
                #[cfg(target_arch = "x86_64")]
                Product::Vnni => self.run_vnni(arena, share),
                #[cfg(target_arch = "x86_64")]
                Product::Avx2 => self.run_avx2(arena, share),
                _ => self.run_on::<Portable>(arena, share),
            }
        }
    }

    /// # Safety
    /// As [`Self::run`], with AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
    unsafe fn run_vnni(&self, arena: Arena, share: Share) {
        // SAFETY: the caller's promise.
        unsafe { self.run_on::<super::x86::Avx512>(arena, share) }
    }

    /// # Safety
    /// As [`Self::run`], with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run_avx2(&self, arena: Arena, share: Share) {
        // SAFETY: the caller's promise.
        unsafe { self.run_on::<super::x86::Avx2>(arena, share) }
    }

    /// # Safety
    /// As [`Self::run`], with the instructions of `D`.
    #[inline(always)]
    unsafe fn run_on<D: Dot>(&self, arena: Arena, share: Share) {
        let count = self.groups.len() - 1;
        let few = self.pixels.len() < 32;
        let groups = if few { share.of(count) } else { 0..count };
        let pixels = if few { 0..self.pixels.len() } else { share.of(self.pixels.len()) };
        let Some(pixels) = self.pixels.get(pixels) else { return };
        for group in groups {
            let (first, end) = (self.groups[group], self.groups[group + 1]);
            // SAFETY: as in `Conv::run`.
            unsafe {
                match end - first {
                    1 => self.tiles::<D, 1>(arena, pixels, first),
                    2 => self.tiles::<D, 2>(arena, pixels, first),
                    3 => self.tiles::<D, 3>(arena, pixels, first),
                    _ => self.tiles::<D, 4>(arena, pixels, first),
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::run`].
    #[inline(always)]
    unsafe fn tiles<D: Dot, const P: usize>(
        &self,
        arena: Arena,
        pixels: &[(u32, u32)],
        first: usize,
    ) {
        let tiles = pixels.len().div_ceil(D::HIGH[P]);
        let mut rest = pixels;
        for left in (1..=tiles).rev() {
            let (tile, more) = rest.split_at(rest.len().div_ceil(left));
            rest = more;
            // SAFETY: the caller's promise; the constants are the lengths.
            unsafe {
                match tile.len() {
                    8 if D::HIGH[P] >= 8 => self.tile::<D, P, 8>(arena, tile, first),
                    7 if D::HIGH[P] >= 7 => self.tile::<D, P, 7>(arena, tile, first),
                    6 if D::HIGH[P] >= 6 => self.tile::<D, P, 6>(arena, tile, first),
                    5 if D::HIGH[P] >= 5 => self.tile::<D, P, 5>(arena, tile, first),
                    4 if D::HIGH[P] >= 4 => self.tile::<D, P, 4>(arena, tile, first),
                    3 if D::HIGH[P] >= 3 => self.tile::<D, P, 3>(arena, tile, first),
                    2 if D::HIGH[P] >= 2 => self.tile::<D, P, 2>(arena, tile, first),
                    1 => self.tile::<D, P, 1>(arena, tile, first),
                    _ => {}
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::run`], and `tile` has `R` pixels.
    #[inline(always)]
    unsafe fn tile<D: Dot, const P: usize, const R: usize>(
        &self,
        arena: Arena,
        tile: &[(u32, u32)],
        first: usize,
    ) {
        let Some(tile) = tile.first_chunk::<R>() else { return };
        let depth = self.window.segments * self.window.length;
        // SAFETY: windows and outputs lie within the arena (`spans`, checked when the program was
        // made), weights and factors within theirs (made by `new` for these groups).
        unsafe {
            let input = arena.at(self.input.0).cast::<u8>().cast_const();
            let mut a = [input; R];
            let mut sums = [[D::none(); P]; R];
            each!(r < R { a[r] = input.add(tile[r].0 as usize); });
            let weights = self.coded.weights.as_slice().as_ptr().cast::<i8>();
            let mut w = weights.add(first * LANES * depth);
            for _ in 0..self.window.segments {
                for k in 0..self.window.length / 4 {
                    each!(r < R {
                        let x = a[r].add(4 * k).cast::<i32>().read_unaligned();
                        each!(p < P {
                            sums[r][p] = D::dot(sums[r][p], x, w.add(p * LANES * 4));
                        });
                    });
                    w = w.add(P * LANES * 4);
                }
                // May step past the arena after the last run, hence wrapping.
                each!(r < R { a[r] = a[r].wrapping_add(self.window.stride); });
            }
            let (lo, hi) = (D::splat(self.epilogue.lo), D::splat(self.epilogue.hi));
            let factor = self.coded.factor.as_slice().as_ptr().add(first * LANES);
            let offset = self.coded.offset.as_slice().as_ptr().add(first * LANES);
            each!(r < R {
                let out = arena.at(tile[r].1 as usize + first * LANES);
                each!(p < P {
                    let (at, out) = (p * LANES, out.add(p * LANES));
                    let sum = D::float(sums[r][p]);
                    let mut v = D::fma(sum, D::load(factor.add(at)), D::load(offset.add(at)));
                    if self.epilogue.add {
                        v = D::add(v, D::load(out.cast_const()));
                    }
                    D::store(out, D::clamp(v, lo, hi));
                });
            });
        }
    }
}

/// Sums of products of bytes, sixteen lanes of i32.
///
/// # Safety
/// As [`Simd`]; `w` is good for 64 bytes.
pub(super) trait Dot: Simd {
    /// Sixteen sums.
    type Sums: Copy;
    /// Output pixels of a tile, by blocks of channels in it.
    const HIGH: [usize; 5];
    unsafe fn none() -> Self::Sums;
    /// Adds in each lane four products: the bytes of `x` (without a sign) times the lane's.
    unsafe fn dot(sums: Self::Sums, x: i32, w: *const i8) -> Self::Sums;
    unsafe fn float(sums: Self::Sums) -> Self::V;
}

impl Dot for Portable {
    type Sums = [i32; LANES];
    const HIGH: [usize; 5] = [1, 2, 1, 1, 1];

    #[inline(always)]
    unsafe fn none() -> Self::Sums {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn dot(mut sums: Self::Sums, x: i32, w: *const i8) -> Self::Sums {
        // SAFETY: the caller's promise.
        let w = unsafe { w.cast::<[[i8; 4]; LANES]>().read_unaligned() };
        let x = x.to_ne_bytes();
        for (sum, w) in sums.iter_mut().zip(w) {
            for i in 0..4 {
                *sum += i32::from(x[i]) * i32::from(w[i]);
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn float(sums: Self::Sums) -> Self::V {
        sums.map(|s| s as f32)
    }
}
