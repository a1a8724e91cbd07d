//! A network over samples: predictions and how good they are.

use burn::prelude::*;
use caril_core::{BIN_COUNT, bin_of};
use caril_policy::{Net, softmax};
use rayon::ThreadPool;

use crate::batch::Batch;
use crate::dataset::Sample;
use crate::loss::Loss;

/// What the network said of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Regression, normalised steer.
    pub regression: f32,
    /// Before softmax.
    pub logits: [f32; BIN_COUNT],
    /// The expert's normalised steer.
    pub steer: f32,
    /// Speed, m/s.
    pub speed_mps: f32,
}

impl Predicted {
    /// Probabilities at a temperature.
    pub fn probs(&self, temperature: f32) -> [f32; BIN_COUNT] {
        softmax(self.logits.map(|l| l / temperature))
    }

    fn argmax(&self) -> usize {
        let best = |a: (usize, f32), b: (usize, &f32)| if *b.1 > a.1 { (b.0, *b.1) } else { a };
        self.logits.iter().enumerate().fold((0, f32::NEG_INFINITY), best).0
    }
}

/// Offline quality. Steers on the normalised scale; a turn is |expert steer| > 0.2.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Quality {
    /// Samples.
    pub frames: usize,
    /// Mean loss.
    pub loss: f32,
    /// Mean absolute error of the regression.
    pub mae: f32,
    /// The same where the expert drives straight on.
    pub mae_straight: f32,
    /// The same in turns.
    pub mae_turn: f32,
    /// Share of turns.
    pub turn_share: f32,
    /// Class accuracy.
    pub accuracy: f32,
    /// Class accuracy, neighbouring classes counted as right.
    pub accuracy_within_one: f32,
}

/// Predicts every sample on flex, in order; the work is shared among the pools.
pub fn predict(
    net: &Net,
    samples: &[&Sample],
    input: &caril_core::InputSpec,
    speed_scale_mps: f32,
    pools: &[ThreadPool],
) -> Vec<Predicted> {
    predict_on(&Device::flex(), net, samples, input, speed_scale_mps, pools)
}

/// [`predict`] with a network that is on `device`.
pub fn predict_on(
    device: &Device,
    net: &Net,
    samples: &[&Sample],
    input: &caril_core::InputSpec,
    speed_scale_mps: f32,
    pools: &[ThreadPool],
) -> Vec<Predicted> {
    const CHUNK: usize = 16;
    let share = samples.len().div_ceil(pools.len().max(1)).next_multiple_of(CHUNK);
    let mut parts: Vec<Vec<Predicted>> = vec![Vec::new(); pools.len()];
    std::thread::scope(|scope| {
        for ((part, samples), pool) in parts.iter_mut().zip(samples.chunks(share.max(1))).zip(pools)
        {
            let net = net.clone();
            scope.spawn(move || {
                *part = pool.install(|| {
                    samples
                        .chunks(CHUNK)
                        .flat_map(|c| predict_chunk(device, &net, c, input, speed_scale_mps))
                        .collect()
                });
            });
        }
    });
    parts.concat()
}

fn predict_chunk(
    device: &Device,
    net: &Net,
    samples: &[&Sample],
    input: &caril_core::InputSpec,
    speed_scale_mps: f32,
) -> Vec<Predicted> {
    let mut batch = Batch::new(*input);
    samples.iter().for_each(|s| batch.push(s, speed_scale_mps));
    let out = net.forward(batch.to_net_input(device));
    let values = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap_or_default();
    let (regression, logits) = (values(out.regression), values(out.logits));
    let (rows, _) = logits.as_chunks::<BIN_COUNT>();
    regression
        .iter()
        .zip(rows)
        .zip(samples)
        .map(|((r, l), s)| Predicted {
            regression: *r,
            logits: *l,
            steer: s.steer,
            speed_mps: s.speed_mps,
        })
        .collect()
}

/// Measures predictions.
pub fn quality(predicted: &[Predicted], loss: &Loss) -> Quality {
    let n = predicted.len().max(1) as f32;
    let (mut total, mut turn, mut turns) = ([0.0f64; 2], 0.0f64, 0usize);
    let (mut right, mut near) = (0usize, 0usize);
    for p in predicted {
        let error = f64::from((p.regression - p.steer).abs());
        total[0] += f64::from(loss.of(p.regression, p.logits, p.steer).loss);
        total[1] += error;
        if p.steer.abs() > 0.2 {
            turn += error;
            turns += 1;
        }
        let distance = bin_of(p.steer).unwrap_or(0).abs_diff(p.argmax());
        right += usize::from(distance == 0);
        near += usize::from(distance <= 1);
    }
    let straight = predicted.len() - turns;
    Quality {
        frames: predicted.len(),
        loss: total[0] as f32 / n,
        mae: total[1] as f32 / n,
        mae_straight: (total[1] - turn) as f32 / straight.max(1) as f32,
        mae_turn: turn as f32 / turns.max(1) as f32,
        turn_share: turns as f32 / n,
        accuracy: right as f32 / n,
        accuracy_within_one: near as f32 / n,
    }
}
