//! From layers to operations: places maps in the arena and rearranges weights.

use crate::kernel::{
    Conv, Conv8, Depthwise, Epilogue, Grid, Isa, LANES, MaxPool, Mean, Op, Quantize, Window,
};
use crate::tensors::{Filter, Matrix};

/// Pixels of zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pad {
    /// Above and to the left.
    pub before: [usize; 2],
    /// Below and to the right.
    pub after: [usize; 2],
}

impl Pad {
    /// The same on all sides.
    pub const fn even(n: usize) -> Self {
        Self { before: [n; 2], after: [n; 2] }
    }

    /// What keeps ⌈size / stride⌉ pixels under a window: TensorFlow's SAME, the odd one after.
    pub fn same([rows, columns]: [usize; 2], kernel: usize, stride: usize) -> Self {
        let total =
            |n: usize| ((n.div_ceil(stride).max(1) - 1) * stride + kernel).saturating_sub(n);
        let (rows, columns) = (total(rows), total(columns));
        let before = [rows / 2, columns / 2];
        Self { before, after: [rows - before[0], columns - before[1]] }
    }
}

/// A map of activations in the arena: rows, columns, channels last. Channels are padded with
/// zeros to a multiple of sixteen (images excepted), pixels as the next layer's window needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    /// Rows and columns, without padding.
    pub size: [usize; 2],
    /// Values from pixel to pixel.
    pub channels: usize,
    /// Its padding.
    pub pad: Pad,
    /// Its first value, of its padding if it has some.
    pub start: usize,
}

impl Map {
    fn columns(&self) -> usize {
        self.pad.before[1] + self.size[1] + self.pad.after[1]
    }

    fn len(&self) -> usize {
        (self.pad.before[0] + self.size[0] + self.pad.after[0]) * self.columns() * self.channels
    }

    /// Place of a pixel, counted from the first pixel of the padding.
    fn padded(&self, row: usize, column: usize) -> usize {
        self.start + (row * self.columns() + column) * self.channels
    }

    /// Place of a pixel.
    pub fn at(&self, row: usize, column: usize) -> usize {
        self.padded(row + self.pad.before[0], column + self.pad.before[1])
    }

    fn grid(&self, offset: usize) -> Grid {
        Grid { offset, pixel: self.channels, row: self.columns() * self.channels }
    }

    /// Size of the map that windows over this one make. The padding belongs to it.
    pub fn windows(&self, kernel: usize, stride: usize) -> [usize; 2] {
        [0, 1].map(|i| {
            let padded = self.pad.before[i] + self.size[i] + self.pad.after[i];
            padded.saturating_sub(kernel) / stride + 1
        })
    }
}

/// What follows a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(0, x)
    Relu,
    /// max(0, min(6, x))
    Relu6,
}

impl Activation {
    fn epilogue(self, add: bool) -> Epilogue {
        let (lo, hi) = match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        };
        Epilogue { add, lo, hi }
    }
}

/// One layer as a network describes it. Places are first values of maps: a map's own start, or
/// that of a vector.
#[derive(Debug)]
pub enum Layer {
    /// A convolution and what follows it; `add`: the value at `to` before the activation.
    Conv {
        from: usize,
        to: usize,
        filter: Filter,
        stride: usize,
        pad: Pad,
        activation: Activation,
        add: bool,
        depthwise: bool,
    },
    /// Maxima over windows.
    MaxPool { from: usize, to: usize, kernel: usize, stride: usize, pad: Pad },
    /// Mean over all pixels.
    Mean { from: usize, to: usize },
    /// A dense layer, one variant of which runs.
    Dense { from: usize, to: usize, variants: Vec<Matrix>, activation: Activation },
}

/// Values that an operation reads and that could be bytes.
#[derive(Debug)]
pub struct Watched {
    /// Number of the operation.
    pub op: usize,
    /// The values, padding included.
    pub span: std::ops::Range<usize>,
}

/// Scale and zero point for values of a range: 0 is a step, so that padding stays exact.
fn code([low, high]: [f32; 2]) -> (f32, u8) {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = ((high - low) / 255.0).max(f32::MIN_POSITIVE);
    (scale, libm::roundf(-low / scale) as u8)
}

/// Collects operations and places.
#[derive(Debug)]
pub struct Builder {
    isa: Isa,
    /// Layers instead of operations, if somebody wants those.
    layers: Option<Vec<Layer>>,
    /// Least and greatest value of every map that could be read as bytes, the next one first; twice
    /// the same where it is not to be.
    ranges: std::vec::IntoIter<[f32; 2]>,
    /// Which operation reads which values and could read bytes.
    watched: Vec<Watched>,
    /// Where bytes lie between two operations, and how many f32 long.
    scratch: (usize, usize),
    ops: Vec<Op>,
    len: usize,
    free: Vec<Map>,
}

const BUG: &str = "the network's description fits its maps";

impl Builder {
    /// An empty program for one instruction set.
    pub fn new(isa: Isa) -> Self {
        Self {
            isa,
            layers: None,
            ranges: Vec::new().into_iter(),
            watched: Vec::new(),
            scratch: (0, 0),
            ops: Vec::new(),
            len: 0,
            free: Vec::new(),
        }
    }

    /// One that collects layers, not operations.
    pub fn describing() -> Self {
        Self { layers: Some(Vec::new()), ..Self::new(Isa::Portable) }
    }

    /// Convolutions over maps read bytes; `ranges` as [`Self::watched`] was in the same network.
    pub fn with_bytes(isa: Isa, ranges: Vec<[f32; 2]>) -> Self {
        Self { ranges: ranges.into_iter(), ..Self::new(isa) }
    }

    /// Takes out which operations read values that could be bytes.
    pub fn watched(&mut self) -> Vec<Watched> {
        std::mem::take(&mut self.watched)
    }

    /// The operations, the length of their arena, and the layers of [`Self::describing`].
    pub fn finish(self) -> (Vec<Op>, usize, Vec<Layer>) {
        (self.ops, self.len, self.layers.unwrap_or_default())
    }

    /// A map with an RGB image's three channels, not padded to sixteen.
    pub fn image(&mut self, size: [usize; 2], pad: Pad) -> Map {
        self.place(Map { size, channels: 3, pad, start: 0 })
    }

    /// A map of activations.
    pub fn map(&mut self, size: [usize; 2], channels: usize, pad: Pad) -> Map {
        self.place(Map { size, channels: channels.next_multiple_of(LANES), pad, start: 0 })
    }

    fn place(&mut self, map: Map) -> Map {
        // Only a map of the same shape may be used again: its padding is zero and stays so.
        let fits = |m: &Map| (m.size, m.channels, m.pad) == (map.size, map.channels, map.pad);
        if let Some(i) = self.free.iter().position(fits) {
            return self.free.swap_remove(i);
        }
        let start = self.len;
        self.len += map.len().next_multiple_of(LANES);
        Map { start, ..map }
    }

    /// Room for the bytes of so many values, until the next call.
    fn bytes(&mut self, count: usize) -> usize {
        let needed = count.div_ceil(4).next_multiple_of(LANES);
        let (start, room) = self.scratch;
        if needed > room {
            // What was there before is too small from now on.
            self.scratch = (self.len, needed);
            self.len += needed;
            return self.scratch.0;
        }
        start
    }

    /// Gives a map back that no later operation reads.
    pub fn release(&mut self, map: Map) {
        self.free.push(map);
    }

    /// A convolution with the input's padding; `add`: onto what lies in `output`.
    pub fn conv(
        &mut self,
        (input, output): (&Map, &Map),
        filter: &Filter,
        stride: usize,
        activation: Activation,
        add: bool,
    ) {
        let Filter { outputs, inputs, kernel, .. } = *filter;
        assert_eq!(output.size, input.windows(kernel, stride), "{BUG}");
        assert!(outputs <= output.channels && inputs <= input.channels, "{BUG}");
        if let Some(layers) = &mut self.layers {
            layers.push(Layer::Conv {
                from: input.start,
                to: output.start,
                filter: filter.clone(),
                stride,
                pad: input.pad,
                activation,
                add,
                depthwise: false,
            });
            return;
        }
        let mut pixels = Vec::new();
        for row in 0..output.size[0] {
            for column in 0..output.size[1] {
                let from = input.padded(row * stride, column * stride);
                pixels.push((small(from), small(output.at(row, column))));
            }
        }
        // A row of the window is one run of values, channels of padding included.
        let run = if kernel == 1 { inputs } else { kernel * input.channels };
        let window =
            Window { segments: kernel, length: run, stride: input.columns() * input.channels };
        let channels = output.channels;
        let mut matrix = vec![0.0; kernel * run * channels];
        for ((o, i), (ky, kx), value) in filter.iter() {
            let row = ky * run + kx * input.channels + i;
            *matrix.get_mut(row * channels + o).expect(BUG) = value;
        }
        let bias = padded(&filter.bias, channels);
        // An image's three channels stay as they are: the first layer is small.
        if input.channels.is_multiple_of(LANES) && run.is_multiple_of(4) {
            let span = input.start..input.start + input.len();
            self.watched.push(Watched { op: self.ops.len(), span: span.clone() });
            // A range without any extent: this one is to stay as it is.
            if let Some(range) = self.ranges.next().filter(|[low, high]| low < high) {
                let (scale, zero) = code(range);
                let output = self.bytes(input.len());
                let quantize = Quantize { input: span, output, scale, zero };
                // What a depthwise convolution writes is read by the next layer alone
                // ([`Self::depthwise`]): it may leave nothing but bytes.
                let fused = match self.ops.last_mut() {
                    Some(Op::Depthwise(before)) => before.fuse(&quantize),
                    _ => false,
                };
                if !fused {
                    self.ops.push(Op::Quantize(quantize));
                }
                for (from, _) in &mut pixels {
                    *from -= small(input.start);
                }
                let product = self.isa.product();
                let places = (output, input.len());
                let (weights, codes) = ((matrix.as_slice(), bias.as_slice()), (scale, zero));
                let epilogue = activation.epilogue(add);
                let conv = Conv8::new(pixels, window, places, weights, codes, epilogue, product);
                self.ops.push(Op::Conv8(conv.expect(BUG)));
                return;
            }
        }
        let variant = (matrix, bias);
        self.push_conv(pixels, window, channels, &[variant], activation.epilogue(add));
    }

    /// Dense layers over the values at `input`, one of which runs: the variant of the run.
    pub fn dense(&mut self, input: usize, output: &Map, layers: &[Matrix], act: Activation) {
        let inputs = layers.first().map_or(0, |layer| layer.inputs);
        if let Some(all) = &mut self.layers {
            all.push(Layer::Dense {
                from: input,
                to: output.start,
                variants: layers.to_vec(),
                activation: act,
            });
            return;
        }
        let channels = output.channels;
        let variant = |layer: &Matrix| {
            let rows = layer.values.chunks_exact(layer.outputs.max(1));
            let matrix = rows.flat_map(|row| padded(row, channels)).collect();
            (matrix, padded(&layer.bias, channels))
        };
        let variants: Vec<_> = layers.iter().map(variant).collect();
        let pixels = vec![(small(input), small(output.at(0, 0)))];
        let window = Window { segments: 1, length: inputs, stride: 0 };
        self.push_conv(pixels, window, channels, &variants, act.epilogue(false));
    }

    fn push_conv(
        &mut self,
        pixels: Vec<(u32, u32)>,
        window: Window,
        channels: usize,
        variants: &[(Vec<f32>, Vec<f32>)],
        epilogue: Epilogue,
    ) {
        let group = self.isa.group(pixels.len(), window.segments * window.length);
        let conv = Conv::new(pixels, window, channels, variants, group, epilogue).expect(BUG);
        self.ops.push(Op::Conv(conv));
    }

    /// A depthwise convolution with the input's padding; `filter` has one input channel. No layer
    /// but the next may read `output`.
    pub fn depthwise(
        &mut self,
        (input, output): (&Map, &Map),
        filter: &Filter,
        stride: usize,
        activation: Activation,
    ) {
        let kernel = filter.kernel;
        assert_eq!(output.size, input.windows(kernel, stride), "{BUG}");
        assert_eq!((filter.inputs, input.channels), (1, output.channels), "{BUG}");
        if let Some(layers) = &mut self.layers {
            layers.push(Layer::Conv {
                from: input.start,
                to: output.start,
                filter: filter.clone(),
                stride,
                pad: input.pad,
                activation,
                add: false,
                depthwise: true,
            });
            return;
        }
        let channels = input.channels;
        let mut weights = vec![0.0; kernel * kernel * channels];
        for ((o, _), (ky, kx), value) in filter.iter() {
            *weights.get_mut((ky * kernel + kx) * channels + o).expect(BUG) = value;
        }
        let grids = (input.grid(input.start), output.grid(output.at(0, 0)));
        let size = (output.size[0], output.size[1]);
        let bias = padded(&filter.bias, channels);
        let (window, act) = ((kernel, stride), activation.epilogue(false));
        let op = Depthwise::new(grids, size, window, &weights, &bias, act).expect(BUG);
        self.ops.push(Op::Depthwise(op));
    }

    /// Maxima of windows over values that are not negative.
    pub fn max_pool(&mut self, input: &Map, output: &Map, kernel: usize, stride: usize) {
        assert_eq!(output.size, input.windows(kernel, stride), "{BUG}");
        if let Some(layers) = &mut self.layers {
            let (from, to, pad) = (input.start, output.start, input.pad);
            layers.push(Layer::MaxPool { from, to, kernel, stride, pad });
            return;
        }
        self.ops.push(Op::MaxPool(MaxPool {
            input: input.grid(input.start),
            output: output.grid(output.at(0, 0)),
            rows: output.size[0],
            columns: output.size[1],
            channels: input.channels,
            kernel,
            stride,
        }));
    }

    /// Means over a map without padding.
    pub fn mean(&mut self, input: &Map, output: &Map) {
        assert_eq!((input.pad, input.channels), (Pad::default(), output.channels), "{BUG}");
        if let Some(layers) = &mut self.layers {
            layers.push(Layer::Mean { from: input.start, to: output.start });
            return;
        }
        self.ops.push(Op::Mean(Mean {
            input: input.start,
            output: output.at(0, 0),
            pixels: input.size[0] * input.size[1],
            channels: input.channels,
        }));
    }
}

/// A copy with zeros to `len`.
fn padded(values: &[f32], len: usize) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(len, 0.0);
    padded
}

/// Sides of a map are at most 1024 and there are few maps, so places fit 32 bits.
fn small(place: usize) -> u32 {
    u32::try_from(place).expect(BUG)
}
