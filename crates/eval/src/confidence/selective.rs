//! What the risk falls to when the unsure frames are left to somebody else: risk–coverage.

use crate::error::{Error, Result, finite, same_length};

/// One threshold of a risk–coverage curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct RiskCoverage {
    /// Confidence from which on a frame is accepted.
    pub threshold: f64,
    /// Share of frames accepted, (0, 1].
    pub coverage: f64,
    /// Selective risk: mean loss of those accepted, in the loss's unit.
    pub risk: f64,
    /// Generalised risk: summed loss of those accepted over *all* frames.
    pub generalised_risk: f64,
}

/// The risk–coverage curve: one point for every distinct confidence, coverage rising to 1.
///
/// * `confidence` – higher where surer, any scale
/// * `loss` – at least 0: 1 for an error and 0 else, or for example |steer − expert|
///
/// # Errors
/// If the slices are empty or differ in length, or a value is not finite or a loss negative.
pub fn risk_coverage(confidence: &[f64], loss: &[f64]) -> Result<Vec<RiskCoverage>> {
    let n = confidence.len() as f64;
    let point = |s: &Step| RiskCoverage {
        threshold: s.threshold,
        coverage: s.accepted as f64 / n,
        risk: s.loss / s.accepted as f64,
        generalised_risk: s.loss / n,
    };
    Ok(steps(confidence, loss)?.iter().map(point).collect())
}

/// Area under the risk–coverage curve, in the loss's unit: the mean over k = 1…n of the mean loss
/// of the k surest frames (Geifman et al. 2019). Among equal confidences it is the expected value
/// over their random order.
///
/// # Errors
/// As [`risk_coverage`].
pub fn aurc(confidence: &[f64], loss: &[f64]) -> Result<f64> {
    let (mut area, mut before) = (0.0, Step::default());
    for step in steps(confidence, loss)? {
        let mean = (step.loss - before.loss) / (step.accepted - before.accepted) as f64;
        for k in before.accepted + 1..=step.accepted {
            area += (before.loss + mean * (k - before.accepted) as f64) / k as f64;
        }
        before = step;
    }
    Ok(area / confidence.len() as f64)
}

/// What the confidence loses against one that knows the losses, in the loss's unit: the excess
/// AURC (Geifman et al. 2019). With |error| as the loss it is the area under the sparsification
/// error, AUSE (Ilg et al. 2018), not normalised.
///
/// # Errors
/// As [`risk_coverage`].
pub fn excess_aurc(confidence: &[f64], loss: &[f64]) -> Result<f64> {
    let area = aurc(confidence, loss)?;
    let knowing: Vec<f64> = loss.iter().map(|l| -l).collect();
    Ok(area - aurc(&knowing, loss)?)
}

/// Area under the generalised risk–coverage curve, in the loss's unit (Traub et al. 2024): the
/// trapezoids under the generalised risk from coverage 0 to 1. For losses 0 and 1 it is
/// (1 − AUROC)·a·(1 − a) + (1 − a)²/2 with accuracy a: the mean risk of silent failures.
///
/// # Errors
/// As [`risk_coverage`].
pub fn augrc(confidence: &[f64], loss: &[f64]) -> Result<f64> {
    let (mut twice, mut before) = (0.0, Step::default());
    for step in steps(confidence, loss)? {
        twice += (step.accepted - before.accepted) as f64 * (step.loss + before.loss);
        before = step;
    }
    let n = confidence.len() as f64;
    Ok(twice / (2.0 * n * n))
}

/// What is accepted at one distinct confidence.
#[derive(Default)]
struct Step {
    threshold: f64,
    accepted: usize,
    loss: f64,
}

fn steps(confidence: &[f64], loss: &[f64]) -> Result<Vec<Step>> {
    finite("confidence", confidence)?;
    finite("loss", loss)?;
    same_length("loss", confidence.len(), loss.len())?;
    if let Some((index, got)) = loss.iter().enumerate().find(|(_, l)| **l < 0.0) {
        return Err(Error::OutOfRange { what: "loss", expected: "at least 0", got: *got, index });
    }
    let mut sorted: Vec<(f64, f64)> =
        confidence.iter().copied().zip(loss.iter().copied()).collect();
    // By loss too, so that the sum does not depend on the order of the input.
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let (mut accepted, mut total) = (0, 0.0);
    let step = |equal: &[(f64, f64)]| {
        accepted += equal.len();
        total += equal.iter().map(|(_, l)| l).sum::<f64>();
        Step { threshold: equal.first().map_or(0.0, |e| e.0), accepted, loss: total }
    };
    Ok(sorted.chunk_by(|a, b| a.0 == b.0).map(step).collect())
}

#[cfg(test)]
mod tests {
    use caril_core::CounterRng;

    use super::*;
    use crate::confidence::auroc;

    #[test]
    fn a_curve_by_hand() {
        let curve = risk_coverage(&[0.9, 0.5, 0.5, 0.1], &[0.0, 1.0, 0.0, 1.0]).unwrap();
        let flat: Vec<_> =
            curve.iter().map(|p| (p.threshold, p.coverage, p.risk, p.generalised_risk)).collect();
        let third = 1.0 / 3.0;
        assert_eq!(flat, [(0.9, 0.25, 0.0, 0.0), (0.5, 0.75, third, 0.25), (0.1, 1.0, 0.5, 0.5)]);
    }

    #[test]
    fn aurc_is_the_mean_over_the_orders_of_ties() {
        // The two orders of the tied pair, by hand: risks 0, 1/2, 1/3, 1/2 and 0, 0, 1/3, 1/2.
        let area = aurc(&[0.9, 0.5, 0.5, 0.1], &[0.0, 1.0, 0.0, 1.0]).unwrap();
        let by_hand = (0.25 + 1.0 / 3.0 + 0.5) / 4.0;
        assert!((area - by_hand).abs() < 1e-15, "{area} {by_hand}");
    }

    #[test]
    fn augrc_follows_from_auroc_and_accuracy() {
        let mut rng = CounterRng::new(3, 0);
        for _ in 0..20 {
            // Few distinct values, so that there are many ties.
            let n = 200;
            let confidence: Vec<f64> = (0..n).map(|_| rng.below(12) as f64 / 11.0).collect();
            let failure: Vec<bool> = confidence.iter().map(|c| rng.uniform() > *c).collect();
            let loss: Vec<f64> = failure.iter().map(|f| f64::from(u8::from(*f))).collect();
            let score: Vec<f64> = confidence.iter().map(|c| -c).collect();
            let a = 1.0 - loss.iter().sum::<f64>() / f64::from(n);
            let expected = (1.0 - auroc(&score, &failure).unwrap()) * a * (1.0 - a)
                + 0.5 * (1.0 - a) * (1.0 - a);
            assert!((augrc(&confidence, &loss).unwrap() - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_blind_confidence_gives_the_mean_loss() {
        let loss = [0.3, 0.1, 0.2];
        assert!((aurc(&[1.0; 3], &loss).unwrap() - 0.2).abs() < 1e-15);
        assert!((augrc(&[1.0; 3], &loss).unwrap() - 0.1).abs() < 1e-15);
        // An oracle's risks are 0.1, 0.15 and 0.2.
        assert!((excess_aurc(&[1.0; 3], &loss).unwrap() - 0.05).abs() < 1e-15);
        assert_eq!(excess_aurc(&[0.0, 2.0, 1.0], &loss), Ok(0.0));
    }

    #[test]
    fn bad_input_is_told() {
        assert!(matches!(aurc(&[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(aurc(&[1.0], &[f64::NAN]), Err(Error::NotFinite { .. })));
        assert!(matches!(augrc(&[1.0], &[-1.0]), Err(Error::OutOfRange { .. })));
        assert!(matches!(augrc(&[1.0], &[1.0, 2.0]), Err(Error::Length { .. })));
    }
}
