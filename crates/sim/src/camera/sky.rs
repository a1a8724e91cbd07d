//! The sky: gradient, sun and clouds; also what wet roads and glass mirror.

use super::noise::{Noise, smoothstep};
use super::view::View;
use super::wide::{self, F, I, LANES, Rgb};
use crate::weather::Weather;

/// The sky of a weather over a scene.
#[derive(Clone, Copy)]
pub(crate) struct Sky {
    pub zenith: [f32; 3],
    pub horizon: [f32; 3],
    cloud: [f32; 3],
    sun: [f32; 3],
    sun_dir: [f32; 3],
    cover: f32,
    /// Sharpness of the sun: 0 when clouds hide it.
    disc: f32,
}

pub(crate) fn mix3(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

impl Sky {
    pub(crate) fn new(w: &Weather, tint: [f32; 3]) -> Self {
        let t = |c: [f32; 3]| [c[0] * tint[0], c[1] * tint[1], c[2] * tint[2]];
        let lit = [0, 1, 2].map(|i: usize| w.ambient[i] * 0.95 + w.sun[i] * 0.62);
        let overcast = smoothstep(0.3, 0.9, w.clouds);
        Self {
            zenith: t(w.zenith),
            horizon: t(w.horizon),
            cloud: mix3(lit, w.horizon, 0.35 + 0.5 * overcast),
            sun: w.sun,
            sun_dir: w.sun_dir,
            cover: w.clouds,
            disc: 1.0 - overcast,
        }
    }

    /// Without clouds and sun, by height (sine of elevation).
    #[inline(always)]
    pub(crate) fn plain(&self, height: F) -> Rgb {
        let k = 1.0 - height.within(0.0, 1.0);
        let k2 = k * k;
        wide::mix(wide::splat(self.zenith), wide::splat(self.horizon), k2 * k2)
    }

    /// Brightness around the sun for a cosine to it.
    #[inline(always)]
    pub(crate) fn glow(&self, cos: F) -> F {
        // What is too small to be seen is nothing: powers of it would be subnormal numbers, which
        // cost a hundred times as much.
        let seen = |v: F, least: f32| v.less(least, F::splat(0.0), v);
        let c = seen(cos.at_least(0.0), 1e-4);
        let c2 = c * c;
        let c4 = c2 * c2;
        let c8 = c4 * c4;
        let c32 = seen(c8, 1e-9);
        let c32 = c32 * c32 * c32 * c32;
        let c256 = {
            let c = seen(c32, 1e-4);
            let a = c * c;
            let b = a * a;
            b * b
        };
        let c1280 = seen(c256, 1e-7);
        let c1280 = c1280 * c1280 * c1280 * c1280 * c1280;
        self.disc * (0.10 * c8 + 0.25 * c32 + 0.5 * c256 + 2.0 * c1280)
    }

    /// The sky along rays (not normalised).
    #[inline(always)]
    fn at(&self, ray: [F; 3], noise: &Noise, drift: f32) -> Rgb {
        let square = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2];
        let inverse = square.sqrt().inverse();
        let height = ray[2] * inverse;
        let mut c = self.plain(height);
        let glow = self.glow(wide::dot(ray, self.sun_dir) * inverse);
        // Near and below the horizon the clouds have faded to nothing.
        let k = F::splat(22.0).over(height.at_least(0.0) + 0.12) * inverse;
        let (x, y) = (ray[0] * k + drift, ray[1] * k + 0.4 * drift);
        let n = noise.smooth8(x, y, I([2; LANES]))
            + 0.5 * noise.smooth8(x * 2.9, y * 2.9, I([1; LANES]));
        let dense = (n * 0.55 + 0.1).step(0.55 - self.cover, 0.95 - 0.8 * self.cover);
        let fade = height.step(0.015, 0.22);
        let shade = 1.0 - 0.22 * dense * n.at_least(0.0);
        let cloud = wide::times(wide::splat(self.cloud), shade);
        c = wide::mix(c, cloud, 0.9 * dense * fade);
        [c[0] + glow * self.sun[0], c[1] + glow * self.sun[1], c[2] + glow * self.sun[2]]
    }

    /// Fills `out` with the sky of pixels x0.. of a row: evaluated at every fourth, between them
    /// interpolated.
    #[inline(always)]
    pub(crate) fn span(
        &self,
        view: &View,
        noise: &Noise,
        drift: f32,
        at: [usize; 2],
        out: &mut [u32],
    ) {
        let [x0, y] = at;
        let end = x0 + out.len();
        let scale = 1.0 / view.focal;
        let b = (y as f32 + 0.5 - view.center[1]) * scale;
        let share = F([0.0, 0.25, 0.5, 0.75, 0.0, 0.25, 0.5, 0.75]);
        // Knots lie at multiples of four, wherever the span begins: no seams between spans. Seven
        // of eight are used: they bound three blocks of pixels.
        let mut first = x0 & !3;
        while first < end {
            let a = (F::ramp(0.0) * 4.0 + first as f32 + 0.5 - view.center[0]) * scale;
            let (f, r, d) = (view.forward, view.right, view.down);
            let ray = [
                f[0] + a * r[0] + b * d[0],
                f[1] + a * r[1] + b * d[1],
                f[2] + a * r[2] + b * d[2],
            ];
            let knot = self.at(ray, noise, drift);
            for block in 0..3 {
                let x = first + block * LANES;
                let k = 2 * block;
                let c = [
                    pair(knot[0], k).to(pair(knot[0], k + 1), share),
                    pair(knot[1], k).to(pair(knot[1], k + 1), share),
                    pair(knot[2], k).to(pair(knot[2], k + 1), share),
                ];
                let c = wide::pack(c);
                let whole = x.checked_sub(x0).and_then(|k| out.get_mut(k..k + LANES));
                match whole.and_then(|o| <&mut [u32; LANES]>::try_from(o).ok()) {
                    Some(o) => *o = c,
                    None => {
                        let (from, to) = (x.max(x0), (x + LANES).min(end));
                        if from < to {
                            out[from - x0..to - x0].copy_from_slice(&c[from - x..to - x]);
                        }
                    }
                }
            }
            first += 3 * LANES;
        }
    }
}

/// Lane `k` four times, then lane `k + 1` four times.
#[inline(always)]
fn pair(v: F, k: usize) -> F {
    let (a, b) = (v.0[k], v.0[k + 1]);
    F([a, a, a, a, b, b, b, b])
}

/// A colour in [0, 1] as a BGRA pixel.
#[inline(always)]
pub(crate) fn pack(c: [f32; 3]) -> u32 {
    let q = |v: f32| (v * 255.0 + 0.5).clamp(0.0, 255.0) as i32 as u32;
    0xFF00_0000 | q(c[0]) << 16 | q(c[1]) << 8 | q(c[2])
}
