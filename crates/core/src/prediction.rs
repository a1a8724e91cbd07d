//! What the dual-head network says, validated on construction.

use serde::Serialize;

use crate::{BIN_COUNT, bin_center};

/// Regression and class probabilities of one frame. A value of this type is always usable: the
/// regression finite, the probabilities a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    regression: f32,
    probs: [f32; BIN_COUNT],
}

/// Why a network's output is no [`Prediction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PredictionError {
    /// A number is NaN or infinite.
    #[error("the prediction holds a number that is not finite")]
    NonFinite,
    /// A probability is negative, or they do not sum to 1 within 1e-3, or |regression| > 16.
    #[error("the class probabilities are not a distribution or the regression is absurd")]
    Malformed,
}

impl Prediction {
    /// Validates a network's output.
    ///
    /// * `regression` – normalised steer; linear output, so it may leave [−1, 1] a little.
    /// * `probs` – class probabilities in the order of [`crate::bin_center`].
    ///
    /// # Errors
    /// [`PredictionError`] if a number is not finite or the probabilities are no distribution.
    pub fn new(regression: f32, probs: [f32; BIN_COUNT]) -> Result<Self, PredictionError> {
        if !regression.is_finite() || probs.iter().any(|p| !p.is_finite()) {
            return Err(PredictionError::NonFinite);
        }
        let sum: f32 = probs.iter().sum();
        if probs.iter().any(|p| *p < 0.0) || (sum - 1.0).abs() > 1e-3 || regression.abs() > 16.0 {
            return Err(PredictionError::Malformed);
        }
        Ok(Self { regression, probs })
    }

    /// Normalised steer of the regression head.
    pub const fn regression(&self) -> f32 {
        self.regression
    }

    /// Class probabilities.
    pub const fn probs(&self) -> &[f32; BIN_COUNT] {
        &self.probs
    }

    /// The most probable class; the lowest of equals.
    pub fn argmax(&self) -> usize {
        let mut best = 0;
        for (k, p) in self.probs.iter().enumerate() {
            if *p > self.probs.get(best).copied().unwrap_or(0.0) {
                best = k;
            }
        }
        best
    }

    /// Confidence: the highest class probability.
    pub fn confidence(&self) -> f32 {
        self.probs.iter().copied().fold(0.0, f32::max)
    }

    /// Entropy of the classes in nats, with the paper's 1e-8 inside the logarithm.
    pub fn entropy_nats(&self) -> f32 {
        -self.probs.iter().map(|p| p * libm::logf(p + 1e-8)).sum::<f32>()
    }

    /// Mass of the most probable class and its neighbours: neighbouring classes are nearly the
    /// same action.
    pub fn neighbour_mass(&self) -> f32 {
        let k = self.argmax();
        let window = k.saturating_sub(1)..(k + 2).min(BIN_COUNT);
        self.probs.get(window).map_or(0.0, |w| w.iter().sum::<f32>().min(1.0))
    }

    /// Mean of the class distribution on the normalised steer scale.
    pub fn class_mean(&self) -> f32 {
        self.probs.iter().enumerate().map(|(k, p)| p * bin_center(k)).sum()
    }

    /// Variance of the class distribution on the normalised steer scale.
    pub fn class_variance(&self) -> f32 {
        let mean = self.class_mean();
        self.probs
            .iter()
            .enumerate()
            .map(|(k, p)| {
                let d = bin_center(k) - mean;
                p * d * d
            })
            .sum()
    }

    /// The prediction with its logits divided by `temperature`: pᵢ^(1/T), renormalised. Computed
    /// with logarithms relative to the highest, so that nothing overflows. A temperature that
    /// makes no sense leaves the prediction as it is.
    #[must_use]
    pub fn temperature_scaled(&self, temperature: f32) -> Self {
        let top = libm::logf(self.confidence());
        // ln 0 = −∞ and exp(−∞) = 0: an impossible class stays impossible.
        let powers = self.probs.map(|p| libm::expf((libm::logf(p) - top) / temperature));
        let sum: f32 = powers.iter().sum();
        Self::new(self.regression, powers.map(|p| p / sum)).unwrap_or(*self)
    }
}

#[cfg(test)]
mod tests;
