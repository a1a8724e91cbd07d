//! What stands beside the roads: houses, trees, bushes, lamps and posts.

use std::collections::BTreeMap;

use caril_core::CounterRng;
use caril_road::{LaneStrip, LaneType};

use super::ground::{Cover, KERB_M};
use super::label::Tag;
use super::look::Look;
use super::mesh::{Blob, Builder, Kind, Reach, Surface};
use super::scene::Obstacle;
use super::terrain::Terrain;

/// Everything that placing needs.
struct Site<'a> {
    cover: &'a mut Cover,
    terrain: &'a Terrain,
    look: &'a Look,
    out: &'a mut Builder,
    rng: CounterRng,
    obstacles: Vec<Obstacle>,
}

/// The outermost edge of one side of a road's section.
struct Edge {
    points: Vec<[f64; 3]>,
    outward: Vec<[f64; 2]>,
    along: Vec<f64>,
    town: bool,
}

/// Builds the surroundings and says what of them a car can hit.
pub(crate) fn build(
    strips: &[LaneStrip],
    cover: &mut Cover,
    terrain: &Terrain,
    look: &Look,
    seed: u64,
    out: &mut Builder,
) -> Vec<Obstacle> {
    let edges = edges(strips);
    let rng = CounterRng::new(seed, 0x5CE2_E217);
    let mut site = Site { cover, terrain, look, out, rng, obstacles: Vec::new() };
    // What stands nearest to the road is placed first.
    for e in &edges {
        site.furniture(e);
    }
    for row in 0..2 {
        for e in &edges {
            site.houses(e, row);
        }
    }
    for e in &edges {
        site.plants(e);
    }
    site.obstacles
}

fn edges(strips: &[LaneStrip]) -> Vec<Edge> {
    let mut outermost: BTreeMap<(u32, u32, bool), (&LaneStrip, bool)> = BTreeMap::new();
    for s in strips.iter().filter(|s| !s.junction && s.lane_type != LaneType::None_) {
        let walk = s.lane_type == LaneType::Sidewalk;
        let e = outermost.entry((s.key.road, s.key.section, s.key.lane > 0)).or_insert((s, walk));
        e.1 |= walk;
        if s.key.lane.abs() > e.0.key.lane.abs() {
            e.0 = s;
        }
    }
    outermost
        .into_values()
        .filter_map(|(s, town)| {
            let n = s.inner.len().min(s.outer.len());
            let (mut points, mut outward, mut along) = (Vec::new(), Vec::new(), Vec::new());
            let mut sum = 0.0;
            for (p, q) in s.inner.iter().zip(&s.outer).take(n) {
                let d = [q[0] - p[0], q[1] - p[1]];
                let len = libm::hypot(d[0], d[1]);
                if len < 1e-3 {
                    continue;
                }
                if let Some(last) = points.last() {
                    let last: &[f64; 3] = last;
                    sum += libm::hypot(q[0] - last[0], q[1] - last[1]);
                }
                points.push(*q);
                outward.push([d[0] / len, d[1] / len]);
                along.push(sum);
            }
            (points.len() > 1).then_some(Edge { points, outward, along, town })
        })
        .collect()
}

impl Edge {
    fn length(&self) -> f64 {
        self.along.last().copied().unwrap_or(0.0)
    }

    /// Place and way outward at a distance along the edge.
    fn at(&self, along: f64) -> ([f64; 3], [f64; 2]) {
        let k = self.along.partition_point(|a| *a < along).clamp(1, self.along.len() - 1);
        let (a, b) = (self.along[k - 1], self.along[k]);
        let t = ((along - a) / (b - a).max(1e-9)).clamp(0.0, 1.0);
        let (p, q) = (self.points[k - 1], self.points[k]);
        let point = [0, 1, 2].map(|i: usize| p[i] + (q[i] - p[i]) * t);
        (point, self.outward[k])
    }
}

/// A box standing upright: middle, half extents, yaw, foot and head.
#[derive(Clone, Copy)]
struct Upright {
    at: [f64; 2],
    yaw: f64,
    half: [f64; 2],
    z: [f64; 2],
}

impl Upright {
    /// A point of it: along and across in half extents, z absolute.
    fn point(&self, u: f64, v: f64, z: f64) -> [f64; 3] {
        let (s, c) = (libm::sin(self.yaw), libm::cos(self.yaw));
        let (a, b) = (u * self.half[0], v * self.half[1]);
        [self.at[0] + a * c - b * s, self.at[1] + a * s + b * c, z]
    }

    fn way(&self, u: f64, v: f64) -> [f32; 3] {
        let (s, c) = (libm::sin(self.yaw), libm::cos(self.yaw));
        [(u * c - v * s) as f32, (u * s + v * c) as f32, 0.0]
    }
}

const UP: [f32; 3] = [0.0, 0.0, 1.0];

impl Site<'_> {
    fn pick<T: Copy>(&mut self, from: &[T], default: T) -> T {
        let k = self.rng.below(from.len().max(1) as u64) as usize;
        from.get(k).copied().unwrap_or(default)
    }

    fn chance(&mut self, p: f64) -> bool {
        self.rng.uniform() < p
    }

    /// A place beside the edge, `out_m` away from it.
    fn beside(e: &Edge, along: f64, out_m: f64) -> ([f64; 2], f64, f64) {
        let (p, n) = e.at(along);
        // The long side runs along the road.
        let yaw = libm::atan2(n[0], -n[1]);
        ([p[0] + n[0] * out_m, p[1] + n[1] * out_m], yaw, p[2])
    }

    fn hit(&mut self, b: &Upright) {
        self.obstacles.push(Obstacle {
            x_m: b.at[0],
            y_m: b.at[1],
            yaw_rad: b.yaw,
            half_length_m: b.half[0],
            half_width_m: b.half[1],
        });
    }

    /// Four sides and a top of one surface.
    fn plain_box(&mut self, b: &Upright, surface: u32, reach: Reach) {
        for (u, v) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            let (du, dv) = (v, u);
            let p = |s: f64, z: f64| b.point(u + s * du, v + s * dv, z);
            let q = [p(-1.0, b.z[0]), p(1.0, b.z[0]), p(1.0, b.z[1]), p(-1.0, b.z[1])];
            self.out.quad(q, [[0.0; 3]; 4], surface, b.way(u, v), reach);
        }
        let p = |u: f64, v: f64| b.point(u, v, b.z[1]);
        let q = [p(-1.0, -1.0), p(1.0, -1.0), p(1.0, 1.0), p(-1.0, 1.0)];
        self.out.quad(q, [[0.0; 3]; 4], surface, UP, reach);
    }

    /// Lowest and highest ground under a box.
    fn ground(&self, b: &Upright) -> (f64, f64) {
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for (u, v) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (0.0, 0.0)] {
            let p = b.point(u, v, 0.0);
            let z = self.terrain.height(p[0], p[1]);
            (lo, hi) = (lo.min(z), hi.max(z));
        }
        (lo, hi)
    }

    /// Lamps in towns, marker posts elsewhere.
    fn furniture(&mut self, e: &Edge) {
        let step = if e.town { 30.0 } else { 25.0 };
        let mut along = self.rng.range(4.0, step);
        while along < e.length() - 3.0 {
            let out_m = if e.town { -0.3 } else { 0.6 };
            let (at, yaw, z) = Self::beside(e, along, out_m);
            let side = if e.town { 0.09 } else { 0.06 };
            let free = self.cover.is_free(at, yaw, [0.35; 2], true);
            if free && e.town {
                self.lamp(at, yaw, z + KERB_M, side);
            } else if free {
                self.post(at, yaw, z, side);
            }
            along += step;
        }
    }

    fn lamp(&mut self, at: [f64; 2], yaw: f64, z: f64, side: f64) {
        let steel = self.out.surface(Surface::of(Kind::Plain, Tag::Pole, [0.33, 0.34, 0.35]));
        let mut shade = Surface::of(Kind::Lamp, Tag::Pole, [0.55, 0.55, 0.52]);
        shade.alt = [1.0, 0.86, 0.60];
        let shade = self.out.surface(shade);
        let top = z + 5.8;
        let pole = Upright { at, yaw, half: [side; 2], z: [z - 0.3, top] };
        self.plain_box(&pole, steel, Reach::Middle);
        // The arm reaches over the road: v < 0 is inward.
        let head = pole.point(0.0, -0.9 / side, 0.0);
        let arm = pole.point(0.0, -0.45 / side, 0.0);
        let arm = Upright { at: [arm[0], arm[1]], half: [0.05, 0.5], z: [top - 0.1, top], yaw };
        self.plain_box(&arm, steel, Reach::Near);
        let half = [0.16, 0.35];
        let head = Upright { at: [head[0], head[1]], half, z: [top - 0.2, top - 0.02], yaw };
        self.plain_box(&head, shade, Reach::Middle);
        self.hit(&pole);
    }

    fn post(&mut self, at: [f64; 2], yaw: f64, z: f64, side: f64) {
        let white = self.out.surface(Surface::of(Kind::Plain, Tag::Pole, [0.85, 0.85, 0.83]));
        let band = self.out.surface(Surface::of(Kind::Plain, Tag::Pole, [0.75, 0.20, 0.12]));
        let mut b = Upright { at, yaw, half: [side; 2], z: [z - 0.5, z + 0.95] };
        self.plain_box(&b, white, Reach::Near);
        self.hit(&b);
        b.half = [side * 1.15; 2];
        b.z = [z + 0.66, z + 0.82];
        self.plain_box(&b, band, Reach::Near);
    }

    /// Rows of houses in towns, single ones elsewhere.
    fn houses(&mut self, e: &Edge, row: usize) {
        let share = self.look.houses * if e.town { 1.0 } else { 0.12 };
        let mut along = self.rng.range(1.0, 8.0);
        while along < e.length() {
            let long = if e.town { self.rng.range(9.0, 22.0) } else { self.rng.range(8.0, 14.0) };
            let deep = self.rng.range(8.0, 13.0);
            let back = match (e.town, row) {
                (true, 0) => self.rng.range(0.8, 4.0),
                (true, _) => self.rng.range(20.0, 34.0),
                (false, 0) => self.rng.range(9.0, 22.0),
                (false, _) => self.rng.range(35.0, 60.0),
            };
            let (at, yaw, _) = Self::beside(e, along + 0.5 * long, back + 0.5 * deep);
            let half = [0.5 * long, 0.5 * deep];
            let wanted = self.chance(share);
            // Gardens: a house keeps its distance from roads and others.
            let room = half.map(|h| h + 0.4);
            if wanted && self.cover.is_free(at, yaw, room, false) {
                self.cover.take(at, yaw, half.map(|h| h + 0.3));
                let tall = match (e.town, row) {
                    (true, 0) => self.rng.range(1.6, 5.9) as usize,
                    (true, _) => self.rng.range(2.0, 9.0) as usize,
                    _ => self.rng.range(1.2, 2.9) as usize,
                };
                self.house(at, yaw, half, tall);
            }
            along += long + if self.chance(0.4) { 0.9 } else { self.rng.range(2.0, 9.0) };
            if !e.town {
                along += self.rng.range(5.0, 40.0);
            }
        }
    }

    fn house(&mut self, at: [f64; 2], yaw: f64, half: [f64; 2], floors: usize) {
        let floor_m = self.rng.range(2.9, 3.5);
        let mut b = Upright { at, yaw, half, z: [0.0; 2] };
        let (lo, hi) = self.ground(&b);
        let tall = floor_m * floors as f64;
        b.z = [lo - 0.4, hi + tall];
        let facades = self.look.facade;
        let mut color = self.pick(&facades, [0.6; 3]);
        let tone = self.rng.range(0.82, 1.12) as f32;
        color = color.map(|c| (c * tone).min(0.95));
        if self.chance(0.18) {
            // Brick.
            color = [0.52 * tone, 0.30 * tone, 0.23 * tone];
        }
        let frame = if self.chance(0.6) { [0.85, 0.85, 0.82] } else { [0.22, 0.20, 0.18] };
        let pitch = self.rng.range(2.2, 4.2);
        let (wide, high) = (self.rng.range(0.32, 0.72) as f32, self.rng.range(0.42, 0.68) as f32);
        let seed = self.rng.range(0.0, 200.0) as f32;
        let shop = if floors > 1 && self.chance(0.3) { 1.0 } else { 0.0 };
        for (u, v) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0f64)] {
            let length = 2.0 * if u == 0.0 { half[0] } else { half[1] };
            let panes = libm::floor(length / pitch).max(1.0);
            let mut s = Surface::of(Kind::Wall, Tag::Building, color);
            s.alt = frame;
            let pu = (length / panes) as f32;
            s.p = [pu, floor_m as f32, wide, high, seed, length as f32, tall as f32, shop];
            let id = self.out.surface(s);
            let (du, dv) = (v, u);
            let p = |s: f64, z: f64| b.point(u + s * du, v + s * dv, z);
            let q = [p(-1.0, b.z[0]), p(1.0, b.z[0]), p(1.0, b.z[1]), p(-1.0, b.z[1])];
            let (l, foot) = (length as f32, (b.z[0] - hi) as f32);
            let uwt =
                [[0.0, foot, 0.0], [l, foot, 0.0], [l, tall as f32, 0.0], [0.0, tall as f32, 0.0]];
            self.out.quad(q, uwt, id, b.way(u, v), Reach::Far);
        }
        self.roof(&b, floors, color);
        self.hit(&b);
    }

    fn roof(&mut self, b: &Upright, floors: usize, wall: [f32; 3]) {
        let roofs = self.look.roof;
        let color = self.pick(&roofs, [0.3; 3]);
        let tiles = self.out.surface(Surface::of(Kind::Plain, Tag::Building, color));
        let eaves = b.z[1];
        if floors > 3 || self.chance(0.25) {
            let rim =
                Upright { half: b.half.map(|h| h + 0.15), z: [eaves - 0.1, eaves + 0.35], ..*b };
            self.plain_box(&rim, tiles, Reach::Far);
            return;
        }
        let top = eaves + b.half[1] * self.rng.range(0.5, 0.95);
        // Eaves stand out a little, and so lie a little lower.
        let (eu, ev) = (1.0 + 0.35 / b.half[0], 1.0 + 0.45 / b.half[1]);
        let low = eaves - (ev - 1.0) * (top - eaves);
        for v in [-1.0, 1.0] {
            let q = [
                b.point(-eu, v * ev, low),
                b.point(eu, v * ev, low),
                b.point(eu, 0.0, top),
                b.point(-eu, 0.0, top),
            ];
            self.out.quad(q, [[0.0; 3]; 4], tiles, UP, Reach::Far);
        }
        let gable =
            self.out.surface(Surface::of(Kind::Plain, Tag::Building, wall.map(|c| c * 0.95)));
        for u in [-1.0, 1.0] {
            let tip = b.point(u, 0.0, top);
            let q = [b.point(u, -1.0, eaves), b.point(u, 1.0, eaves), tip, tip];
            self.out.quad(q, [[0.0; 3]; 4], gable, b.way(u, 0.0), Reach::Far);
        }
    }

    /// Trees and bushes where there is room.
    fn plants(&mut self, e: &Edge) {
        let share = self.look.trees;
        let mut along = self.rng.range(1.0, 9.0);
        while along < e.length() {
            let near = if e.town { 1.3 } else { 3.0 };
            let far = if e.town { 16.0 } else { 45.0 };
            // Denser near the road.
            let k = self.rng.uniform();
            let out_m = near + (far - near) * k * k;
            let (at, yaw, _) = Self::beside(e, along, out_m);
            if self.chance(share) {
                if self.chance(if e.town { 0.35 } else { 0.45 }) {
                    if self.cover.is_free(at, yaw, [0.9; 2], false) {
                        self.bush(at);
                    }
                } else if self.cover.is_free(at, yaw, [1.3; 2], false) {
                    self.tree(at, yaw);
                }
            }
            along += if e.town { self.rng.range(4.0, 16.0) } else { self.rng.range(3.0, 15.0) };
        }
    }

    fn leaves(&mut self) -> u32 {
        let palette = self.look.leaf;
        let color = self.pick(&palette, [0.2, 0.28, 0.09]);
        self.out.surface(Surface::of(Kind::Leaf, Tag::Vegetation, color))
    }

    fn blob(&mut self, at: [f64; 3], radius: [f64; 2], cone: f32, surface: u32) {
        let radius = radius.map(|r| r as f32);
        let seed = self.rng.range(0.0, 250.0) as f32;
        self.out.blob(at, Blob { center: [0.0; 3], radius, surface, cone, seed });
    }

    fn bush(&mut self, at: [f64; 2]) {
        let surface = self.leaves();
        let z = self.terrain.height(at[0], at[1]);
        let r = self.rng.range(0.5, 1.1);
        self.blob([at[0], at[1], z + 0.6 * r], [r, 0.85 * r], 0.0, surface);
    }

    fn tree(&mut self, at: [f64; 2], yaw: f64) {
        let surface = self.leaves();
        let z = self.terrain.height(at[0], at[1]);
        let bark = self.out.surface(Surface::of(Kind::Plain, Tag::Vegetation, [0.27, 0.21, 0.16]));
        self.cover.take(at, yaw, [1.0; 2]);
        let thick = self.rng.range(0.12, 0.24);
        let trunk = |top: f64| Upright { at, yaw, half: [thick; 2], z: [z - 0.4, z + top] };
        if self.chance(0.3) {
            let tall = self.rng.range(6.0, 12.0);
            self.plain_box(&trunk(2.6), bark, Reach::Middle);
            let mid = [at[0], at[1], z + 2.0 + 0.5 * tall];
            self.blob(mid, [0.22 * tall, 0.5 * tall], 0.9, surface);
        } else {
            let r = self.rng.range(1.7, 3.0);
            let clear = self.rng.range(2.4, 3.4);
            let crown = trunk(clear + r);
            self.plain_box(&crown, bark, Reach::Middle);
            self.blob([at[0], at[1], z + clear + 0.9 * r], [r, 0.95 * r], 0.0, surface);
            for _ in 0..2 {
                let a = self.rng.range(0.0, core::f64::consts::TAU);
                let d = 0.55 * r;
                let up = self.rng.range(0.9, 1.5) * r;
                let c = [at[0] + d * libm::cos(a), at[1] + d * libm::sin(a), z + clear + up];
                self.blob(c, [0.7 * r, 0.62 * r], 0.0, surface);
            }
        }
        self.hit(&trunk(1.0));
    }
}
