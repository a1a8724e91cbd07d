//! Quantiles, with linear interpolation between ranks.

use crate::error::{Error, Result, finite};

/// The value below which a share `q` of `values` lies, interpolated linearly between ranks
/// (numpy's default, Hyndman & Fan type 7), in the unit of the values.
///
/// # Errors
/// If `values` is empty or not finite, or `q` is outside [0, 1].
pub fn quantile(values: &[f64], q: f64) -> Result<f64> {
    finite("values", values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, q)
}

/// [`quantile`] at one half.
///
/// # Errors
/// If `values` is empty or not finite.
pub fn median(values: &[f64]) -> Result<f64> {
    quantile(values, 0.5)
}

/// [`quantile`] of values that are sorted already and finite.
pub(super) fn of_sorted(sorted: &[f64], q: f64) -> Result<f64> {
    if !(0.0..=1.0).contains(&q) {
        return Err(Error::OutOfRange {
            what: "q",
            expected: "a share in [0, 1]",
            got: q,
            index: 0,
        });
    }
    let rank = q * sorted.len().saturating_sub(1) as f64;
    let low = rank.floor();
    let at = |r: f64| sorted.get(r as usize).copied().ok_or(Error::Empty { what: "values" });
    let (a, b) = (at(low)?, at(rank.ceil())?);
    // Equal neighbours first, so that two infinities do not make a NaN.
    Ok(if a == b { a } else { a + (rank - low) * (b - a) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_interpolated() {
        let v = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&v, 0.0), Ok(1.0));
        assert_eq!(quantile(&v, 1.0), Ok(4.0));
        assert_eq!(median(&v), Ok(2.5));
        assert_eq!(quantile(&v, 0.25), Ok(1.75));
        assert!(matches!(quantile(&v, 1.1), Err(Error::OutOfRange { .. })));
        assert!(matches!(quantile(&v, f64::NAN), Err(Error::OutOfRange { .. })));
        assert!(matches!(median(&[]), Err(Error::Empty { .. })));
        assert!(matches!(median(&[f64::NAN]), Err(Error::NotFinite { .. })));
    }
}
