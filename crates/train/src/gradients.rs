//! Where gradients come from: PilotNet's written-out pass on all workers, or Burn's automatic
//! differentiation on any device.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::prelude::*;
use caril_policy::net::ResNet50;
use caril_policy::{Net, NetOutput};
use rayon::ThreadPool;

use crate::batch::Batch;
use crate::features;
use crate::loss::Loss;
use crate::options::Freeze;
use crate::params::{Slot, flatten_gradients, unflatten};
use crate::pilot::{Gradient, Weights};

/// Samples per piece of PilotNet's work. Fixed, so that sums are made in the same order for any
/// number of threads; small enough for its memory to be used again from piece to piece.
const CHUNK: usize = 8;

/// A network's gradients.
#[derive(Debug)]
pub struct Gradients {
    net: Net,
    slots: Vec<Slot>,
    size: (usize, usize),
    freeze: Freeze,
    seed: u64,
    device: Device,
}

impl Gradients {
    /// Of `net` for pictures of `size` (width, height), computed on `device`; dropout draws from
    /// `seed` and the step.
    pub fn new(
        net: Net,
        (values, slots): (&[f32], Vec<Slot>),
        size: (usize, usize),
        freeze: Freeze,
        seed: u64,
        device: Device,
    ) -> Self {
        let net = unflatten(net, values, &device);
        Self { net, slots, size, freeze, seed, device }
    }

    /// Samples per piece in which [`Gradients::gradient`] wants a batch of `batch`.
    pub fn chunk(&self, batch: usize) -> usize {
        if self.is_written_out() { CHUNK } else { batch }
    }

    fn is_written_out(&self) -> bool {
        matches!(self.net, Net::PilotNet(_)) && self.device == Device::flex()
    }

    /// The network with these values on the same device, for prediction.
    pub fn net(&self, values: &[f32]) -> Net {
        unflatten(self.net.clone(), values, &self.device)
    }

    /// Mean loss of the batch of step `step` and its derivatives. Updates the statistics of batch
    /// normalisation in `values`.
    pub fn gradient(
        &self,
        values: &mut [f32],
        chunks: &[Batch],
        step: u64,
        loss: &Loss,
        pools: &[ThreadPool],
    ) -> (f32, Vec<f32>) {
        let batch: usize = chunks.iter().map(Batch::len).sum();
        if !self.is_written_out() {
            let Some(batch) = chunks.first() else { return (f32::NAN, Vec::new()) };
            // Dropout draws from the process's generator.
            let _drawing = caril_policy::net::generator();
            self.device.seed(self.seed.wrapping_add(step));
            return autodiff_gradient(&self.device, &self.net, values, batch, loss, self.freeze);
        }
        let weights = Weights::new(values, &self.slots, self.size.0, self.size.1);
        let next = AtomicUsize::new(0);
        let mut parts: Vec<Vec<(usize, Gradient)>> = vec![Vec::new(); pools.len()];
        std::thread::scope(|scope| {
            for (part, pool) in parts.iter_mut().zip(pools) {
                let (weights, next) = (weights.clone(), &next);
                scope.spawn(move || {
                    pool.install(|| {
                        loop {
                            // Whoever is free takes the next piece; each piece's result is the
                            // same whoever computes it.
                            let i = next.fetch_add(1, Ordering::Relaxed);
                            let Some(chunk) = chunks.get(i) else { break };
                            part.push((i, weights.gradient(chunk, loss)));
                        }
                    });
                });
            }
        });
        // Summed in the order of pieces.
        let mut parts = parts.concat();
        parts.sort_by_key(|(i, _)| *i);
        let mut parts = parts.into_iter().map(|(_, gradient)| gradient);
        let Some(mut sum) = parts.next() else { return (f32::NAN, Vec::new()) };
        parts.for_each(|part| sum.add(&part));
        let scale = 1.0 / batch as f32;
        (sum.loss as f32 * scale, weights.flat_gradient(&sum, scale))
    }
}

/// Whether a tensor stays as it is.
pub fn is_frozen(freeze: Freeze, slot: &Slot) -> bool {
    match freeze {
        Freeze::None => false,
        Freeze::Backbone => !slot.name.contains("heads."),
        Freeze::Paper => ResNet50::is_paper_frozen(&slot.name),
    }
}

/// By Burn's automatic differentiation on `device`: for the backbones that have no pass of their own,
/// for other devices, and to check the pass that is written out. Mean loss over the batch and its derivatives; updates the statistics of
/// batch normalisation in `values`.
pub fn autodiff_gradient(
    device: &Device,
    net: &Net,
    values: &mut [f32],
    batch: &Batch,
    loss: &Loss,
    freeze: Freeze,
) -> (f32, Vec<f32>) {
    let plain = device;
    let device = plain.clone().autodiff();
    let out_of = |trained: &Net| -> NetOutput {
        match (trained, net) {
            // What is frozen is computed outside of the differentiation, in inference mode. Its
            // values in `net` are those in `values`: they never change.
            (Net::ResNet50(trained), Net::ResNet50(frozen)) if freeze == Freeze::Paper => {
                let image = batch.to_net_input(plain).image;
                let data = frozen.paper_frozen(image).into_data();
                trained.paper_trained(Tensor::from_data(data, &device))
            }
            _ => {
                if !batch.features.is_empty() {
                    let shape = [batch.len(), batch.features.len() / batch.len().max(1)];
                    let data = TensorData::new(batch.features.clone(), shape);
                    if let Some(out) = features::heads(trained, Tensor::from_data(data, &device)) {
                        return out;
                    }
                }
                trained.forward(batch.to_net_input(&device))
            }
        }
    };
    let net = unflatten(net.clone(), values, &device);
    let out = out_of(&net);
    let get =
        |t: &Tensor<2>| t.clone().inner().into_data().try_into_vec::<f32>().unwrap_or_default();
    let (regression, logits) = (get(&out.regression), get(&out.logits));
    let scale = 1.0 / batch.len() as f32;
    let (mut sum, mut d_regression, mut d_logits) = (0.0, Vec::new(), Vec::new());
    let (rows, _) = logits.as_chunks();
    let targets = batch.steer.iter().zip(&batch.class_steer);
    for ((r, l), (steer, class)) in regression.iter().zip(rows).zip(targets) {
        let o = loss.of_targets(*r, *l, *steer, *class);
        sum += o.loss * scale;
        d_regression.push(o.d_regression * scale);
        d_logits.extend(o.d_logits.map(|d| d * scale));
    }
    // A sum whose derivatives by the outputs are those of the loss.
    let constant = |values: Vec<f32>, like: &Tensor<2>| {
        Tensor::<2>::from_data(TensorData::new(values, like.dims()), &device)
    };
    let surrogate = (out.regression.clone() * constant(d_regression, &out.regression)).sum()
        + (out.logits.clone() * constant(d_logits, &out.logits)).sum();
    let gradients = surrogate.backward();
    (sum, flatten_gradients(&net, &gradients, values))
}
