//! Forward and backward pass of PilotNet, written out.
//!
//! Burn's automatic differentiation computes a convolution's weight gradient as a convolution
//! with a kernel as large as the picture, which is slow on the CPU. Here every layer is a matrix
//! product (Burn's, hence the AVX-512 of its gemm) over patches gathered row by row; the layout
//! is NHWC, so a row of a 3×3 patch is one contiguous copy. A test holds the gradients against
//! those of automatic differentiation.

use burn::prelude::*;
use caril_core::BIN_COUNT;
use caril_policy::{BRANCHES, net::PilotNet};

use crate::batch::Batch;
use crate::loss::Loss;
use crate::params::Slot;

const PATCH: usize = PilotNet::PATCH * PilotNet::PATCH * 3;
const HIDDEN: usize = PilotNet::HIDDEN;
const WIDE: usize = BRANCHES * HIDDEN;
const FEATURES: usize = PilotNet::FEATURES;
const CONVS: usize = PilotNet::STRIDES.len();
/// Places of the layers in [`Weights`], after the stem (0) and the convolutions (from 1).
const TO_FEATURES: usize = CONVS + 1;
const REGRESSION: usize = CONVS + 3;
const CLASSES: usize = CONVS + 5;

/// Sizes of one 3×3 convolution with padding 1.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    columns: usize,
    input: usize,
    output: usize,
    stride: usize,
}

impl Shape {
    const fn out_rows(&self) -> usize {
        self.rows.div_ceil(self.stride)
    }
    const fn out_columns(&self) -> usize {
        self.columns.div_ceil(self.stride)
    }
}

/// PilotNet's values as the matrices of the products, made once per step and shared by the
/// threads.
#[derive(Debug, Clone)]
pub struct Weights {
    shapes: [Shape; CONVS],
    /// Stem, convolutions, features, then hidden layer and output of regression and classes.
    layers: Vec<(Tensor<2>, Vec<f32>)>,
    slots: Vec<Slot>,
    device: Device,
}

/// Sum over a chunk of the loss and of its derivatives, in the layout of [`Weights`].
#[derive(Debug, Clone)]
pub struct Gradient {
    /// Sum of the samples' losses.
    pub loss: f64,
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Gradient {
    /// Adds another chunk's.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        for (a, b) in self.layers.iter_mut().zip(&other.layers) {
            a.0.iter_mut().zip(&b.0).for_each(|(x, y)| *x += y);
            a.1.iter_mut().zip(&b.1).for_each(|(x, y)| *x += y);
        }
    }
}

/// How a layer's tensor is turned into the matrix of its product.
enum Order {
    /// `[out, in, rows, columns]` to `[(rows, columns, in), out]`.
    Kernel { output: usize, input: usize, pixels: usize },
    /// `[(channel, pixel), out]` to `[(pixel, channel), out]`.
    Maps { channels: usize, pixels: usize },
    /// As it is.
    Plain { values: usize },
}

impl Weights {
    /// From the flat values of a PilotNet for `width`×`height` pixels.
    pub fn new(values: &[f32], slots: &[Slot], width: usize, height: usize) -> Self {
        let device = Device::flex();
        let (mut rows, mut columns) = (height / PilotNet::PATCH, width / PilotNet::PATCH);
        let shapes = std::array::from_fn(|i| {
            let stride = PilotNet::STRIDES[i];
            let (input, output) = (PilotNet::CHANNELS[i], PilotNet::CHANNELS[i + 1]);
            let shape = Shape { rows, columns, input, output, stride };
            (rows, columns) = (shape.out_rows(), shape.out_columns());
            shape
        });
        let layers = (0..slots.len() / 2)
            .map(|i| {
                let (weight, bias) = (&slots[2 * i], &slots[2 * i + 1]);
                let outputs = bias.len();
                let source = weight.of(values);
                let mut matrix = vec![0.0; source.len()];
                order(i, &weight.dims).permute(outputs, |flat, m| matrix[m] = source[flat]);
                let shape = [source.len() / outputs, outputs];
                let matrix = Tensor::from_data(TensorData::new(matrix, shape), &device);
                (matrix, bias.of(values).to_vec())
            })
            .collect();
        Self { shapes, layers, slots: slots.to_vec(), device }
    }

    /// Derivatives in the flat layout, times `scale`.
    pub fn flat_gradient(&self, gradient: &Gradient, scale: f32) -> Vec<f32> {
        let count = self.slots.iter().map(Slot::len).sum();
        let mut flat = vec![0.0; count];
        for (i, (matrix, bias)) in gradient.layers.iter().enumerate() {
            let (weight, at) = (&self.slots[2 * i], self.slots[2 * i + 1].start);
            order(i, &weight.dims)
                .permute(bias.len(), |f, m| flat[weight.start + f] = matrix[m] * scale);
            for (f, b) in flat[at..].iter_mut().zip(bias) {
                *f = b * scale;
            }
        }
        flat
    }

    /// Loss and gradient of a chunk of samples.
    pub fn gradient(&self, chunk: &Batch, loss: &Loss) -> Gradient {
        let n = chunk.len();
        // Forward.
        let patches = self.tensor(patches(chunk), PATCH);
        let mut map = self.dense(0, &patches, true);
        let mut columns = Vec::with_capacity(CONVS);
        let mut maps = Vec::with_capacity(CONVS);
        for (i, shape) in self.shapes.iter().enumerate() {
            let gathered = self.tensor(gather(&map, n, shape), 9 * shape.input);
            let next = self.dense(i + 1, &gathered, true);
            columns.push(gathered);
            maps.push(std::mem::replace(&mut map, next));
        }
        let flat = map.len() / n;
        let flattened = self.tensor(map.clone(), flat);
        let features = self.dense(TO_FEATURES, &flattened, true);
        let mut joined = Vec::with_capacity(n * (FEATURES + 1));
        for (row, speed) in features.chunks_exact(FEATURES).zip(&chunk.speed) {
            joined.extend_from_slice(row);
            joined.push(*speed);
        }
        let joined = self.tensor(joined, FEATURES + 1);
        let masked = |i| {
            let mut hidden = self.dense(i, &joined, true);
            mask(&mut hidden, &chunk.branch);
            hidden
        };
        let (hidden_r, hidden_c) = (masked(REGRESSION - 1), masked(CLASSES - 1));
        let (input_r, input_c) =
            (self.tensor(hidden_r.clone(), WIDE), self.tensor(hidden_c.clone(), WIDE));
        let regression = self.dense(REGRESSION, &input_r, false);
        let logits = self.dense(CLASSES, &input_c, false);

        // Loss.
        let mut sum = 0.0;
        let (mut d_regression, mut d_logits) = (Vec::with_capacity(n), Vec::new());
        let (rows, _) = logits.as_chunks::<BIN_COUNT>();
        let targets = chunk.steer.iter().zip(&chunk.class_steer);
        for ((r, l), (steer, class)) in regression.iter().zip(rows).zip(targets) {
            let out = loss.of_targets(*r, *l, *steer, *class);
            sum += f64::from(out.loss);
            d_regression.push(out.d_regression);
            d_logits.extend(out.d_logits);
        }

        // Backward.
        let mut layers = vec![(Vec::new(), Vec::new()); CLASSES + 1];
        let mut d_joined = vec![0.0; n * (FEATURES + 1)];
        for (out, hidden, input, d, width) in [
            (REGRESSION, &hidden_r, input_r, d_regression, 1),
            (CLASSES, &hidden_c, input_c, d_logits, BIN_COUNT),
        ] {
            let d = self.dense_backward(&mut layers, out, &input, d, width);
            let mut d = values(d.matmul(self.layers[out].0.clone().transpose()));
            rectified(&mut d, hidden);
            let d = self.dense_backward(&mut layers, out - 1, &joined, d, WIDE);
            let d = values(d.matmul(self.layers[out - 1].0.clone().transpose()));
            d_joined.iter_mut().zip(&d).for_each(|(a, b)| *a += b);
        }
        let mut d: Vec<f32> =
            d_joined.chunks_exact(FEATURES + 1).flat_map(|row| &row[..FEATURES]).copied().collect();
        rectified(&mut d, &features);
        let d = self.dense_backward(&mut layers, TO_FEATURES, &flattened, d, FEATURES);
        let mut d = values(d.matmul(self.layers[TO_FEATURES].0.clone().transpose()));
        rectified(&mut d, &map);
        for (i, shape) in self.shapes.iter().enumerate().rev() {
            let dy = self.dense_backward(&mut layers, i + 1, &columns[i], d, shape.output);
            let scattered = values(dy.matmul(self.layers[i + 1].0.clone().transpose()));
            d = scatter(&scattered, n, shape);
            rectified(&mut d, &maps[i]);
        }
        self.dense_backward(&mut layers, 0, &patches, d, PilotNet::CHANNELS[0]);
        Gradient { loss: sum, layers }
    }

    fn tensor(&self, values: Vec<f32>, width: usize) -> Tensor<2> {
        let rows = values.len() / width;
        Tensor::from_data(TensorData::new(values, [rows, width]), &self.device)
    }

    /// `x · weight + bias`, rectified if asked.
    fn dense(&self, layer: usize, x: &Tensor<2>, relu: bool) -> Vec<f32> {
        let (weight, bias) = &self.layers[layer];
        let mut y = values(x.clone().matmul(weight.clone()));
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for row in y.chunks_exact_mut(bias.len()) {
            for (y, b) in row.iter_mut().zip(bias) {
                *y = (*y + b).max(floor);
            }
        }
        y
    }

    /// Stores the derivatives of a layer's weight and bias, gives `dy` back as a tensor.
    fn dense_backward(
        &self,
        layers: &mut [(Vec<f32>, Vec<f32>)],
        layer: usize,
        x: &Tensor<2>,
        dy: Vec<f32>,
        width: usize,
    ) -> Tensor<2> {
        let mut bias = vec![0.0; width];
        for row in dy.chunks_exact(width) {
            bias.iter_mut().zip(row).for_each(|(b, d)| *b += d);
        }
        let dy = self.tensor(dy, width);
        layers[layer] = (values(x.clone().transpose().matmul(dy.clone())), bias);
        dy
    }
}

fn order(layer: usize, dims: &[usize]) -> Order {
    match (layer, dims) {
        (TO_FEATURES, [inputs, _]) => {
            let channels = PilotNet::CHANNELS[CONVS];
            Order::Maps { channels, pixels: inputs / channels }
        }
        (_, [output, input, rows, columns]) => {
            Order::Kernel { output: *output, input: *input, pixels: rows * columns }
        }
        _ => Order::Plain { values: dims.iter().product() },
    }
}

impl Order {
    /// Calls `f(index in the tensor, index in the matrix)` for every value of the tensor.
    fn permute(&self, outputs: usize, mut f: impl FnMut(usize, usize)) {
        match *self {
            Self::Kernel { output, input, pixels } => {
                for o in 0..output {
                    for i in 0..input {
                        for p in 0..pixels {
                            f((o * input + i) * pixels + p, (p * input + i) * output + o);
                        }
                    }
                }
            }
            Self::Maps { channels, pixels } => {
                for p in 0..pixels {
                    for c in 0..channels {
                        let (flat, matrix) =
                            ((c * pixels + p) * outputs, (p * channels + c) * outputs);
                        (0..outputs).for_each(|o| f(flat + o, matrix + o));
                    }
                }
            }
            Self::Plain { values } => (0..values).for_each(|i| f(i, i)),
        }
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

/// Derivative of the rectifier: zero where its output was.
fn rectified(d: &mut [f32], output: &[f32]) {
    for (d, y) in d.iter_mut().zip(output) {
        *d = if *y > 0.0 { *d } else { 0.0 };
    }
}

/// Keeps each row's branch.
fn mask(hidden: &mut [f32], branches: &[usize]) {
    for (row, branch) in hidden.chunks_exact_mut(WIDE).zip(branches) {
        for (b, part) in row.chunks_exact_mut(HIDDEN).enumerate() {
            if b != *branch {
                part.fill(0.0);
            }
        }
    }
}

/// RGB bytes to rows of 4×4 patches in the order (row, column, channel), normalised.
fn patches(chunk: &Batch) -> Vec<f32> {
    const P: usize = PilotNet::PATCH;
    let (width, height) = (chunk.input.width as usize, chunk.input.height as usize);
    let (scale, offset) = (chunk.input.scale, chunk.input.offset);
    let mut out = Vec::with_capacity(chunk.rgb.len());
    for image in chunk.rgb.chunks_exact(width * height * 3) {
        for band in image.chunks_exact(width * 3 * P) {
            for x in 0..width / P {
                for row in band.chunks_exact(width * 3) {
                    for pixel in row[x * P * 3..(x + 1) * P * 3].chunks_exact(3) {
                        for c in 0..3 {
                            out.push(f32::from(pixel[c]) * scale[c] + offset[c]);
                        }
                    }
                }
            }
        }
    }
    out
}

/// For every output pixel its 3×3 neighbourhood, zero beyond the rim.
fn gather(map: &[f32], n: usize, s: &Shape) -> Vec<f32> {
    let mut out = vec![0.0; n * s.out_rows() * s.out_columns() * 9 * s.input];
    overlaps(n, s, |at, from, len| out[at..at + len].copy_from_slice(&map[from..from + len]));
    out
}

/// The opposite: every neighbourhood's derivatives added to the pixels they came from.
fn scatter(columns: &[f32], n: usize, s: &Shape) -> Vec<f32> {
    let mut map = vec![0.0; n * s.rows * s.columns * s.input];
    overlaps(n, s, |at, to, len| {
        let source = &columns[at..at + len];
        map[to..to + len].iter_mut().zip(source).for_each(|(a, b)| *a += b);
    });
    map
}

/// Calls `f(place in the neighbourhoods, place in the map, length)` for every contiguous run.
fn overlaps(n: usize, s: &Shape, mut f: impl FnMut(usize, usize, usize)) {
    let mut row = 0;
    for image in 0..n {
        for y in 0..s.out_rows() {
            for x in 0..s.out_columns() {
                // Left neighbour is one less; all in units where 1 is the first pixel.
                let first = x * s.stride;
                let (lo, hi) = (first.max(1), (first + 3).min(s.columns + 1));
                for k in 0..3 {
                    let source = y * s.stride + k;
                    if (1..=s.rows).contains(&source) {
                        let at = row + (k * 3 + lo - first) * s.input;
                        let from = (image * s.rows + source - 1) * s.columns + lo - 1;
                        f(at, from * s.input, (hi - lo) * s.input);
                    }
                }
                row += 9 * s.input;
            }
        }
    }
}
