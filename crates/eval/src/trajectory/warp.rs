//! Discrete Fréchet distance and dynamic time warping: two ways to walk along both curves.

use super::{Point, check, distance};
use crate::error::Result;

/// Discrete Fréchet distance, m (Eiter & Mannila 1994): the shortest leash with which a man and
/// his dog can walk both curves, point by point. n·m steps, memory for one row.
///
/// # Errors
/// If a curve is empty or a coordinate is not finite.
pub fn discrete_frechet(a: &[Point], b: &[Point]) -> Result<f64> {
    walk(a, b, |best, here| best.max(here))
}

/// Dynamic time warping, summed metres (Euclidean, over the full matrix, no step weights): the
/// least sum of distances over a walk along both curves. Grows with the number of points, so that
/// it compares only curves of one spacing. n·m steps, memory for one row.
///
/// # Errors
/// If a curve is empty or a coordinate is not finite.
pub fn dtw(a: &[Point], b: &[Point]) -> Result<f64> {
    walk(a, b, |best, here| best + here)
}

/// Fills the table `cost[i][j] = join(min of the three before, |aᵢ − bⱼ|)` row by row.
fn walk(a: &[Point], b: &[Point], join: impl Fn(f64, f64) -> f64) -> Result<f64> {
    check("first curve", a, 1)?;
    check("second curve", b, 1)?;
    let mut row = vec![f64::INFINITY; b.len()];
    for (i, p) in a.iter().enumerate() {
        let (mut diagonal, mut left) = (f64::INFINITY, f64::INFINITY);
        for (j, (q, cell)) in b.iter().zip(&mut row).enumerate() {
            let here = distance(*p, *q);
            let best = if (i, j) == (0, 0) { 0.0 } else { diagonal.min(left).min(*cell) };
            diagonal = *cell;
            left = join(best, here);
            *cell = left;
        }
    }
    Ok(row.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn parallel_lines() {
        let line = |y: f64| -> Vec<Point> { (0..11).map(|i| [f64::from(i), y]).collect() };
        assert_eq!(discrete_frechet(&line(0.0), &line(2.0)), Ok(2.0));
        assert_eq!(dtw(&line(0.0), &line(2.0)), Ok(22.0));
        assert_eq!(dtw(&line(0.0), &line(0.0)), Ok(0.0));
    }

    #[test]
    fn order_matters_to_both() {
        let there: Vec<Point> = (0..11).map(|i| [f64::from(i), 0.0]).collect();
        let back: Vec<Point> = there.iter().rev().copied().collect();
        assert_eq!(discrete_frechet(&there, &back), Ok(10.0));
        assert!(dtw(&there, &back).unwrap() > 50.0);
    }

    #[test]
    fn single_points_and_bad_input() {
        assert_eq!(discrete_frechet(&[[0.0, 0.0]], &[[3.0, 4.0], [0.0, 0.0]]), Ok(5.0));
        assert_eq!(dtw(&[[0.0, 0.0]], &[[3.0, 4.0], [0.0, 0.0]]), Ok(5.0));
        assert!(matches!(dtw(&[], &[[0.0; 2]]), Err(Error::Empty { .. })));
        assert!(matches!(dtw(&[[0.0; 2]], &[[0.0, f64::NAN]]), Err(Error::NotFinite { .. })));
    }
}
