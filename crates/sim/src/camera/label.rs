//! What each pixel sees as a number: how far away it is, and what it is. CARLA's encodings.

use super::Scene;
use super::mesh::{Kind, Lines, Surface};
use super::noise::floor_i;
use super::raster::{Drawn, Raster};

/// What a thing is: those of CARLA 0.9.16's tags (`carla.CityObjectLabel`) that this world has,
/// by their numbers there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// Asphalt.
    Roads = 1,
    /// Pavements and kerbs.
    SideWalks = 2,
    /// Houses with their roofs.
    Building = 3,
    /// Lamps and marker posts.
    Pole = 6,
    /// Trees and bushes.
    Vegetation = 9,
    /// Verges and the land.
    Terrain = 10,
    /// Nothing.
    Sky = 11,
    /// Cars.
    Car = 14,
    /// Paint on the road.
    RoadLine = 24,
}

impl Tag {
    /// All that there are.
    pub const ALL: [Self; 9] = [
        Self::Roads,
        Self::SideWalks,
        Self::Building,
        Self::Pole,
        Self::Vegetation,
        Self::Terrain,
        Self::Sky,
        Self::Car,
        Self::RoadLine,
    ];

    /// Red, green and blue that CARLA's `CityScapesPalette` paints it in.
    pub const fn color(self) -> [u8; 3] {
        match self {
            Self::Roads => [128, 64, 128],
            Self::SideWalks => [244, 35, 232],
            Self::Building => [70, 70, 70],
            Self::Pole => [153, 153, 153],
            Self::Vegetation => [107, 142, 35],
            Self::Terrain => [152, 251, 152],
            Self::Sky => [70, 130, 180],
            Self::Car => [0, 0, 142],
            Self::RoadLine => [157, 234, 50],
        }
    }

    /// As a pixel: the number in red.
    const fn pixel(self) -> u32 {
        0xFF00_0000 | (self as u32) << 16
    }
}

/// What is farther away than this, or nothing, has this depth, metres.
pub const FAR_M: f32 = 1000.0;

/// Largest number that 24 bits hold.
const FULL: f32 = 16_777_215.0;

/// A distance as a pixel: R + 256 G + 65536 B counts in steps of [`FAR_M`] / (2²⁴ − 1).
#[inline(always)]
fn depth_pixel(z_m: f32) -> u32 {
    let [r, g, b, _] = ((z_m * (FULL / FAR_M) + 0.5).min(FULL) as u32).to_le_bytes();
    u32::from_le_bytes([b, g, r, 255])
}

/// Metres of the red, green and blue of a depth picture: 0 to [`FAR_M`].
pub fn depth_m([r, g, b]: [u8; 3]) -> f32 {
    u32::from_le_bytes([r, g, b, 0]) as f32 * (FAR_M / FULL)
}

/// Distances along the camera's forward axis.
pub(crate) fn depth(pixels: &mut [u32], raster: &Raster, scene: &Scene, paint: &[Surface]) {
    let rows = raster.depth.chunks_exact(raster.width);
    for (y, (line, row)) in pixels.chunks_exact_mut(raster.width).zip(rows).enumerate() {
        for (id, span) in raster.runs(y) {
            // What lies on the ground was drawn a little nearer than it is.
            let lift = seen(raster, scene, paint, id).map_or(0.0, |(_, s)| s.lift);
            for (o, w) in line[span.clone()].iter_mut().zip(&row[span]) {
                // The sky's inverse depth is 0.
                *o = depth_pixel((1.0 + lift) / *w);
            }
        }
    }
}

/// Tags of what the pixels' centres see.
pub(crate) fn semantic(pixels: &mut [u32], raster: &Raster, scene: &Scene, paint: &[Surface]) {
    for (y, line) in pixels.chunks_exact_mut(raster.width).enumerate() {
        for (id, span) in raster.runs(y) {
            let from = span.start;
            let run = &mut line[span];
            let Some((d, s)) = seen(raster, scene, paint, id) else {
                run.fill(Tag::Sky.pixel());
                continue;
            };
            run.fill(s.tag.pixel());
            let crossed = s.kind == Kind::Road && s.p != [0.0; 8];
            if !(s.inner.any() || s.outer.any() || crossed) {
                continue;
            }
            for (i, o) in run.iter_mut().enumerate() {
                if is_painted(d, s, scene.look.dash_m, [from + i, y].map(|v| v as i32 as f32)) {
                    *o = Tag::RoadLine.pixel();
                }
            }
        }
    }
}

fn seen<'a>(
    raster: &'a Raster,
    scene: &'a Scene,
    paint: &'a [Surface],
    id: u32,
) -> Option<(&'a Drawn, &'a Surface)> {
    let d = raster.drawn.get((id as usize).checked_sub(1)?)?;
    Some((d, super::surface(scene, paint, d.surface)?))
}

/// Whether `x` lies on the first `on` of its period.
#[inline(always)]
fn is_on(x: f32, on: f32, period: f32) -> bool {
    x - floor_i(x / period) as f32 * period < on
}

/// Whether the centre of a pixel of a roadway lies on paint: where the shader draws its marks, but
/// sharp and without wear.
#[inline(always)]
fn is_painted(d: &Drawn, s: &Surface, dash_m: [f32; 2], [x, y]: [f32; 2]) -> bool {
    let z = 1.0 / (d.w[0] + d.w[1] * x + d.w[2] * y);
    let value = |a: &[f32; 4]| a[0] + z * (a[1] + a[2] * x + a[3] * y);
    let (along, inn, out) = (value(&d.u), value(&d.v), -value(&d.t));
    let on_dash = is_on(along, dash_m[0], dash_m[1]);
    let line = |l: &Lines, at: f32| {
        (0..2).any(|i| (at - l.center[i]).abs() < l.half[i] && (on_dash || !l.dashed[i]))
    };
    let within = |i: usize| s.p[i] <= along && along < s.p[i + 1];
    let bar = is_on(inn + 0.25, 0.5, 1.0);
    line(&s.inner, inn) || line(&s.outer, out) || within(0) || (bar && (within(4) || within(6)))
}
