//! Curves at fixed arc length.

use super::{Point, check, distance};
use crate::error::{Error, Result, positive};

/// Spacing of the benchmark's curves, m.
pub const SPACING_M: f64 = 0.5;
/// Most points that [`resample`] makes: 500 km at [`SPACING_M`].
pub const MAX_POINTS: usize = 1_000_000;

/// Length of a curve, m; 0 for a single point.
///
/// # Errors
/// If the curve is empty or a coordinate is not finite.
pub fn arc_length(curve: &[Point]) -> Result<f64> {
    check("curve", curve, 1)?;
    Ok(curve.windows(2).map(length_of).sum())
}

fn length_of(pair: &[Point]) -> f64 {
    if let [a, b] = pair { distance(*a, *b) } else { 0.0 }
}

/// The curve's points at arc lengths 0, s, 2s, … and its very end: standing still leaves no
/// points, and the last gap may be shorter than `spacing_m`. A curve without length gives its one
/// point twice, so that a car that never moved can be measured like any other.
///
/// # Errors
/// If the curve is empty or a coordinate is not finite, `spacing_m` is not above 0, or there would
/// be more than [`MAX_POINTS`].
pub fn resample(curve: &[Point], spacing_m: f64) -> Result<Vec<Point>> {
    positive("spacing_m", spacing_m)?;
    let total = arc_length(curve)?;
    // A remainder of rounding is no gap of its own.
    let gaps = (total / spacing_m - 1e-9).ceil().max(1.0);
    if gaps >= MAX_POINTS as f64 {
        let expected = "a spacing for at most 1 000 000 points";
        return Err(Error::OutOfRange { what: "spacing_m", expected, got: spacing_m, index: 0 });
    }
    let gaps = gaps as usize;
    let mut out = Vec::with_capacity(gaps + 1);
    // The start is its own; the loop would miss it in a curve without length.
    out.extend(curve.first());
    let (mut next, mut before) = (1usize, 0.0);
    for pair in curve.windows(2) {
        let &[a, b] = pair else { continue };
        let length = length_of(pair);
        // Multiples of the spacing, not a running sum: errors must not add up over a long route.
        while next < gaps && next as f64 * spacing_m <= before + length && length > 0.0 {
            let t = (next as f64 * spacing_m - before) / length;
            out.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
            next += 1;
        }
        before += length;
    }
    out.extend(curve.last());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_is_even_and_both_ends_stay() {
        // A right angle, a standstill, a fast stretch.
        let curve = [[0.0, 0.0], [0.3, 0.0], [0.3, 0.0], [2.0, 0.0], [2.0, 1.2], [2.0, 1.2]];
        let out = resample(&curve, 0.5).unwrap();
        assert_eq!((out[0], out[out.len() - 1]), ([0.0, 0.0], [2.0, 1.2]));
        assert_eq!(out.len(), 8);
        for pair in out.windows(2).take(6) {
            assert!((length_of(pair) - 0.5).abs() < 1e-12, "{pair:?}");
        }
        assert!((length_of(&out[6..]) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_whole_number_of_gaps_has_no_sliver() {
        let curve: Vec<Point> = (0..=1000).map(|i| [f64::from(i) * 0.1, 0.0]).collect();
        let out = resample(&curve, 0.5).unwrap();
        assert_eq!(out.len(), 201);
        assert!(out.windows(2).all(|p| (length_of(p) - 0.5).abs() < 1e-9));
        assert_eq!(resample(&curve, 1e9).unwrap(), [[0.0, 0.0], [100.0, 0.0]]);
    }

    #[test]
    fn a_car_that_never_moved_is_two_points() {
        assert_eq!(resample(&[[1.0, 2.0]; 3], 0.5).unwrap(), [[1.0, 2.0]; 2]);
        assert_eq!(resample(&[[1.0, 2.0]], 0.5).unwrap(), [[1.0, 2.0]; 2]);
    }

    #[test]
    fn bad_input_is_told() {
        let line = [[0.0, 0.0], [1.0, 0.0]];
        assert!(matches!(resample(&[], 0.5), Err(Error::Empty { .. })));
        assert!(matches!(resample(&line, 0.0), Err(Error::OutOfRange { .. })));
        assert!(matches!(resample(&line, f64::NAN), Err(Error::OutOfRange { .. })));
        assert!(matches!(resample(&line, 1e-9), Err(Error::OutOfRange { .. })));
        let nan = resample(&[[0.0, 0.0], [f64::NAN, 0.0]], 0.5);
        assert!(matches!(nan, Err(Error::NotFinite { index: 1, .. })));
    }
}
