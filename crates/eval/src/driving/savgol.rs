//! Savitzky–Golay filter of window 7 and order 2: a value or slope from the parabola through
//! seven samples.

use crate::error::{Error, Result, finite, positive};

/// Samples of one parabola.
pub const SAVGOL_WINDOW: usize = 7;

/// The values smoothed, in their unit. The first and last three are read from the first and last
/// parabola, as scipy's `savgol_filter(…, 7, 2, mode="interp")` does.
///
/// # Errors
/// If there are fewer than [`SAVGOL_WINDOW`] values or one is not finite.
pub fn savgol_smooth(values: &[f64]) -> Result<Vec<f64>> {
    filter(values, |[a, b, c], t| a + t * (b + t * c))
}

/// The values' slope, in their unit per second; as `savgol_filter(…, deriv=1, delta=period_s)`.
///
/// # Errors
/// As [`savgol_smooth`], or if `period_s` is not above 0.
pub fn savgol_slope(values: &[f64], period_s: f64) -> Result<Vec<f64>> {
    positive("period_s", period_s)?;
    filter(values, |[_, b, c], t| (b + 2.0 * t * c) / period_s)
}

/// Reads the parabola a + b·t + c·t² at every sample, t counted from the middle of its window.
fn filter(values: &[f64], read: impl Fn([f64; 3], f64) -> f64) -> Result<Vec<f64>> {
    finite("values", values)?;
    let n = values.len();
    if n < SAVGOL_WINDOW {
        return Err(Error::TooFew { what: "values", expected: SAVGOL_WINDOW, got: n });
    }
    let half = SAVGOL_WINDOW / 2;
    let at = |i: usize| {
        let middle = i.clamp(half, n - 1 - half);
        let window = values.get(middle - half..).unwrap_or_default();
        read(parabola(window), i as f64 - middle as f64)
    };
    Ok((0..n).map(at).collect())
}

/// Least-squares parabola through the first seven values. Over t = −3…3: Σ1 = 7, Σt² = 28,
/// Σt⁴ = 196.
fn parabola(values: &[f64]) -> [f64; 3] {
    let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
    for (y, t) in values.iter().zip([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]) {
        sum += y;
        first += t * y;
        second += t * t * y;
    }
    let determinant = 7.0 * 196.0 - 28.0 * 28.0;
    [
        (196.0 * sum - 28.0 * second) / determinant,
        first / 28.0,
        (7.0 * second - 28.0 * sum) / determinant,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_stays_what_it_is() {
        let y: Vec<f64> = (0..12).map(|i| 2.0 - 0.1 * f64::from(i * i)).collect();
        let (smooth, slope) = (savgol_smooth(&y).unwrap(), savgol_slope(&y, 0.5).unwrap());
        for (i, ((y, s), d)) in y.iter().zip(smooth).zip(slope).enumerate() {
            assert!((y - s).abs() < 1e-12, "{i}");
            assert!((d + 0.4 * i as f64).abs() < 1e-12, "{i} {d}");
        }
    }

    #[test]
    fn bad_input_is_told() {
        assert!(matches!(savgol_smooth(&[0.0; 6]), Err(Error::TooFew { got: 6, .. })));
        assert!(matches!(savgol_slope(&[0.0; 7], 0.0), Err(Error::OutOfRange { .. })));
        assert!(matches!(savgol_slope(&[f64::NAN; 7], 0.1), Err(Error::NotFinite { .. })));
    }
}
