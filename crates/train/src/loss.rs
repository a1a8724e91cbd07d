//! Losses of the two heads and their derivatives by the network's outputs.

use caril_core::{BIN_COUNT, bin_center, bin_of};
use caril_policy::softmax;

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Huber on the regression plus cross-entropy against a smeared class.
    Huber {
        /// Error where the square becomes linear, normalised steer.
        beta: f32,
        /// Weight of the cross-entropy.
        class_weight: f32,
        /// Standard deviation of the class target, in classes.
        smear_bins: f32,
    },
    /// The paper's: 0.5 · MSE + 0.5 · cross-entropy of the true class.
    Paper,
}

impl Default for Loss {
    fn default() -> Self {
        Self::Huber { beta: 0.05, class_weight: 0.2, smear_bins: 0.6 }
    }
}

/// Loss of one sample and its derivatives.
#[derive(Debug, Clone, Copy)]
pub struct LossOutput {
    /// Total.
    pub loss: f32,
    /// By the regression.
    pub d_regression: f32,
    /// By each logit.
    pub d_logits: [f32; BIN_COUNT],
}

impl Loss {
    /// Of one prediction against the expert's normalised steer.
    pub fn of(&self, regression: f32, logits: [f32; BIN_COUNT], steer: f32) -> LossOutput {
        self.of_targets(regression, logits, steer, steer)
    }

    /// The same where the class target is that of another steer, as in the paper's mirrored
    /// pictures.
    pub fn of_targets(
        &self,
        regression: f32,
        logits: [f32; BIN_COUNT],
        steer: f32,
        class_steer: f32,
    ) -> LossOutput {
        let probs = softmax(logits);
        let error = regression - steer;
        let (regression_loss, d_regression, weight, target) = match *self {
            Self::Huber { beta, class_weight, smear_bins } => {
                let target = smeared(class_steer, smear_bins);
                let (loss, d) = if error.abs() < beta {
                    (0.5 * error * error / beta, error / beta)
                } else {
                    (error.abs() - 0.5 * beta, error.signum())
                };
                (loss, d, class_weight, target)
            }
            Self::Paper => {
                let mut target = [0.0; BIN_COUNT];
                if let Some(t) = bin_of(class_steer).and_then(|k| target.get_mut(k)) {
                    *t = 1.0;
                }
                (0.5 * error * error, error, 0.5, target)
            }
        };
        let nll: f32 = target.iter().zip(&probs).map(|(t, p)| -t * libm::logf(p.max(1e-12))).sum();
        let mut d_logits = [0.0; BIN_COUNT];
        for ((d, p), t) in d_logits.iter_mut().zip(&probs).zip(&target) {
            *d = weight * (p - t);
        }
        LossOutput { loss: regression_loss + weight * nll, d_regression, d_logits }
    }
}

/// Gaussian around the steer over the classes' centres.
fn smeared(steer: f32, sigma_bins: f32) -> [f32; BIN_COUNT] {
    let sigma = sigma_bins.max(1e-3) * caril_core::BIN_WIDTH;
    let mut target: [f32; BIN_COUNT] = std::array::from_fn(|k| {
        let z = (bin_center(k) - steer.clamp(-1.0, 1.0)) / sigma;
        libm::expf(-0.5 * z * z)
    });
    let sum: f32 = target.iter().sum();
    target.iter_mut().for_each(|t| *t /= sum.max(1e-30));
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let logits: [f32; BIN_COUNT] = std::array::from_fn(|k| (k as f32 * 0.7).sin());
        for loss in [Loss::default(), Loss::Paper] {
            for steer in [-1.0, -0.2, 0.01, 0.29] {
                let at = |r: f32, l| f64::from(loss.of(r, l, steer).loss);
                let got = loss.of(0.3, logits, steer);
                let h = 1e-3;
                let d = (at(0.3 + h, logits) - at(0.3 - h, logits)) / f64::from(2.0 * h);
                assert!((d - f64::from(got.d_regression)).abs() < 1e-2, "{loss:?} {steer}");
                for k in 0..BIN_COUNT {
                    let (mut a, mut b) = (logits, logits);
                    a[k] += h;
                    b[k] -= h;
                    let d = (at(0.3, a) - at(0.3, b)) / f64::from(2.0 * h);
                    assert!((d - f64::from(got.d_logits[k])).abs() < 1e-2, "{loss:?} {steer} {k}");
                }
            }
        }
    }

    #[test]
    fn smeared_target_is_symmetric_and_peaks_at_the_true_class() {
        let t = smeared(bin_center(7), 0.7);
        assert!((t.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(t[7] > t[6] && (t[6] - t[8]).abs() < 1e-6);
    }
}
