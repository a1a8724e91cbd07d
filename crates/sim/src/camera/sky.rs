//! The sky: gradient, sun and clouds; also what wet roads and glass mirror.

use super::mesh::dot;
use super::noise::{Noise, smoothstep};
use super::view::View;
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
    pub(crate) fn plain(&self, height: f32) -> [f32; 3] {
        let k = 1.0 - height.clamp(0.0, 1.0);
        let k2 = k * k;
        mix3(self.zenith, self.horizon, k2 * k2)
    }

    /// Brightness around the sun for a cosine to it.
    #[inline(always)]
    pub(crate) fn glow(&self, cos: f32) -> f32 {
        let c = cos.max(0.0);
        let c2 = c * c;
        let c4 = c2 * c2;
        let c8 = c4 * c4;
        let c32 = c8 * c8 * c8 * c8;
        let c256 = {
            let a = c32 * c32;
            let b = a * a;
            b * b
        };
        self.disc * (0.10 * c8 + 0.25 * c32 + 0.5 * c256 + 2.0 * c256 * c256 * c256 * c256)
    }

    /// The sky along a ray (not normalised).
    #[inline(always)]
    fn at(&self, ray: [f32; 3], noise: &Noise, drift: f32) -> [f32; 3] {
        let inverse = 1.0 / (dot(ray, ray)).sqrt();
        let height = ray[2] * inverse;
        let mut c = self.plain(height);
        let glow = self.glow(dot(ray, self.sun_dir) * inverse);
        if height > 0.015 {
            let k = 22.0 / (height + 0.12) * inverse;
            let (x, y) = (ray[0] * k + drift, ray[1] * k + 0.4 * drift);
            let n = noise.smooth(x, y, 2) + 0.5 * noise.smooth(x * 2.9, y * 2.9, 1);
            let dense = smoothstep(0.55 - self.cover, 0.95 - 0.8 * self.cover, n * 0.55 + 0.1);
            let fade = smoothstep(0.015, 0.22, height);
            let shade = 1.0 - 0.22 * dense * n.max(0.0);
            let cloud = self.cloud.map(|v| v * shade);
            c = mix3(c, cloud, 0.9 * dense * fade);
        }
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
        let ray = |x: usize| {
            let k = 1.0 / view.focal;
            let (a, b) =
                ((x as f32 + 0.5 - view.center[0]) * k, (y as f32 + 0.5 - view.center[1]) * k);
            [0, 1, 2].map(|i: usize| view.forward[i] + a * view.right[i] + b * view.down[i])
        };
        // Knots lie at multiples of four, wherever the span begins: no seams between spans.
        let mut knot = x0 & !3;
        let mut left = self.at(ray(knot), noise, drift);
        let end = x0 + out.len();
        while knot < end {
            let right = self.at(ray(knot + 4), noise, drift);
            for x in knot.max(x0)..(knot + 4).min(end) {
                let c = mix3(left, right, (x - knot) as f32 * 0.25);
                out[x - x0] = pack(c);
            }
            left = right;
            knot += 4;
        }
    }
}

/// A colour in [0, 1] as a BGRA pixel.
#[inline(always)]
pub(crate) fn pack(c: [f32; 3]) -> u32 {
    let q = |v: f32| (v * 255.0 + 0.5).clamp(0.0, 255.0) as i32 as u32;
    0xFF00_0000 | q(c[0]) << 16 | q(c[1]) << 8 | q(c[2])
}
