//! What a scene is made of: surfaces, triangles in chunks, leafy blobs.

use super::label::Tag;

/// How a surface is shaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asphalt with marks; u = s, v = distance from the inner edge, t = from the outer edge.
    Road,
    /// Slabs; u = s, v = distance from the inner edge.
    Walk,
    /// Stone, concrete, wood, metal: one colour and a little grain.
    Plain,
    /// Gravel or worn verge.
    Gravel,
    /// Grass and earth.
    Terrain,
    /// A facade with windows; u along the wall, v up.
    Wall,
    /// Car body or glass: reflects the sky.
    Gloss,
    /// Shines by itself at night.
    Lamp,
    /// Leaves: blobs.
    Leaf,
    /// Hills at the horizon.
    Hills,
}

/// Up to two painted lines beside an edge, in metres outward (away from the reference line).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lines {
    /// Centre of each line.
    pub center: [f32; 2],
    /// Half width of each; 0: not there.
    pub half: [f32; 2],
    /// Whether each is dashed.
    pub dashed: [bool; 2],
    /// Paint.
    pub color: [f32; 3],
}

impl Lines {
    pub(crate) const NONE: Self =
        Self { center: [0.0; 2], half: [0.0; 2], dashed: [false; 2], color: [0.0; 3] };

    /// Whether there is any line.
    pub(crate) fn any(&self) -> bool {
        self.half[0] > 0.0 || self.half[1] > 0.0
    }
}

/// A surface: its kind and the numbers of its shader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Surface {
    pub kind: Kind,
    /// What it is part of.
    pub tag: Tag,
    /// Main colour.
    pub color: [f32; 3],
    /// Second colour (window frames, joints, …).
    pub alt: [f32; 3],
    /// Road: stop line from, to (s), zebra from, to (s). Wall: window pitch u, pitch v, width
    /// share, height share, seed, wall length, height.
    pub p: [f32; 8],
    /// Lines at the inner edge.
    pub inner: Lines,
    /// Lines at the outer edge.
    pub outer: Lines,
    /// Inverse depth is multiplied by 1 + this: layers of the ground that share a height.
    pub lift: f32,
}

impl Surface {
    pub(crate) const fn of(kind: Kind, tag: Tag, color: [f32; 3]) -> Self {
        Self {
            kind,
            tag,
            color,
            alt: color,
            p: [0.0; 8],
            inner: Lines::NONE,
            outer: Lines::NONE,
            lift: 0.0,
        }
    }
}

/// An affine function of the place relative to the chunk's origin: gradient, then value there.
pub(crate) type Attr = [f32; 4];

/// A triangle of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tri {
    pub v: [u32; 3],
    pub surface: u32,
    pub normal: [f32; 3],
    pub u: Attr,
    pub w: Attr,
    pub t: Attr,
}

/// A ball of leaves (or a cone), always facing the camera.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blob {
    /// Centre relative to the chunk's origin.
    pub center: [f32; 3],
    /// Half width and half height, metres.
    pub radius: [f32; 2],
    pub surface: u32,
    /// 0: ellipsoid, 1: cone with its point up.
    pub cone: f32,
    /// Offset into the noise.
    pub seed: f32,
}

/// How far away things of a list are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// As far as the haze lets see.
    Far,
    /// Houses' details, crowns.
    Middle,
    /// Poles, fences, kerb faces.
    Near,
}

impl Reach {
    /// Metres.
    pub(crate) const fn metres(self) -> f32 {
        match self {
            Self::Far => 700.0,
            Self::Middle => 260.0,
            Self::Near => 90.0,
        }
    }
}

/// Triangles near one another, with coordinates relative to `origin`.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub origin: [f64; 3],
    pub reach: Reach,
    pub verts: Vec<[f32; 3]>,
    pub tris: Vec<Tri>,
    pub blobs: Vec<Blob>,
    /// Bounding sphere, relative to the origin.
    pub center: [f32; 3],
    pub radius: f32,
}

/// Side of a chunk, metres.
const CHUNK_M: f64 = 32.0;

/// Collects geometry and sorts it into chunks.
#[derive(Default)]
pub(crate) struct Builder {
    chunks: std::collections::BTreeMap<(i32, i32, Reach), Chunk>,
    pub surfaces: Vec<Surface>,
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline(always)]
pub(crate) fn unit(a: [f32; 3]) -> [f32; 3] {
    // Not libm's, whose bits are the same: it is inline assembly of the old encoding, which costs
    // hundreds of cycles amid AVX.
    let len = dot(a, a).sqrt().max(1e-12);
    [a[0] / len, a[1] / len, a[2] / len]
}

/// The affine function in the triangle's plane that takes `value` at the corners.
fn attr(p: [[f32; 3]; 3], value: [f32; 3]) -> Attr {
    let (e1, e2) = (sub(p[1], p[0]), sub(p[2], p[0]));
    let n = cross(e1, e2);
    let nn = dot(n, n).max(1e-12);
    let (d1, d2) = (value[1] - value[0], value[2] - value[0]);
    // The gradient lies in the plane: g·e1 = d1, g·e2 = d2, g·n = 0.
    let (a, b) = (cross(e2, n), cross(n, e1));
    let g =
        [(a[0] * d1 + b[0] * d2) / nn, (a[1] * d1 + b[1] * d2) / nn, (a[2] * d1 + b[2] * d2) / nn];
    [g[0], g[1], g[2], value[0] - dot(g, p[0])]
}

impl Builder {
    /// The index of a surface, shared by equal ones among the latest.
    pub(crate) fn surface(&mut self, s: Surface) -> u32 {
        let from = self.surfaces.len().saturating_sub(64);
        if let Some(k) = self.surfaces[from..].iter().position(|x| *x == s) {
            return (from + k) as u32;
        }
        self.surfaces.push(s);
        (self.surfaces.len() - 1) as u32
    }

    fn chunk(&mut self, at: [f64; 3], reach: Reach) -> &mut Chunk {
        let key = (libm::floor(at[0] / CHUNK_M) as i32, libm::floor(at[1] / CHUNK_M) as i32, reach);
        self.chunks.entry(key).or_insert_with(|| Chunk {
            origin: [
                (f64::from(key.0) + 0.5) * CHUNK_M,
                (f64::from(key.1) + 0.5) * CHUNK_M,
                libm::floor(at[2]),
            ],
            reach,
            verts: Vec::new(),
            tris: Vec::new(),
            blobs: Vec::new(),
            center: [0.0; 3],
            radius: 0.0,
        })
    }

    /// A quadrilateral a b c d (in order around) with (u, w, t) at its corners. `up` tells which
    /// side its normal is on.
    pub(crate) fn quad(
        &mut self,
        p: [[f64; 3]; 4],
        uwt: [[f32; 3]; 4],
        surface: u32,
        up: [f32; 3],
        reach: Reach,
    ) {
        let mid = [0, 1, 2].map(|i| 0.25 * (p[0][i] + p[1][i] + p[2][i] + p[3][i]));
        let chunk = self.chunk(mid, reach);
        let local = p.map(|q| [0, 1, 2].map(|i: usize| (q[i] - chunk.origin[i]) as f32));
        let base = chunk.verts.len() as u32;
        chunk.verts.extend_from_slice(&local);
        for c in [[0usize, 1, 2], [0, 2, 3]] {
            let q = c.map(|k| local[k]);
            let mut normal = cross(sub(q[1], q[0]), sub(q[2], q[0]));
            if dot(normal, normal) < 1e-10 {
                continue;
            }
            normal = unit(normal);
            if dot(normal, up) < 0.0 {
                normal = normal.map(|v| -v);
            }
            let take = |i: usize| attr(q, c.map(|k| uwt[k][i]));
            let (u, w, t) = (take(0), take(1), take(2));
            chunk.tris.push(Tri { v: c.map(|k| base + k as u32), surface, normal, u, w, t });
        }
    }

    /// A ball or cone of leaves.
    pub(crate) fn blob(&mut self, at: [f64; 3], mut blob: Blob) {
        let chunk = self.chunk(at, Reach::Middle);
        blob.center = [0, 1, 2].map(|i: usize| (at[i] - chunk.origin[i]) as f32);
        chunk.blobs.push(blob);
    }

    /// The chunks with their bounds.
    pub(crate) fn finish(self) -> (Vec<Chunk>, Vec<Surface>) {
        let mut chunks: Vec<Chunk> = self.chunks.into_values().collect();
        for c in &mut chunks {
            let mut lo = [f32::INFINITY; 3];
            let mut hi = [f32::NEG_INFINITY; 3];
            let mut grow = |p: [f32; 3], r: f32| {
                for i in 0..3 {
                    lo[i] = lo[i].min(p[i] - r);
                    hi[i] = hi[i].max(p[i] + r);
                }
            };
            c.verts.iter().for_each(|v| grow(*v, 0.0));
            c.blobs.iter().for_each(|b| grow(b.center, b.radius[0].max(b.radius[1])));
            c.center = [0, 1, 2].map(|i: usize| 0.5 * (lo[i] + hi[i]));
            let half = sub(hi, c.center);
            c.radius = dot(half, half).sqrt();
            c.verts.shrink_to_fit();
            c.tris.shrink_to_fit();
            c.blobs.shrink_to_fit();
        }
        (chunks, self.surfaces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_take_their_values_at_the_corners() {
        let p = [[1.0, 2.0, 0.5], [4.0, 2.5, 0.0], [2.0, 6.0, 1.0]];
        let a = attr(p, [3.0, -1.0, 7.0]);
        for (q, want) in p.iter().zip([3.0, -1.0, 7.0]) {
            assert!((dot([a[0], a[1], a[2]], *q) + a[3] - want).abs() < 1e-4);
        }
    }
}
