//! Eight pixels at a time: plain arrays whose element-wise loops the compiler turns into vector
//! instructions. Each lane computes exactly what a scalar would, so the width is not in the bits.

use core::ops::{Add, BitAnd, BitOr, BitXor, Mul, Neg, Sub};

/// Pixels of a block.
pub(crate) const LANES: usize = 8;

/// 1.5 · 2²³: adding it rounds a float below 2²² to an integer in its low bits.
const MAGIC: f32 = 12_582_912.0;

/// Eight floats.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(32))]
pub(crate) struct F(pub [f32; LANES]);

/// Eight integers, wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct I(pub [i32; LANES]);

/// A colour of eight pixels.
pub(crate) type Rgb = [F; 3];

/// `$e` for each lane `$i`. Written out instead of a loop: hundreds of loops in one function cost
/// the compiler minutes, and it would unroll them anyway.
macro_rules! lanes {
    ($i:ident, $e:expr) => {
        lanes!($i, $e, 0 1 2 3 4 5 6 7)
    };
    ($i:ident, $e:expr, $($lane:literal)*) => {
        [$({
            let $i: usize = $lane;
            $e
        }),*]
    };
}

macro_rules! float_op {
    ($op:ident, $f:ident, $sign:tt) => {
        impl $op for F {
            type Output = F;
            #[inline(always)]
            fn $f(self, o: F) -> F {
                F(lanes!(i, self.0[i] $sign o.0[i]))
            }
        }
        impl $op<f32> for F {
            type Output = F;
            #[inline(always)]
            fn $f(self, o: f32) -> F {
                F(lanes!(i, self.0[i] $sign o))
            }
        }
        impl $op<F> for f32 {
            type Output = F;
            #[inline(always)]
            fn $f(self, o: F) -> F {
                F(lanes!(i, self $sign o.0[i]))
            }
        }
    };
}

float_op!(Add, add, +);
float_op!(Sub, sub, -);
float_op!(Mul, mul, *);

macro_rules! int_op {
    ($op:ident, $f:ident, $wrapping:ident) => {
        impl $op for I {
            type Output = I;
            #[inline(always)]
            fn $f(self, o: I) -> I {
                I(lanes!(i, self.0[i].$wrapping(o.0[i])))
            }
        }
        impl $op<i32> for I {
            type Output = I;
            #[inline(always)]
            fn $f(self, o: i32) -> I {
                I(lanes!(i, self.0[i].$wrapping(o)))
            }
        }
    };
}

int_op!(Add, add, wrapping_add);
int_op!(Sub, sub, wrapping_sub);
int_op!(Mul, mul, wrapping_mul);
int_op!(BitAnd, bitand, bitand);
int_op!(BitOr, bitor, bitor);
int_op!(BitXor, bitxor, bitxor);

impl Neg for F {
    type Output = F;
    #[inline(always)]
    fn neg(self) -> F {
        F(lanes!(i, -self.0[i]))
    }
}

impl F {
    #[inline(always)]
    pub(crate) fn splat(v: f32) -> F {
        F([v; LANES])
    }

    /// `first`, `first + 1`, …
    #[inline(always)]
    pub(crate) fn ramp(first: f32) -> F {
        F([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) + first
    }

    /// One over this.
    #[inline(always)]
    pub(crate) fn inverse(self) -> F {
        F(lanes!(i, 1.0 / self.0[i]))
    }

    #[inline(always)]
    pub(crate) fn over(self, o: F) -> F {
        F(lanes!(i, self.0[i] / o.0[i]))
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> F {
        F(lanes!(i, self.0[i].sqrt()))
    }

    #[inline(always)]
    pub(crate) fn abs(self) -> F {
        F(lanes!(i, self.0[i].abs()))
    }

    #[inline(always)]
    pub(crate) fn min(self, o: F) -> F {
        F(lanes!(i, if self.0[i] < o.0[i] { self.0[i] } else { o.0[i] }))
    }

    #[inline(always)]
    pub(crate) fn max(self, o: F) -> F {
        F(lanes!(i, if self.0[i] > o.0[i] { self.0[i] } else { o.0[i] }))
    }

    #[inline(always)]
    pub(crate) fn at_least(self, o: f32) -> F {
        self.max(F::splat(o))
    }

    #[inline(always)]
    pub(crate) fn at_most(self, o: f32) -> F {
        self.min(F::splat(o))
    }

    #[inline(always)]
    pub(crate) fn within(self, lo: f32, hi: f32) -> F {
        self.at_least(lo).at_most(hi)
    }

    /// `yes` where this is less than `limit`, else `no`.
    #[inline(always)]
    pub(crate) fn less(self, limit: f32, yes: F, no: F) -> F {
        F(lanes!(i, if self.0[i] < limit { yes.0[i] } else { no.0[i] }))
    }

    /// Floor; right below 2²², and needs no rounding instruction.
    #[inline(always)]
    pub(crate) fn floor(self) -> F {
        let r = (self + MAGIC) - MAGIC;
        F(lanes!(i, if r.0[i] > self.0[i] { r.0[i] - 1.0 } else { r.0[i] }))
    }

    /// The integers that these whole numbers below 2²² are.
    #[inline(always)]
    pub(crate) fn whole(self) -> I {
        let m = self + MAGIC;
        I(lanes!(i, (m.0[i].to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)))
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> I {
        I(lanes!(i, self.0[i].to_bits() as i32))
    }

    /// Hermite step between `lo` and `hi`.
    #[inline(always)]
    pub(crate) fn step(self, lo: f32, hi: f32) -> F {
        let t = (self - lo).over(F::splat(hi - lo)).within(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }

    /// From `self` to `o` by `t`.
    #[inline(always)]
    pub(crate) fn to(self, o: F, t: F) -> F {
        self + (o - self) * t
    }
}

impl I {
    #[inline(always)]
    pub(crate) fn shr(self, o: I) -> I {
        I(lanes!(i, self.0[i].wrapping_shr(o.0[i] as u32)))
    }

    #[inline(always)]
    pub(crate) fn shl(self, o: I) -> I {
        I(lanes!(i, self.0[i].wrapping_shl(o.0[i] as u32)))
    }

    /// Shift without sign.
    #[inline(always)]
    pub(crate) fn shift(self, bits: u32) -> I {
        I(lanes!(i, (self.0[i] as u32 >> bits) as i32))
    }

    #[inline(always)]
    pub(crate) fn at_most(self, o: i32) -> I {
        I(lanes!(i, if self.0[i] < o { self.0[i] } else { o }))
    }

    #[inline(always)]
    pub(crate) fn float(self) -> F {
        F(lanes!(i, self.0[i] as f32))
    }

    #[inline(always)]
    pub(crate) fn as_bits(self) -> F {
        F(lanes!(i, f32::from_bits(self.0[i] as u32)))
    }

    /// Byte `k` with its sign, as a float.
    #[inline(always)]
    pub(crate) fn byte(self, k: u32) -> F {
        F(lanes!(i, ((self.0[i] << (24 - 8 * k)) >> 24) as f32))
    }
}

#[inline(always)]
pub(crate) fn splat(c: [f32; 3]) -> Rgb {
    [F::splat(c[0]), F::splat(c[1]), F::splat(c[2])]
}

#[inline(always)]
pub(crate) fn times(c: Rgb, k: F) -> Rgb {
    [c[0] * k, c[1] * k, c[2] * k]
}

#[inline(always)]
pub(crate) fn by(a: Rgb, b: Rgb) -> Rgb {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

#[inline(always)]
pub(crate) fn mix(a: Rgb, b: Rgb, t: F) -> Rgb {
    [a[0].to(b[0], t), a[1].to(b[1], t), a[2].to(b[2], t)]
}

#[inline(always)]
pub(crate) fn select_less(v: F, limit: f32, yes: Rgb, no: Rgb) -> Rgb {
    [v.less(limit, yes[0], no[0]), v.less(limit, yes[1], no[1]), v.less(limit, yes[2], no[2])]
}

/// Scalar product of three vectors of lanes with fixed numbers.
#[inline(always)]
pub(crate) fn dot(a: Rgb, b: [f32; 3]) -> F {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Colours in [0, 1] as BGRA pixels.
#[inline(always)]
pub(crate) fn pack(c: Rgb) -> [u32; LANES] {
    let q = [channel(c[0]), channel(c[1]), channel(c[2])];
    lanes!(i, 0xFF00_0000 | ((q[0].0[i] << 16) | (q[1].0[i] << 8) | q[2].0[i]) as u32)
}

#[inline(always)]
fn channel(v: F) -> I {
    (v * 255.0 + 0.5).within(0.0, 255.0).floor().whole()
}

/// A cheap hash of the lattice cell of a place, in [0, 1): for what needs no texture.
#[inline(always)]
pub(crate) fn hash01(x: F, y: F) -> F {
    let mut h =
        (x.floor().whole() * 0x9E37_79B1u32 as i32) ^ (y.floor().whole() * 0x85EB_CA77u32 as i32);
    h = h ^ h.shift(15);
    h = h * 0x2C1B_3C6D;
    h = h ^ h.shift(13);
    h.shift(8).float() * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::noise::floor_i;

    fn hash_of_one(x: f32, y: f32) -> f32 {
        let mut h = (floor_i(x) as u32).wrapping_mul(0x9E37_79B1)
            ^ (floor_i(y) as u32).wrapping_mul(0x85EB_CA77);
        h ^= h >> 15;
        h = h.wrapping_mul(0x2C1B_3C6D);
        h ^= h >> 13;
        (h >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    #[test]
    fn lanes_compute_what_a_scalar_does() {
        let v = [-3.5f32, -1.0, -0.2, 0.0, 0.3, 1.0, 77.5, 40_000.99];
        let floor = F(v).floor();
        for (i, x) in v.iter().enumerate() {
            assert_eq!(floor.0[i], x.floor());
            assert_eq!(floor.whole().0[i], x.floor() as i32);
            let y = x * 0.7 - 1.0;
            assert_eq!(hash01(F(v), F(v) * 0.7 - 1.0).0[i], hash_of_one(*x, y));
            let c = [x * 0.01 + 0.5, x * 0.3, 0.7 - x];
            let wide = pack([F(v) * 0.01 + 0.5, F(v) * 0.3, 0.7 - F(v)]);
            assert_eq!(wide[i], crate::camera::sky::pack(c));
        }
    }
}
