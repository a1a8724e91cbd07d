//! Convolution and dense layers: a matrix product over tiles of output pixels and channels.
//!
//! Channels lie last, so the values that one output pixel needs are `segments` runs of `length`
//! values (rows of the window): no copy into a matrix is made. A tile keeps up to thirteen
//! pixels or up to four blocks of sixteen channels in registers. Each output value is one sum over
//! the window in the same order, whatever the tile: tiling and threads do not change its bits.

use std::ops::Range;

use super::memory::{Aligned, Arena, Share};
use super::simd::{LANES, Simd};

/// A block for each index below a constant, without a loop: a loop over so many registers the
/// compiler unrolls too late, and then keeps the sums in memory.
macro_rules! each {
    ($i:ident < $n:ident $body:block) => {
        each!(@ $i $n $body 0 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $i:ident $n:ident $body:block $($at:literal)*) => {
        $(if $at < $n {
            let $i = $at;
            $body
        })*
    };
}

pub(super) use each;

/// One convolution (or dense layer: one output pixel), ready to run.
#[derive(Debug)]
pub struct Conv {
    /// Per output pixel: where in the arena its window begins, and where its channels go.
    pixels: Vec<(u32, u32)>,
    window: Window,
    /// First block of channels of each group, and one past the last at the end.
    groups: Vec<usize>,
    /// Per variant: weights `[group][value of the window][channel of the group]`.
    weights: Vec<Aligned>,
    /// Per variant: one value per channel.
    bias: Vec<Aligned>,
    epilogue: Epilogue,
}

/// The runs of values under the window of a pixel.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Number of runs.
    pub segments: usize,
    /// Values of a run.
    pub length: usize,
    /// From the beginning of a run to that of the next.
    pub stride: usize,
}

/// What happens to a sum before it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue {
    /// Adds what lies in the output: the residual.
    pub add: bool,
    /// Then limits from below …
    pub lo: f32,
    /// … and above.
    pub hi: f32,
}

impl Conv {
    /// * `matrices` – per variant (navigation branch) the matrix `[window value][channel]` and the
    ///   bias; all of one size, `channels` is a multiple of sixteen.
    /// * `group` – blocks of channels that a tile may cover.
    ///
    /// `None` if sizes do not agree.
    pub fn new(
        pixels: Vec<(u32, u32)>,
        window: Window,
        channels: usize,
        matrices: &[(Vec<f32>, Vec<f32>)],
        group: usize,
        epilogue: Epilogue,
    ) -> Option<Self> {
        let blocks = channels / LANES;
        let depth = window.segments.checked_mul(window.length)?;
        let fits = |(matrix, bias): &(Vec<f32>, Vec<f32>)| {
            matrix.len() == depth * channels && bias.len() == channels
        };
        if !channels.is_multiple_of(LANES)
            || blocks == 0
            || !(1..=4).contains(&group)
            || matrices.is_empty()
            || !matrices.iter().all(fits)
        {
            return None;
        }
        let count = blocks.div_ceil(group);
        let groups: Vec<usize> = (0..=count).map(|g| g * blocks / count).collect();
        let weights = matrices.iter().map(|(matrix, _)| {
            let mut packed = Aligned::new(depth * channels);
            let mut places = packed.as_mut_slice().iter_mut();
            for group in groups.windows(2) {
                for row in matrix.chunks_exact(channels) {
                    let part = row.get(group[0] * LANES..group[1] * LANES).into_iter().flatten();
                    part.zip(&mut places).for_each(|(value, place)| *place = *value);
                }
            }
            packed
        });
        let weights = weights.collect();
        let bias = matrices.iter().map(|(_, bias)| Aligned::from_slice(bias)).collect();
        Some(Self { pixels, window, groups, weights, bias, epilogue })
    }

    /// The ranges of the arena that it reads and writes.
    pub fn spans(&self) -> [Range<usize>; 2] {
        let Window { segments, length, stride } = self.window;
        let reads = segments.saturating_sub(1) * stride + length;
        let span = |place: fn(&(u32, u32)) -> u32, len: usize| {
            let places = || self.pixels.iter().map(place);
            let (first, last) = (places().min().unwrap_or(0), places().max().unwrap_or(0));
            first as usize..last as usize + len
        };
        [span(|p| p.0, reads), span(|p| p.1, self.channels())]
    }

    /// Output channels, a multiple of sixteen.
    pub fn channels(&self) -> usize {
        self.groups.last().map_or(0, |blocks| blocks * LANES)
    }

    /// Multiply–adds of one run.
    pub fn macs(&self) -> usize {
        self.pixels.len() * self.window.segments * self.window.length * self.channels()
    }

    /// Its sizes, for reading.
    pub fn describe(&self) -> String {
        let Window { segments, length, .. } = self.window;
        format!("conv {} px {segments}x{length} -> {}", self.pixels.len(), self.channels())
    }

    /// Runs one thread's share.
    ///
    /// # Safety
    /// The instruction set of `S` is there, [`Self::spans`] lie within `arena`, do not overlap,
    /// and nobody else but the other shares of this run touches them.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, arena: Arena, variant: usize, share: Share) {
        let variant = variant.min(self.weights.len() - 1);
        let (Some(weights), Some(bias)) = (self.weights.get(variant), self.bias.get(variant))
        else {
            return;
        };
        let count = self.groups.len() - 1;
        // Few pixels: each thread takes channels, so that each reads its weights only.
        let few = self.pixels.len() < 32;
        let groups = if few { share.of(count) } else { 0..count };
        let pixels = if few { 0..self.pixels.len() } else { share.of(self.pixels.len()) };
        let Some(pixels) = self.pixels.get(pixels) else { return };
        let depth = self.window.segments * self.window.length;
        for group in groups {
            let (first, end) = (self.groups[group], self.groups[group + 1]);
            // SAFETY: `Conv::new` made `weights` depth · channels values long and `bias` channels;
            // first..end is within the blocks.
            let (w, b) = unsafe {
                let w = weights.as_slice().as_ptr().add(first * LANES * depth);
                (w, bias.as_slice().as_ptr().add(first * LANES))
            };
            // Weights larger than the caches come from memory once a run: those of the next group
            // are asked for while this one is computed.
            let next = w.wrapping_add((end - first) * LANES * depth);
            let part = Part { window: self.window, w, b, next, first, epilogue: self.epilogue };
            // SAFETY: the caller's promise, and `part` was made from checked sizes.
            unsafe {
                match end - first {
                    1 => part.pixels::<S, 1>(arena, pixels),
                    2 => part.pixels::<S, 2>(arena, pixels),
                    3 => part.pixels::<S, 3>(arena, pixels),
                    _ => part.pixels::<S, 4>(arena, pixels),
                }
            }
        }
    }
}

/// The work of one group of `P` blocks of channels.
struct Part {
    window: Window,
    w: *const f32,
    b: *const f32,
    /// Where the weights of the next group begin, perhaps past the end.
    next: *const f32,
    first: usize,
    epilogue: Epilogue,
}

impl Part {
    /// All tiles over `pixels`; their heights differ by one at most.
    ///
    /// # Safety
    /// As [`Conv::run`].
    #[inline(always)]
    unsafe fn pixels<S: Simd, const P: usize>(&self, arena: Arena, pixels: &[(u32, u32)]) {
        let depth = self.window.segments * self.window.length;
        // High tiles pay when their beginning and end are rare.
        let most = if depth < 128 { S::ROWS[P].min(8) } else { S::ROWS[P] };
        let tiles = pixels.len().div_ceil(most);
        let mut rest = pixels;
        // Of the next group's weights, what each tile asks for per value of the window.
        let step = (P * LANES).div_ceil(tiles.max(1));
        let mut next = self.next;
        for left in (1..=tiles).rev() {
            let (tile, more) = rest.split_at(rest.len().div_ceil(left));
            rest = more;
            let ahead = (next, step);
            next = next.wrapping_add(depth * step);
            // SAFETY: the caller's promise; the constants are the lengths.
            unsafe {
                match tile.len() {
                    13 if S::ROWS[P] >= 13 => self.tile::<S, P, 13>(arena, tile, ahead),
                    12 if S::ROWS[P] >= 12 => self.tile::<S, P, 12>(arena, tile, ahead),
                    11 if S::ROWS[P] >= 11 => self.tile::<S, P, 11>(arena, tile, ahead),
                    10 if S::ROWS[P] >= 10 => self.tile::<S, P, 10>(arena, tile, ahead),
                    9 if S::ROWS[P] >= 9 => self.tile::<S, P, 9>(arena, tile, ahead),
                    8 if S::ROWS[P] >= 8 => self.tile::<S, P, 8>(arena, tile, ahead),
                    7 if S::ROWS[P] >= 7 => self.tile::<S, P, 7>(arena, tile, ahead),
                    6 if S::ROWS[P] >= 6 => self.tile::<S, P, 6>(arena, tile, ahead),
                    5 if S::ROWS[P] >= 5 => self.tile::<S, P, 5>(arena, tile, ahead),
                    4 if S::ROWS[P] >= 4 => self.tile::<S, P, 4>(arena, tile, ahead),
                    3 if S::ROWS[P] >= 3 => self.tile::<S, P, 3>(arena, tile, ahead),
                    2 if S::ROWS[P] >= 2 => self.tile::<S, P, 2>(arena, tile, ahead),
                    1 => self.tile::<S, P, 1>(arena, tile, ahead),
                    _ => {}
                }
            }
        }
    }

    /// # Safety
    /// As [`Conv::run`], and `tile` has `R` pixels.
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const R: usize>(
        &self,
        arena: Arena,
        tile: &[(u32, u32)],
        (mut ahead, step): (*const f32, usize),
    ) {
        let Some(tile) = tile.first_chunk::<R>() else { return };
        // SAFETY: windows and outputs lie within the arena (`Conv::spans`, checked when the
        // program was made), weights and bias within theirs (see `Conv::run`).
        unsafe {
            let mut a = [arena.at(0).cast_const(); R];
            let mut sums = [[S::splat(0.0); P]; R];
            each!(r < R {
                a[r] = arena.at(tile[r].0 as usize).cast_const();
                each!(p < P { sums[r][p] = S::load(self.b.add(p * LANES)); });
            });
            let mut w = self.w;
            for _ in 0..self.window.segments {
                for k in 0..self.window.length {
                    let mut row = [S::splat(0.0); P];
                    each!(p < P { row[p] = S::load(w.add(p * LANES)); });
                    each!(r < R {
                        let x = S::splat(*a[r].add(k));
                        each!(p < P { sums[r][p] = S::fma(x, row[p], sums[r][p]); });
                    });
                    if R > 3 {
                        S::prefetch(ahead);
                        ahead = ahead.wrapping_add(step);
                    }
                    w = w.add(P * LANES);
                }
                // May step past the arena after the last run, hence wrapping.
                each!(r < R { a[r] = a[r].wrapping_add(self.window.stride); });
            }
            let (lo, hi) = (S::splat(self.epilogue.lo), S::splat(self.epilogue.hi));
            each!(r < R {
                let out = arena.at(tile[r].1 as usize + self.first * LANES);
                each!(p < P {
                    let out = out.add(p * LANES);
                    let mut v = sums[r][p];
                    if self.epilogue.add {
                        v = S::add(v, S::load(out.cast_const()));
                    }
                    S::store(out, S::clamp(v, lo, hi));
                });
            });
        }
    }
}
