//! Finding the lane and the surface at a point, on every tick.

use crate::grid::{Bounds, Grid, bounds_of};
use crate::lanes::{LaneTable, Sample};
use crate::{LaneKey, LaneStrip, LaneType, Surface};

const CELL_M: f64 = 4.0;
/// How far from a lane's centre a point may be to be found.
pub(crate) const REACH_M: f64 = 100.0;
/// Surfaces further from the hint are another level (a bridge).
const LEVEL_M: f64 = 4.0;

/// Segments of lane centres by place.
#[derive(Debug, Clone)]
pub(crate) struct LaneIndex {
    segments: Vec<Segment>,
    grid: Grid,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    a: [f64; 2],
    b: [f64; 2],
    z: f64,
    lane: u32,
    sample: u32,
}

/// Squared distance of a point from a segment.
pub(crate) fn segment_distance2(a: [f64; 2], b: [f64; 2], p: [f64; 2]) -> f64 {
    let d = [b[0] - a[0], b[1] - a[1]];
    let q = [p[0] - a[0], p[1] - a[1]];
    let len2 = d[0] * d[0] + d[1] * d[1];
    let u = if len2 > 0.0 { ((q[0] * d[0] + q[1] * d[1]) / len2).clamp(0.0, 1.0) } else { 0.0 };
    let e = [q[0] - u * d[0], q[1] - u * d[1]];
    e[0] * e[0] + e[1] * e[1]
}

impl LaneIndex {
    pub fn build(tables: &[LaneTable]) -> Self {
        let mut segments = Vec::new();
        for (lane, t) in tables.iter().enumerate() {
            for (i, w) in t.samples.windows(2).enumerate() {
                let [a, b] = w else { continue };
                segments.push(Segment {
                    a: [a.x, a.y],
                    b: [b.x, b.y],
                    z: 0.5 * (a.z + b.z),
                    lane: lane as u32,
                    sample: i as u32,
                });
            }
        }
        let boxes: Vec<Bounds> =
            segments.iter().map(|s| bounds_of([s.a, s.b].into_iter())).collect();
        Self { grid: Grid::build(&boxes, CELL_M), segments }
    }

    /// Index of the nearest lane, distance along it, lateral offset (right positive).
    pub fn nearest(
        &self,
        tables: &[LaneTable],
        x: f64,
        y: f64,
        z_hint: f64,
    ) -> Option<(usize, f64, f64)> {
        // Far beyond any map the grid would be walked cell by cell for nothing.
        if !(x.abs() < 2e7 && y.abs() < 2e7) {
            return None;
        }
        let p = [x, y];
        // (squared distance, segment) on the hint's level and on any level. Ties go to the
        // smaller segment, whatever the order of cells.
        let (mut level, mut any) = ((f64::INFINITY, u32::MAX), (f64::INFINITY, u32::MAX));
        self.grid.outwards(p, |item, reach| {
            let Some(i) = item else {
                let r2 = |d: f64| if reach > d { (reach - d) * (reach - d) } else { -1.0 };
                return r2(0.0) >= level.0 || r2(6.0) >= any.0 || reach > REACH_M;
            };
            let Some(segment) = self.segments.get(i as usize) else { return false };
            let found = (segment_distance2(segment.a, segment.b, p), i);
            if found < any {
                any = found;
            }
            if found < level && (segment.z - z_hint).abs() <= LEVEL_M {
                level = found;
            }
            false
        });
        let best = if level.1 == u32::MAX { any } else { level };
        if best.0 > REACH_M * REACH_M {
            return None;
        }
        let segment = self.segments.get(best.1 as usize)?;
        let table = tables.get(segment.lane as usize)?;
        let i = segment.sample as usize;
        let (u, lateral) = project(table.samples.get(i)?, table.samples.get(i + 1)?, p);
        let (a, b) = (table.samples.get(i)?, table.samples.get(i + 1)?);
        Some((segment.lane as usize, a.along + u * (b.along - a.along), lateral))
    }
}

/// Projects a point on the curve between two samples: (u in [0, 1], lateral, right positive).
pub(crate) fn project(a: &Sample, b: &Sample, p: [f64; 2]) -> (f64, f64) {
    let length = (b.along - a.along).max(1e-9);
    let chord = [b.x - a.x, b.y - a.y];
    let q = [p[0] - a.x, p[1] - a.y];
    let len2 = (chord[0] * chord[0] + chord[1] * chord[1]).max(1e-12);
    let mut u = ((q[0] * chord[0] + q[1] * chord[1]) / len2).clamp(0.0, 1.0);
    let mut lateral = 0.0;
    // The chord's foot is already within millimetres; two steps along the tangent do the rest.
    for _ in 0..3 {
        let c = Sample::between(a, b, u);
        let (sin, cos) = libm::sincos(c.yaw);
        let d = [p[0] - c.x, p[1] - c.y];
        lateral = d[1] * cos - d[0] * sin;
        let forward = (d[0] * cos + d[1] * sin) / length;
        // Towards the centre of curvature the step shortens.
        let shrink = (1.0 - c.curvature * lateral).clamp(0.2, 5.0);
        u = (u + forward / shrink).clamp(0.0, 1.0);
    }
    (u, lateral)
}

/// Surfaces of all lanes by place.
#[derive(Debug, Clone)]
pub(crate) struct SurfaceIndex {
    quads: Vec<Quad>,
    lanes: Vec<(LaneKey, LaneType)>,
    grid: Grid,
}

#[derive(Debug, Clone, Copy)]
struct Quad {
    corners: [[f64; 3]; 4],
    lane: u32,
}

impl Quad {
    /// Height of the quad at a point within it.
    fn height(&self, x: f64, y: f64) -> Option<f64> {
        let [a, b, c, d] = self.corners;
        triangle(a, b, c, x, y).or_else(|| triangle(a, c, d, x, y))
    }
}

fn triangle(a: [f64; 3], b: [f64; 3], c: [f64; 3], x: f64, y: f64) -> Option<f64> {
    let (ab, ac) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
    let q = [x - a[0], y - a[1]];
    let area = ab[0] * ac[1] - ab[1] * ac[0];
    if area.abs() < 1e-9 {
        return None;
    }
    let v = (q[0] * ac[1] - q[1] * ac[0]) / area;
    let w = (ab[0] * q[1] - ab[1] * q[0]) / area;
    // Edges belong to both sides, so that no point falls between two lanes.
    let eps = -1e-7;
    (v >= eps && w >= eps && v + w <= 1.0 - eps)
        .then(|| a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2]))
}

impl SurfaceIndex {
    pub fn build(strips: &[LaneStrip]) -> Self {
        let mut quads = Vec::new();
        for (lane, s) in strips.iter().enumerate() {
            for (i, o) in s.inner.windows(2).zip(s.outer.windows(2)) {
                if let ([i0, i1], [o0, o1]) = (i, o) {
                    quads.push(Quad { corners: [*i0, *o0, *o1, *i1], lane: lane as u32 });
                }
            }
        }
        let boxes: Vec<Bounds> =
            quads.iter().map(|q| bounds_of(q.corners.iter().map(|c| [c[0], c[1]]))).collect();
        let lanes = strips.iter().map(|s| (s.key, s.lane_type)).collect();
        Self { grid: Grid::build(&boxes, CELL_M), quads, lanes }
    }

    pub fn at(&self, x: f64, y: f64, z_hint: f64) -> Option<Surface> {
        // (another level?, priority, distance to the hint); the first of equals stays.
        let mut best: Option<((bool, u8), f64, Surface)> = None;
        for i in self.grid.at([x, y]) {
            let Some(quad) = self.quads.get(*i as usize) else { continue };
            let Some(z_m) = quad.height(x, y) else { continue };
            let Some((key, lane_type)) = self.lanes.get(quad.lane as usize).copied() else {
                continue;
            };
            let dz = (z_m - z_hint).abs();
            let rank = (dz > LEVEL_M, priority(lane_type));
            // On another level height decides before use.
            let better = best.as_ref().is_none_or(|(r, d, _)| match (rank.0, r.0) {
                (false, false) => rank.1 < r.1,
                (true, true) => dz < *d,
                (mine, theirs) => !mine && theirs,
            });
            if better {
                best = Some((rank, dz, Surface { z_m, lane_type, key }));
            }
        }
        best.map(|b| b.2)
    }
}

/// Small is good to drive on.
fn priority(t: LaneType) -> u8 {
    match t {
        LaneType::Driving => 0,
        LaneType::Parking => 1,
        LaneType::Biking => 2,
        LaneType::Restricted => 3,
        LaneType::Shoulder => 4,
        LaneType::Border => 5,
        LaneType::Median => 6,
        LaneType::Curb => 7,
        LaneType::Sidewalk => 8,
        LaneType::Other => 9,
        LaneType::None_ => 10,
    }
}
