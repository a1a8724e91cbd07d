//! The colour of what each pixel sees: one filtered shader per kind of surface.

use super::look::Look;
use super::mesh::{Kind, Lines, Surface, dot};
use super::noise::Noise;
use super::raster::Drawn;
use super::sky::{Sky, mix3};
use super::view::View;
use super::wide::{self, F, I, LANES, Rgb, by, hash01, mix, splat, times};
use crate::weather::Weather;

/// Noise repeats with this period in the world, metres; a multiple of every texel scale used.
const PERIOD_M: f64 = 1024.0;

/// Everything that is the same for all pixels of a frame.
pub(crate) struct Shader<'a> {
    pub view: &'a View,
    pub noise: &'a Noise,
    pub look: &'a Look,
    pub weather: &'a Weather,
    pub sky: &'a Sky,
    /// Eye in the plane, modulo [`PERIOD_M`].
    eye: [f32; 2],
    ray_x: [f32; 3],
    ray_y: [f32; 3],
    ray_z: [f32; 3],
    /// Towards the sun in camera axes.
    sun: [f32; 3],
}

/// What a shader gets of eight pixels: column and depth.
struct Px {
    x: F,
    z: F,
}

/// Share of the box [p − f/2, p + f/2] that lies in [lo, hi].
#[inline(always)]
fn cover(p: F, f: F, lo: f32, hi: f32) -> F {
    ((p + 0.5 * f).at_most(hi) - (p - 0.5 * f).at_least(lo)).over(f).within(0.0, 1.0)
}

/// How much of a pattern that is 1 on [0, on) of every `period` lies before `x`.
#[inline(always)]
fn before(x: F, on: F, period: f32) -> F {
    let q = x * (1.0 / period);
    let n = q.floor();
    n * on + ((q - n) * period).min(on)
}

/// Share of the box around p under a pattern that is 1 on [0, on) of every `period`.
#[inline(always)]
fn pulse(p: F, f: F, on: F, period: f32) -> F {
    (before(p + 0.5 * f, on, period) - before(p - 0.5 * f, on, period)).over(f).within(0.0, 1.0)
}

/// Runs a body over the pixels of a run, eight by eight, adds haze, stores. A macro, because a
/// closure would be shared by the versions of `draw` for different processors and so be called,
/// not inlined.
macro_rules! each {
    ($me:expr, $d:expr, $at:expr, $out:expr, |$px:pat_param| $body:expr) => {{
        let [x0, y] = $at;
        let start = $d.w[0] + $d.w[2] * y as f32;
        let fog = wide::splat($me.sky.horizon);
        let k = $me.weather.fog_1pm * 0.125;
        for (i, o) in $out.chunks_mut(LANES).enumerate() {
            let x = F::ramp((x0 + i * LANES) as i32 as f32);
            let z = (start + $d.w[1] * x).at_least(1e-5).inverse();
            let $px = Px { x, z };
            let c: Rgb = $body;
            // (1 − kz/8)^8 is nearly exp(−kz).
            let t = (1.0 - k * z).at_least(0.0);
            let t = t * t;
            let t = t * t;
            let c = wide::pack(wide::mix(fog, c, t * t));
            match <&mut [u32; LANES]>::try_from(&mut *o) {
                Ok(o) => *o = c,
                Err(_) => o.copy_from_slice(&c[..o.len()]),
            }
        }
    }};
}

#[inline(always)]
fn tint(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

impl<'a> Shader<'a> {
    pub(crate) fn new(
        view: &'a View,
        noise: &'a Noise,
        look: &'a Look,
        weather: &'a Weather,
        sky: &'a Sky,
    ) -> Self {
        let wrap = |v: f64| (v - libm::floor(v / PERIOD_M) * PERIOD_M) as f32;
        Self {
            view,
            noise,
            look,
            weather,
            sky,
            eye: [wrap(view.eye[0]), wrap(view.eye[1])],
            ray_x: view.along_rays([1.0, 0.0, 0.0]),
            ray_y: view.along_rays([0.0, 1.0, 0.0]),
            ray_z: view.along_rays([0.0, 0.0, 1.0]),
            sun: view.camera(weather.sun_dir),
        }
    }

    /// Shades a run of pixels of one row that see the same triangle.
    #[inline(always)]
    pub(crate) fn run(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        match s.kind {
            Kind::Road => self.road(d, s, at, out),
            Kind::Walk => self.walk(d, s, at, out),
            Kind::Gravel => self.gravel(d, s, at, out),
            Kind::Terrain => self.terrain(d, at, out),
            Kind::Plain => self.plain(d, s, at, out),
            Kind::Wall => self.wall(d, s, at, out),
            Kind::Gloss => self.gloss(d, s, at, out),
            Kind::Lamp => self.lamp(d, s, at, out),
            Kind::Leaf => self.leaf(d, s, at, out),
            Kind::Hills => self.hills(d, s, at, out),
        }
    }

    /// Light on a surface with a normal.
    #[inline(always)]
    fn light(&self, normal: [f32; 3]) -> Rgb {
        splat(self.plain_light(normal))
    }

    #[inline(always)]
    fn plain_light(&self, normal: [f32; 3]) -> [f32; 3] {
        let w = self.weather;
        let sun = dot(normal, w.sun_dir).max(0.0);
        let open = 0.72 + 0.28 * normal[2];
        [0, 1, 2].map(|i: usize| w.ambient[i] * open + w.sun[i] * sun)
    }

    /// Light of the headlights on a pixel.
    #[inline(always)]
    fn headlight(&self, x: F, y: f32, z: F) -> F {
        let k = 1.0 / self.view.focal;
        let side = (x + 0.5 - self.view.center[0]) * k;
        let below = (y + 0.5 - self.view.center[1]) * k * z;
        let spread = (1.0 - side * side * 0.9).at_least(0.0);
        // Dipped beam: full on the road, little above the lamps' height.
        let low = below.step(0.4, 1.9) * 0.85 + 0.15;
        let far = z * (1.0 / 15.0);
        let near = z.step(1.0, 7.0);
        (1.05 * near * spread * spread * low).over(1.0 + far * far)
    }

    #[inline(always)]
    fn lit(&self, light: Rgb, px: &Px, y: f32) -> Rgb {
        if self.weather.night > 0.0 {
            let h = self.headlight(px.x, y, px.z) * self.weather.night;
            [light[0] + h, light[1] + 0.97 * h, light[2] + 0.86 * h]
        } else {
            light
        }
    }

    /// Place in the plane modulo the noise's period.
    #[inline(always)]
    fn place(&self, px: &Px, y: f32) -> [F; 2] {
        let (rx, ry) = (self.ray_x, self.ray_y);
        [
            self.eye[0] + px.z * (rx[0] + rx[1] * px.x + rx[2] * y),
            self.eye[1] + px.z * (ry[0] + ry[1] * px.x + ry[2] * y),
        ]
    }

    /// Value of an attribute.
    #[inline(always)]
    fn only(&self, a: &[f32; 4], px: &Px, y: f32) -> F {
        a[0] + px.z * (a[1] + a[2] * px.x + a[3] * y)
    }

    /// Value and footprint of an attribute.
    #[inline(always)]
    fn value(&self, a: &[f32; 4], d: &Drawn, px: &Px, y: f32) -> (F, F) {
        let along = a[1] + a[2] * px.x + a[3] * y;
        let z2 = px.z * px.z;
        let dx = px.z * a[2] - z2 * d.w[1] * along;
        let dy = px.z * a[3] - z2 * d.w[2] * along;
        (a[0] + px.z * along, dx.abs() + dy.abs() + 1e-4)
    }

    #[inline(always)]
    fn line(&self, lines: &Lines, i: usize, out: F, fo: F, dash: F) -> F {
        let c = cover(out, fo, lines.center[i] - lines.half[i], lines.center[i] + lines.half[i]);
        if lines.dashed[i] { c * dash } else { c }
    }

    #[inline(always)]
    fn paint(&self, lines: &Lines, out: F, fo: F, dash: F) -> F {
        let one = self.line(lines, 0, out, fo, dash);
        if lines.half[1] > 0.0 {
            (one + self.line(lines, 1, out, fo, dash)).at_most(1.0)
        } else {
            one
        }
    }

    /// Sheen of a wet surface: the mirrored sky over the darkened colour.
    #[inline(always)]
    fn wet(&self, c: Rgb, px: &Px, y: f32, puddle: F) -> Rgb {
        let w = self.weather;
        let (rx, ry, rz) = (self.ray_x, self.ray_y, self.ray_z);
        let ray = [
            rx[0] + rx[1] * px.x + rx[2] * y,
            ry[0] + ry[1] * px.x + ry[2] * y,
            rz[0] + rz[1] * px.x + rz[2] * y,
        ];
        let square = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2];
        let inverse = square.sqrt().inverse();
        let up = (-ray[2] * inverse).within(0.0, 1.0);
        let g = 1.0 - up;
        let g2 = g * g;
        let fresnel = 0.03 + 0.75 * g2 * g2 * g;
        let share = w.wetness * (0.45 * fresnel + puddle * (0.1 + 0.75 * fresnel));
        let sky = self.sky.plain(up);
        let mirrored = [ray[0], ray[1], -ray[2]];
        let glow = self.sky.glow(wide::dot(mirrored, w.sun_dir) * inverse).at_most(1.0);
        let sky = [sky[0] + glow * w.sun[0], sky[1] + glow * w.sun[1], sky[2] + glow * w.sun[2]];
        mix(times(c, F::splat(1.0 - 0.38 * w.wetness)), sky, share.at_most(0.95))
    }

    #[inline(always)]
    fn road(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let look = self.look;
        let tracks = s.alt[0];
        let (inner, outer) = (s.inner.any(), s.outer.any());
        let crossing = s.p != [0.0; 8];
        let [on, period] = look.dash_m;
        let soaked = self.weather.wetness > 0.0;
        each!(self, d, at, out, |px| {
            let (along, fs) = self.value(&d.u, d, &px, y);
            let (inn, fv) = self.value(&d.v, d, &px, y);
            let rim = self.only(&d.t, &px, y);
            let [wx, wy] = self.place(&px, y);
            let fp = 0.6 * fs.max(fv);
            let grain = self.noise.nearest8(wx * 32.0, wy * 32.0, Noise::levels(fp * 32.0));
            let mid = self.noise.smooth8(wx * 2.0, wy * 2.0, Noise::levels(fp * 2.0));
            let off = (inn - rim).abs() * 0.5;
            let wheel = (off - 0.8) * (1.0 / 0.42);
            let track = tracks * (1.0 - wheel * wheel).at_least(0.0);
            let tone = 1.0 + 0.20 * grain + 0.16 * mid - 0.07 * track;
            let mut c = times(splat(s.color), tone);
            // Cracks follow the zero line of the noise.
            let crack = (1.0 - mid.abs() * (0.012 + 0.5 * fp).inverse()).at_least(0.0);
            c = times(c, 1.0 - 0.3 * look.damage * crack * (1.0 + 30.0 * fp).inverse());
            if inner || outer || crossing {
                let dash = pulse(along, fs, F::splat(on), period);
                let worn = 1.0 - look.wear * (0.25 + 0.9 * mid + 0.5 * grain).within(0.0, 0.85);
                if inner {
                    let a = self.paint(&s.inner, inn, fv, dash);
                    c = mix(c, times(splat(s.inner.color), 1.0 + 0.06 * grain), a * worn);
                }
                if outer {
                    let a = self.paint(&s.outer, -rim, fv, dash);
                    c = mix(c, times(splat(s.outer.color), 1.0 + 0.06 * grain), a * worn);
                }
                if crossing {
                    let stop = cover(along, fs, s.p[0], s.p[1]);
                    let bars = pulse(inn + 0.25, fv, F::splat(0.5), 1.0);
                    let zebra = cover(along, fs, s.p[4], s.p[5]) + cover(along, fs, s.p[6], s.p[7]);
                    let a = (stop + bars * zebra).at_most(1.0);
                    c = mix(c, splat(look.paint_white), a * worn);
                }
            }
            c = by(c, self.lit(light, &px, y));
            if soaked {
                let large = self.noise.smooth8(wx * 0.5, wy * 0.5, Noise::levels(fp * 0.5));
                let edge = 0.55 - 0.75 * self.weather.puddles;
                let puddle = (large + 0.15 * mid + 0.1 * track).step(edge, edge + 0.2);
                c = self.wet(c, &px, y, puddle);
            }
            c
        });
    }

    #[inline(always)]
    fn walk(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let soaked = self.weather.wetness > 0.0;
        each!(self, d, at, out, |px| {
            let (along, fs) = self.value(&d.u, d, &px, y);
            let (inn, fv) = self.value(&d.v, d, &px, y);
            let [wx, wy] = self.place(&px, y);
            let fp = 0.6 * fs.max(fv);
            let grain = self.noise.nearest8(wx * 32.0, wy * 32.0, Noise::levels(fp * 32.0));
            let mid = self.noise.smooth8(wx * 2.0, wy * 2.0, Noise::levels(fp * 2.0));
            let groove = F::splat(0.035);
            let joint = pulse(along, fs, groove, 0.9).max(pulse(inn, fv, groove, 0.9));
            let slab = hash01(along * (1.0 / 0.9), inn * (1.0 / 0.9)) - 0.5;
            let fade = (1.0 + fp * fp * 4.0).inverse();
            let tone = 1.0 + 0.10 * grain + 0.10 * mid + 0.12 * slab * fade - 0.4 * joint;
            let c = by(times(splat(s.color), tone), self.lit(light, &px, y));
            if soaked { self.wet(c, &px, y, F::splat(0.0)) } else { c }
        });
    }

    #[inline(always)]
    fn gravel(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let (inner, outer) = (s.inner.any(), s.outer.any());
        let [on, period] = self.look.dash_m;
        let wet = 1.0 - 0.3 * self.weather.wetness;
        each!(self, d, at, out, |px| {
            let (along, fs) = self.value(&d.u, d, &px, y);
            let (inn, fv) = self.value(&d.v, d, &px, y);
            let rim = self.only(&d.t, &px, y);
            let [wx, wy] = self.place(&px, y);
            let fp = 0.6 * fs.max(fv);
            let grain = self.noise.nearest8(wx * 32.0, wy * 32.0, Noise::levels(fp * 32.0));
            let mid = self.noise.smooth8(wx * 4.0, wy * 4.0, Noise::levels(fp * 4.0));
            // Grass grows in from the outer edge.
            let green = (rim + 0.5 * mid).step(0.45, -0.1);
            let mut c = mix(splat(s.color), splat(self.look.grass), 0.8 * green);
            c = times(c, (1.0 + 0.32 * grain + 0.16 * mid) * wet);
            if inner || outer {
                let dash = pulse(along, fs, F::splat(on), period);
                let a = if inner { self.paint(&s.inner, inn, fv, dash) } else { F::splat(0.0) };
                c = mix(c, splat(s.inner.color), a);
                let a = if outer { self.paint(&s.outer, -rim, fv, dash) } else { F::splat(0.0) };
                c = mix(c, splat(s.outer.color), a);
            }
            by(c, self.lit(light, &px, y))
        });
    }

    #[inline(always)]
    fn terrain(&self, d: &Drawn, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let look = self.look;
        let wet = 1.0 - 0.22 * self.weather.wetness;
        let focal = F::splat(self.view.focal);
        each!(self, d, at, out, |px| {
            let [wx, wy] = self.place(&px, y);
            // Footprint along the ray, from how fast depth changes by rows.
            let fp = 0.5 * (px.z * px.z * (d.w[1].abs() + d.w[2].abs())).max(px.z.over(focal));
            let fine = self.noise.nearest8(wx * 16.0, wy * 16.0, Noise::levels(fp * 16.0));
            let mid = self.noise.smooth8(wx * 2.0, wy * 2.0, Noise::levels(fp * 2.0));
            let large = self.noise.smooth8(wx * 0.25, wy * 0.25, Noise::levels(fp * 0.25));
            let bare = (large * 0.8 + 0.35 * mid).step(0.15, 0.6);
            let c = mix(splat(look.grass), splat(look.earth), 0.55 * bare);
            let tone = (1.0 + 0.38 * fine + 0.28 * mid + 0.18 * large) * wet;
            by(times(c, tone), self.lit(light, &px, y))
        });
    }

    #[inline(always)]
    fn plain(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let color = splat(s.color);
        each!(self, d, at, out, |px| by(color, self.lit(light, &px, y)));
    }

    #[inline(always)]
    fn wall(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let [pu, pv, wide, sv, seed, length, height, shop] = s.p;
        let night = self.weather.night;
        let glass = mix3([0.07, 0.08, 0.10], self.sky.horizon, 0.30);
        each!(self, d, at, out, |px| {
            let (u, fu) = self.value(&d.u, d, &px, y);
            let (v, fv) = self.value(&d.v, d, &px, y);
            let grain =
                self.noise.smooth8(u * 3.0 + seed, v * 3.0, Noise::levels(fu.max(fv) * 3.0));
            let tone = 1.0 + 0.12 * grain - 0.14 * (1.0 - v * 0.8).within(0.0, 1.0);
            let base = times(splat(s.color), tone);
            // Shops have large windows on the ground floor.
            let su = if shop > 0.0 {
                v.less(pv, F::splat(0.86), F::splat(wide))
            } else {
                F::splat(wide)
            };
            let inside = cover(u, fu, 0.25, length - 0.25) * cover(v, fv, 0.5, height - 0.4);
            let (iu, iv) = (u + pu * (1.0 - su) * -0.5, v - pv * (1.0 - sv) * 0.55);
            let (pane_u, pane_v) = (pu * su, F::splat(pv * sv));
            let frame = pulse(iu + 0.09, fu, pane_u + 0.18, pu)
                * pulse(iv + 0.09, fv, pane_v + 0.18, pv)
                * inside;
            let pane = pulse(iu, fu, pane_u, pu) * pulse(iv, fv, pane_v, pv) * inside;
            let which = hash01(iu.over(F::splat(pu)) + seed, iv.over(F::splat(pv)) + seed * 3.0);
            let light = self.lit(light, &px, y);
            let c = by(mix(base, splat(s.alt), frame - pane.min(frame)), light);
            let mut shine = times(splat(glass), 0.75 + 0.5 * which);
            if night > 0.0 {
                let lamp = [F::splat(0.85), 0.66 - 0.2 * which, F::splat(0.34)];
                shine = wide::select_less(-which, -0.66, lamp, shine);
            }
            mix(c, shine, pane)
        });
    }

    #[inline(always)]
    fn gloss(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let y = at[1] as f32;
        let light = self.light(d.normal);
        let up = d.normal[2].max(0.0);
        let sheen = mix3(self.sky.horizon, self.sky.zenith, up * 0.6);
        each!(self, d, at, out, |px| {
            let c = by(splat(s.color), self.lit(light, &px, y));
            mix(c, splat(sheen), F::splat(s.p[0] * (0.4 + 0.6 * up)))
        });
    }

    #[inline(always)]
    fn lamp(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let dark = tint(s.color, self.plain_light(d.normal));
        let c = splat(mix3(dark, s.alt, s.p[0].max(self.weather.night)));
        each!(self, d, at, out, |_| c);
    }

    #[inline(always)]
    fn leaf(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let w = self.weather;
        let y = at[1] as f32;
        let [cx, cy, ix, iy] = d.u;
        let [seed, texels, cone, level] = d.v;
        let wet = 1.0 - 0.2 * w.wetness;
        let level = I([level as i32; LANES]);
        let dy = (y + 0.5 - cy) * iy;
        each!(self, d, at, out, |px| {
            let dx = (px.x + 0.5 - cx) * ix;
            let n = self.noise.nearest8(
                dx * texels * 1.6 + seed * 5.0,
                F::splat(dy * texels * 1.6 + seed),
                level,
            );
            let nz = -(1.0 - dx * dx - dy * dy * (1.0 - cone)).at_least(0.05).sqrt();
            let sun = (dx * self.sun[0] + dy * self.sun[1] + nz * self.sun[2] + 0.35).at_least(0.0);
            let open = (0.72 - 0.30 * dy) * (1.0 + 0.55 * n) * wet;
            let warm = 0.75 * sun;
            let light = [
                w.ambient[0] + warm * w.sun[0],
                w.ambient[1] + warm * w.sun[1],
                w.ambient[2] + warm * w.sun[2],
            ];
            by(times(splat(s.color), open), self.lit(light, &px, y))
        });
    }

    #[inline(always)]
    fn hills(&self, d: &Drawn, s: &Surface, at: [usize; 2], out: &mut [u32]) {
        let c = tint(s.color, self.plain_light([0.0, 0.0, 1.0]));
        let c = splat(mix3(c, self.sky.horizon, s.p[0]));
        each!(self, d, at, out, |_| c);
    }
}
