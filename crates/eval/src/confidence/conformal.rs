//! Split conformal prediction: intervals with a promised coverage, and whether they keep it.

use std::collections::BTreeMap;

use crate::error::{Error, Result, finite, is_finite, same_length};

/// The split-conformal quantile: the ⌈(n + 1)(1 − α)⌉-th smallest of `n` scores. Intervals
/// `prediction ± quantile` then cover an exchangeable new frame with probability at least 1 − α
/// (Vovk et al. 2005, Lei et al. 2018).
///
/// * `scores` – nonconformity on held-out frames, for example |steer − expert|, in its unit
/// * `alpha` – allowed share outside, in (0, 1)
///
/// # Errors
/// If the scores are empty or not finite, `alpha` is outside (0, 1), or there are fewer scores
/// than `alpha` needs: the interval would be infinite.
pub fn conformal_quantile(scores: &[f64], alpha: f64) -> Result<f64> {
    finite("scores", scores)?;
    if !(alpha > 0.0 && alpha < 1.0) {
        let expected = "a share in (0, 1)";
        return Err(Error::OutOfRange { what: "alpha", expected, got: alpha, index: 0 });
    }
    // A hair less, so that a product like 10·0.7 = 7.000000000000001 is rank 7.
    let rank = ((scores.len() + 1) as f64 * (1.0 - alpha) - 1e-9).ceil().max(1.0) as usize;
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(rank - 1).copied().ok_or_else(|| {
        let expected = ((1.0 - alpha) / alpha - 1e-9).ceil() as usize;
        Error::TooFew { what: "scores", expected, got: scores.len() }
    })
}

/// [`conformal_quantile`] of each group apart (Mondrian), so that each keeps its coverage. A
/// group too small for `alpha` has an error of its own.
///
/// # Errors
/// If the slices are empty or differ in length, or a score is not finite.
pub fn conformal_quantile_by<G: Ord + Copy>(
    groups: &[G],
    scores: &[f64],
    alpha: f64,
) -> Result<BTreeMap<G, Result<f64>>> {
    finite("scores", scores)?;
    same_length("groups", scores.len(), groups.len())?;
    let mut of: BTreeMap<G, Vec<f64>> = BTreeMap::new();
    for (g, s) in groups.iter().zip(scores) {
        of.entry(*g).or_default().push(*s);
    }
    Ok(of.into_iter().map(|(g, s)| (g, conformal_quantile(&s, alpha))).collect())
}

/// How well intervals cover.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct IntervalQuality {
    /// Frames.
    pub count: usize,
    /// Share of truths inside, edges included, [0, 1].
    pub coverage: f64,
    /// Mean width, in the truth's unit.
    pub mean_width: f64,
}

/// Coverage and width of `intervals` (low, high) over the `truth`.
///
/// # Errors
/// If the slices are empty or differ in length, a value is not finite, or low is above high.
pub fn interval_quality(intervals: &[(f64, f64)], truth: &[f64]) -> Result<IntervalQuality> {
    let by = interval_quality_by(&vec![(); truth.len()], intervals, truth)?;
    by.get(&()).copied().ok_or(Error::Empty { what: "truth" })
}

/// [`interval_quality`] of each group apart.
///
/// # Errors
/// As [`interval_quality`].
pub fn interval_quality_by<G: Ord + Copy>(
    groups: &[G],
    intervals: &[(f64, f64)],
    truth: &[f64],
) -> Result<BTreeMap<G, IntervalQuality>> {
    finite("truth", truth)?;
    same_length("groups", truth.len(), groups.len())?;
    same_length("intervals", truth.len(), intervals.len())?;
    let mut of: BTreeMap<G, (usize, usize, f64)> = BTreeMap::new();
    for (index, ((g, (low, high)), t)) in groups.iter().zip(intervals).zip(truth).enumerate() {
        let width = high - low;
        if !(is_finite(*low) && is_finite(*high)) {
            return Err(Error::NotFinite { what: "intervals", index });
        }
        if width < 0.0 {
            let expected = "low at most high";
            return Err(Error::OutOfRange { what: "intervals", expected, got: width, index });
        }
        let (n, inside, total) = of.entry(*g).or_default();
        *n += 1;
        *inside += usize::from(low <= t && t <= high);
        *total += width;
    }
    let quality = |(count, inside, total): (usize, usize, f64)| IntervalQuality {
        count,
        coverage: inside as f64 / count as f64,
        mean_width: total / count as f64,
    };
    Ok(of.into_iter().map(|(g, sums)| (g, quality(sums))).collect())
}

#[cfg(test)]
mod tests {
    use caril_core::CounterRng;

    use super::*;

    #[test]
    fn ranks_at_the_edge() {
        let scores: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!(conformal_quantile(&scores, 0.1), Ok(9.0));
        assert_eq!(conformal_quantile(&scores, 0.3), Ok(7.0));
        assert_eq!(conformal_quantile(&scores, 0.31), Ok(7.0));
        assert_eq!(conformal_quantile(&scores, 0.29), Ok(8.0));
        assert_eq!(conformal_quantile(&scores, 0.999), Ok(1.0));
        let few = conformal_quantile(&scores[1..], 0.1);
        assert_eq!(few, Err(Error::TooFew { what: "scores", expected: 9, got: 8 }));
        assert!(matches!(conformal_quantile(&scores, 0.0), Err(Error::OutOfRange { .. })));
        assert!(matches!(conformal_quantile(&[], 0.1), Err(Error::Empty { .. })));
    }

    #[test]
    fn each_group_keeps_its_coverage() {
        // Group 1 is ten times noisier: one quantile for both would cover it badly.
        let mut rng = CounterRng::new(5, 0);
        let mut draw = |n: usize| -> (Vec<usize>, Vec<f64>) {
            (0..n).map(|i| (i % 2, rng.normal() * if i % 2 == 0 { 1.0 } else { 10.0 })).unzip()
        };
        let (groups, errors) = draw(4000);
        let scores: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
        let q = conformal_quantile_by(&groups, &scores, 0.1).unwrap();
        let (groups, truth) = draw(4000);
        let intervals: Vec<(f64, f64)> = groups
            .iter()
            .map(|g| {
                let half = q[g].unwrap();
                (-half, half)
            })
            .collect();
        let by = interval_quality_by(&groups, &intervals, &truth).unwrap();
        for quality in by.values() {
            assert!((quality.coverage - 0.9).abs() < 0.03, "{quality:?}");
        }
        assert!(by[&1].mean_width > 8.0 * by[&0].mean_width);
        let all = interval_quality(&intervals, &truth).unwrap();
        assert_eq!(all.count, 4000);
    }

    #[test]
    fn bad_intervals_are_told() {
        let q = |i: (f64, f64)| interval_quality(&[i], &[0.0]);
        assert!(matches!(q((1.0, 0.0)), Err(Error::OutOfRange { .. })));
        assert!(matches!(q((0.0, f64::NAN)), Err(Error::NotFinite { .. })));
        assert!(matches!(q((f64::NEG_INFINITY, 0.0)), Err(Error::NotFinite { .. })));
        assert!(matches!(interval_quality(&[], &[]), Err(Error::Empty { .. })));
    }
}
