//! Which triangle does each pixel see? Depth-tested scan conversion without shading.

use core::ops::Range;

use super::mesh::{Attr, Blob, dot};
use super::noise::Noise;
use super::view::View;

/// Triangles and blobs of a frame that there is memory for from the beginning; a busy street has
/// a quarter of it.
const DRAWN: usize = 1 << 15;

/// Nothing nearer than this is drawn, metres.
pub(crate) const NEAR_M: f32 = 0.2;

/// A triangle (or blob) of this frame, ready for shading. Attributes are `value at the eye +
/// z · (a + b·column + c·row)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    /// Inverse depth at pixel (0, 0), per column, per row.
    pub w: [f32; 3],
    /// World normal.
    pub normal: [f32; 3],
    pub surface: u32,
    pub u: [f32; 4],
    pub v: [f32; 4],
    pub t: [f32; 4],
}

/// Inverse depth and number of what each pixel sees. Number 0 is the sky.
#[derive(Default)]
pub(crate) struct Raster {
    pub width: usize,
    pub height: usize,
    pub depth: Vec<f32>,
    pub id: Vec<u32>,
    /// Rows that somebody looks at; in the others nothing is found.
    pub seen: Vec<bool>,
    pub drawn: Vec<Drawn>,
}

/// Runs of pixels of one row that see the same: its number, and their columns.
pub(crate) struct Runs<'a> {
    ids: &'a [u32],
    x: usize,
}

impl Iterator for Runs<'_> {
    type Item = (u32, Range<usize>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let from = self.x;
        let id = *self.ids.get(from)?;
        self.x += 1;
        while self.x < self.ids.len() && self.ids[self.x] == id {
            self.x += 1;
        }
        Some((id, from..self.x))
    }
}

impl Raster {
    /// The runs of a row.
    #[inline(always)]
    pub(crate) fn runs(&self, y: usize) -> Runs<'_> {
        Runs { ids: &self.id[y * self.width..(y + 1) * self.width], x: 0 }
    }

    /// What rows there are to see from now on: by default all.
    pub(crate) fn see(&mut self, height: usize, rows: Option<&[bool]>) {
        self.seen.clear();
        self.seen.extend_from_slice(rows.unwrap_or_default());
        self.seen.resize(height, rows.is_none());
    }

    pub(crate) fn clear(&mut self, width: usize, height: usize) {
        self.width = width;
        self.height = height;
        self.depth.resize(width * height, 0.0);
        self.id.resize(width * height, 0);
        self.depth.fill(0.0);
        self.id.fill(0);
        self.drawn.clear();
        self.drawn.reserve(DRAWN);
    }

    /// Draws a triangle given in camera axes.
    #[inline(always)]
    pub(crate) fn triangle(&mut self, view: &View, p: [[f32; 3]; 3], lift: f32) -> Option<usize> {
        let behind = p.map(|q| q[2] < NEAR_M);
        if behind == [true; 3] {
            return None;
        }
        // Outside one side of the frustum?
        let (hx, hy) = (view.center[0] / view.focal, view.center[1] / view.focal);
        if p.iter().all(|q| q[0] > hx * q[2])
            || p.iter().all(|q| -q[0] > hx * q[2])
            || p.iter().all(|q| q[1] > hy * q[2])
            || p.iter().all(|q| -q[1] > hy * q[2])
        {
            return None;
        }
        let e1 = [p[1][0] - p[0][0], p[1][1] - p[0][1], p[1][2] - p[0][2]];
        let e2 = [p[2][0] - p[0][0], p[2][1] - p[0][1], p[2][2] - p[0][2]];
        let n = [
            e1[1] * e2[2] - e1[2] * e2[1],
            e1[2] * e2[0] - e1[0] * e2[2],
            e1[0] * e2[1] - e1[1] * e2[0],
        ];
        let d = dot(n, p[0]);
        if d.abs() < 1e-9 {
            return None;
        }
        let (k, f) = (1.0 / d, 1.0 / view.focal);
        let w = [
            (n[2] + (0.5 - view.center[0]) * f * n[0] + (0.5 - view.center[1]) * f * n[1]) * k,
            n[0] * f * k,
            n[1] * f * k,
        ];
        let lifted = w.map(|v| v * (1.0 + lift));
        let number = self.drawn.len() as u32 + 1;
        let project = |q: [f32; 3]| {
            let s = view.focal / q[2];
            [q[0] * s + view.center[0], q[1] * s + view.center[1]]
        };
        let seen = if behind == [false; 3] {
            self.scan(p.map(project), lifted, number)
        } else {
            // Cut at the near plane: three or four corners remain.
            let mut poly = [[0.0f32; 2]; 4];
            let mut n = 0;
            for i in 0..3 {
                let (a, b) = (p[i], p[(i + 1) % 3]);
                if a[2] >= NEAR_M {
                    poly[n] = project(a);
                    n += 1;
                }
                if (a[2] >= NEAR_M) != (b[2] >= NEAR_M) {
                    let t = (NEAR_M - a[2]) / (b[2] - a[2]);
                    let cut = [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, NEAR_M];
                    poly[n] = project(cut);
                    n += 1;
                }
            }
            let first = self.scan([poly[0], poly[1], poly[2]], lifted, number);
            (n == 4 && self.scan([poly[0], poly[2], poly[3]], lifted, number)) || first
        };
        if !seen {
            return None;
        }
        self.drawn.push(Drawn {
            w,
            normal: [0.0, 0.0, 1.0],
            surface: 0,
            u: [0.0; 4],
            v: [0.0; 4],
            t: [0.0; 4],
        });
        Some(self.drawn.len() - 1)
    }

    /// Scan conversion with the pixel-centre rule; whether any pixel was touched.
    #[inline(always)]
    fn scan(&mut self, p: [[f32; 2]; 3], w: [f32; 3], number: u32) -> bool {
        let [mut a, mut b, mut c] = p;
        // Order by row, then column: both neighbours of an edge compute the same span ends.
        let less = |p: &[f32; 2], q: &[f32; 2]| p[1] < q[1] || (p[1] == q[1] && p[0] < q[0]);
        if less(&b, &a) {
            core::mem::swap(&mut a, &mut b);
        }
        if less(&c, &b) {
            core::mem::swap(&mut b, &mut c);
        }
        if less(&b, &a) {
            core::mem::swap(&mut a, &mut b);
        }
        let rows = self.height as f32;
        let row = |y: f32| (y.clamp(0.0, rows) + 0.5) as usize;
        let (y0, y1) = (row(a[1]), row(c[1]).min(self.height));
        if y0 >= y1 {
            return false;
        }
        let slope = |p: [f32; 2], q: [f32; 2]| (q[0] - p[0]) / (q[1] - p[1]);
        let (long, top, low) = (slope(a, c), slope(a, b), slope(b, c));
        let columns = self.width as f32;
        let mut touched = false;
        for y in y0..y1 {
            if !self.seen[y] {
                continue;
            }
            let yc = y as f32 + 0.5;
            let xa = a[0] + (yc - a[1]) * long;
            let xb = if yc < b[1] { a[0] + (yc - a[1]) * top } else { b[0] + (yc - b[1]) * low };
            let (lo, hi) = if xa < xb { (xa, xb) } else { (xb, xa) };
            let x0 = (lo.clamp(0.0, columns) + 0.5) as usize;
            let x1 = ((hi.clamp(0.0, columns) + 0.5) as usize).min(self.width);
            if x0 >= x1 {
                continue;
            }
            touched = true;
            let at = y * self.width;
            let start = w[0] + w[2] * y as f32;
            let (depth, id) = (&mut self.depth[at + x0..at + x1], &mut self.id[at + x0..at + x1]);
            for (i, (z, n)) in depth.iter_mut().zip(id.iter_mut()).enumerate() {
                let v = start + w[1] * (x0 + i) as i32 as f32;
                let nearer = v > *z;
                *z = if nearer { v } else { *z };
                *n = if nearer { number } else { *n };
            }
        }
        touched
    }

    /// Draws a blob whose centre is given in camera axes.
    #[inline(always)]
    pub(crate) fn blob(&mut self, view: &View, noise: &Noise, blob: &Blob, c: [f32; 3]) {
        if c[2] < 1.0 {
            return;
        }
        let s = view.focal / c[2];
        let (cx, cy) = (c[0] * s + view.center[0], c[1] * s + view.center[1]);
        let (rx, ry) = (blob.radius[0] * s, blob.radius[1] * s);
        let (w, h) = (self.width as f32, self.height as f32);
        let x0 = ((cx - rx).clamp(0.0, w) + 0.5) as usize;
        let x1 = ((cx + rx).clamp(0.0, w) + 0.5) as usize;
        let y0 = ((cy - ry).clamp(0.0, h) + 0.5) as usize;
        let y1 = ((cy + ry).clamp(0.0, h) + 0.5) as usize;
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let number = self.drawn.len() as u32 + 1;
        let (ix, iy) = (1.0 / rx, 1.0 / ry);
        // Twelve texels to the radius, coarser when the blob is small.
        let texels = 12.0;
        let level = Noise::level(texels * ix);
        let bulge = 0.8 * blob.radius[0] / c[2];
        let inverse = 1.0 / c[2];
        for y in y0..y1 {
            if !self.seen[y] {
                continue;
            }
            let dy = (y as f32 + 0.5 - cy) * iy;
            // A cone narrows towards its top (dy = −1).
            let narrow = 1.0 - blob.cone * (0.5 - 0.5 * dy).min(0.97);
            let ey = if blob.cone > 0.0 { dy.max(0.0) * 0.6 } else { dy };
            let kx = ix / narrow;
            for x in x0..x1 {
                let dx = (x as f32 + 0.5 - cx) * kx;
                let r2 = dx * dx + ey * ey;
                if r2 >= 1.0 {
                    continue;
                }
                let n =
                    noise.nearest(dx * texels + blob.seed, dy * texels + blob.seed * 3.0, level);
                if r2 > 0.72 + 0.5 * n {
                    continue;
                }
                let v = inverse * (1.0 + bulge * (1.0 - r2));
                let at = y * self.width + x;
                if v > self.depth[at] {
                    self.depth[at] = v;
                    self.id[at] = number;
                }
            }
        }
        self.drawn.push(Drawn {
            w: [inverse, 0.0, 0.0],
            normal: [0.0, 0.0, 1.0],
            surface: blob.surface,
            u: [cx, cy, ix, iy],
            v: [blob.seed, texels, blob.cone, level as f32],
            t: [0.0; 4],
        });
    }
}

/// An attribute in the form that [`Drawn`] keeps. `eye`: the eye relative to the chunk's origin.
#[inline(always)]
pub(crate) fn ready(view: &View, eye: [f32; 3], a: &Attr) -> [f32; 4] {
    let g = [a[0], a[1], a[2]];
    let [p, q, r] = view.along_rays(g);
    [a[3] + dot(g, eye), p, q, r]
}
