//! Area between two curves, as a strip of quadrilaterals.

use super::{Point, check, distance, interpolate};
use crate::error::Result;

/// Area between two curves, m² (Jekel et al. 2019). The curve with fewer points is given more, by
/// halving its longest segment again and again; then quadrilaterals join point i with point i of
/// the other, and the areas of all are summed, those with crossed sides in the order of corners
/// that uncrosses them.
///
/// A vertical segment (equal x) is not halved but its first point repeated, as the Python package
/// has it: we agree with it also there. The area of a strip hardly changes by it.
///
/// # Errors
/// If a curve has fewer than two points or a coordinate is not finite.
pub fn area_between(a: &[Point], b: &[Point]) -> Result<f64> {
    check("first curve", a, 2)?;
    check("second curve", b, 2)?;
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let filled = fill(short, long.len());
    let quads = long.windows(2).zip(filled.windows(2)).map(|pair| match pair {
        (&[p, q], &[s, r]) => quad_area([p, q, r, s]),
        _ => 0.0,
    });
    Ok(quads.sum())
}

/// `curve` with points inserted into its longest segments until there are `wanted`.
fn fill(curve: &[Point], wanted: usize) -> Vec<Point> {
    let mut points = curve.to_vec();
    let mut gaps: Vec<f64> = curve.windows(2).map(gap).collect();
    while points.len() < wanted {
        let longest =
            |best: (usize, f64), (i, g): (usize, &f64)| if *g > best.1 { (i, *g) } else { best };
        let (at, _) = gaps.iter().enumerate().fold((0, f64::NEG_INFINITY), longest);
        let Some(&[a, b]) = points.get(at..at + 2) else { break };
        let middle = between(a, b);
        points.insert(at + 1, middle);
        gaps.splice(at..=at, [distance(a, middle), distance(middle, b)]);
    }
    points
}

fn gap(pair: &[Point]) -> f64 {
    if let [a, b] = pair { distance(*a, *b) } else { 0.0 }
}

/// The point halfway along x; of a vertical segment the first.
fn between(a: Point, b: Point) -> Point {
    let x = (b[0] + a[0]) / 2.0;
    let (low, high) = if a[0] < b[0] { (a, b) } else { (b, a) };
    [x, interpolate(x, &[low[0], high[0]], &[low[1], high[1]])]
}

/// Area of the quadrilateral with these corners, after the first of the orders 0123, 1023, 0213
/// in which no sides cross.
fn quad_area([p, q, r, s]: [Point; 4]) -> f64 {
    let orders = [[p, q, r, s], [q, p, r, s], [p, r, q, s]];
    let simple = orders.into_iter().find(is_simple).unwrap_or([p, r, q, s]);
    let [a, b, c, d] = simple;
    let term = |u: Point, v: Point| u[0] * v[1] - u[1] * v[0];
    0.5 * (term(a, b) + term(b, c) + term(c, d) + term(d, a)).abs()
}

/// Whether the quadrilateral turns the same way at three corners at least.
fn is_simple(quad: &[Point; 4]) -> bool {
    let [a, b, c, d] = *quad;
    let side = |u: Point, v: Point| [v[0] - u[0], v[1] - u[1]];
    let (ab, bc, cd, da) = (side(a, b), side(b, c), side(c, d), side(d, a));
    let turns = [(ab, bc), (bc, cd), (cd, da), (da, ab)].map(|(u, v)| u[0] * v[1] - u[1] * v[0]);
    let left = turns.iter().filter(|t| **t > 0.0).count();
    let right = turns.iter().filter(|t| **t < 0.0).count();
    let straight = turns.len() - left - right;
    left.max(right) + straight > 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn strips_and_crossings() {
        let line = |y0: f64, y1: f64| -> Vec<Point> {
            (0..11).map(|i| [f64::from(i), y0 + (y1 - y0) * f64::from(i) / 10.0]).collect()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(area_between(&line(0.0, 0.0), &line(2.0, 2.0)).unwrap(), 20.0);
        close(area_between(&line(0.0, 0.0), &line(0.0, 2.0)).unwrap(), 10.0);
        // Crossing in the middle: two triangles, not nothing.
        close(area_between(&line(0.0, 0.0), &line(-1.0, 1.0)).unwrap(), 5.0);
        // Fewer points are filled up; the order of the curves does not matter.
        let coarse = [[0.0, 2.0], [10.0, 2.0]];
        close(area_between(&line(0.0, 0.0), &coarse).unwrap(), 20.0);
        close(area_between(&coarse, &line(0.0, 0.0)).unwrap(), 20.0);
    }

    #[test]
    fn bad_input_is_told() {
        let line = [[0.0, 0.0], [1.0, 0.0]];
        assert!(matches!(area_between(&line, &line[1..]), Err(Error::TooFew { got: 1, .. })));
        assert!(matches!(area_between(&line, &[]), Err(Error::Empty { .. })));
        let nan = [[0.0, 0.0], [f64::INFINITY, 0.0]];
        assert!(matches!(area_between(&line, &nan), Err(Error::NotFinite { index: 1, .. })));
        let huge = [[0.0, 0.0], [1e200, 1e200]];
        assert!(matches!(area_between(&huge, &line), Err(Error::NotFinite { index: 1, .. })));
    }
}
