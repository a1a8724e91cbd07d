//! The plan view: lines, arcs, spirals and polynomials, in OpenDRIVE's axes.

use crate::poly::{cubic, integrate};

/// A point of the reference line, OpenDRIVE axes (y north, heading counter-clockwise).
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanPoint {
    pub x: f64,
    pub y: f64,
    pub hdg: f64,
    /// Left turn positive, 1/m.
    pub curvature: f64,
    /// Its change per metre.
    pub curvature_rate: f64,
}

#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Line,
    Arc(f64),
    /// Curvature at the start and its change per metre.
    Spiral(f64, f64),
    Param(Box<Param>),
}

/// A cubic in u and v over p, walked by arc length so that s means metres.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    u: [f64; 4],
    v: [f64; 4],
    p_max: f64,
    /// Arc length at each of the `PIECES + 1` equidistant p.
    arc: [f64; PIECES + 1],
    /// Arc length of the curve per metre of s: files round their lengths.
    scale: f64,
}

const PIECES: usize = 32;

impl Param {
    /// `u(p)`, `v(p)` for p in [0, p_max], spread over `length` of s.
    pub fn new(u: [f64; 4], v: [f64; 4], p_max: f64, length: f64) -> Self {
        let mut me = Self { u, v, p_max, arc: [0.0; PIECES + 1], scale: 1.0 };
        let mut sum = 0.0;
        for i in 0..PIECES {
            sum += me.arc_between(me.p(i), me.p(i + 1));
            if let Some(a) = me.arc.get_mut(i + 1) {
                *a = sum;
            }
        }
        me.scale = sum / length;
        me
    }

    /// `v(u)` for as many u as give the arc length `length`.
    pub fn poly3(v: [f64; 4], length: f64) -> Self {
        let u = [0.0, 1.0, 0.0, 0.0];
        // The curve is never shorter than u, so that u ≤ length.
        let whole = Self::new(u, v, length, length);
        let p_max = whole.p_of_arc(length);
        Self::new(u, v, p_max, length)
    }

    fn p(&self, i: usize) -> f64 {
        self.p_max * i as f64 / PIECES as f64
    }

    fn speed(&self, p: f64) -> f64 {
        libm::hypot(cubic(&self.u, p)[1], cubic(&self.v, p)[1])
    }

    fn arc_between(&self, a: f64, b: f64) -> f64 {
        integrate(a, b, |p| [self.speed(p), 0.0])[0]
    }

    /// The p at which the curve has the arc length `arc`.
    fn p_of_arc(&self, arc: f64) -> f64 {
        let i = self.arc.partition_point(|a| *a <= arc).clamp(1, PIECES) - 1;
        let base = self.arc.get(i).copied().unwrap_or(0.0);
        let (mut lo, mut hi) = (self.p(i), self.p(i + 1));
        let start = lo;
        let mut p = 0.5 * (lo + hi);
        for _ in 0..24 {
            let err = base + self.arc_between(start, p) - arc;
            if err > 0.0 {
                hi = p;
            } else {
                lo = p;
            }
            let newton = p - err / self.speed(p);
            let next = if newton > lo && newton < hi { newton } else { 0.5 * (lo + hi) };
            if (next - p).abs() <= 1e-13 * self.p_max {
                return next;
            }
            p = next;
        }
        p
    }

    /// Local u, v, heading, curvature.
    fn at(&self, ds: f64) -> [f64; 4] {
        let p = self.p_of_arc(ds * self.scale);
        let [u, du, ddu] = cubic(&self.u, p);
        let [v, dv, ddv] = cubic(&self.v, p);
        let q = du * du + dv * dv;
        let k = if q > 1e-12 { (du * ddv - dv * ddu) / (q * libm::sqrt(q)) } else { 0.0 };
        [u, v, libm::atan2(dv, du), k]
    }
}

/// One geometry record of the plan view.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    pub s0: f64,
    pub x: f64,
    pub y: f64,
    pub hdg: f64,
    pub length: f64,
    pub shape: Shape,
}

impl Geometry {
    /// The point `ds` metres on.
    pub fn at(&self, ds: f64) -> PlanPoint {
        let ds = ds.clamp(0.0, self.length);
        let (along, left, turn, curvature, curvature_rate) = match &self.shape {
            Shape::Line => (ds, 0.0, 0.0, 0.0, 0.0),
            Shape::Arc(k) => {
                let half = 0.5 * k * ds;
                let chord = if half.abs() < 1e-9 { ds } else { ds * libm::sin(half) / half };
                (chord * libm::cos(half), chord * libm::sin(half), k * ds, *k, 0.0)
            }
            Shape::Spiral(k0, rate) => {
                let angle = |u: f64| u * (k0 + 0.5 * rate * u);
                // The reader has bounded the number of turns, and with it the pieces.
                let turns = (k0.abs() + (k0 + rate * ds).abs()) * ds;
                let pieces = libm::ceil(turns).max(1.0);
                let (mut x, mut y, mut i) = (0.0, 0.0, 0.0);
                while i < pieces {
                    let part = |j: f64| ds * j / pieces;
                    let d = integrate(part(i), part(i + 1.0), |u| {
                        let (sin, cos) = libm::sincos(angle(u));
                        [cos, sin]
                    });
                    x += d[0];
                    y += d[1];
                    i += 1.0;
                }
                (x, y, angle(ds), k0 + rate * ds, *rate)
            }
            Shape::Param(c) => {
                let [u, v, hdg, k] = c.at(ds);
                (u, v, hdg, k, 0.0)
            }
        };
        let (sin, cos) = libm::sincos(self.hdg);
        PlanPoint {
            x: self.x + along * cos - left * sin,
            y: self.y + along * sin + left * cos,
            hdg: self.hdg + turn,
            curvature,
            curvature_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(length: f64, shape: Shape) -> Geometry {
        Geometry { s0: 0.0, x: 1.0, y: 2.0, hdg: 0.3, length, shape }
    }

    /// Walks the headings in tiny steps: an independent way to the end point.
    fn walk(g: &Geometry, n: u32) -> (f64, f64) {
        let h = g.length / f64::from(n);
        (0..n).fold((g.x, g.y), |(x, y), i| {
            let a = g.at((f64::from(i) + 0.5) * h).hdg;
            (x + h * a.cos(), y + h * a.sin())
        })
    }

    #[test]
    fn end_points_agree_with_walking_the_headings() {
        let cubic = [0.0, 0.1, 0.01, -0.0004];
        let shapes = [
            Shape::Line,
            Shape::Arc(0.05),
            Shape::Arc(-1e-12),
            Shape::Spiral(0.0, 0.004),
            Shape::Spiral(0.1, -0.01),
            Shape::Param(Box::new(Param::poly3(cubic, 30.0))),
        ];
        for shape in shapes {
            let g = geometry(30.0, shape);
            let (x, y) = walk(&g, 20_000);
            let end = g.at(30.0);
            assert!((end.x - x).hypot(end.y - y) < 1e-6, "{:?}", g.shape);
        }
    }

    #[test]
    fn fresnel_integral_of_a_spiral() {
        // κ = π·s, heading π·s²/2: C(1.5), S(1.5) of Abramowitz and Stegun, table 7.7.
        let shape = Shape::Spiral(0.0, std::f64::consts::PI);
        let g = Geometry { s0: 0.0, x: 0.0, y: 0.0, hdg: 0.0, length: 1.5, shape };
        let p = g.at(1.5);
        assert!((p.x - 0.445_261_176_039_821_6).abs() < 1e-14, "{}", p.x);
        assert!((p.y - 0.697_504_960_082_093).abs() < 1e-14, "{}", p.y);
    }

    #[test]
    fn a_parametric_cubic_is_walked_by_arc_length() {
        let c = Param::new([0.0, 20.0, 5.0, 0.0], [0.0, 0.0, 9.0, -3.0], 1.0, 27.5);
        let g = geometry(27.5, Shape::Param(Box::new(c)));
        let speed = |s: f64| {
            let (a, b) = (g.at(s - 0.01), g.at(s + 0.01));
            (a.x - b.x).hypot(a.y - b.y) / 0.02
        };
        for s in [1.0, 9.0, 20.0, 27.0] {
            assert!((speed(s) / speed(13.0) - 1.0).abs() < 1e-4, "{s}");
        }
    }
}
