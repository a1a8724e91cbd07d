//! Tests of the measures, the temperature and the centre.

use super::*;
use crate::CounterRng;

fn one_hot(k: usize) -> [f32; BIN_COUNT] {
    let mut p = [0.0; BIN_COUNT];
    p[k] = 1.0;
    p
}

#[test]
fn refuses_what_is_no_distribution() {
    assert_eq!(Prediction::new(f32::NAN, one_hot(5)), Err(PredictionError::NonFinite));
    assert_eq!(Prediction::new(0.0, [0.0; BIN_COUNT]), Err(PredictionError::Malformed));
    assert_eq!(Prediction::new(17.0, one_hot(5)), Err(PredictionError::Malformed));
    let mut p = one_hot(3);
    p[3] = 2.0;
    p[4] = -1.0;
    assert_eq!(Prediction::new(0.0, p), Err(PredictionError::Malformed));
}

#[test]
fn measures_of_a_sure_and_an_unsure_prediction() {
    let sure = Prediction::new(0.1, one_hot(7)).unwrap();
    assert_eq!((sure.argmax(), sure.confidence(), sure.neighbour_mass()), (7, 1.0, 1.0));
    assert!(sure.entropy_nats().abs() < 1e-6);
    assert!(sure.class_variance() < 1e-6);
    let unsure = Prediction::new(0.1, [1.0 / 11.0; BIN_COUNT]).unwrap();
    assert!((unsure.entropy_nats() - libm::logf(11.0)).abs() < 1e-4);
    assert!((unsure.neighbour_mass() - 2.0 / 11.0).abs() < 1e-6, "argmax 0 has one neighbour");
}

fn prediction(regression: f32, weights: &[(usize, f32)]) -> Prediction {
    let mut probs = [0.0; BIN_COUNT];
    for (k, p) in weights {
        probs[*k] = *p;
    }
    Prediction::new(regression, probs).unwrap()
}

/// From nearly flat to nearly sure.
fn any_prediction(seed: u64) -> Prediction {
    let mut rng = CounterRng::new(seed, 11);
    let sharp = rng.range(0.1, 12.0);
    let weights: [f32; BIN_COUNT] =
        core::array::from_fn(|_| (libm::pow(rng.uniform(), sharp) + 1e-6) as f32);
    let sum: f32 = weights.iter().sum();
    Prediction::new(rng.range(-2.0, 2.0) as f32, weights.map(|w| w / sum)).unwrap()
}

#[test]
fn temperature_one_changes_nothing_and_others_keep_the_order() {
    for seed in 0..500 {
        let p = any_prediction(seed);
        let same = p.temperature_scaled(1.0);
        for (a, b) in p.probs().iter().zip(same.probs()) {
            assert!((a - b).abs() < 1e-5);
        }
        let t = CounterRng::new(seed, 12).range(0.2, 5.0) as f32;
        let scaled = p.temperature_scaled(t);
        assert_eq!(scaled.argmax(), p.argmax());
        assert_eq!(scaled.regression(), p.regression());
        if t > 1.01 {
            assert!(scaled.confidence() <= p.confidence() + 1e-6);
        } else if t < 0.99 {
            assert!(scaled.confidence() >= p.confidence() - 1e-6);
        }
    }
}

#[test]
fn temperature_sharpens_and_flattens_as_powers() {
    let p = prediction(0.2, &[(3, 0.2), (4, 0.8)]);
    let half = p.temperature_scaled(2.0);
    // √0.8 / (√0.8 + √0.2) = 2/3
    assert!((half.confidence() - 2.0 / 3.0).abs() < 1e-6, "{half:?}");
    assert_eq!(half.probs()[0], 0.0, "what is impossible stays impossible");
    let sharp = p.temperature_scaled(0.5);
    assert!((sharp.confidence() - 16.0 / 17.0).abs() < 1e-6);
    assert_eq!(p.temperature_scaled(f32::NAN), p, "nonsense changes nothing");
    let tiny = prediction(0.0, &[(5, 1.0), (6, 1e-38)]);
    assert!((tiny.temperature_scaled(100.0).class_mean()).is_finite());
}

#[test]
fn mean_of_the_mirror_is_the_mirrored_mean() {
    for seed in 0..500 {
        let p = any_prediction(seed);
        let mut probs = *p.probs();
        probs.reverse();
        let mirror = Prediction::new(-p.regression(), probs).unwrap();
        assert!((p.class_mean() + mirror.class_mean()).abs() < 1e-5);
    }
}
