//! The class head as a classifier: accuracy, confusion, Brier score, log loss.

use crate::error::{Error, Result, same_length};

/// Counts of a classifier over `K` classes that lie in order, as the steering classes do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion<const K: usize> {
    /// `counts[true class][predicted class]`.
    pub counts: [[u64; K]; K],
}

/// Counts predictions: `predicted[i]` where the truth is `labels[i]`.
///
/// # Errors
/// If the slices are empty, differ in length or hold a class that is not below `K`.
pub fn confusion<const K: usize>(predicted: &[usize], labels: &[usize]) -> Result<Confusion<K>> {
    if labels.is_empty() {
        return Err(Error::Empty { what: "labels" });
    }
    same_length("predicted classes", labels.len(), predicted.len())?;
    let mut counts = [[0; K]; K];
    for (index, (p, l)) in predicted.iter().zip(labels).enumerate() {
        let out = |what, class: usize| Error::OutOfRange {
            what,
            expected: "a class of the table",
            got: class as f64,
            index,
        };
        let row = counts.get_mut(*l).ok_or(out("labels", *l))?;
        *row.get_mut(*p).ok_or(out("predicted classes", *p))? += 1;
    }
    Ok(Confusion { counts })
}

impl<const K: usize> Confusion<K> {
    /// How many predictions were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Share of right predictions, [0, 1].
    ///
    /// # Errors
    /// If nothing was counted.
    pub fn accuracy(&self) -> Result<f64> {
        self.accuracy_within(0)
    }

    /// Share of predictions at most `distance` classes from the truth: 1 is argmax ± 1, which
    /// counts since neighbouring steering classes are nearly the same action.
    ///
    /// # Errors
    /// If nothing was counted.
    pub fn accuracy_within(&self, distance: usize) -> Result<f64> {
        let near: u64 = self
            .counts
            .iter()
            .enumerate()
            .flat_map(|(l, row)| row.iter().enumerate().map(move |(p, n)| (l.abs_diff(p), n)))
            .filter(|(d, _)| *d <= distance)
            .map(|(_, n)| n)
            .sum();
        match self.total() {
            0 => Err(Error::Empty { what: "confusion matrix" }),
            total => Ok(near as f64 / total as f64),
        }
    }

    /// Share of class `k`'s frames that were recognised; `None` if it has none.
    pub fn recall(&self, k: usize) -> Option<f64> {
        let row = self.counts.get(k)?;
        share(*row.get(k)?, row.iter().sum())
    }

    /// Share of predictions `k` that were right; `None` if `k` was never predicted.
    pub fn precision(&self, k: usize) -> Option<f64> {
        let column = self.counts.iter().filter_map(|row| row.get(k)).sum();
        share(*self.counts.get(k)?.get(k)?, column)
    }

    /// Mean recall of the classes that occur: not flattered by a set that drives straight on.
    ///
    /// # Errors
    /// If nothing was counted.
    pub fn balanced_accuracy(&self) -> Result<f64> {
        let recalls: Vec<f64> = (0..K).filter_map(|k| self.recall(k)).collect();
        if recalls.is_empty() {
            return Err(Error::Empty { what: "confusion matrix" });
        }
        Ok(recalls.iter().sum::<f64>() / recalls.len() as f64)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The most probable class; the lowest of equals. 0 if all are NaN.
pub fn argmax<const K: usize>(probs: &[f32; K]) -> usize {
    let better =
        |best: (usize, f32), (k, p): (usize, &f32)| if *p > best.1 { (k, *p) } else { best };
    probs.iter().enumerate().fold((0, f32::NEG_INFINITY), better).0
}

/// Brier score of several classes: mean over frames of Σₖ (pₖ − 1[k is true])², in [0, 2]
/// (Brier 1950; scikit-learn's `brier_score_loss` with `scale_by_half=False`).
///
/// * `probs` – one distribution a frame
/// * `labels` – the true class of each
///
/// # Errors
/// If the slices are empty, differ in length, or hold no probabilities or no classes below `K`.
pub fn brier<const K: usize>(probs: &[[f32; K]], labels: &[usize]) -> Result<f64> {
    check(probs, labels)?;
    let of = |(row, label): (&[f32; K], &usize)| {
        row.iter().enumerate().fold(0.0, |sum, (k, p)| {
            let d = f64::from(*p) - f64::from(u8::from(k == *label));
            sum + d * d
        })
    };
    Ok(probs.iter().zip(labels).map(of).sum::<f64>() / labels.len() as f64)
}

/// Negative log likelihood of the true class, nats a frame. A probability below [`f32::EPSILON`]
/// counts as that, as in scikit-learn's `log_loss`: one impossible frame must not make it
/// infinite.
///
/// # Errors
/// As [`brier`].
pub fn nll<const K: usize>(probs: &[[f32; K]], labels: &[usize]) -> Result<f64> {
    check(probs, labels)?;
    let of = |(row, label): (&[f32; K], &usize)| {
        let p = row.get(*label).copied().unwrap_or(0.0);
        -libm::log(f64::from(p.max(f32::EPSILON)))
    };
    Ok(probs.iter().zip(labels).map(of).sum::<f64>() / labels.len() as f64)
}

fn check<const K: usize>(probs: &[[f32; K]], labels: &[usize]) -> Result<()> {
    if probs.is_empty() {
        return Err(Error::Empty { what: "class probabilities" });
    }
    same_length("labels", probs.len(), labels.len())?;
    for (index, (row, label)) in probs.iter().zip(labels).enumerate() {
        if row.iter().any(|p| !p.is_finite()) {
            return Err(Error::NotFinite { what: "class probabilities", index });
        }
        let sum: f64 = row.iter().map(|p| f64::from(*p)).sum();
        if row.iter().any(|p| *p < 0.0) || (sum - 1.0).abs() > 1e-3 {
            let expected = "a distribution, its sum 1";
            return Err(Error::OutOfRange {
                what: "class probabilities",
                expected,
                got: sum,
                index,
            });
        }
        if *label >= K {
            let (expected, got) = ("a class of the distribution", *label as f64);
            return Err(Error::OutOfRange { what: "labels", expected, got, index });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let c = confusion::<3>(&[0, 1, 2, 2, 0], &[0, 0, 2, 1, 2]).unwrap();
        assert_eq!(c.counts, [[1, 1, 0], [0, 0, 1], [1, 0, 1]]);
        assert_eq!(c.accuracy(), Ok(0.4));
        assert_eq!(c.accuracy_within(1), Ok(0.8));
        assert_eq!((c.recall(0), c.recall(1), c.precision(1)), (Some(0.5), Some(0.0), Some(0.0)));
        assert!((c.balanced_accuracy().unwrap() - 1.0 / 3.0).abs() < 1e-15);
        assert!(matches!(confusion::<3>(&[3], &[0]), Err(Error::OutOfRange { got: 3.0, .. })));
        assert!(matches!(confusion::<3>(&[], &[]), Err(Error::Empty { .. })));
        assert!(matches!(confusion::<3>(&[1], &[1, 2]), Err(Error::Length { .. })));
        assert_eq!(Confusion { counts: [[0; 2]; 2] }.recall(0), None);
    }

    #[test]
    fn extremes_of_the_scores() {
        let sure = [[0.0f32, 1.0, 0.0]];
        assert_eq!(brier(&sure, &[1]), Ok(0.0));
        assert_eq!(brier(&sure, &[0]), Ok(2.0));
        assert_eq!(nll(&sure, &[1]), Ok(0.0));
        assert!((nll(&sure, &[0]).unwrap() - 15.942_385).abs() < 1e-5);
        assert!(matches!(nll(&[[f32::NAN, 1.0]], &[0]), Err(Error::NotFinite { .. })));
        assert!(matches!(nll(&[[0.5, 0.1]], &[0]), Err(Error::OutOfRange { .. })));
        assert!(matches!(brier(&[[0.5, 0.5]], &[2]), Err(Error::OutOfRange { .. })));
        assert!(matches!(brier::<2>(&[], &[]), Err(Error::Empty { .. })));
    }

    #[test]
    fn the_lowest_of_equal_classes() {
        assert_eq!(argmax(&[0.2f32, 0.4, 0.4]), 1);
        assert_eq!(argmax(&[f32::NAN; 3]), 0);
    }
}
