//! Cross-track error: how far beside the reference line the car was.

use super::{Point, check};
use crate::error::Result;
use crate::stats::quantile;

/// Distances from the reference line, metres; all absolute but for the bias.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CrossTrack {
    /// Mean.
    pub mean_m: f64,
    /// Root of the mean square.
    pub rmse_m: f64,
    /// 95th percentile.
    pub p95_m: f64,
    /// Greatest.
    pub max_m: f64,
    /// Mean with sign: positive is right of the line.
    pub bias_m: f64,
}

/// Cross-track error of the points of `driven` against the line through `reference`. Each point
/// weighs the same: [`super::resample`] first, or a car that stands counts often.
///
/// # Errors
/// If `driven` is empty, `reference` has fewer than two points, or a coordinate is not finite.
pub fn cross_track(reference: &[Point], driven: &[Point]) -> Result<CrossTrack> {
    let signed = cross_track_distances(reference, driven)?;
    let n = signed.len() as f64;
    let absolute: Vec<f64> = signed.iter().map(|d| d.abs()).collect();
    Ok(CrossTrack {
        mean_m: absolute.iter().sum::<f64>() / n,
        rmse_m: (signed.iter().map(|d| d * d).sum::<f64>() / n).sqrt(),
        p95_m: quantile(&absolute, 0.95)?,
        max_m: absolute.iter().copied().fold(0.0, f64::max),
        bias_m: signed.iter().sum::<f64>() / n,
    })
}

/// Signed distance of every point of `driven` from the nearest point of the line through
/// `reference`, metres: positive where the car is right of the line in its direction (y points
/// right in CARLA's axes).
///
/// Where a route passes the same place twice, the nearer passage counts.
///
/// # Errors
/// As [`cross_track`].
pub fn cross_track_distances(reference: &[Point], driven: &[Point]) -> Result<Vec<f64>> {
    check("reference", reference, 2)?;
    check("driven curve", driven, 1)?;
    Ok(driven.iter().map(|p| nearest(reference, *p)).collect())
}

fn nearest(reference: &[Point], p: Point) -> f64 {
    let (mut best, mut right) = (f64::INFINITY, 0.0);
    for pair in reference.windows(2) {
        let &[a, b] = pair else { continue };
        let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
        let squared = along[0] * along[0] + along[1] * along[1];
        let dot = to[0] * along[0] + to[1] * along[1];
        let t = if squared > 0.0 { (dot / squared).clamp(0.0, 1.0) } else { 0.0 };
        let (dx, dy) = (to[0] - t * along[0], to[1] - t * along[1]);
        let here = dx * dx + dy * dy;
        let cross = along[0] * to[1] - along[1] * to[0];
        // At a corner two segments are equally near: the one that is more beside decides the side.
        let beside = if squared > 0.0 { cross / squared.sqrt() } else { 0.0 };
        if here < best || (here == best && beside.abs() > f64::abs(right)) {
            (best, right) = (here, beside);
        }
    }
    if right < 0.0 { -best.sqrt() } else { best.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn sides_ends_and_corners() {
        // East, then south: a right turn in CARLA's axes.
        let line = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]];
        let points = [[5.0, 1.0], [5.0, -2.0], [-3.0, 4.0], [13.0, -4.0], [11.0, 5.0], [8.0, 6.0]];
        let got = cross_track_distances(&line, &points).unwrap();
        assert_eq!(got, [1.0, -2.0, 5.0, -5.0, -1.0, 2.0]);
    }

    #[test]
    fn numbers_of_a_known_set() {
        let line = [[0.0, 0.0], [100.0, 0.0]];
        let driven: Vec<Point> = (0..=100).map(|i| [50.0, f64::from(i) / 100.0]).collect();
        let c = cross_track(&line, &driven).unwrap();
        assert!((c.mean_m - 0.5).abs() < 1e-12 && (c.bias_m - 0.5).abs() < 1e-12);
        assert!((c.p95_m - 0.95).abs() < 1e-12 && c.max_m == 1.0);
        assert!((c.rmse_m - (0.335f64).sqrt()).abs() < 1e-12, "{}", c.rmse_m);
    }

    #[test]
    fn bad_input_is_told() {
        let line = [[0.0, 0.0], [1.0, 0.0]];
        assert!(matches!(cross_track(&line, &[]), Err(Error::Empty { .. })));
        assert!(matches!(cross_track(&line[1..], &line), Err(Error::TooFew { .. })));
        assert!(matches!(cross_track(&line, &[[0.0, f64::NAN]]), Err(Error::NotFinite { .. })));
    }
}
