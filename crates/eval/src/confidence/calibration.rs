//! Does a confidence of 0.8 mean right four times out of five? Reliability bins, ECE, ACE.

use crate::error::{Error, Result, same_length, unit};

/// Bins of the expected calibration error unless stated otherwise.
pub const ECE_BINS: usize = 15;

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Lower edge of confidence.
    pub low: f64,
    /// Upper edge of confidence.
    pub high: f64,
    /// Frames in it, at least one.
    pub count: usize,
    /// Mean confidence of its frames.
    pub confidence: f64,
    /// Share of its frames that are right.
    pub accuracy: f64,
}

/// Sorts frames into `bins` equally wide bins over [0, 1], right-closed as in Guo et al. 2017;
/// 0 belongs to the first. Empty bins are left out.
///
/// * `confidence` – in [0, 1]
/// * `correct` – whether the frame was predicted rightly
///
/// # Errors
/// If the slices are empty or differ in length, a confidence is NaN or outside [0, 1], or there
/// are no bins.
pub fn equal_width_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Result<Vec<Bin>> {
    check(confidence, correct, bins)?;
    let edge = |i: usize| i as f64 / bins as f64;
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for (c, ok) in confidence.iter().zip(correct) {
        // Compared with the edges themselves: a product and a ceiling round differently at them.
        let bin = (1..bins).filter(|i| edge(*i) < *c).count();
        if let Some((n, total, right)) = sums.get_mut(bin) {
            *n += 1;
            *total += c;
            *right += usize::from(*ok);
        }
    }
    let made = sums.iter().enumerate().filter(|(_, s)| s.0 > 0);
    Ok(made.map(|(i, (n, total, right))| bin(edge(i), edge(i + 1), *n, *total, *right)).collect())
}

/// Sorts frames into at most `bins` bins of about equally many frames. Equal confidences are
/// never parted, so that a bin may take more than its share; edges are the least and greatest
/// confidence inside.
///
/// # Errors
/// As [`equal_width_bins`].
pub fn equal_mass_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Result<Vec<Bin>> {
    check(confidence, correct, bins)?;
    let mut sorted: Vec<(f64, bool)> =
        confidence.iter().copied().zip(correct.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = sorted.len();
    let (mut made, mut start) = (Vec::new(), 0);
    for i in 1..=bins {
        let wanted = n * i / bins;
        let Some(inside) = sorted.get(start..wanted).filter(|s| !s.is_empty()) else { continue };
        let (Some(low), Some(high)) = (inside.first(), inside.last()) else { continue };
        let end = sorted.partition_point(|(c, _)| *c <= high.0);
        let inside = sorted.get(start..end).unwrap_or_default();
        let total: f64 = inside.iter().map(|(c, _)| c).sum();
        let right = inside.iter().filter(|(_, ok)| *ok).count();
        made.push(bin(low.0, high.0, inside.len(), total, right));
        start = end;
    }
    Ok(made)
}

fn bin(low: f64, high: f64, count: usize, total: f64, right: usize) -> Bin {
    let n = count as f64;
    Bin { low, high, count, confidence: total / n, accuracy: right as f64 / n }
}

fn check(confidence: &[f64], correct: &[bool], bins: usize) -> Result<()> {
    unit("confidence", confidence)?;
    same_length("correct", confidence.len(), correct.len())?;
    if bins == 0 {
        return Err(Error::Empty { what: "bins" });
    }
    Ok(())
}

/// Σ |bin| / n · |accuracy − confidence| over bins, [0, 1].
///
/// # Errors
/// If there is no frame in any bin.
pub fn mean_gap(bins: &[Bin]) -> Result<f64> {
    let n: usize = bins.iter().map(|b| b.count).sum();
    if n == 0 {
        return Err(Error::Empty { what: "bins" });
    }
    let gap = |b: &Bin| b.count as f64 * (b.accuracy - b.confidence).abs();
    Ok(bins.iter().map(gap).sum::<f64>() / n as f64)
}

/// Expected calibration error with [`ECE_BINS`] equally wide bins (Naeini et al. 2015, Guo et
/// al. 2017), [0, 1].
///
/// # Errors
/// As [`equal_width_bins`].
pub fn expected_calibration_error(confidence: &[f64], correct: &[bool]) -> Result<f64> {
    mean_gap(&equal_width_bins(confidence, correct, ECE_BINS)?)
}

/// Adaptive calibration error of the top class: as [`expected_calibration_error`], but with bins
/// of equally many frames (Nixon et al. 2019), [0, 1].
///
/// # Errors
/// As [`equal_width_bins`].
pub fn adaptive_calibration_error(confidence: &[f64], correct: &[bool]) -> Result<f64> {
    mean_gap(&equal_mass_bins(confidence, correct, ECE_BINS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_right_closed_and_hold_every_frame() {
        // 0.2 and 0.6 are edges of five bins, and no binary fractions.
        let c = [0.0, 0.2, 0.2000001, 0.6, 1.0];
        let bins = equal_width_bins(&c, &[true; 5], 5).unwrap();
        let counts: Vec<usize> = bins.iter().map(|b| b.count).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        assert_eq!(bins.last().map(|b| (b.low, b.high, b.confidence)), Some((0.8, 1.0, 1.0)));
    }

    #[test]
    fn equal_mass_keeps_ties_together_whatever_the_order() {
        let c = [0.5, 0.5, 0.5, 0.5, 0.7, 0.9];
        let ok = [true, false, true, false, true, true];
        let bins = equal_mass_bins(&c, &ok, 3).unwrap();
        let counts: Vec<usize> = bins.iter().map(|b| b.count).collect();
        assert_eq!(counts, [4, 2]);
        assert_eq!((bins[0].low, bins[0].high, bins[0].accuracy), (0.5, 0.5, 0.5));
        let reversed = |v: [f64; 6]| v.into_iter().rev().collect::<Vec<_>>();
        let ok_reversed: Vec<bool> = ok.into_iter().rev().collect();
        assert_eq!(equal_mass_bins(&reversed(c), &ok_reversed, 3).unwrap(), bins);
        let many = equal_mass_bins(&c, &ok, 100).unwrap();
        assert_eq!(many.iter().map(|b| b.count).collect::<Vec<_>>(), [4, 1, 1]);
    }

    #[test]
    fn perfect_and_hopeless() {
        assert_eq!(expected_calibration_error(&[1.0, 1.0, 0.0], &[true, true, false]), Ok(0.0));
        assert_eq!(expected_calibration_error(&[1.0, 1.0], &[false, false]), Ok(1.0));
        assert_eq!(adaptive_calibration_error(&[1.0, 1.0], &[true, false]), Ok(0.5));
    }

    #[test]
    fn bad_input_is_told() {
        let e = |c: &[f64], ok: &[bool]| expected_calibration_error(c, ok).unwrap_err();
        assert!(matches!(e(&[], &[]), Error::Empty { .. }));
        assert!(matches!(e(&[0.5, f64::NAN], &[true, true]), Error::NotFinite { index: 1, .. }));
        assert!(matches!(e(&[1.5], &[true]), Error::OutOfRange { .. }));
        assert!(matches!(e(&[0.5], &[]), Error::Length { expected: 1, got: 0, .. }));
        assert!(matches!(equal_mass_bins(&[0.5], &[true], 0), Err(Error::Empty { .. })));
        assert!(matches!(mean_gap(&[]), Err(Error::Empty { .. })));
    }
}
