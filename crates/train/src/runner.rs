//! What runs a pack over samples: Burn on any of its devices, or something that is not Burn.

use std::sync::Mutex;

use burn::prelude::Device;
use caril_core::{BIN_COUNT, InputSpec, Prediction};
use caril_policy::{Net, branch_of, rgb_to_input};
use rayon::ThreadPool;

use crate::dataset::Sample;
use crate::evaluate::{Predicted, predict_on};

/// Predicts one normalised image `[3][height][width]`, with the normalised speed and the branch of
/// the command. `None` where it fails.
pub type PredictOne = dyn FnMut(&[f32], f32, usize) -> Option<Prediction> + Send;

/// What runs a pack's network.
pub enum Runner {
    /// Burn, on this device.
    Burn(Device),
    /// Anything else that has loaded the same pack, one sample after the other.
    One(Mutex<Box<PredictOne>>),
}

impl Runner {
    /// Burn's flex.
    pub fn flex() -> Self {
        Self::Burn(Device::flex())
    }

    /// Anything that predicts one image.
    pub fn one(
        predict: impl FnMut(&[f32], f32, usize) -> Option<Prediction> + Send + 'static,
    ) -> Self {
        Self::One(Mutex::new(Box::new(predict)))
    }

    /// Where the pack's network has to be for [`Self::predict`].
    pub fn device(&self) -> Device {
        match self {
            Self::Burn(device) => device.clone(),
            Self::One(_) => Device::flex(),
        }
    }

    /// Predicts every sample, in order. Where it failed, what it says is not a number.
    pub fn predict(
        &self,
        net: &Net,
        samples: &[&Sample],
        input: &InputSpec,
        speed_scale_mps: f32,
        pools: &[ThreadPool],
    ) -> Vec<Predicted> {
        match self {
            Self::Burn(device) => {
                // One queue of work at a time: other devices than flex have threads of their own.
                let alone = *device != Device::flex();
                let pools = if alone { pools.get(..1).unwrap_or(pools) } else { pools };
                predict_on(device, net, samples, input, speed_scale_mps, pools)
            }
            Self::One(one) => {
                let mut one = one.lock().unwrap_or_else(|e| e.into_inner());
                let mut image = vec![0.0; (3 * input.width * input.height) as usize];
                samples
                    .iter()
                    .map(|s| {
                        let said = rgb_to_input(input, &s.rgb, &mut image).and_then(|()| {
                            one(&image, s.speed_mps / speed_scale_mps, branch_of(s.nav))
                        });
                        let regression = said.map_or(f32::NAN, |p| p.regression());
                        let logits = said.map_or([f32::NAN; BIN_COUNT], |p| logits(p.probs()));
                        Predicted { regression, logits, steer: s.steer, speed_mps: s.speed_mps }
                    })
                    .collect()
            }
        }
    }
}

/// Logits with these probabilities: a softmax forgets what is added to all of them. Exponents that
/// left f32 come back as the least one.
fn logits(probs: &[f32; BIN_COUNT]) -> [f32; BIN_COUNT] {
    probs.map(|p| libm::logf(p.max(f32::MIN_POSITIVE)))
}

#[cfg(test)]
mod tests {
    use caril_core::{Architecture, BRANCHES, softmax};

    use super::*;
    use crate::{synthetic, worker_pools};

    #[test]
    fn logits_give_their_probabilities_at_every_temperature() {
        let raw: [f32; BIN_COUNT] = std::array::from_fn(|i| 7.0 - 3.0 * i as f32);
        let back = logits(&softmax(raw));
        for temperature in [0.5, 1.0, 3.0] {
            let want = softmax(raw.map(|l| l / temperature));
            for (got, want) in softmax(back.map(|l| l / temperature)).iter().zip(want) {
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
        }
    }

    #[test]
    fn one_by_one_is_as_good_as_burn_and_failures_are_no_numbers() {
        let input = InputSpec { width: 48, height: 40, ..Architecture::PilotNet.default_input() };
        let net = Net::new(Architecture::PilotNet, &input, 3, &Device::flex());
        let data = synthetic(input, 1, 5, 1);
        let samples: Vec<&Sample> = data.drives.iter().flat_map(|d| &d.samples).collect();
        let pools = worker_pools(1).unwrap();
        let want = Runner::flex().predict(&net, &samples, &input, 10.0, &pools);
        let known = want.clone();
        let mut turn = 0;
        let one = Runner::one(move |image, speed, branch| {
            assert_eq!(image.len(), 3 * 48 * 40);
            assert!(speed.is_finite() && branch < BRANCHES);
            let said = known[turn];
            turn += 1;
            (turn != 2).then(|| Prediction::new(said.regression, said.probs(1.0)).unwrap())
        });
        let got = one.predict(&net, &samples, &input, 10.0, &pools);
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!((got.steer, got.speed_mps), (want.steer, want.speed_mps));
            if i == 1 {
                assert!(got.regression.is_nan() && got.logits.iter().all(|l| l.is_nan()));
                continue;
            }
            assert_eq!(got.regression, want.regression);
            for (got, want) in got.probs(2.0).iter().zip(want.probs(2.0)) {
                assert!((got - want).abs() < 1e-6);
            }
        }
    }
}
