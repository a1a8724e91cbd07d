//! Calibration: what held-out drives say about how far the two heads can be believed.

use caril_core::{Calibration, Conformal, CounterRng, Prediction, bin_of};
use caril_eval::confidence::conformal_quantile;

use crate::augment::hide;
use crate::dataset::Sample;
use crate::evaluate::Predicted;

/// Fewest predictions that a calibration is made from.
pub const CALIBRATION_FRAMES_MIN: usize = 50;

/// |regression − expert| above this counts as wrong, normalised steer.
pub const WRONG_ABOVE: f32 = 0.1;

/// What risk is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Risk {
    /// Share of wrong frames that is accepted among those that are not corrected.
    pub budget: f64,
    /// |regression − expert| above this counts as wrong, normalised steer.
    pub wrong_above: f32,
}

impl Default for Risk {
    fn default() -> Self {
        Self { budget: 0.01, wrong_above: WRONG_ABOVE }
    }
}

/// What a fit gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// For the correction.
    pub calibration: Calibration,
    /// Prediction intervals, from clean frames.
    pub conformal: Conformal,
    /// Share of wrong frames among those at or above `mass_enter`, clean and hidden together.
    pub risk_reached: f64,
    /// Share of clean frames below `mass_enter`.
    pub engaged_clean: f64,
}

/// Fits every value of a card's calibration. `None` if there are fewer than
/// [`CALIBRATION_FRAMES_MIN`] `clean` predictions or one is not finite.
///
/// `hidden` are predictions of the same drives with pictures that hide the road (see
/// [`hidden_samples`]): without them nothing would be known about doubt, because on clean frames of
/// drives like those trained on hardly anything is wrong.
///
/// * Temperature: least negative log likelihood of the expert's class on clean frames (golden
///   section).
/// * `mass_enter`: the lowest calibrated mass of argmax ± 1 such that of all frames, clean and
///   hidden, at or above it at most `risk.budget` are wrong (more than `risk.wrong_above` off), but
///   at most 5 % of clean frames fall below it, which for a weak network breaks the budget:
///   [`Fitted::risk_reached`] says what came of it. `mass_exit`: the same for half the budget and 15 %.
///   `mass_floor`: of frames at or below it half are wrong.
/// * Variances by moments over all frames: a line (gain, floor) through the squared errors of the
///   less and of the more uncertain half for the class mean; for the regression its RMS error in
///   the surer half, and the gain that makes the overall mean square right.
pub fn calibrate_predictions(
    clean: &[Predicted],
    hidden: &[Predicted],
    risk: Risk,
) -> Option<Fitted> {
    if clean.len() < CALIBRATION_FRAMES_MIN {
        return None;
    }
    let temperature = temperature(clean);
    let conformal = conformal(clean, temperature)?;
    let errors = |p: &Predicted| {
        let q = Prediction::new(p.regression, p.probs(temperature)).ok()?;
        Some(FrameErrors {
            mass: q.neighbour_mass(),
            variance: q.class_variance(),
            class_square: square(q.class_mean() - p.steer),
            regression_square: square(p.regression - p.steer),
            wrong: (p.regression - p.steer).abs() > risk.wrong_above,
        })
    };
    let clean: Vec<FrameErrors> = clean.iter().map(errors).collect::<Option<_>>()?;
    let mut frames: Vec<FrameErrors> = hidden.iter().map(errors).collect::<Option<_>>()?;
    frames.extend(clean.iter().copied());
    frames.sort_by(|a, b| b.mass.total_cmp(&a.mass));
    let quantile = |share: f32| {
        let mut masses: Vec<f32> = clean.iter().map(|f| f.mass).collect();
        masses.sort_by(f32::total_cmp);
        masses.get((share * masses.len() as f32) as usize).copied().unwrap_or(0.0)
    };
    let mass_enter = lowest_within(&frames, risk.budget).min(quantile(0.05)).max(MASS_MIN);
    // No mass is above 1: with an exit of 1 doubt would never end.
    let mass_exit = lowest_within(&frames, 0.5 * risk.budget).min(quantile(0.15)).max(mass_enter);
    let (mass_enter, mass_exit) = (mass_enter.min(MASS_MAX), mass_exit.min(MASS_MAX));
    let mass_floor = half_wrong(&frames).min(0.9 * mass_enter);
    let kept = frames.get(..frames.partition_point(|f| f.mass >= mass_enter))?;
    let risk_reached = share(kept, |f| f.wrong);
    let engaged_clean = share(&clean, |f| f.mass < mass_enter);

    let sure = frames.get(..frames.len() / 2)?;
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
    let calibration = Calibration {
        temperature,
        regression_sigma: sigma as f32,
        regression_variance_gain: ((all_square - sigma * sigma) / all_variance).clamp(0.0, 20.0)
            as f32,
        class_variance_gain: gain as f32,
        class_variance_floor: floor as f32,
        mass_enter,
        mass_exit,
        mass_floor,
    };
    Some(Fitted { calibration, conformal, risk_reached, engaged_clean })
}

/// Added to the spread of the classes before an error is measured by it, normalised steer: half the
/// error of a good frame, so that a frame without any spread does not blow the quantiles up.
const SPREAD_FLOOR: f32 = 0.01;
/// Groups with fewer frames take the quantile of all.
const GROUP_FRAMES_MIN: usize = 50;

/// Split-conformal factors of every group. `None` if an error is not finite.
fn conformal(clean: &[Predicted], temperature: f32) -> Option<Conformal> {
    let mut c = Conformal {
        level: 0.9,
        turn_above: 0.2,
        fast_above_mps: 6.0,
        spread_floor: SPREAD_FLOOR,
        factor: [[0.0; 2]; 2],
    };
    let alpha = 1.0 - f64::from(c.level);
    let scored = clean
        .iter()
        .map(|p| {
            let q = Prediction::new(p.regression, p.probs(temperature)).ok()?;
            let score = f64::from((p.regression - p.steer).abs()) / f64::from(c.scale(&q));
            Some((c.group(p.regression, p.speed_mps), score))
        })
        .collect::<Option<Vec<_>>>()?;
    let quantile = |scores: Vec<f64>| conformal_quantile(&scores, alpha).ok();
    let all = quantile(scored.iter().map(|(_, s)| *s).collect())?;
    let mut factor = [[all as f32; 2]; 2];
    for (turn, row) in factor.iter_mut().enumerate() {
        for (fast, factor) in row.iter_mut().enumerate() {
            let of_group = scored.iter().filter(|(group, _)| *group == (turn, fast));
            let scores: Vec<f64> = of_group.map(|(_, s)| *s).collect();
            if scores.len() >= GROUP_FRAMES_MIN {
                *factor = quantile(scores)? as f32;
            }
        }
    }
    c.factor = factor;
    Some(c)
}

/// A network that is wrong nowhere still engages below this.
const MASS_MIN: f32 = 0.3;
/// The greatest number below 1.
const MASS_MAX: f32 = 1.0 - f32::EPSILON / 2.0;

/// The lowest mass down to which at most `budget` of the frames are wrong; `frames` by falling
/// mass. 1 if already the surest are wrong too often.
fn lowest_within(frames: &[FrameErrors], budget: f64) -> f32 {
    let (mut lowest, mut wrong) = (1.0, 0.0);
    for (i, f) in frames.iter().enumerate() {
        wrong += f64::from(f.wrong);
        if wrong <= budget * (i + 1) as f64 {
            lowest = f.mass;
        }
    }
    lowest
}

/// The highest mass at or below which at least half of the frames are wrong; `frames` by falling
/// mass.
fn half_wrong(frames: &[FrameErrors]) -> f32 {
    let (mut highest, mut wrong) = (0.0, 0.0);
    for (i, f) in frames.iter().rev().enumerate() {
        wrong += f64::from(f.wrong);
        if wrong >= 0.5 * (i + 1) as f64 {
            highest = f.mass;
        }
    }
    highest
}

/// Every fourth sample with most of its picture hidden, for [`calibrate_predictions`].
pub fn hidden_samples(samples: &[&Sample], width: usize, distances_m: &[f32]) -> Vec<Sample> {
    let hide = |(i, sample): (usize, &&Sample)| {
        let mut hidden = (*sample).clone();
        hide(&mut hidden.rgb, width, distances_m, &mut CounterRng::new(0x6869_6465, i as u64));
        hidden
    };
    samples.iter().step_by(4).enumerate().map(hide).collect()
}

#[derive(Debug, Clone, Copy)]
struct FrameErrors {
    mass: f32,
    variance: f32,
    class_square: f32,
    regression_square: f32,
    wrong: bool,
}

fn square(x: f32) -> f32 {
    x * x
}

fn mean(frames: &[FrameErrors], f: impl Fn(&FrameErrors) -> f32) -> f64 {
    frames.iter().map(|x| f64::from(f(x))).sum::<f64>() / frames.len().max(1) as f64
}

fn share(frames: &[FrameErrors], f: impl Fn(&FrameErrors) -> bool) -> f64 {
    frames.iter().filter(|x| f(x)).count() as f64 / frames.len().max(1) as f64
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
    use caril_core::{BIN_COUNT, bin_center};
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
                Predicted { regression, logits, steer, speed_mps: 5.0 }
            })
            .collect()
    }

    #[test]
    fn recovers_a_known_temperature() {
        for t in [0.5, 1.0, 2.5] {
            let c =
                calibrate_predictions(&drawn(t, 4000), &[], Risk::default()).unwrap().calibration;
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
        let fitted = calibrate_predictions(&predicted, &[], Risk::default()).unwrap();
        let c = fitted.calibration;
        let engaged = predicted.iter().filter(|p| {
            let q = Prediction::new(p.regression, p.probs(c.temperature)).unwrap();
            q.neighbour_mass() < c.mass_enter
        });
        let engaged = engaged.count();
        assert!(engaged <= 100, "{engaged}");
        // A tenth of these are wrong anywhere: the twentieth is used up, and the budget is not kept.
        assert_eq!(fitted.engaged_clean, engaged as f64 / 2000.0);
        assert!(engaged >= 90 && fitted.risk_reached > 0.01, "{fitted:?}");
        assert!(c.mass_floor <= c.mass_enter && c.mass_enter <= c.mass_exit);
    }

    #[test]
    fn engages_where_more_would_be_wrong_than_the_budget_allows() {
        // Sure and right; unsure and, the less sure the more often, wrong.
        let make = |sharp: f32, wrong: bool| {
            let logits = std::array::from_fn(|k| -sharp * (k as f32 - 5.0).abs());
            let regression = if wrong { 0.4 } else { 0.0 };
            Predicted { regression, logits, steer: 0.0, speed_mps: 5.0 }
        };
        let clean = vec![make(6.0, false); 900];
        let hidden: Vec<_> = (0..300)
            .map(|i| make(0.1 + i as f32 * 0.01, i < 100 || (i < 200 && i % 2 == 0)))
            .collect();
        let fitted = calibrate_predictions(&clean, &hidden, Risk::default()).unwrap();
        let c = fitted.calibration;
        let mass = |p: &Predicted| {
            Prediction::new(p.regression, p.probs(c.temperature)).unwrap().neighbour_mass()
        };
        let kept: Vec<_> =
            clean.iter().chain(&hidden).filter(|p| mass(p) >= c.mass_enter).collect();
        let wrong = kept.iter().filter(|p| p.regression > 0.1).count();
        assert!(
            wrong * 100 <= kept.len() && wrong * 100 > kept.len() / 2,
            "{wrong} {}",
            kept.len()
        );
        assert!((fitted.risk_reached - wrong as f64 / kept.len() as f64).abs() < 1e-12);
        assert_eq!(fitted.engaged_clean, 0.0);
        // Who accepts more, or calls less wrong, corrects less.
        let at = |risk| calibrate_predictions(&clean, &hidden, risk).unwrap().calibration;
        let more = at(Risk { budget: 0.1, ..Risk::default() });
        let coarser = at(Risk { wrong_above: 0.5, ..Risk::default() });
        assert!(more.mass_enter < c.mass_enter && coarser.mass_enter < more.mass_enter, "{more:?}");
        assert!(c.mass_floor > mass(&hidden[10]) && c.mass_floor < c.mass_enter, "{c:?}");
        assert!(c.mass_exit > c.mass_enter, "{c:?}");
    }

    #[test]
    fn intervals_cover_nine_tenths_of_every_group() {
        let make = |seed: u64| -> Vec<Predicted> {
            let mut rng = CounterRng::new(seed, 1);
            (0..4000)
                .map(|i| {
                    let (turn, fast) = (i % 2 == 0, i % 4 < 2);
                    let regression = if turn { 0.5 } else { 0.0 };
                    let spread = if turn { 0.1 } else { 0.01 } * if fast { 2.0 } else { 1.0 };
                    let steer = regression + (spread * rng.normal()) as f32;
                    let speed_mps = if fast { 9.0 } else { 3.0 };
                    Predicted { regression, logits: [0.0; BIN_COUNT], steer, speed_mps }
                })
                .collect()
        };
        let fitted = calibrate_predictions(&make(1), &[], Risk::default()).unwrap();
        let (c, temperature) = (fitted.conformal, fitted.calibration.temperature);
        let mut covered = [[(0, 0); 2]; 2];
        for p in make(2) {
            let (turn, fast) = c.group(p.regression, p.speed_mps);
            let cell = &mut covered[turn][fast];
            cell.0 += 1;
            let scaled = Prediction::new(p.regression, p.probs(temperature)).unwrap();
            cell.1 +=
                i32::from((p.regression - p.steer).abs() <= c.half_width(&scaled, p.speed_mps));
        }
        for (n, inside) in covered.as_flattened() {
            let share = f64::from(*inside) / f64::from(*n);
            assert!(*n == 1000 && (0.87..0.93).contains(&share), "{covered:?}");
        }
    }

    #[test]
    fn too_few_or_broken_predictions_are_refused() {
        assert_eq!(calibrate_predictions(&drawn(1.0, 10), &[], Risk::default()), None);
        let mut predicted = drawn(1.0, 100);
        predicted[3].regression = f32::NAN;
        assert_eq!(calibrate_predictions(&predicted, &[], Risk::default()), None);
    }
}
