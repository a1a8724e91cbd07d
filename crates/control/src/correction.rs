//! Correction: from what the network says to what is wanted, with a measure of doubt.
//!
//! Steers here are on the network's normalised scale [−1, 1].

use caril_core::{
    BIN_COUNT, BIN_WIDTH, Calibration, Correction, CorrectionConfig, CorrectionMode, CounterRng,
    FrameId, Prediction, Regime, bin_edges,
};

use crate::bounded;

/// Paper: at or above this highest probability the class head is sure.
pub const PAPER_SURE: f32 = 0.9;
/// Paper: below this highest probability (with [`PAPER_ENTROPY_UNSURE`]) nothing is known.
pub const PAPER_UNSURE: f32 = 0.5;
/// Paper: above this entropy in nats (with [`PAPER_UNSURE`]) nothing is known.
pub const PAPER_ENTROPY_UNSURE: f32 = 1.5;
/// Paper: so many samples are averaged.
pub const PAPER_SAMPLES: u32 = 10;
/// Memory of the correction: whether mode `calibrated` is engaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CorrectionState {
    /// Engaged since the mass fell below `mass_enter`, until it rises above `mass_exit`.
    pub engaged: bool,
}

/// Corrects one prediction. Pure: the result depends on the arguments alone; `rng_key` is (seed,
/// frame id).
///
/// `config` and `calibration` are expected to be validated; a calibration that is not can give a
/// sigma that is not finite, which the controller refuses.
pub fn correct(
    config: &CorrectionConfig,
    calibration: &Calibration,
    prediction: &Prediction,
    state: &mut CorrectionState,
    rng_key: (u64, FrameId),
) -> Correction {
    let mut correction = match config.mode {
        CorrectionMode::Off => Correction {
            steer: prediction.regression(),
            regime: Regime::Kept,
            speed_cap_mps: f32::INFINITY,
            confidence: prediction.confidence(),
            sigma: calibration.regression_sigma,
        },
        CorrectionMode::Paper => paper(calibration, prediction, rng_key),
        CorrectionMode::Calibrated => calibrated(config, calibration, prediction, state),
    };
    correction.steer = correction.steer.clamp(-1.0, 1.0);
    correction
}

/// The paper's bin of a steer: left-closed (`digitize − 1`), −1 below the lowest edge and
/// [`BIN_COUNT`] from the highest edge on, exactly as published.
pub fn paper_bin(steer: f32) -> i32 {
    let inner = (0..BIN_COUNT).filter(|k| steer >= bin_edges(*k).0).count() as i32;
    let rim = i32::from(steer >= bin_edges(BIN_COUNT).1);
    inner.saturating_add(rim).saturating_sub(1)
}

/// The published rule. Sigma is the standard deviation of the distribution it samples from, or
/// the calibrated one of the regression where that is kept.
fn paper(
    calibration: &Calibration,
    prediction: &Prediction,
    rng_key: (u64, FrameId),
) -> Correction {
    let (r, m, k) = (prediction.regression(), prediction.confidence(), prediction.argmax());
    let mut rng = CounterRng::new(rng_key.0, rng_key.1.0);
    let sure = m >= PAPER_SURE;
    let unsure = m < PAPER_UNSURE && prediction.entropy_nats() > PAPER_ENTROPY_UNSURE;
    let (steer, regime, sigma) = if sure && paper_bin(r).abs_diff(k as i32) <= 1 {
        (r, Regime::Kept, calibration.regression_sigma)
    } else if sure {
        let (lo, hi) = bin_edges(k);
        let mean = sample_mean(|| rng.range(f64::from(lo), f64::from(hi)));
        (mean, Regime::PaperBinMean, BIN_WIDTH / libm::sqrtf(12.0))
    } else if unsure {
        (r, Regime::PaperUnsureKept, calibration.regression_sigma)
    } else {
        let sigma = libm::sqrtf(population_variance(prediction.probs()));
        let mean = sample_mean(|| f64::from(r) + f64::from(sigma) * rng.normal());
        (mean, Regime::PaperNoise, sigma)
    };
    Correction { steer, regime, speed_cap_mps: f32::INFINITY, confidence: m, sigma }
}

fn sample_mean(mut sample: impl FnMut() -> f64) -> f32 {
    ((0..PAPER_SAMPLES).map(|_| sample()).sum::<f64>() / f64::from(PAPER_SAMPLES)) as f32
}

/// Variance of the eleven probabilities themselves (not of the steer they stand for), as the
/// paper has it.
fn population_variance(probs: &[f32; BIN_COUNT]) -> f32 {
    let n = BIN_COUNT as f32;
    let mean = probs.iter().sum::<f32>() / n;
    let square = |d: f32| d * d;
    probs.iter().map(|p| square(p - mean)).sum::<f32>() / n
}

fn calibrated(
    config: &CorrectionConfig,
    calibration: &Calibration,
    prediction: &Prediction,
    state: &mut CorrectionState,
) -> Correction {
    let scaled = prediction.temperature_scaled(calibration.temperature);
    let mass = scaled.neighbour_mass();
    state.engaged =
        if state.engaged { mass <= calibration.mass_exit } else { mass < calibration.mass_enter };

    let r = prediction.regression();
    let sure = calibration.regression_sigma;
    let gain = calibration.regression_variance_gain;
    let sigma = libm::sqrtf(sure * sure + gain * scaled.class_variance());
    if !state.engaged {
        return Correction {
            steer: r,
            regime: Regime::Kept,
            speed_cap_mps: f32::INFINITY,
            confidence: mass,
            sigma,
        };
    }
    Correction {
        steer: r,
        regime: Regime::Slowed,
        speed_cap_mps: speed_cap(config, calibration, mass),
        confidence: mass,
        sigma,
    }
}

/// Highest cap at and above `mass_enter`, lowest at and below `mass_floor`, linear between.
fn speed_cap(config: &CorrectionConfig, calibration: &Calibration, mass: f32) -> f32 {
    let (floor, enter) = (calibration.mass_floor, calibration.mass_enter);
    // Floor and enter may be equal: then the quotient is infinite, or 0/0, which is no doubt.
    let doubt = bounded((enter - mass) / (enter - floor), 0.0, 1.0);
    config.speed_cap_max_mps + doubt * (config.speed_cap_min_mps - config.speed_cap_max_mps)
}

#[cfg(test)]
mod tests;
