//! The three backbones as programs.

mod efficientnet;
mod pilotnet;
mod resnet;

use std::collections::BTreeMap;

use caril_core::{Architecture, BIN_COUNT, InputSpec};

use crate::bpk::Tensor;
use crate::build::{Activation, Builder, Layer, Map, Pad, Watched};
use crate::kernel::{Isa, LANES, Op};
use crate::tensors::{Matrix, Tensors};

/// A network's operations and where its inputs and outputs are.
#[derive(Debug)]
pub struct Net {
    /// In order.
    pub ops: Vec<Op>,
    /// The same as layers, if it was only described.
    pub layers: Vec<Layer>,
    /// Which operations could read bytes.
    pub watched: Vec<Watched>,
    /// Values of the arena.
    pub len: usize,
    /// Where the image goes.
    pub image: Map,
    /// Where the normalised speed goes, if it is an input.
    pub speed: Option<usize>,
    /// Where the logits are, [`BIN_COUNT`] of them, and the regression after them.
    pub output: usize,
}

/// Describes one architecture for an input of `[height, width]` pixels.
type Build = fn([usize; 2], &mut Tensors, Builder) -> Result<Net, String>;

impl Net {
    /// Describes the network of an architecture with the tensors of a file.
    ///
    /// # Errors
    /// The first tensor that does not fit.
    pub fn new(
        architecture: Architecture,
        input: &InputSpec,
        all: BTreeMap<String, Tensor>,
        isa: Isa,
    ) -> Result<Self, String> {
        let (prefix, build) = backbone(architecture);
        let mut tensors = Tensors::new(all, prefix);
        let net = build(sides(input), &mut tensors, Builder::new(isa))?;
        tensors.finish()?;
        Ok(net)
    }

    /// Like [`Self::new`] with convolutions that read bytes.
    ///
    /// # Errors
    /// As [`Self::new`], and if there is not one range for each of them.
    pub fn with_bytes(
        architecture: Architecture,
        input: &InputSpec,
        all: BTreeMap<String, Tensor>,
        isa: Isa,
        ranges: Vec<[f32; 2]>,
    ) -> Result<Self, String> {
        let (prefix, build) = backbone(architecture);
        let mut tensors = Tensors::new(all, prefix);
        let found = ranges.len();
        let net = build(sides(input), &mut tensors, Builder::with_bytes(isa, ranges))?;
        tensors.finish()?;
        match net.watched.len() {
            expected if expected == found => Ok(net),
            expected => Err(format!("expected {expected} ranges of activations, found {found}")),
        }
    }

    /// Its layers, without operations.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn describe(
        architecture: Architecture,
        input: &InputSpec,
        all: BTreeMap<String, Tensor>,
    ) -> Result<Self, String> {
        let (prefix, build) = backbone(architecture);
        let mut tensors = Tensors::new(all, prefix);
        let net = build(sides(input), &mut tensors, Builder::describing())?;
        tensors.finish()?;
        Ok(net)
    }

    /// Tensors of the right names and shapes with random values.
    ///
    /// # Errors
    /// If the input is too small for the architecture.
    pub fn invent(
        architecture: Architecture,
        input: &InputSpec,
        seed: u64,
    ) -> Result<BTreeMap<String, Tensor>, String> {
        let (prefix, build) = backbone(architecture);
        let mut tensors = Tensors::inventing(prefix, seed);
        build(sides(input), &mut tensors, Builder::describing())?;
        Ok(tensors.invented())
    }
}

fn sides(input: &InputSpec) -> [usize; 2] {
    [input.height as usize, input.width as usize]
}

/// What its tensors' names begin with, and its description.
fn backbone(architecture: Architecture) -> (&'static str, Build) {
    match architecture {
        Architecture::PilotNet => ("PilotNet", pilotnet::build),
        Architecture::EfficientNetLite0 => ("EfficientNetLite0", efficientnet::build),
        Architecture::ResNet50 => ("ResNet50", resnet::build),
    }
}

/// Both heads' last layers as one matrix over both heads' hidden values, classes first: the
/// outputs are the logits and then the regression.
fn last_layer(regression: &Matrix, classes: &Matrix) -> Matrix {
    let mut both = Matrix::zeros(regression.inputs + classes.inputs, BIN_COUNT + 1);
    both.put(classes, regression.inputs, 0);
    both.put(regression, 0, BIN_COUNT);
    // `put` writes biases as well, and each of the two has its own columns.
    both
}

/// Two layers over the same input side by side.
fn beside(left: &Matrix, right: &Matrix) -> Matrix {
    let mut both = Matrix::zeros(left.inputs, left.outputs + right.outputs);
    both.put(left, 0, 0);
    both.put(right, 0, left.outputs);
    both
}

/// The paper's heads over the features at `features`; returns where the outputs are.
fn heads(b: &mut Builder, t: &mut Tensors, features: &Map, count: usize) -> Result<usize, String> {
    const _: () = assert!(BIN_COUNT < LANES);
    let vector = |b: &mut Builder, n| b.map([1, 1], n, Pad::default());
    let (first, second) = (vector(b, 256), vector(b, 128));
    let (hidden, output) = (vector(b, 128), vector(b, BIN_COUNT + 1));
    let relu = Activation::Relu;
    let shared = [t.linear("heads.shared.0", count, 256)?, t.linear("heads.shared.1", 256, 128)?];
    let [a, c] = shared;
    b.dense(features.at(0, 0), &first, &[a], relu);
    b.dense(first.at(0, 0), &second, &[c], relu);
    let regression =
        [t.linear("heads.regression.0", 128, 64)?, t.linear("heads.regression.1", 64, 1)?];
    let classes =
        [t.linear("heads.classes.0", 128, 64)?, t.linear("heads.classes.1", 64, BIN_COUNT)?];
    let ([r0, r1], [c0, c1]) = (regression, classes);
    b.dense(second.at(0, 0), &hidden, &[beside(&r0, &c0)], relu);
    b.dense(hidden.at(0, 0), &output, &[last_layer(&r1, &c1)], Activation::None);
    Ok(output.at(0, 0))
}
