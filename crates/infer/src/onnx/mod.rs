//! A policy pack as an ONNX file (opset 17), for other runtimes. docs/policy-pack.md says what
//! goes in and comes out.

mod graph;
mod proto;

use std::collections::BTreeMap;
use std::path::Path;

use caril_core::{BIN_COUNT, PolicyCard};
use caril_pack::{PackError, WEIGHTS_FILE};

use crate::build::{Activation, Layer, Pad};
use crate::net::Net;
use crate::tensors::Matrix;
use crate::{InferError, bpk};
use graph::{Attribute, Element, Graph};

/// Reads a pack and returns it as the bytes of an ONNX model, BatchNorm folded in. Checked like a
/// pack that is to drive.
///
/// # Errors
/// [`InferError`], naming the first thing that is wrong.
pub fn export_onnx(dir: &Path) -> Result<Vec<u8>, InferError> {
    let (card, architecture, bytes) = caril_pack::load(dir)?;
    let path = || dir.join(WEIGHTS_FILE);
    let tensors =
        bpk::read(&bytes).map_err(|message| PackError::Weights { message, path: path() })?;
    let misfit =
        |detail| PackError::Tensors { architecture: architecture.name(), detail, path: path() };
    let net = Net::describe(architecture, &card.input, tensors).map_err(misfit)?;
    let values = BTreeMap::from([(net.image.start, ("image".to_owned(), Shape::Map))]);
    let writer = Writer { graph: Graph::default(), values, speed: net.speed };
    Ok(writer.write(&net, &card))
}

/// `[1, channels, rows, columns]` or `[1, values]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Map,
    Vector,
}

/// Follows the layers.
struct Writer {
    graph: Graph,
    /// What lies where in the arena, as far as the layers have been followed.
    values: BTreeMap<usize, (String, Shape)>,
    speed: Option<usize>,
}

impl Writer {
    fn write(mut self, net: &Net, card: &PolicyCard) -> Vec<u8> {
        let [rows, columns] = net.image.size;
        self.graph.input("image", Element::F32, &[1, 3, rows, columns]);
        if self.speed.is_some() {
            self.graph.input("speed", Element::F32, &[1, 1]);
            self.graph.input("branch", Element::I64, &[1]);
        }
        for layer in &net.layers {
            self.layer(layer);
        }
        let (both, _) = self.at(net.output);
        let sizes = self.graph.numbers(&[BIN_COUNT as i64, 1]);
        let axis = [Attribute::Int("axis", 1)];
        self.graph.node_to("Split", &[&both, &sizes], &["logits", "regression"], &axis);
        self.graph.node_to("Softmax", &["logits"], &["probabilities"], &axis);
        self.graph.output("regression", &[1, 1]);
        self.graph.output("probabilities", &[1, BIN_COUNT]);
        self.graph.output("logits", &[1, BIN_COUNT]);
        self.graph.model(&card.name, &metadata(card))
    }

    fn at(&self, place: usize) -> (String, Shape) {
        self.values.get(&place).cloned().unwrap_or((String::new(), Shape::Vector))
    }

    fn layer(&mut self, layer: &Layer) {
        let (to, value, shape) = match layer {
            Layer::Conv { from, to, filter, stride, pad, activation, add, depthwise } => {
                let shape = [filter.outputs, filter.inputs, filter.kernel, filter.kernel];
                let weight = self.graph.weight(&shape, filter.values());
                let bias = self.graph.weight(&[filter.outputs], &filter.bias);
                let mut attributes = window(filter.kernel, *stride, *pad);
                if *depthwise {
                    attributes.push(Attribute::Int("group", filter.outputs as i64));
                }
                let (input, _) = self.at(*from);
                let mut value = self.graph.node("Conv", &[&input, &weight, &bias], &attributes);
                if *add {
                    let (shortcut, _) = self.at(*to);
                    value = self.graph.node("Add", &[&value, &shortcut], &[]);
                }
                (*to, self.activate(value, *activation), Shape::Map)
            }
            Layer::MaxPool { from, to, kernel, stride, pad } => {
                let (input, _) = self.at(*from);
                let attributes = window(*kernel, *stride, *pad);
                (*to, self.graph.node("MaxPool", &[&input], &attributes), Shape::Map)
            }
            Layer::Mean { from, to } => {
                let (input, _) = self.at(*from);
                let pooled = self.graph.node("GlobalAveragePool", &[&input], &[]);
                (*to, self.graph.node("Flatten", &[&pooled], &[]), Shape::Vector)
            }
            Layer::Dense { from, to, variants, activation } => {
                let (mut input, shape) = self.at(*from);
                if shape == Shape::Map {
                    // Channels last, as the rows of the matrix are.
                    let order = Attribute::Ints("perm", vec![0, 2, 3, 1]);
                    let last = self.graph.node("Transpose", &[&input], &[order]);
                    input = self.graph.node("Flatten", &[&last], &[]);
                }
                let inputs = variants.first().map_or(0, |m| m.inputs);
                if self.speed.is_some_and(|speed| speed + 1 == from + inputs) {
                    let axis = [Attribute::Int("axis", 1)];
                    input = self.graph.node("Concat", &[&input, "speed"], &axis);
                }
                let value = self.dense(&input, variants);
                (*to, self.activate(value, *activation), Shape::Vector)
            }
        };
        self.values.insert(to, (value, shape));
    }

    /// A dense layer; of several variants that of the branch.
    fn dense(&mut self, input: &str, variants: &[Matrix]) -> String {
        if let [Matrix { inputs, outputs, values, bias }] = variants {
            let weight = self.graph.weight(&[*inputs, *outputs], values);
            let bias = self.graph.weight(&[*outputs], bias);
            return self.graph.node("Gemm", &[input, &weight, &bias], &[]);
        }
        let (inputs, outputs) = variants.first().map_or((0, 0), |m| (m.inputs, m.outputs));
        let values: Vec<f32> = variants.iter().flat_map(|m| m.values.iter().copied()).collect();
        let biases: Vec<f32> = variants.iter().flat_map(|m| m.bias.iter().copied()).collect();
        let weights = self.graph.weight(&[variants.len(), inputs, outputs], &values);
        let biases = self.graph.weight(&[variants.len(), outputs], &biases);
        let chosen = self.graph.node("Gather", &[&weights, "branch"], &[]);
        let bias = self.graph.node("Gather", &[&biases, "branch"], &[]);
        let axis = self.graph.numbers(&[0]);
        let weight = self.graph.node("Squeeze", &[&chosen, &axis], &[]);
        let product = self.graph.node("MatMul", &[input, &weight], &[]);
        self.graph.node("Add", &[&product, &bias], &[])
    }

    fn activate(&mut self, value: String, activation: Activation) -> String {
        match activation {
            Activation::None => value,
            Activation::Relu => self.graph.node("Relu", &[&value], &[]),
            Activation::Relu6 => {
                let (low, high) = (self.graph.weight(&[], &[0.0]), self.graph.weight(&[], &[6.0]));
                self.graph.node("Clip", &[&value, &low, &high], &[])
            }
        }
    }
}

fn window(kernel: usize, stride: usize, pad: Pad) -> Vec<Attribute> {
    let (kernel, stride) = (kernel as i64, stride as i64);
    let pads = pad.before.iter().chain(&pad.after).map(|n| *n as i64).collect();
    vec![
        Attribute::Ints("kernel_shape", vec![kernel; 2]),
        Attribute::Ints("strides", vec![stride; 2]),
        Attribute::Ints("pads", pads),
    ]
}

/// What a runtime must do to a picture before it goes in, and what it needs to read the outputs.
fn metadata(card: &PolicyCard) -> Vec<(&'static str, String)> {
    let list =
        |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let input = &card.input;
    let mut pairs = vec![
        ("caril.policy", card.name.clone()),
        ("caril.architecture", card.architecture.clone()),
        ("caril.weights_sha256", card.weights_sha256.clone()),
        ("caril.input.layout", "NCHW f32, RGB".to_owned()),
        ("caril.input.crop_top", input.crop_top.to_string()),
        ("caril.input.crop_bottom", input.crop_bottom.to_string()),
        ("caril.input.resize", "bilinear, triangle widened when shrinking, to bytes".to_owned()),
        ("caril.input.scale", list(&input.scale)),
        ("caril.input.offset", list(&input.offset)),
        ("caril.output.temperature", card.calibration.temperature.to_string()),
    ];
    if let Some(scale) = card.inputs.speed_scale_mps {
        pairs.push(("caril.input.speed_scale_mps", scale.to_string()));
        pairs.push(("caril.input.branches", "follow,left,right,straight".to_owned()));
    }
    pairs
}
