//! Tests of the correction: the paper's rule against a plain second writing of it, the moments of
//! its samples, and the calibrated mode's promises.

use super::*;
use caril_core::{bin_center, bin_of};
use proptest::prelude::*;
use std::vec::Vec;

const KEY: (u64, FrameId) = (7, FrameId(42));

fn config(mode: CorrectionMode) -> CorrectionConfig {
    CorrectionConfig { mode, ..CorrectionConfig::default() }
}

fn prediction(regression: f32, weights: &[(usize, f32)]) -> Prediction {
    let mut probs = [0.0; BIN_COUNT];
    for (k, p) in weights {
        probs[*k] = *p;
    }
    Prediction::new(regression, probs).unwrap()
}

fn run(mode: CorrectionMode, p: &Prediction, key: (u64, FrameId)) -> Correction {
    correct(&config(mode), &Calibration::default(), p, &mut CorrectionState::default(), key)
}

fn calibrated_from(engaged: bool, p: &Prediction) -> (Correction, bool) {
    let mut state = CorrectionState { engaged };
    let config = config(CorrectionMode::Calibrated);
    let c = correct(&config, &Calibration::default(), p, &mut state, KEY);
    (c, state.engaged)
}

fn any_prediction() -> impl Strategy<Value = Prediction> {
    (-2.0_f32..2.0, prop::array::uniform11(0.0_f32..1.0), 0.1_f32..12.0).prop_map(
        |(r, w, sharp)| {
            let w = w.map(|v| libm::powf(v, sharp) + 1e-6);
            let sum: f32 = w.iter().sum();
            Prediction::new(r, w.map(|v| v / sum)).unwrap()
        },
    )
}

#[test]
fn off_keeps_and_clamps() {
    let p = prediction(1.7, &[(3, 0.75), (9, 0.25)]);
    let expected = Correction {
        steer: 1.0,
        regime: Regime::Kept,
        speed_cap_mps: f32::INFINITY,
        confidence: 0.75,
        sigma: Calibration::default().regression_sigma,
    };
    assert_eq!(run(CorrectionMode::Off, &p, KEY), expected);
    assert_eq!(run(CorrectionMode::Off, &prediction(-3.0, &[(3, 1.0)]), KEY).steer, -1.0);
}

#[test]
fn paper_bins_are_left_closed_and_fall_off_the_rim() {
    for (steer, bin) in [(-1.001, -1), (-1.0, 0), (0.0, 5), (0.999, 10), (1.0, 11), (1.5, 11)] {
        assert_eq!(paper_bin(steer), bin, "{steer}");
    }
    for k in 1..BIN_COUNT {
        let edge = bin_edges(k).0;
        assert_eq!(paper_bin(edge), k as i32, "an edge belongs to the bin on its right");
        assert_eq!(bin_of(edge), Some(k - 1), "the labels are the other way round");
    }
}

#[test]
fn paper_regimes_at_their_thresholds() {
    use Regime::{Kept, PaperBinMean, PaperNoise, PaperUnsureKept};
    let flat: Vec<(usize, f32)> = (0..BIN_COUNT).map(|k| (k, 1.0 / 11.0)).collect();
    let half: Vec<(usize, f32)> = (0..11).map(|k| (k, if k == 5 { 0.5 } else { 0.05 })).collect();
    type Case<'a> = (f32, &'a [(usize, f32)], Regime);
    let cases: [Case<'_>; 12] = [
        (0.0, &[(5, 0.9), (0, 0.1)], Kept),
        (0.0, &[(6, 0.9), (0, 0.1)], Kept),
        (0.0, &[(4, 0.95), (0, 0.05)], Kept),
        (0.0, &[(7, 0.95), (0, 0.05)], PaperBinMean),
        (0.0, &[(3, 0.9), (0, 0.1)], PaperBinMean),
        // r = 1 falls into bin 11: one away from 10, two from 9. Below −1 is bin −1.
        (1.0, &[(10, 1.0)], Kept),
        (1.0, &[(9, 1.0)], PaperBinMean),
        (-1.2, &[(0, 1.0)], Kept),
        (-1.2, &[(1, 1.0)], PaperBinMean),
        (0.3, &flat, PaperUnsureKept),
        // H = 1.50 + … but m is not below 0.5; and m below 0.5 but H at most ln 3.
        (0.3, &half, PaperNoise),
        (0.3, &[(4, 0.4), (5, 0.3), (6, 0.3)], PaperNoise),
    ];
    for (r, weights, regime) in cases {
        let c = run(CorrectionMode::Paper, &prediction(r, weights), KEY);
        assert_eq!(c.regime, regime, "r {r} {weights:?}");
        assert_eq!(c.speed_cap_mps, f32::INFINITY);
    }
    assert!(prediction(0.3, &half).entropy_nats() > PAPER_ENTROPY_UNSURE);
}

#[test]
fn at_the_entropy_threshold_itself_the_paper_still_samples() {
    let split = |bits: u32| {
        let t = f32::from_bits(bits);
        prediction(0.3, &[(0, 0.35), (1, 0.3), (2, 0.15), (3, 0.1), (4, t), (5, 0.1 - t)])
    };
    let entropy = |bits| split(bits).entropy_nats();
    let (mut low, mut high) = (0.001_f32.to_bits(), 0.05_f32.to_bits());
    while high - low > 1 {
        let middle = low.midpoint(high);
        if entropy(middle) < PAPER_ENTROPY_UNSURE { low = middle } else { high = middle }
    }
    let exact = (low - 2000..low + 2000).find(|bits| entropy(*bits) == PAPER_ENTROPY_UNSURE);
    let exact = split(exact.unwrap());
    assert_eq!(run(CorrectionMode::Paper, &exact, KEY).regime, Regime::PaperNoise);
}

/// The published rule once more, written as plainly as possible and in f64.
fn plain_paper(p: &Prediction, key: (u64, FrameId)) -> f64 {
    let probs: Vec<f64> = p.probs().iter().map(|v| f64::from(*v)).collect();
    let r = f64::from(p.regression());
    let mut k = 0;
    let mut h = 0.0;
    for i in 0..11 {
        if probs[i] > probs[k] {
            k = i;
        }
        h -= probs[i] * (probs[i] + 1e-8).ln();
    }
    let m = probs[k];
    let edges: Vec<f64> = (0..12).map(|i| -1.0 + 2.0 * f64::from(i) / 11.0).collect();
    let b = edges.iter().filter(|e| r >= **e).count() as i64 - 1;
    let mut rng = CounterRng::new(key.0, key.1.0);
    let mut total = 0.0;
    if m >= f64::from(0.9_f32) && (b - k as i64).abs() <= 1 || m < 0.5 && h > 1.5 {
        return r.clamp(-1.0, 1.0);
    } else if m >= f64::from(0.9_f32) {
        for _ in 0..10 {
            total += edges[k] + (edges[k + 1] - edges[k]) * rng.uniform();
        }
    } else {
        let mean = probs.iter().sum::<f64>() / 11.0;
        let var = probs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 11.0;
        for _ in 0..10 {
            total += r + var.sqrt() * rng.normal();
        }
    }
    (total / 10.0).clamp(-1.0, 1.0)
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn paper_is_the_published_rule(p in any_prediction(), seed: u64, id: u64) {
        let key = (seed, FrameId(id));
        let c = run(CorrectionMode::Paper, &p, key);
        prop_assert!((f64::from(c.steer) - plain_paper(&p, key)).abs() < 1e-5, "{c:?}");
        prop_assert_eq!(c.confidence, p.confidence());
        prop_assert_eq!(c, run(CorrectionMode::Paper, &p, key));
    }

    #[test]
    fn every_mode_gives_a_steer_in_range(p in any_prediction(), engaged: bool) {
        for mode in [CorrectionMode::Off, CorrectionMode::Paper, CorrectionMode::Calibrated] {
            let mut state = CorrectionState { engaged };
            let c = correct(&config(mode), &Calibration::default(), &p, &mut state, KEY);
            prop_assert!(c.steer.abs() <= 1.0 && c.sigma >= 0.0 && c.sigma.is_finite());
            prop_assert!((0.0..=1.0).contains(&c.confidence));
        }
    }

    #[test]
    fn calibrated_never_changes_a_steer_but_says_how_far_to_believe_it(
        p in any_prediction(), before: bool,
    ) {
        let (c, engaged) = calibrated_from(before, &p);
        prop_assert_eq!(c.steer, p.regression().clamp(-1.0, 1.0));
        prop_assert_eq!(c.regime, if engaged { Regime::Slowed } else { Regime::Kept });
        let cal = Calibration::default();
        let sure = cal.regression_sigma;
        let variance = sure * sure + cal.regression_variance_gain * p.class_variance();
        prop_assert!((c.sigma * c.sigma - variance).abs() < 1e-4, "{:?}", c);
    }
}

/// Mean and standard deviation of the steer over many frame ids.
fn moments(p: &Prediction) -> (f64, f64, Vec<f32>) {
    let n = 4000;
    let steers: Vec<f32> =
        (0..n).map(|i| run(CorrectionMode::Paper, p, (3, FrameId(i))).steer).collect();
    let mean = steers.iter().map(|s| f64::from(*s)).sum::<f64>() / n as f64;
    let var = steers.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / n as f64;
    (mean, var.sqrt(), steers)
}

#[test]
fn bin_mean_has_the_moments_of_ten_uniforms() {
    let p = prediction(-0.5, &[(8, 1.0)]);
    let (mean, std, steers) = moments(&p);
    assert!((mean - f64::from(bin_center(8))).abs() < 0.001, "{mean}");
    let expected = f64::from(BIN_WIDTH) / 120.0_f64.sqrt();
    assert!((std / expected - 1.0).abs() < 0.05, "{std} {expected}");
    let (lo, hi) = bin_edges(8);
    assert!(steers.iter().all(|s| (lo..=hi).contains(s)));
    let sigma = run(CorrectionMode::Paper, &p, KEY).sigma;
    assert!((f64::from(sigma) - expected * 10.0_f64.sqrt()).abs() < 1e-6, "of one uniform");
}

#[test]
fn noise_has_the_moments_of_ten_normals() {
    let p = prediction(0.1, &[(5, 0.7), (6, 0.3)]);
    let (mean, std, _) = moments(&p);
    // Population variance of (0.7, 0.3, 0 × 9): 0.58 / 11 − (1 / 11)².
    let sigma = (0.58_f64 / 11.0 - 1.0 / 121.0).sqrt();
    assert!((mean - 0.1).abs() < 0.005, "{mean}");
    assert!((std / (sigma / 10.0_f64.sqrt()) - 1.0).abs() < 0.05, "{std} {sigma}");
    let c = run(CorrectionMode::Paper, &p, KEY);
    assert!((f64::from(c.sigma) - sigma).abs() < 1e-6 && c.regime == Regime::PaperNoise);
}

#[test]
fn hysteresis_engages_below_enter_and_lets_go_above_exit() {
    // The mass is of the class and its neighbours; the rest lies far away.
    let with_mass = |m: f32| prediction(0.0, &[(5, m), (0, 1.0 - m)]);
    let cases = [
        (false, 0.95, false),
        (false, 0.85, false),
        (false, 0.79, true),
        (true, 0.85, true),
        (true, 0.89, true),
        (true, 0.91, false),
    ];
    for (before, mass, after) in cases {
        let (c, engaged) = calibrated_from(before, &with_mass(mass));
        assert_eq!(engaged, after, "mass {mass} from {before}");
        let regime = if after { Regime::Slowed } else { Regime::Kept };
        assert_eq!((c.regime, c.steer), (regime, 0.0));
        assert_eq!(c.speed_cap_mps.is_finite(), after);
        assert!((c.confidence - mass).abs() < 1e-5);
    }
    let exactly = |m| Calibration { mass_enter: m, mass_exit: m, ..Calibration::default() };
    let p = with_mass(0.75);
    let m = p.temperature_scaled(1.0).neighbour_mass();
    for engaged in [false, true] {
        let mut state = CorrectionState { engaged };
        let config = config(CorrectionMode::Calibrated);
        correct(&config, &exactly(m), &p, &mut state, KEY);
        assert_eq!(state.engaged, engaged, "at the thresholds themselves nothing changes");
    }
}

#[test]
fn speed_cap_falls_linearly_from_enter_to_floor() {
    let c = Calibration::default();
    let config = CorrectionConfig { speed_cap_min_mps: 3.0, ..config(CorrectionMode::Calibrated) };
    let cap = |mass| speed_cap(&config, &c, mass);
    for (mass, expected) in [(1.0, 10.0), (0.8, 10.0), (0.55, 6.5), (0.3, 3.0), (0.0, 3.0)] {
        assert!((cap(mass) - expected).abs() < 1e-4, "{mass}: {}", cap(mass));
    }
    let caps: Vec<f32> = (0..=100).map(|i| cap(i as f32 / 100.0)).collect();
    assert!(caps.windows(2).all(|w| w[0] <= w[1]), "monotone");
    let step = Calibration { mass_enter: 0.5, mass_floor: 0.5, ..c };
    for (mass, expected) in [(0.49, 3.0), (0.5, 10.0), (0.51, 10.0)] {
        assert_eq!(speed_cap(&config, &step, mass), expected, "a step where both are equal");
    }
}

#[test]
fn the_spread_of_the_classes_widens_the_doubt_by_the_cards_gain() {
    let cal = Calibration {
        regression_sigma: 0.2,
        regression_variance_gain: 2.0,
        ..Calibration::default()
    };
    // Four neighbouring classes: variance 1.25 bins².
    let p = prediction(0.4, &[(4, 0.25), (5, 0.25), (6, 0.25), (7, 0.25)]);
    let variance = 1.25 * 4.0 / 121.0;
    for mass_enter in [0.0, 1.0] {
        let cal = Calibration { mass_enter, mass_exit: 1.0, ..cal };
        let mut state = CorrectionState::default();
        let c = correct(&config(CorrectionMode::Calibrated), &cal, &p, &mut state, KEY);
        assert!((c.sigma - libm::sqrtf(0.04 + 2.0 * variance)).abs() < 1e-5, "{c:?}");
    }
}
