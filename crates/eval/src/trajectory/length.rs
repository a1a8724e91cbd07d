//! Curve-length measure: points at the same share of the length, compared relatively.

use super::{Point, check, interpolate};
use crate::error::{Error, Result};

/// Curve-length measure, no unit (Andrade-Campos et al. 2012, form OF2): for each point of
/// `reference` the point of `driven` at the same share of arc length; then the root of the sum of
/// ln²(1 + |Δx| / mean x) + ln²(1 + |Δy| / mean y). Arc lengths are of the curves divided by
/// their own greatest |x| and |y|.
///
/// It depends on where the origin lies and grows with the number of points: it is here for
/// comparison with the literature, and should be read beside metres. Move both curves to positive
/// coordinates by a fixed offset that you state; negative means are not meant by its authors.
///
/// # Errors
/// If a curve has fewer than two points or a coordinate is not finite; undefined where a curve
/// has no length, a mean of `reference` is 0, or a logarithm's argument is not above 0.
pub fn curve_length_measure(reference: &[Point], driven: &[Point]) -> Result<f64> {
    check("reference", reference, 2)?;
    check("driven curve", driven, 2)?;
    let undefined = |why| Err(Error::Undefined { what: "curve-length measure", why });
    let (along_reference, along_driven) = (lengths(reference), lengths(driven));
    let last = |along: &[f64]| along.last().copied().unwrap_or(0.0);
    let (total, driven_total) = (last(&along_reference), last(&along_driven));
    if total.is_nan() || total <= 0.0 || driven_total.is_nan() || driven_total <= 0.0 {
        return undefined("a curve has no length");
    }
    let mut sum = 0.0;
    for axis in [0, 1] {
        let column = |c: &[Point]| -> Vec<f64> { c.iter().map(|p| component(*p, axis)).collect() };
        let (wanted, values) = (column(reference), column(driven));
        let mean = wanted.iter().sum::<f64>() / wanted.len() as f64;
        for (value, along) in wanted.iter().zip(&along_reference) {
            let at = along * (driven_total / total);
            let apart = (interpolate(at, &along_driven, &values) - value).abs();
            let inside = 1.0 + apart / mean;
            if !(inside.is_finite() && inside > 0.0) {
                return undefined("the mean coordinate is 0, or negative and too small");
            }
            let log = libm::log(inside);
            sum += log * log;
        }
    }
    Ok(sum.sqrt())
}

/// Length from the start to each point, of the curve divided by its greatest |x| and |y|.
fn lengths(curve: &[Point]) -> Vec<f64> {
    let greatest = |axis| {
        let most = curve.iter().fold(0.0, |m: f64, p| m.max(component(*p, axis).abs()));
        if most == 0.0 { 1e-15 } else { most }
    };
    let (scale_x, scale_y) = (greatest(0), greatest(1));
    let mut along = vec![0.0];
    let mut total = 0.0;
    for pair in curve.windows(2) {
        if let [a, b] = pair {
            let (dx, dy) = ((b[0] - a[0]) / scale_x, (b[1] - a[1]) / scale_y);
            total += (dx * dx + dy * dy).sqrt();
        }
        along.push(total);
    }
    along
}

fn component([x, y]: Point, axis: usize) -> f64 {
    if axis == 0 { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_curves_and_an_offset() {
        let line = |y: f64| -> Vec<Point> { (0..5).map(|i| [f64::from(i), y]).collect() };
        assert_eq!(curve_length_measure(&line(1.0), &line(1.0)), Ok(0.0));
        // Only y differs: five points of ln²(1 + 1/1).
        let got = curve_length_measure(&line(1.0), &line(2.0)).unwrap();
        let by_hand = 5f64.sqrt() * libm::log(2.0);
        assert!((got - by_hand).abs() < 1e-12, "{got} {by_hand}");
    }

    #[test]
    fn where_it_has_no_value() {
        let still = [[1.0, 1.0]; 2];
        let line = [[1.0, 1.0], [2.0, 2.0]];
        let around = [[-1.0, 1.0], [1.0, 2.0]];
        let beyond = [[-1.0, 1.0], [-1.1, 2.0]];
        for (a, b) in [(&still, &line), (&line, &still), (&around, &line), (&beyond, &line)] {
            assert!(matches!(curve_length_measure(a, b), Err(Error::Undefined { .. })));
        }
        assert!(matches!(curve_length_measure(&line, &[]), Err(Error::Empty { .. })));
    }
}
