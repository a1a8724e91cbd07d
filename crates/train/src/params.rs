//! A network's learnable values as one flat vector, and the optimiser over it.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use caril_policy::Net;

/// One tensor within the flat vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Path of the tensor's field in the network.
    pub name: String,
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
    let mut visitor = Flatten { values: Vec::new(), slots: Vec::new(), path: Vec::new() };
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
    path: Vec<String>,
}

impl ModuleVisitor for Flatten {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let (name, start) = (self.path.join("."), self.values.len());
        self.slots.push(Slot { name, start, dims: value.dims().to_vec() });
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
