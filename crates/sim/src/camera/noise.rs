//! A tileable noise texture with mip levels: the grain of everything that is drawn.

use caril_core::CounterRng;

use super::wide::{F, I, LANES};

/// Side of the finest level, texels.
const SIDE: usize = 256;
/// Number of levels, down to one texel.
const LEVELS: usize = 9;
/// Entries of a table, the texels of all levels and padding: a power of two, so that an index
/// can be masked.
const TABLE: usize = 1 << 17;

/// Zero-mean noise, stored in bytes so that it stays in the cache.
pub(crate) struct Noise {
    texels: Vec<i8>,
    offset: [usize; LEVELS],
    /// Of each texel it and its right, lower and diagonal neighbours, one byte each.
    quads: Vec<u32>,
}

impl Noise {
    /// Noise of a seed: `octaves` of value noise, each half as strong and twice as coarse as
    /// `first_cell` texels … fine detail has weight `fine`.
    pub(crate) fn new(seed: u64, fine: f32) -> Self {
        let mut rng = CounterRng::new(seed, 0x4E01_5E00);
        let white: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.uniform() as f32 * 2.0 - 1.0).collect();
        let at = |x: usize, y: usize| white[(y % SIDE) * SIDE + x % SIDE];
        let mut base = vec![0.0f32; SIDE * SIDE];
        let mut weight = fine;
        for octave in 0..6usize {
            let cell = 1usize << octave;
            for y in 0..SIDE {
                for x in 0..SIDE {
                    let (gx, gy) = (x / cell, y / cell);
                    let fx = smooth((x % cell) as f32 / cell as f32);
                    let fy = smooth((y % cell) as f32 / cell as f32);
                    let n = SIDE / cell;
                    // Lattice points of an octave are taken from another corner of the texture.
                    let p = |i: usize, j: usize| at((i % n) + 37 * octave, (j % n) + 91 * octave);
                    let top = p(gx, gy) * (1.0 - fx) + p(gx + 1, gy) * fx;
                    let low = p(gx, gy + 1) * (1.0 - fx) + p(gx + 1, gy + 1) * fx;
                    base[y * SIDE + x] += weight * (top * (1.0 - fy) + low * fy);
                }
            }
            weight = if octave == 0 { (1.0 - fine) * 0.5 } else { weight * 0.9 };
        }
        let mean = base.iter().sum::<f32>() / base.len() as f32;
        let peak = base.iter().fold(0.0f32, |m, v| m.max((v - mean).abs()));
        let mut level: Vec<f32> = base.iter().map(|v| (v - mean) / peak).collect();

        let mut texels = Vec::with_capacity(SIDE * SIDE * 4 / 3 + 8);
        let mut offset = [0; LEVELS];
        let mut side = SIDE;
        for (k, start) in offset.iter_mut().enumerate() {
            *start = texels.len();
            texels.extend(level.iter().map(|v| (v * 127.0) as i8));
            if k + 1 < LEVELS {
                let half = side / 2;
                let mut next = vec![0.0; half * half];
                for y in 0..half {
                    for x in 0..half {
                        let i = 2 * y * side + 2 * x;
                        next[y * half + x] = 0.25
                            * (level[i] + level[i + 1] + level[i + side] + level[i + side + 1]);
                    }
                }
                level = next;
                side = half;
            }
        }
        let mut quads = vec![0u32; TABLE];
        for (k, start) in offset.iter().enumerate() {
            let side = SIDE >> k;
            let byte =
                |x: usize, y: usize| u32::from(texels[start + (y % side) * side + x % side] as u8);
            for y in 0..side {
                for x in 0..side {
                    quads[start + y * side + x] = byte(x, y)
                        | byte(x + 1, y) << 8
                        | byte(x, y + 1) << 16
                        | byte(x + 1, y + 1) << 24;
                }
            }
        }
        texels.resize(TABLE, 0);
        Self { texels, offset, quads }
    }

    /// The level whose texels are about as large as a footprint of `texels` texels.
    #[inline(always)]
    pub(crate) fn level(texels: f32) -> usize {
        // The exponent of a float is the floor of its binary logarithm.
        let e = (texels.max(1.0).to_bits() >> 23) as usize;
        (e - 127).min(LEVELS - 1)
    }

    /// [`Noise::level`] of eight footprints.
    #[inline(always)]
    pub(crate) fn levels(texels: F) -> I {
        (texels.at_least(1.0).bits().shift(23) - 127).at_most(LEVELS as i32 - 1)
    }

    /// Where texel (x, y) of level `k` is in the table; x and y are wrapped.
    #[inline(always)]
    fn index(x: I, y: I, k: I) -> I {
        let mask = I([SIDE as i32; LANES]).shr(k) - 1;
        // A level begins after the finer ones: (4⁹ − 4⁹⁻ᵏ) / 3, by the inverse of 3 modulo 2³².
        let before = I([1 << 18; LANES]) - I([1 << 18; LANES]).shr(k + k);
        let start = before * 0xAAAA_AAABu32 as i32;
        start + ((y & mask).shl(I([8; LANES]) - k) | (x & mask))
    }

    /// [`Noise::nearest`] at eight places.
    #[inline(always)]
    pub(crate) fn nearest8(&self, u: F, v: F, k: I) -> F {
        let at = Self::index(u.floor().whole().shr(k), v.floor().whole().shr(k), k);
        let Some(table) = self.texels.first_chunk::<TABLE>() else { return F::splat(0.0) };
        let mut t = [0.0; LANES];
        for (t, at) in t.iter_mut().zip(at.0) {
            *t = f32::from(table[at as usize & (TABLE - 1)]);
        }
        F(t) * (1.0 / 127.0)
    }

    /// [`Noise::smooth`] at eight places.
    #[inline(always)]
    pub(crate) fn smooth8(&self, u: F, v: F, k: I) -> F {
        let scale = (I([127; LANES]) - k).shl(I([23; LANES])).as_bits();
        let (u, v) = (u * scale - 0.5, v * scale - 0.5);
        let (iu, iv) = (u.floor(), v.floor());
        let (fu, fv) = (u - iu, v - iv);
        let at = Self::index(iu.whole(), iv.whole(), k);
        let Some(table) = self.quads.first_chunk::<TABLE>() else { return F::splat(0.0) };
        let mut q = [0; LANES];
        for (q, at) in q.iter_mut().zip(at.0) {
            *q = table[at as usize & (TABLE - 1)] as i32;
        }
        let q = I(q);
        let top = q.byte(0).to(q.byte(1), fu);
        let low = q.byte(2).to(q.byte(3), fu);
        top.to(low, fv) * (1.0 / 127.0)
    }

    /// Nearest texel at (u, v), in texels of the finest level, at mip level `k`. In [−1, 1].
    #[inline(always)]
    pub(crate) fn nearest(&self, u: f32, v: f32, k: usize) -> f32 {
        let bits = 8 - k;
        let mask = (1usize << bits) - 1;
        let x = (floor_i(u) as usize >> k) & mask;
        let y = (floor_i(v) as usize >> k) & mask;
        f32::from(self.texels[self.offset[k] + ((y << bits) | x)]) * (1.0 / 127.0)
    }

    /// Bilinear sample at (u, v), in texels of the finest level, at mip level `k`. In [−1, 1].
    #[inline(always)]
    pub(crate) fn smooth(&self, u: f32, v: f32, k: usize) -> f32 {
        let bits = 8 - k;
        let mask = (1usize << bits) - 1;
        let scale = f32::from_bits(((127 - k) as u32) << 23);
        let (u, v) = (u * scale - 0.5, v * scale - 0.5);
        let (iu, iv) = (floor_i(u), floor_i(v));
        let (fu, fv) = (u - iu as f32, v - iv as f32);
        let (x0, y0) = (iu as usize & mask, iv as usize & mask);
        let (x1, y1) = ((x0 + 1) & mask, (y0 + 1) & mask);
        let o = self.offset[k];
        let t = |x: usize, y: usize| f32::from(self.texels[o + ((y << bits) | x)]);
        let top = t(x0, y0) + (t(x1, y0) - t(x0, y0)) * fu;
        let low = t(x0, y1) + (t(x1, y1) - t(x0, y1)) * fu;
        (top + (low - top) * fv) * (1.0 / 127.0)
    }
}

/// Floor to an integer without a call into libm (the baseline x86-64 has no rounding
/// instruction).
#[inline(always)]
pub(crate) fn floor_i(v: f32) -> i32 {
    let i = v as i32;
    i - i32::from(v < i as f32)
}

/// Hermite step of [0, 1].
#[inline(always)]
pub(crate) fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// Hermite step of `v` between `lo` and `hi`.
#[inline(always)]
pub(crate) fn smoothstep(lo: f32, hi: f32, v: f32) -> f32 {
    smooth(((v - lo) / (hi - lo)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_levels_lose_contrast_and_tiles_wrap() {
        let n = Noise::new(1, 0.5);
        let spread = |k: usize| {
            (0..1000).map(|i| n.nearest(i as f32 * 7.3, i as f32 * 3.1, k).abs()).sum::<f32>()
        };
        assert!(spread(0) > 2.0 * spread(6));
        assert_eq!(n.smooth(3.25, -4.5, 0), n.smooth(3.25 + 256.0, -4.5 - 256.0, 0));
        for k in 0..LEVELS {
            let u = F([0.3, 5.7, -9.2, 255.9, 1000.1, -300.0, 31.5, 128.0]);
            let v = u * 1.7 + 3.0;
            let level = I([k as i32; LANES]);
            let (a, b) = (n.nearest8(u, v, level), n.smooth8(u, v, level));
            for i in 0..LANES {
                assert_eq!(a.0[i], n.nearest(u.0[i], v.0[i], k));
                assert_eq!(b.0[i], n.smooth(u.0[i], v.0[i], k));
            }
        }
        assert_eq!(Noise::levels(F::splat(9.0)).0[0], 3);
        assert_eq!(Noise::level(0.1), 0);
        assert_eq!(Noise::level(9.0), 3);
        assert_eq!(Noise::level(1e9), 8);
    }
}
