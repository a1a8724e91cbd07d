//! Frozen backbones: features of every sample, computed once.

use burn::prelude::*;
use caril_core::{BIN_COUNT, InputSpec};
use caril_policy::{Net, NetOutput};
use rayon::ThreadPool;

use crate::batch::Batch;
use crate::dataset::Sample;
use crate::evaluate::Predicted;

const CHUNK: usize = 8;

/// Features of samples, as they are and in the mirror.
#[derive(Debug, Clone, Default)]
pub struct FeatureTable {
    width: usize,
    plain: Vec<f32>,
    mirrored: Vec<f32>,
}

impl FeatureTable {
    /// Features of one sample. Those of the mirror are empty if they were not asked for.
    pub fn of(&self, index: usize, mirrored: bool) -> &[f32] {
        let rows = if mirrored { &self.mirrored } else { &self.plain };
        rows.get(index * self.width..(index + 1) * self.width).unwrap_or_default()
    }

    /// Of every sample, shared among the pools. `None` if the network has no such features.
    pub fn new(
        net: &Net,
        samples: &[&Sample],
        input: &InputSpec,
        mirrored: bool,
        pools: &[ThreadPool],
    ) -> Option<Self> {
        if !can_freeze(net) {
            return None;
        }
        let plain = compute(net, samples, input, false, pools);
        let width = plain.len() / samples.len().max(1);
        let mirrored =
            if mirrored { compute(net, samples, input, true, pools) } else { Vec::new() };
        Some(Self { width, plain, mirrored })
    }

    /// What the heads say of every sample: the same as the whole network.
    pub fn predict(&self, net: &Net, samples: &[&Sample]) -> Vec<Predicted> {
        let device = Device::flex();
        let values = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap_or_default();
        let mut predicted = Vec::with_capacity(samples.len());
        for (chunk, rows) in samples.chunks(256).zip(self.plain.chunks(256 * self.width.max(1))) {
            let features = TensorData::new(rows.to_vec(), [chunk.len(), self.width]);
            let Some(out) = heads(net, Tensor::from_data(features, &device)) else { break };
            let (regression, logits) = (values(out.regression), values(out.logits));
            let (logits, _) = logits.as_chunks::<BIN_COUNT>();
            for ((sample, regression), logits) in chunk.iter().zip(regression).zip(logits) {
                let (steer, speed_mps) = (sample.steer, sample.speed_mps);
                predicted.push(Predicted { regression, logits: *logits, steer, speed_mps });
            }
        }
        predicted
    }
}

/// Whether the network's backbone gives features that do not depend on speed or command.
pub const fn can_freeze(net: &Net) -> bool {
    !matches!(net, Net::PilotNet(_))
}

/// From features to the two heads; `None` for PilotNet.
pub fn heads(net: &Net, features: Tensor<2>) -> Option<NetOutput> {
    match net {
        Net::PilotNet(_) => None,
        Net::EfficientNetLite0(net) => Some(net.heads(features)),
        Net::ResNet50(net) => Some(net.heads(features)),
    }
}

fn compute(
    net: &Net,
    samples: &[&Sample],
    input: &InputSpec,
    mirrored: bool,
    pools: &[ThreadPool],
) -> Vec<f32> {
    let share = samples.len().div_ceil(pools.len().max(1)).next_multiple_of(CHUNK).max(CHUNK);
    let mut parts: Vec<Vec<f32>> = vec![Vec::new(); pools.len()];
    std::thread::scope(|scope| {
        for ((part, samples), pool) in parts.iter_mut().zip(samples.chunks(share)).zip(pools) {
            let net = net.clone();
            scope.spawn(move || {
                let chunk = |chunk: &[&Sample]| {
                    let mut batch = Batch::new(*input);
                    for sample in chunk {
                        if mirrored {
                            batch.push(&sample.mirrored(input.width as usize), 1.0);
                        } else {
                            batch.push(sample, 1.0);
                        }
                    }
                    let image = batch.to_net_input(&Device::flex()).image;
                    let features = match &net {
                        Net::PilotNet(_) => return Vec::new(),
                        Net::EfficientNetLite0(net) => net.features(image),
                        Net::ResNet50(net) => net.features(image),
                    };
                    features.into_data().try_into_vec::<f32>().unwrap_or_default()
                };
                *part = pool.install(|| samples.chunks(CHUNK).flat_map(chunk).collect());
            });
        }
    });
    parts.concat()
}
