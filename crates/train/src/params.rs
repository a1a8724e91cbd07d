//! A network's learnable values as one flat vector, and the optimiser over it.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use caril_policy::Net;

/// One tensor within the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// First value.
    pub start: usize,
    /// Shape.
    pub dims: Vec<usize>,
}

impl Slot {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Its values within a flat vector.
    pub fn of<'a>(&self, flat: &'a [f32]) -> &'a [f32] {
        &flat[self.start..self.start + self.len()]
    }
}

/// All values of a network in the order of its fields, and where each tensor is.
pub fn flatten(net: &Net) -> (Vec<f32>, Vec<Slot>) {
    let mut visitor = Flatten { values: Vec::new(), slots: Vec::new() };
    net.visit(&mut visitor);
    (visitor.values, visitor.slots)
}

/// The network with other values, on `device`; ready to be differentiated if that is an autodiff
/// one.
pub fn unflatten(net: Net, values: &[f32], device: &Device) -> Net {
    let net = net.map(&mut Unflatten { values, device });
    if device.is_autodiff() { net.train() } else { net }
}

/// Derivatives in the same order; zero where a tensor has none. Such a tensor is a statistic of
/// batch normalisation, updated by the forward pass: its value goes to `values`.
pub fn flatten_gradients(net: &Net, gradients: &Gradients, values: &mut [f32]) -> Vec<f32> {
    let mut visitor = FlattenGradients { gradients, flat: Vec::new(), values };
    net.visit(&mut visitor);
    visitor.flat
}

struct Flatten {
    values: Vec<f32>,
    slots: Vec<Slot>,
}

impl ModuleVisitor for Flatten {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.slots.push(Slot { start: self.values.len(), dims: value.dims().to_vec() });
        let data = value.into_data();
        self.values.extend(data.iter::<f32>());
    }
}

struct Unflatten<'a> {
    values: &'a [f32],
    device: &'a Device,
}

impl ModuleMapper for Unflatten<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let dims: [usize; D] = old.dims();
            let count = dims.iter().product::<usize>().min(self.values.len());
            let (head, tail) = self.values.split_at(count);
            self.values = tail;
            Tensor::from_data(TensorData::new(head.to_vec(), dims), self.device)
        })
    }
}

struct FlattenGradients<'a> {
    gradients: &'a Gradients,
    flat: Vec<f32>,
    values: &'a mut [f32],
}

impl ModuleVisitor for FlattenGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if let Some(grad) = value.grad(self.gradients) {
            self.flat.extend(grad.into_data().iter::<f32>());
            return;
        }
        let start = self.flat.len();
        for (v, new) in self.values[start..].iter_mut().zip(value.into_data().iter::<f32>()) {
            *v = new;
            self.flat.push(0.0);
        }
    }
}

/// Adam with decoupled weight decay and an exponential moving average of the values.
#[derive(Debug, Clone)]
pub struct AdamW {
    first: Vec<f32>,
    second: Vec<f32>,
    average: Vec<f32>,
    decays: Vec<bool>,
    step: u64,
    weight_decay: f32,
    average_decay: f32,
}

impl AdamW {
    /// For values laid out by `slots`; only matrices and kernels decay.
    pub fn new(values: &[f32], slots: &[Slot], weight_decay: f32, average_decay: f32) -> Self {
        let decays =
            slots.iter().flat_map(|s| std::iter::repeat_n(s.dims.len() > 1, s.len())).collect();
        Self {
            first: vec![0.0; values.len()],
            second: vec![0.0; values.len()],
            average: values.to_vec(),
            decays,
            step: 0,
            weight_decay,
            average_decay,
        }
    }

    /// One step against `gradient`, which is scaled down to `clip_norm` first if it is longer.
    /// Returns the norm before that.
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], lr: f32, clip_norm: f32) -> f32 {
        const BETA: (f32, f32) = (0.9, 0.99);
        self.step += 1;
        let square: f64 = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
        let norm = square.sqrt() as f32;
        let scale = if norm > clip_norm { clip_norm / norm } else { 1.0 };
        let t = self.step as f64;
        let correct = |beta: f32| (1.0 - libm::pow(f64::from(beta), t)) as f32;
        let (c1, c2) = (correct(BETA.0), correct(BETA.1));
        // A young average forgets faster, or it would remember the random start.
        let keep = self.average_decay.min((1.0 + self.step as f32) / (10.0 + self.step as f32));
        let moments = self.first.iter_mut().zip(&mut self.second).zip(&mut self.average);
        for (((value, g), ((m, v), average)), decays) in
            values.iter_mut().zip(gradient).zip(moments).zip(&self.decays)
        {
            let g = g * scale;
            *m += (1.0 - BETA.0) * (g - *m);
            *v += (1.0 - BETA.1) * (g * g - *v);
            let decay = if *decays { self.weight_decay } else { 0.0 };
            *value -= lr * ((*m / c1) / ((*v / c2).sqrt() + 1e-8) + decay * *value);
            *average += (1.0 - keep) * (*value - *average);
        }
        norm
    }

    /// Moving average of the values: what is evaluated and saved.
    pub fn average(&self) -> &[f32] {
        &self.average
    }
}

/// Learning rate at `step` of `steps`: linear warm-up over 5 % of them (at most 300), then a
/// cosine to a hundredth.
pub fn learning_rate(peak: f32, step: u64, steps: u64) -> f32 {
    let warm_up = (steps / 20).clamp(1, 300);
    if step < warm_up {
        return peak * (step + 1) as f32 / warm_up as f32;
    }
    let x = (step - warm_up) as f64 / (steps.saturating_sub(warm_up)).max(1) as f64;
    let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * x.min(1.0)));
    peak * (0.01 + 0.99 * cosine as f32)
}
