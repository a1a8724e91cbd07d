//! From lane strips to asphalt, marks, kerbs and pavements; and the map of what is road.

use std::collections::BTreeMap;

use caril_road::{LaneStrip, LaneType, Mark, MarkColor, MarkKind};

use super::label::Tag;
use super::look::Look;
use super::mesh::{Builder, Kind, Lines, Reach, Surface};

/// Height of a kerb, metres.
pub(crate) const KERB_M: f64 = 0.13;
/// Quads may cut a curve by this much, metres.
const CHORD_M: f64 = 0.004;
/// Longest quad, metres.
const QUAD_M: f64 = 14.0;

const ROAD: u8 = 1;
const OTHER: u8 = 2;
const JUNCTION: u8 = 4;
const TAKEN: u8 = 8;

/// What of the plane is covered, on a fine grid; and the height of the road on a coarse one.
pub(crate) struct Cover {
    pub origin: [f64; 2],
    /// Side of a fine cell, metres.
    pub cell_m: f64,
    pub size: [usize; 2],
    bits: Vec<u8>,
    /// Lowest road height and mean of those near it, by node of `NODE` fine cells.
    pub node_m: f64,
    pub nodes: [usize; 2],
    pub low: Vec<f32>,
    sum: Vec<(f32, u32)>,
}

/// Fine cells along a coarse one.
const NODE: usize = 4;

impl Cover {
    /// Rasterises the strips, with a margin around.
    pub(crate) fn new(strips: &[LaneStrip], margin_m: f64) -> Self {
        let mut lo = [f64::INFINITY; 2];
        let mut hi = [f64::NEG_INFINITY; 2];
        for p in strips.iter().flat_map(|s| s.inner.iter().chain(&s.outer)) {
            for i in 0..2 {
                if p[i].is_finite() {
                    lo[i] = lo[i].min(p[i]);
                    hi[i] = hi[i].max(p[i]);
                }
            }
        }
        if lo[0] > hi[0] {
            (lo, hi) = ([0.0; 2], [0.0; 2]);
        }
        let extent = [0, 1].map(|i: usize| hi[i] - lo[i] + 2.0 * margin_m);
        let mut cell_m = 0.5;
        while extent[0] * extent[1] / (cell_m * cell_m) > 12e6 {
            cell_m *= 2.0;
        }
        let node_m = cell_m * NODE as f64;
        // Whole terrain chunks of 16 nodes.
        let tile = node_m * 16.0;
        let origin = [0, 1].map(|i: usize| libm::floor((lo[i] - margin_m) / tile) * tile);
        let tiles =
            [0, 1].map(|i: usize| libm::ceil((hi[i] + margin_m - origin[i]) / tile) as usize);
        let nodes = tiles.map(|t| t * 16 + 1);
        let size = tiles.map(|t| t * 16 * NODE);
        let mut cover = Self {
            origin,
            cell_m,
            size,
            bits: vec![0; size[0] * size[1]],
            node_m,
            nodes,
            low: vec![f32::INFINITY; nodes[0] * nodes[1]],
            sum: vec![(0.0, 0); nodes[0] * nodes[1]],
        };
        for pass in 0..2 {
            for s in strips {
                let bit = match s.lane_type {
                    LaneType::Driving | LaneType::Parking | LaneType::Biking => ROAD,
                    LaneType::Shoulder | LaneType::Border | LaneType::Restricted => ROAD,
                    LaneType::None_ => continue,
                    _ => OTHER,
                } | if s.junction { JUNCTION } else { 0 };
                for k in 1..s.inner.len().min(s.outer.len()) {
                    cover.mark_quad(
                        [s.inner[k - 1], s.inner[k], s.outer[k], s.outer[k - 1]],
                        bit,
                        pass,
                    );
                }
            }
        }
        cover
    }

    fn mark_quad(&mut self, q: [[f64; 3]; 4], bit: u8, pass: usize) {
        let len = |a: [f64; 3], b: [f64; 3]| libm::hypot(a[0] - b[0], a[1] - b[1]);
        let step = self.cell_m * 0.6;
        let n = libm::ceil(len(q[0], q[1]).max(len(q[3], q[2])) / step).clamp(1.0, 200.0) as usize;
        let m = libm::ceil(len(q[0], q[3]).max(len(q[1], q[2])) / step).clamp(1.0, 200.0) as usize;
        for i in 0..=n {
            let a = i as f64 / n as f64;
            for j in 0..=m {
                let b = j as f64 / m as f64;
                let p = [0, 1, 2].map(|c: usize| {
                    let near = q[0][c] + (q[1][c] - q[0][c]) * a;
                    let far = q[3][c] + (q[2][c] - q[3][c]) * a;
                    near + (far - near) * b
                });
                let x = (p[0] - self.origin[0]) / self.cell_m;
                let y = (p[1] - self.origin[1]) / self.cell_m;
                if !(x >= 0.0 && y >= 0.0) {
                    continue;
                }
                let (cx, cy) = (x as usize, y as usize);
                if cx >= self.size[0] || cy >= self.size[1] {
                    continue;
                }
                let nx = (x / NODE as f64 + 0.5) as usize;
                let ny = (y / NODE as f64 + 0.5) as usize;
                let at = ny * self.nodes[0] + nx;
                if pass == 0 {
                    self.bits[cy * self.size[0] + cx] |= bit;
                    self.low[at] = self.low[at].min(p[2] as f32);
                } else if p[2] as f32 <= self.low[at] + 1.5 {
                    // A bridge above does not lift the ground below it.
                    self.sum[at].0 += p[2] as f32;
                    self.sum[at].1 += 1;
                }
            }
        }
    }

    fn bits_at(&self, x: f64, y: f64) -> u8 {
        let (x, y) = ((x - self.origin[0]) / self.cell_m, (y - self.origin[1]) / self.cell_m);
        if x < 0.0 || y < 0.0 || x >= self.size[0] as f64 || y >= self.size[1] as f64 {
            return 0;
        }
        self.bits[y as usize * self.size[0] + x as usize]
    }

    /// Whether cars may roll here.
    pub(crate) fn is_road(&self, x: f64, y: f64) -> bool {
        self.bits_at(x, y) & ROAD != 0
    }

    /// Whether a junction's roadway is here.
    pub(crate) fn is_junction(&self, x: f64, y: f64) -> bool {
        self.bits_at(x, y) & (ROAD | JUNCTION) == ROAD | JUNCTION
    }

    /// Whether an upright rectangle is free: of roads (`pavement_ok`: only of roadways) and of
    /// what was placed before.
    pub(crate) fn is_free(
        &self,
        at: [f64; 2],
        yaw: f64,
        half: [f64; 2],
        pavement_ok: bool,
    ) -> bool {
        let mask = if pavement_ok { ROAD | TAKEN } else { ROAD | OTHER | TAKEN };
        let mut free = true;
        self.visit(at, yaw, half, |k| free &= self.bits[k] & mask == 0);
        free
    }

    /// Marks an upright rectangle as taken.
    pub(crate) fn take(&mut self, at: [f64; 2], yaw: f64, half: [f64; 2]) {
        let mut cells = Vec::new();
        self.visit(at, yaw, half, |k| cells.push(k));
        for k in cells {
            self.bits[k] |= TAKEN;
        }
    }

    fn visit(&self, at: [f64; 2], yaw: f64, half: [f64; 2], mut f: impl FnMut(usize)) {
        let (s, c) = (libm::sin(yaw), libm::cos(yaw));
        let steps = half.map(|h| libm::ceil(2.0 * h / (self.cell_m * 0.7)).max(1.0) as i32);
        for i in 0..=steps[0] {
            for j in 0..=steps[1] {
                let u = half[0] * (2.0 * f64::from(i) / f64::from(steps[0]) - 1.0);
                let v = half[1] * (2.0 * f64::from(j) / f64::from(steps[1]) - 1.0);
                let x = (at[0] + u * c - v * s - self.origin[0]) / self.cell_m;
                let y = (at[1] + u * s + v * c - self.origin[1]) / self.cell_m;
                if x >= 0.0 && y >= 0.0 {
                    let (x, y) = (x as usize, y as usize);
                    if x < self.size[0] && y < self.size[1] {
                        f(y * self.size[0] + x);
                    }
                }
            }
        }
    }

    /// Mean height of the lowest road near a node.
    pub(crate) fn node_height(&self, at: usize) -> Option<f32> {
        let (sum, n) = self.sum[at];
        (n > 0).then(|| sum / n as f32)
    }
}

fn lines(mark: &Mark, look: &Look, centre_of_left: bool) -> Lines {
    let w = (mark.width_m as f32).clamp(0.10, 0.30);
    // Lines of a double mark, inside first; the centre line's are named from the left.
    let (first, second) = match mark.kind {
        MarkKind::None | MarkKind::Curb | MarkKind::Grass => return Lines::NONE,
        MarkKind::Solid | MarkKind::Other => (Some(false), None),
        MarkKind::Broken | MarkKind::BottsDots => (Some(true), None),
        MarkKind::SolidSolid => (Some(false), Some(false)),
        MarkKind::SolidBroken => (Some(false), Some(true)),
        MarkKind::BrokenSolid => (Some(true), Some(false)),
        MarkKind::BrokenBroken => (Some(true), Some(true)),
    };
    let color = match mark.color {
        MarkColor::White | MarkColor::Other => look.paint_white,
        MarkColor::Yellow => look.paint_yellow,
        MarkColor::Red => [0.62, 0.16, 0.13],
        MarkColor::Blue => [0.16, 0.26, 0.62],
        MarkColor::Green => [0.15, 0.45, 0.22],
        MarkColor::Orange => [0.80, 0.42, 0.12],
    };
    match (first, second) {
        (Some(a), None) => {
            Lines { center: [0.0; 2], half: [w * 0.5, 0.0], dashed: [a, false], color }
        }
        (Some(a), Some(b)) => {
            let w = w.min(0.15);
            let d = if centre_of_left { -w } else { w };
            Lines { center: [-d, d], half: [w * 0.5, w * 0.5], dashed: [a, b], color }
        }
        _ => Lines::NONE,
    }
}

/// Draws all strips into the builder.
pub(crate) fn build(strips: &[LaneStrip], cover: &Cover, look: &Look, out: &mut Builder) {
    let mut sections: BTreeMap<(u32, u32), Vec<&LaneStrip>> = BTreeMap::new();
    let mut length: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for s in strips {
        sections.entry((s.key.road, s.key.section)).or_default().push(s);
        let range = length.entry(s.key.road).or_insert((f64::INFINITY, f64::NEG_INFINITY));
        range.0 = range.0.min(s.s_m.first().copied().unwrap_or(0.0));
        range.1 = range.1.max(s.s_m.last().copied().unwrap_or(0.0));
    }
    for ((road, _), lanes) in &sections {
        let n = lanes.iter().map(|s| s.s_m.len()).min().unwrap_or(0);
        if n < 2 {
            continue;
        }
        let picks = simplify(lanes, n);
        let range = length.get(road).copied().unwrap_or((0.0, 0.0));
        for s in lanes {
            let neighbour = lanes.iter().find(|o| {
                o.key.lane.signum() == s.key.lane.signum()
                    && o.key.lane.abs() + 1 == s.key.lane.abs()
            });
            strip(s, neighbour.copied(), &picks, range, cover, look, out);
        }
    }
}

/// Sample indices that keep every edge of the section within [`CHORD_M`].
fn simplify(lanes: &[&LaneStrip], n: usize) -> Vec<usize> {
    let same_marks = |a: usize, b: usize| {
        lanes.iter().all(|s| {
            s.outer_mark.get(a) == s.outer_mark.get(b) && s.inner_mark.get(a) == s.inner_mark.get(b)
        })
    };
    let fits = |a: usize, b: usize| {
        lanes.iter().all(|s| {
            let span = s.s_m[b] - s.s_m[a];
            [&s.inner, &s.outer].iter().all(|edge| {
                (a + 1..b).all(|k| {
                    let t = (s.s_m[k] - s.s_m[a]) / span;
                    let e = [0, 1, 2]
                        .map(|i: usize| edge[k][i] - edge[a][i] - (edge[b][i] - edge[a][i]) * t);
                    e[0] * e[0] + e[1] * e[1] + e[2] * e[2] < CHORD_M * CHORD_M
                })
            })
        })
    };
    let s_m = &lanes[0].s_m;
    let mut picks = vec![0];
    let mut from = 0;
    for k in 1..n {
        let last = k + 1 == n;
        if last || s_m[k + 1] - s_m[from] > QUAD_M || !same_marks(from, k) || !fits(from, k + 1) {
            picks.push(k);
            from = k;
        }
    }
    picks
}

fn strip(
    s: &LaneStrip,
    neighbour: Option<&LaneStrip>,
    picks: &[usize],
    range: (f64, f64),
    cover: &Cover,
    look: &Look,
    out: &mut Builder,
) {
    let (kind, tag, color, lift) = match s.lane_type {
        LaneType::None_ => return,
        LaneType::Driving | LaneType::Restricted | LaneType::Other => {
            (Kind::Road, Tag::Roads, look.asphalt, if s.junction { 0.012 } else { 0.018 })
        }
        LaneType::Parking => (Kind::Road, Tag::Roads, look.parking, 0.010),
        LaneType::Biking => (Kind::Road, Tag::Roads, look.biking, 0.010),
        LaneType::Shoulder | LaneType::Border => {
            if look.paved_shoulder {
                (Kind::Road, Tag::Roads, look.shoulder, 0.008)
            } else {
                (Kind::Gravel, Tag::Terrain, look.gravel, 0.008)
            }
        }
        LaneType::Sidewalk | LaneType::Median => (Kind::Walk, Tag::SideWalks, look.pavement, 0.004),
        LaneType::Curb => (Kind::Plain, Tag::SideWalks, look.kerb, 0.006),
    };
    let raised = kind == Kind::Walk;
    // Heights above the road at the picked samples: pavements lie a kerb higher, but not where
    // they cross a roadway or end at a junction's mouth.
    let lift_at: Vec<f64> = picks
        .iter()
        .map(|&k| {
            let clear = |f: f64| {
                let (a, b) = (s.inner[k], s.outer[k]);
                !cover.is_road(a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f)
            };
            if !raised {
                0.0
            } else if s.junction {
                if [0.25, 0.5, 0.75, 0.95].iter().all(|f| clear(*f)) { KERB_M } else { 0.0 }
            } else {
                KERB_M
            }
        })
        .collect();
    for (i, pair) in picks.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        let (mut ha, mut hb) = (lift_at[i], lift_at[i + 1]);
        if s.junction && (ha == 0.0 || hb == 0.0) {
            (ha, hb) = (0.0, 0.0);
        }
        let up = |p: [f64; 3], h: f64| [p[0], p[1], p[2] + h];
        let corners =
            [up(s.inner[a], ha), up(s.inner[b], hb), up(s.outer[b], hb), up(s.outer[a], ha)];
        let width = |k: usize| {
            let (p, q) = (s.inner[k], s.outer[k]);
            libm::sqrt((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2) + (p[2] - q[2]).powi(2)) as f32
        };
        let (wa, wb) = (width(a), width(b));
        if wa < 1e-3 && wb < 1e-3 {
            continue;
        }
        let (sa, sb) = (s.s_m[a] as f32, s.s_m[b] as f32);
        let mut surface = Surface { lift, ..Surface::of(kind, tag, color) };
        if kind == Kind::Road || kind == Kind::Gravel {
            let left = s.key.lane > 0;
            if !s.junction {
                surface.outer = s.outer_mark.get(a).map_or(Lines::NONE, |m| lines(m, look, false));
                surface.inner = if s.key.lane.abs() == 1 {
                    s.inner_mark.get(a).map_or(Lines::NONE, |m| lines(m, look, left))
                } else {
                    neighbour
                        .and_then(|o| o.outer_mark.get(a))
                        .map_or(Lines::NONE, |m| lines(m, look, false))
                };
                if s.lane_type == LaneType::Driving {
                    surface.p = crossing_marks(s, range, cover, look);
                }
            }
            surface.alt = if s.lane_type == LaneType::Driving { [1.0; 3] } else { [0.0; 3] };
        }
        if raised && ha + hb > 0.0 {
            surface.lift = 0.018;
        }
        let id = out.surface(surface);
        let uwt = [[sa, 0.0, wa], [sb, 0.0, wb], [sb, wb, 0.0], [sa, wa, 0.0]];
        out.quad(corners, uwt, id, [0.0, 0.0, 1.0], Reach::Far);
        if raised && ha + hb > 0.0 {
            let kerb = Surface::of(Kind::Plain, Tag::SideWalks, look.kerb);
            let kerb = out.surface(Surface { lift: 0.018, ..kerb });
            // The stone's top, a hand wide, and its face towards the road.
            let inward = |k: usize, h: f64| {
                let (p, q) = (s.inner[k], s.outer[k]);
                let f = 0.15 / f64::from(width(k)).max(0.16);
                [
                    p[0] + (q[0] - p[0]) * f,
                    p[1] + (q[1] - p[1]) * f,
                    p[2] + (q[2] - p[2]) * f + h + 0.004,
                ]
            };
            let top = [up(s.inner[a], ha), up(s.inner[b], hb), inward(b, hb), inward(a, ha)];
            let uw = [[sa, 0.0, 0.0], [sb, 0.0, 0.0], [sb, 0.15, 0.0], [sa, 0.15, 0.0]];
            out.quad(top, uw, kerb, [0.0, 0.0, 1.0], Reach::Far);
            let face = [s.inner[a], s.inner[b], up(s.inner[b], hb), up(s.inner[a], ha)];
            let away = [
                (s.inner[a][0] - s.outer[a][0]) as f32,
                (s.inner[a][1] - s.outer[a][1]) as f32,
                0.0,
            ];
            out.quad(face, uw, kerb, away, Reach::Far);
        }
    }
}

/// Stop line and zebra of a lane that leads into a junction, as ranges of s.
fn crossing_marks(s: &LaneStrip, range: (f64, f64), cover: &Cover, look: &Look) -> [f32; 8] {
    let none = [0.0; 8];
    let n = s.inner.len().min(s.outer.len());
    if n < 2 || range.1 - range.0 < 12.0 {
        return none;
    }
    // Right-hand traffic: negative lanes drive towards rising s.
    let forward = s.key.lane < 0;
    let mut p = none;
    for end in [false, true] {
        let (k, before) = if end { (n - 1, n - 2) } else { (0, 1) };
        let at_road_end =
            if end { (s.s_m[k] - range.1).abs() < 0.01 } else { (s.s_m[k] - range.0).abs() < 0.01 };
        let mid = |k: usize| [0, 1].map(|i: usize| 0.5 * (s.inner[k][i] + s.outer[k][i]));
        let (m, b) = (mid(k), mid(before));
        let len = libm::hypot(m[0] - b[0], m[1] - b[1]).max(1e-6);
        let ahead = [0, 1].map(|i: usize| m[i] + (m[i] - b[i]) / len * 1.5);
        if !at_road_end || !cover.is_junction(ahead[0], ahead[1]) {
            continue;
        }
        let dir = if end { -1.0 } else { 1.0 };
        let span = |from: f64, to: f64| {
            let (a, b) = (s.s_m[k] + dir * from, s.s_m[k] + dir * to);
            (a.min(b) as f32, a.max(b) as f32)
        };
        let zebra = look.zebra;
        if zebra {
            let (a, b) = span(0.5, 3.3);
            let i = if end { 4 } else { 6 };
            (p[i], p[i + 1]) = (a, b);
        }
        if forward == end {
            let (a, b) = if zebra { span(4.2, 4.55) } else { span(0.5, 0.85) };
            (p[0], p[1]) = (a, b);
        }
    }
    p
}
