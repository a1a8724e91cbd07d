//! Calibration: what held-out drives say about how far the two heads can be believed.

use caril_core::{Calibration, Prediction, bin_of};

use crate::evaluate::Predicted;

/// Fewest predictions that a calibration is made from.
pub const CALIBRATION_FRAMES_MIN: usize = 50;

/// Fits every value of a card's calibration. `None` if there are fewer than
/// [`CALIBRATION_FRAMES_MIN`] predictions or one is not finite.
///
/// * Temperature: least negative log likelihood of the expert's class (golden section).
/// * The thresholds on the calibrated mass of argmax ± 1 are quantiles over clean frames: 5 %
///   engage the correction, it lets go above the 15 % quantile, and the floor is the 0.2 %
///   quantile. Both are capped (0.9, 0.95) so that a network that is sure of everything it was
///   shown does not engage on noise in the fourth digit.
/// * Variances by moments: a line (gain, floor) through the squared errors of the less and of the
///   more uncertain half for the class mean; for the regression its RMS error in the surer half,
///   and the gain that makes the overall mean square right.
pub fn calibrate_predictions(predicted: &[Predicted]) -> Option<Calibration> {
    if predicted.len() < CALIBRATION_FRAMES_MIN {
        return None;
    }
    let temperature = temperature(predicted);
    let mut frames = Vec::with_capacity(predicted.len());
    for p in predicted {
        let q = Prediction::new(p.regression, p.probs(temperature)).ok()?;
        frames.push(FrameErrors {
            mass: q.neighbour_mass(),
            variance: q.class_variance(),
            class_square: square(q.class_mean() - p.steer),
            regression_square: square(p.regression - p.steer),
        });
    }
    frames.sort_by(|a, b| a.mass.total_cmp(&b.mass));
    let quantile = |share: f32| {
        let at = (share * frames.len() as f32) as usize;
        frames.get(at.min(frames.len() - 1)).map_or(0.0, |f| f.mass)
    };
    let mass_enter = quantile(0.05).min(0.9);
    let mass_exit = quantile(0.15).clamp(mass_enter, 0.95);
    let mass_floor = quantile(0.002).min(0.8 * mass_enter);

    let sure = frames.get(frames.len() / 2..)?;
    let sure_square = mean(sure, |f| f.regression_square);
    let all_square = mean(&frames, |f| f.regression_square);
    let all_variance = mean(&frames, |f| f.variance).max(1e-9);
    let sigma = sure_square.sqrt().max(1e-3);

    frames.sort_by(|a, b| a.variance.total_cmp(&b.variance));
    let (low, high) = frames.split_at(frames.len() / 2);
    let (v0, v1) = (mean(low, |f| f.variance), mean(high, |f| f.variance));
    let (e0, e1) = (mean(low, |f| f.class_square), mean(high, |f| f.class_square));
    let gain = ((e1 - e0) / (v1 - v0).max(1e-9)).clamp(0.0, 20.0);
    let floor = (e0 - gain * v0).max(1e-5);
    Some(Calibration {
        temperature,
        regression_sigma: sigma as f32,
        regression_variance_gain: ((all_square - sigma * sigma) / all_variance).clamp(0.0, 20.0)
            as f32,
        class_variance_gain: gain as f32,
        class_variance_floor: floor as f32,
        mass_enter,
        mass_exit,
        mass_floor,
    })
}

struct FrameErrors {
    mass: f32,
    variance: f32,
    class_square: f32,
    regression_square: f32,
}

fn square(x: f32) -> f32 {
    x * x
}

fn mean(frames: &[FrameErrors], f: impl Fn(&FrameErrors) -> f32) -> f64 {
    frames.iter().map(|x| f64::from(f(x))).sum::<f64>() / frames.len().max(1) as f64
}

/// Golden section over ln T in [ln 0.1, ln 10].
fn temperature(predicted: &[Predicted]) -> f32 {
    let nll = |ln_t: f64| -> f64 {
        let t = libm::exp(ln_t) as f32;
        predicted
            .iter()
            .map(|p| {
                let prob = bin_of(p.steer).and_then(|k| p.probs(t).get(k).copied());
                -libm::log(f64::from(prob.unwrap_or(0.0)).max(1e-12))
            })
            .sum()
    };
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (libm::log(0.1), libm::log(10.0));
    let (mut c, mut d) = (b - ratio * (b - a), a + ratio * (b - a));
    let (mut fc, mut fd) = (nll(c), nll(d));
    for _ in 0..24 {
        if fc < fd {
            (b, d, fd) = (d, c, fc);
            c = b - ratio * (b - a);
            fc = nll(c);
        } else {
            (a, c, fc) = (c, d, fd);
            d = a + ratio * (b - a);
            fd = nll(d);
        }
    }
    libm::exp(0.5 * (a + b)) as f32
}

#[cfg(test)]
mod tests {
    use caril_core::{BIN_COUNT, CounterRng, bin_center};
    use caril_policy::softmax;

    use super::*;

    /// Classes really drawn from softmax(logits / `t`).
    fn drawn(t: f32, n: usize) -> Vec<Predicted> {
        let mut rng = CounterRng::new(5, 0);
        (0..n)
            .map(|_| {
                let centre = rng.range(1.0, 9.0) as f32;
                let sharp = rng.range(0.3, 3.0) as f32;
                let logits: [f32; BIN_COUNT] =
                    std::array::from_fn(|k| -sharp * (k as f32 - centre).powi(2));
                let probs = softmax(logits.map(|l| l / t));
                let mut u = rng.uniform() as f32;
                let class = probs.iter().position(|p| {
                    u -= p;
                    u < 0.0
                });
                let steer = bin_center(class.unwrap_or(BIN_COUNT - 1));
                let regression = steer + 0.05 * rng.normal() as f32;
                Predicted { regression, logits, steer }
            })
            .collect()
    }

    #[test]
    fn recovers_a_known_temperature() {
        for t in [0.5, 1.0, 2.5] {
            let c = calibrate_predictions(&drawn(t, 4000)).unwrap();
            assert!((c.temperature / t - 1.0).abs() < 0.1, "{t}: {}", c.temperature);
            // The class mean's squared error is its own variance, plus nothing.
            assert!((c.class_variance_gain - 1.0).abs() < 0.25, "{t}: {c:?}");
            assert!((c.regression_sigma - 0.05).abs() < 0.01, "{t}: {c:?}");
            assert!(c.regression_variance_gain < 0.1, "error does not depend on the class: {c:?}");
        }
    }

    #[test]
    fn at_most_a_twentieth_of_clean_frames_engage() {
        let predicted = drawn(1.5, 2000);
        let c = calibrate_predictions(&predicted).unwrap();
        let engaged = predicted.iter().filter(|p| {
            let q = Prediction::new(p.regression, p.probs(c.temperature)).unwrap();
            q.neighbour_mass() < c.mass_enter
        });
        assert!(engaged.count() <= 100);
        assert!(c.mass_floor <= c.mass_enter && c.mass_enter <= c.mass_exit);
    }

    #[test]
    fn too_few_or_broken_predictions_are_refused() {
        assert_eq!(calibrate_predictions(&drawn(1.0, 10)), None);
        let mut predicted = drawn(1.0, 100);
        predicted[3].regression = f32::NAN;
        assert_eq!(calibrate_predictions(&predicted), None);
    }
}
