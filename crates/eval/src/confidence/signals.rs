//! Confidence signals of one prediction, to be compared side by side.

use caril_core::{BIN_COUNT, Prediction};

/// Signals of one prediction: each is higher where the network is surer.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Signals {
    /// Highest class probability, [0, 1].
    pub max_prob: f64,
    /// 1 − entropy / ln(classes): 1 is one sure class, 0 none preferred.
    pub one_minus_entropy: f64,
    /// Mass of argmax ± 1, [0, 1].
    pub neighbour_mass: f64,
    /// Highest minus second highest probability, [0, 1].
    pub margin: f64,
    /// Minus the standard deviation of the class distribution, normalised steer.
    pub minus_spread: f64,
    /// Minus |regression − mean of the class distribution|, normalised steer: do the heads agree?
    pub head_agreement: f64,
}

impl Signals {
    /// Number of signals.
    pub const COUNT: usize = 6;
    /// Their names, in the order of [`Signals::values`].
    pub const NAMES: [&'static str; Self::COUNT] = [
        "max_prob",
        "one_minus_entropy",
        "neighbour_mass",
        "margin",
        "minus_spread",
        "head_agreement",
    ];

    /// All of them.
    pub const fn values(&self) -> [f64; Self::COUNT] {
        [
            self.max_prob,
            self.one_minus_entropy,
            self.neighbour_mass,
            self.margin,
            self.minus_spread,
            self.head_agreement,
        ]
    }
}

/// The signals of a prediction.
pub fn signals(prediction: &Prediction) -> Signals {
    let p = prediction.probs().map(f64::from);
    let entropy: f64 = -p.iter().filter(|p| **p > 0.0).map(|p| p * libm::log(*p)).sum::<f64>();
    let mut sorted = p;
    sorted.sort_by(|a, b| b.total_cmp(a));
    let [first, second, ..] = sorted;
    let variance = f64::from(prediction.class_variance()).max(0.0);
    let apart = f64::from(prediction.regression()) - f64::from(prediction.class_mean());
    Signals {
        max_prob: first,
        one_minus_entropy: 1.0 - entropy / libm::log(BIN_COUNT as f64),
        neighbour_mass: f64::from(prediction.neighbour_mass()),
        margin: first - second,
        minus_spread: -variance.sqrt(),
        head_agreement: -apart.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_beats_unsure_in_every_signal() {
        let mut one = [0.0; BIN_COUNT];
        one[5] = 1.0;
        let sure = signals(&Prediction::new(0.0, one).unwrap());
        let blind = signals(&Prediction::new(0.4, [1.0 / BIN_COUNT as f32; BIN_COUNT]).unwrap());
        for ((name, s), b) in Signals::NAMES.iter().zip(sure.values()).zip(blind.values()) {
            assert!(s > b + 0.1, "{name}: {s} {b}");
        }
        assert_eq!((sure.max_prob, sure.one_minus_entropy, sure.margin), (1.0, 1.0, 1.0));
        assert!(blind.one_minus_entropy.abs() < 1e-6 && blind.margin == 0.0);
    }
}
