//! Draws the other cars of a frame.

use super::BodyPose;
use super::car::{self, Part};
use super::label::Tag;
use super::mesh::{Kind, Surface, dot, unit};
use super::raster::Raster;
use super::view::{View, axes};

/// Cars beyond this are drawn without wheels and lamps, metres.
const FINE_M: f32 = 80.0;

fn surfaces(color: [u8; 3]) -> [Surface; Part::COUNT] {
    let mut of = [Part::Paint, Part::Glass, Part::Tyre, Part::Tail, Part::Head, Part::Shadow]
        .map(|part| match part {
            Part::Paint => (Kind::Gloss, color.map(|c| f32::from(c) / 255.0)),
            Part::Glass => (Kind::Gloss, [0.06, 0.07, 0.08]),
            Part::Tyre => (Kind::Plain, [0.07, 0.07, 0.07]),
            Part::Tail => (Kind::Lamp, [0.55, 0.05, 0.05]),
            Part::Head => (Kind::Lamp, [0.75, 0.75, 0.72]),
            Part::Shadow => (Kind::Plain, [0.10, 0.10, 0.11]),
        })
        .map(|(kind, color)| Surface::of(kind, Tag::Car, color));
    of[Part::Paint as usize].p[0] = 0.22;
    of[Part::Glass as usize].p[0] = 0.55;
    of[Part::Tail as usize].alt = [0.95, 0.10, 0.06];
    of[Part::Head as usize].alt = [1.0, 0.97, 0.88];
    of[Part::Shadow as usize].lift = 0.02;
    of
}

/// `first`: number of the first surface in `paint`. `shadows`: whether theirs are drawn.
#[inline(always)]
pub(crate) fn draw(
    raster: &mut Raster,
    paint: &mut Vec<Surface>,
    first: usize,
    view: &View,
    bodies: &[BodyPose],
    reach: f32,
    shadows: bool,
) {
    paint.clear();
    paint.reserve(bodies.len() * Part::COUNT);
    for b in bodies {
        let p = &b.pose;
        let at = view.relative([p.x_m, p.y_m, p.z_m]);
        let away = dot(at, at).sqrt();
        let middle = [at[0], at[1], at[2] + 0.5 * b.height_m];
        if away > reach.min(500.0) || !view.sees(middle, b.length_m) {
            continue;
        }
        let base = first + paint.len();
        paint.extend_from_slice(&surfaces(b.color));
        let axes = axes(p.yaw_rad, p.pitch_rad, p.roll_rad).map(|a| a.map(|v| v as f32));
        let turn = |q: [f32; 3]| {
            [0, 1, 2].map(|i: usize| axes[0][i] * q[0] + axes[1][i] * q[1] + axes[2][i] * q[2])
        };
        car::faces(b.length_m, b.width_m, b.height_m, away < FINE_M, |(quad, way, part)| {
            if part == Part::Shadow && !shadows {
                return;
            }
            let q = quad.map(|c| {
                let t = turn(c);
                [at[0] + t[0], at[1] + t[1], at[2] + t[2]]
            });
            let (e, f) = (
                [0, 1, 2].map(|i: usize| q[1][i] - q[0][i]),
                [0, 1, 2].map(|i: usize| q[2][i] - q[0][i]),
            );
            let n =
                [e[1] * f[2] - e[2] * f[1], e[2] * f[0] - e[0] * f[2], e[0] * f[1] - e[1] * f[0]];
            let mut n = unit(n);
            if dot(n, turn(way)) < 0.0 {
                n = n.map(|v| -v);
            }
            if dot(n, q[0]) >= 0.0 {
                return;
            }
            let c = q.map(|v| view.camera(v));
            let lift = if part == Part::Shadow { 0.02 } else { 0.0 };
            for t in [[c[0], c[1], c[2]], [c[0], c[2], c[3]]] {
                if let Some(k) = raster.triangle(view, t, lift) {
                    let d = &mut raster.drawn[k];
                    d.normal = n;
                    d.surface = (base + part as usize) as u32;
                }
            }
        });
    }
}
