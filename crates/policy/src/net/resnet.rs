//! ResNet-50 with two heads: the paper's network.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::relu;

use super::{Heads, NetOutput, conv};

/// Convolution without bias, then batch normalisation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    bn: BatchNorm,
}

/// Bottleneck block: 1×1, 3×3, 1×1, and a projection where the shape changes.
#[derive(Module, Debug)]
pub struct Bottleneck {
    convs: [ConvNorm; 3],
    downsample: Option<ConvNorm>,
}

/// ResNet-50, global average pooling, the paper's heads. Image only.
#[derive(Module, Debug)]
pub struct ResNet50 {
    stem: ConvNorm,
    pool: MaxPool2d,
    blocks: Vec<Bottleneck>,
    average: AdaptiveAvgPool2d,
    heads: Heads,
}

impl ResNet50 {
    /// Weights are zero.
    pub fn new(device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 64;
        for (stage, repeats) in [3, 4, 6, 3].into_iter().enumerate() {
            let narrow = 64 << stage;
            for i in 0..repeats {
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                blocks.push(Bottleneck::new(channels, narrow, stride, device));
                channels = narrow * 4;
            }
        }
        Self {
            stem: ConvNorm::new(3, 64, 7, 2, device),
            pool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            blocks,
            average: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            heads: Heads::new(channels, device),
        }
    }

    /// `image`: `[batch, 3, height, width]`.
    pub fn forward(&self, image: Tensor<4>) -> NetOutput {
        let mut x = self.pool.forward(relu(self.stem.forward(image)));
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.heads.forward(self.average.forward(x).flatten::<2>(1, 3))
    }
}

impl Bottleneck {
    fn new(input: usize, narrow: usize, stride: usize, device: &Device) -> Self {
        let wide = narrow * 4;
        Self {
            convs: [
                ConvNorm::new(input, narrow, 1, 1, device),
                ConvNorm::new(narrow, narrow, 3, stride, device),
                ConvNorm::new(narrow, wide, 1, 1, device),
            ],
            downsample: (stride != 1 || input != wide)
                .then(|| ConvNorm::new(input, wide, 1, stride, device)),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [a, b, c] = &self.convs;
        let x = c.forward(relu(b.forward(relu(a.forward(input.clone())))));
        let straight = match &self.downsample {
            Some(projection) => projection.forward(input),
            None => input,
        };
        relu(x + straight)
    }
}

impl ConvNorm {
    fn new(i: usize, o: usize, kernel: usize, stride: usize, device: &Device) -> Self {
        let p = kernel / 2;
        let config = Conv2dConfig::new([i, o], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(p, p, p, p))
            .with_bias(false);
        Self { conv: conv(config, device), bn: BatchNormConfig::new(o).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.bn.forward(self.conv.forward(x))
    }
}
