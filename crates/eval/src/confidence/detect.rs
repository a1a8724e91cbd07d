//! Does the score find the failures? Ranking measures, as scikit-learn defines them.

use crate::error::{Error, Result, finite, same_length};

/// Area under the ROC curve, [0, 1]: the chance that a failure has a higher score than a success,
/// ties counting half (Mann–Whitney; scikit-learn's `roc_auc_score`).
///
/// * `score` – higher where a failure is likelier, any scale
/// * `failure` – whether it is one
///
/// # Errors
/// If the slices are empty or differ in length, a score is not finite, or there are no failures
/// or nothing else.
pub fn auroc(score: &[f64], failure: &[bool]) -> Result<f64> {
    let curve = Counts::of("AUROC", score, failure)?;
    // Twice the area in whole numbers: trapezoids between thresholds.
    let (mut twice, mut last) = (0u128, (0, 0));
    for (tp, fp) in &curve.above {
        twice += (fp - last.1) as u128 * (tp + last.0) as u128;
        last = (*tp, *fp);
    }
    Ok(twice as f64 / (2.0 * curve.failures as f64 * curve.others as f64))
}

/// Average precision, [0, 1]: the area under the precision–recall curve as a sum of steps,
/// Σ (Rᵢ − Rᵢ₋₁)·Pᵢ over thresholds (scikit-learn's `average_precision_score`). A useless score
/// gives the share of failures, not 0.5.
///
/// # Errors
/// As [`auroc`].
pub fn average_precision(score: &[f64], failure: &[bool]) -> Result<f64> {
    let curve = Counts::of("average precision", score, failure)?;
    let (mut area, mut last) = (0.0, 0);
    for (tp, fp) in &curve.above {
        area += (tp - last) as f64 * (*tp as f64 / (tp + fp) as f64);
        last = *tp;
    }
    Ok(area / curve.failures as f64)
}

/// The least false-positive rate, [0, 1], of all thresholds that find at least the share `tpr`
/// of the failures: no interpolation between thresholds.
///
/// # Errors
/// As [`auroc`]; or if `tpr` is outside (0, 1].
pub fn fpr_at_tpr(score: &[f64], failure: &[bool], tpr: f64) -> Result<f64> {
    if !(tpr > 0.0 && tpr <= 1.0) {
        let expected = "a rate in (0, 1]";
        return Err(Error::OutOfRange { what: "tpr", expected, got: tpr, index: 0 });
    }
    let curve = Counts::of("FPR at a TPR", score, failure)?;
    let enough = |tp: usize| tp as f64 / curve.failures as f64 >= tpr;
    let fp = curve.above.iter().find(|(tp, _)| enough(*tp)).map_or(curve.others, |(_, fp)| *fp);
    Ok(fp as f64 / curve.others as f64)
}

/// [`fpr_at_tpr`] at 95 %: FPR95.
///
/// # Errors
/// As [`auroc`].
pub fn fpr_at_95_tpr(score: &[f64], failure: &[bool]) -> Result<f64> {
    fpr_at_tpr(score, failure, 0.95)
}

/// What lies at or above each distinct score, from the highest down.
struct Counts {
    /// (failures, others) at or above.
    above: Vec<(usize, usize)>,
    failures: usize,
    others: usize,
}

impl Counts {
    fn of(what: &'static str, score: &[f64], failure: &[bool]) -> Result<Self> {
        finite("score", score)?;
        same_length("failure", score.len(), failure.len())?;
        let failures = failure.iter().filter(|f| **f).count();
        let others = score.len() - failures;
        if failures == 0 || others == 0 {
            return Err(Error::OneClass { what, positives: failures, total: score.len() });
        }
        let mut sorted: Vec<(f64, bool)> =
            score.iter().copied().zip(failure.iter().copied()).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut above, mut tp, mut fp) = (Vec::new(), 0, 0);
        for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
            let positive = equal.iter().filter(|(_, f)| *f).count();
            tp += positive;
            fp += equal.len() - positive;
            above.push((tp, fp));
        }
        Ok(Self { above, failures, others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_worst_and_blind() {
        let failure = [true, true, false, false];
        for (score, area, precision, fpr) in [
            ([4.0, 3.0, 2.0, 1.0], 1.0, 1.0, 0.0),
            ([1.0, 2.0, 3.0, 4.0], 0.0, (1.0 / 3.0 + 0.5) / 2.0, 1.0),
            ([7.0; 4], 0.5, 0.5, 1.0),
        ] {
            assert_eq!(auroc(&score, &failure), Ok(area));
            assert_eq!(average_precision(&score, &failure), Ok(precision));
            assert_eq!(fpr_at_95_tpr(&score, &failure), Ok(fpr));
        }
    }

    #[test]
    fn fpr_needs_the_whole_rate() {
        // 19 of 20 failures rank first, then one other, then the last failure, then the rest.
        let failure: Vec<bool> = (0..30).map(|i| i < 19 || i == 20).collect();
        let score: Vec<f64> = (0..30).map(|i| -f64::from(i)).collect();
        assert_eq!(fpr_at_95_tpr(&score, &failure), Ok(0.0));
        assert_eq!(fpr_at_tpr(&score, &failure, 0.96), Ok(0.1));
    }

    #[test]
    fn bad_input_is_told() {
        assert!(matches!(auroc(&[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(auroc(&[1.0, f64::NAN], &[true, false]), Err(Error::NotFinite { .. })));
        assert!(matches!(
            auroc(&[1.0, 2.0], &[true, true]),
            Err(Error::OneClass { positives: 2, total: 2, .. })
        ));
        let bad = fpr_at_tpr(&[1.0, 2.0], &[true, false], f64::NAN);
        assert!(matches!(bad, Err(Error::OutOfRange { .. })));
    }
}
