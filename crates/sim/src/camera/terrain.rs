//! The land: a height field that carries the roads and rolls away from them.

use super::ground::Cover;
use super::look::Look;
use super::noise::Noise;

/// Nodes along a chunk of terrain.
pub(crate) const CHUNK_NODES: usize = 16;
/// Levels of detail: a cell of level k spans 2^k nodes.
pub(crate) const LEVELS: usize = 5;
/// The land lies this much below the road's surface, so that it never pokes through.
const SUNK_M: f32 = 0.06;

/// Heights on a grid, in [`LEVELS`] levels of detail.
pub(crate) struct Terrain {
    pub origin: [f64; 2],
    pub node_m: f64,
    pub nodes: [usize; 2],
    /// Heights of each level; coarse ones are the lowest of the fine ones around.
    pub levels: Vec<Vec<f32>>,
    /// Smallest and largest height.
    pub range: [f32; 2],
}

impl Terrain {
    /// The land around the roads of `cover`.
    pub(crate) fn new(cover: &Cover, look: &Look, noise: &Noise) -> Self {
        let [w, h] = cover.nodes;
        let known: Vec<Option<f32>> = (0..w * h).map(|k| cover.node_height(k)).collect();
        let base = fill(&known, w, h);
        let far = distance(&known, w, h, cover.node_m as f32);
        let mut height: Vec<f32> = (0..w * h)
            .map(|k| {
                let (x, y) = ((k % w) as f32, (k / w) as f32);
                let away = (far[k] - 7.0).max(0.0);
                let roll = noise.smooth(x * 1.3, y * 1.3, 4) + 0.25;
                let small = noise.smooth(x * 9.0, y * 9.0, 2) * 0.25;
                let amplitude = look.relief_m * (away / (away + 45.0));
                let near = (away / 12.0).min(1.0);
                base[k] - SUNK_M + amplitude * roll + near * small
            })
            .collect();
        // Beside a steep or banked road the lowest of its neighbours wins.
        let raw = height.clone();
        for y in 0..h {
            for x in 0..w {
                if known[y * w + x].is_some() {
                    height[y * w + x] = lowest(&raw, &known, w, h, x, y);
                }
            }
        }
        let mut levels = vec![height];
        for k in 1..LEVELS {
            let step = 1usize << k;
            let fine = &levels[0];
            let (nw, nh) = ((w - 1) / step + 1, (h - 1) / step + 1);
            let r = (step / 2 + 1) as i32;
            let mut coarse = Vec::with_capacity(nw * nh);
            for y in 0..nh {
                for x in 0..nw {
                    let mut low = f32::INFINITY;
                    for dy in (-r..=r).step_by((step / 2).max(1)) {
                        for dx in (-r..=r).step_by((step / 2).max(1)) {
                            let i = ((x * step) as i32 + dx).clamp(0, w as i32 - 1) as usize;
                            let j = ((y * step) as i32 + dy).clamp(0, h as i32 - 1) as usize;
                            low = low.min(fine[j * w + i]);
                        }
                    }
                    coarse.push(low);
                }
            }
            levels.push(coarse);
        }
        let range = levels[0]
            .iter()
            .fold([f32::INFINITY, f32::NEG_INFINITY], |r, v| [r[0].min(*v), r[1].max(*v)]);
        Self { origin: cover.origin, node_m: cover.node_m, nodes: cover.nodes, levels, range }
    }

    /// Height at a place, bilinear; clamped at the rim.
    pub(crate) fn height(&self, x: f64, y: f64) -> f64 {
        let u = ((x - self.origin[0]) / self.node_m).clamp(0.0, self.nodes[0] as f64 - 1.001);
        let v = ((y - self.origin[1]) / self.node_m).clamp(0.0, self.nodes[1] as f64 - 1.001);
        let (i, j) = (u as usize, v as usize);
        let (fu, fv) = (u - i as f64, v - j as f64);
        let at = |i: usize, j: usize| f64::from(self.levels[0][j * self.nodes[0] + i]);
        let top = at(i, j) * (1.0 - fu) + at(i + 1, j) * fu;
        let low = at(i, j + 1) * (1.0 - fu) + at(i + 1, j + 1) * fu;
        top * (1.0 - fv) + low * fv
    }
}

fn lowest(raw: &[f32], known: &[Option<f32>], w: usize, h: usize, x: usize, y: usize) -> f32 {
    // Only a little: half of the drop to the lowest road neighbour.
    let own = raw[y * w + x];
    let mut low = own;
    for (dx, dy) in [(-1i32, 0i32), (1, 0), (0, -1), (0, 1)] {
        let i = (x as i32 + dx).clamp(0, w as i32 - 1) as usize;
        let j = (y as i32 + dy).clamp(0, h as i32 - 1) as usize;
        if known[j * w + i].is_some() {
            low = low.min(raw[j * w + i]);
        }
    }
    own - 0.1 * (own - low).min(1.0)
}

/// Fills unknown nodes smoothly: averages pulled up a pyramid, pushed down bilinearly.
fn fill(known: &[Option<f32>], w: usize, h: usize) -> Vec<f32> {
    let count = known.iter().flatten().count();
    if count == 0 {
        return vec![0.0; w * h];
    }
    if count == w * h || (w <= 2 && h <= 2) {
        let mean = known.iter().flatten().sum::<f32>() / count as f32;
        return known.iter().map(|v| v.unwrap_or(mean)).collect();
    }
    let (nw, nh) = (w.div_ceil(2), h.div_ceil(2));
    let mut coarse = vec![None; nw * nh];
    for y in 0..nh {
        for x in 0..nw {
            let (mut sum, mut n) = (0.0, 0u32);
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (i, j) = (2 * x + dx, 2 * y + dy);
                if i < w
                    && j < h
                    && let Some(v) = known[j * w + i]
                {
                    sum += v;
                    n += 1;
                }
            }
            if n > 0 {
                coarse[y * nw + x] = Some(sum / n as f32);
            }
        }
    }
    let coarse = fill(&coarse, nw, nh);
    let at = |x: i32, y: i32| {
        coarse[y.clamp(0, nh as i32 - 1) as usize * nw + x.clamp(0, nw as i32 - 1) as usize]
    };
    let mut out: Vec<f32> = (0..w * h)
        .map(|k| {
            known[k].unwrap_or_else(|| {
                // Fine node x lies a quarter of a coarse cell off the coarse node x / 2.
                let (x, y) = ((k % w) as i32, (k / w) as i32);
                let (x2, y2) = (x >> 1, y >> 1);
                let (sx, sy) = (if x & 1 == 0 { -1 } else { 1 }, if y & 1 == 0 { -1 } else { 1 });
                0.5625 * at(x2, y2)
                    + 0.1875 * (at(x2 + sx, y2) + at(x2, y2 + sy))
                    + 0.0625 * at(x2 + sx, y2 + sy)
            })
        })
        .collect();
    // Two sweeps of smoothing over what was unknown.
    for _ in 0..2 {
        let last = out.clone();
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let k = y * w + x;
                if known[k].is_none() {
                    out[k] = 0.25 * (last[k - 1] + last[k + 1] + last[k - w] + last[k + w]);
                }
            }
        }
    }
    out
}

/// Distance to the nearest known node (chamfer), metres.
fn distance(known: &[Option<f32>], w: usize, h: usize, node_m: f32) -> Vec<f32> {
    let mut d: Vec<f32> = known.iter().map(|v| if v.is_some() { 0.0 } else { 1e6 }).collect();
    let (a, b) = (node_m, node_m * 1.414);
    for y in 0..h {
        for x in 0..w {
            let k = y * w + x;
            let mut v = d[k];
            if x > 0 {
                v = v.min(d[k - 1] + a);
            }
            if y > 0 {
                v = v.min(d[k - w] + a);
                if x > 0 {
                    v = v.min(d[k - w - 1] + b);
                }
                if x + 1 < w {
                    v = v.min(d[k - w + 1] + b);
                }
            }
            d[k] = v;
        }
    }
    for y in (0..h).rev() {
        for x in (0..w).rev() {
            let k = y * w + x;
            let mut v = d[k];
            if x + 1 < w {
                v = v.min(d[k + 1] + a);
            }
            if y + 1 < h {
                v = v.min(d[k + w] + a);
                if x > 0 {
                    v = v.min(d[k + w - 1] + b);
                }
                if x + 1 < w {
                    v = v.min(d[k + w + 1] + b);
                }
            }
            d[k] = v;
        }
    }
    d
}
