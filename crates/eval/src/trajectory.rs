//! How far is a driven path from the expert's?
//!
//! Points are `[x_m, y_m]` on the ground, in CARLA's axes. Paths are logged tick by tick, so that
//! a slow car leaves more points than a fast one: bring both curves to a fixed spacing with
//! [`resample`] first. The four similarity measures then agree with the Python package
//! `similaritymeasures` 1.5.0 (Jekel et al. 2019), which the tests hold them to.

mod area;
mod cross_track;
mod length;
mod resample;
mod warp;

pub use area::area_between;
pub use cross_track::{CrossTrack, cross_track, cross_track_distances};
pub use length::curve_length_measure;
pub use resample::{MAX_POINTS, SPACING_M, arc_length, resample};
pub use warp::{discrete_frechet, dtw};

use crate::error::{Error, Result, is_finite};

/// A point on the ground, `[x_m, y_m]`.
pub type Point = [f64; 2];

/// The four similarity measures and the cross-track error of one drive.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Similarity {
    /// Discrete Fréchet distance, m.
    pub frechet_m: f64,
    /// Dynamic time warping, summed metres: grows with the number of points.
    pub dtw_m: f64,
    /// Area between the curves, m².
    pub area_m2: f64,
    /// Curve-length measure, no unit; `None` where its formula has no value (see
    /// [`curve_length_measure`]).
    pub curve_length: Option<f64>,
    /// Distance of the driven points from the reference line.
    pub cross_track: CrossTrack,
}

/// Resamples both curves to `spacing_m` and measures `driven` against `reference`.
///
/// # Errors
/// If `reference` has no length, or as [`resample`].
pub fn similarity(reference: &[Point], driven: &[Point], spacing_m: f64) -> Result<Similarity> {
    if arc_length(reference)? == 0.0 {
        return Err(Error::Undefined { what: "similarity", why: "the reference has no length" });
    }
    let reference = resample(reference, spacing_m)?;
    let driven = resample(driven, spacing_m)?;
    Ok(Similarity {
        frechet_m: discrete_frechet(&reference, &driven)?,
        dtw_m: dtw(&reference, &driven)?,
        area_m2: area_between(&reference, &driven)?,
        curve_length: match curve_length_measure(&reference, &driven) {
            Err(Error::Undefined { .. }) => None,
            other => Some(other?),
        },
        cross_track: cross_track(&reference, &driven)?,
    })
}

/// At least `least` points, all finite.
fn check(what: &'static str, curve: &[Point], least: usize) -> Result<()> {
    if curve.is_empty() {
        return Err(Error::Empty { what });
    }
    if curve.len() < least {
        return Err(Error::TooFew { what, expected: least, got: curve.len() });
    }
    match curve.iter().position(|p| p.iter().any(|v| !is_finite(*v))) {
        Some(index) => Err(Error::NotFinite { what, index }),
        None => Ok(()),
    }
}

fn distance(a: Point, b: Point) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    (dx * dx + dy * dy).sqrt()
}

/// Linear interpolation of `y` over the never falling `x`, held beyond its ends. At a jump (equal
/// `x`) the later value holds, as numpy's `interp` has it.
fn interpolate(at: f64, x: &[f64], y: &[f64]) -> f64 {
    let after = x.partition_point(|v| *v <= at);
    let low = after.saturating_sub(1);
    let (Some(y0), Some(x0)) = (y.get(low), x.get(low)) else { return 0.0 };
    match (after, x.get(after), y.get(after)) {
        (1.., Some(x1), Some(y1)) if at != *x0 => (y1 - y0) / (x1 - x0) * (at - x0) + y0,
        _ => *y0,
    }
}
