//! EfficientNet-Lite0 with two heads.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::*;
use caril_core::EFFICIENTNET_LITE0_STAGES;

use super::{Heads, NetOutput, conv};

/// Inverted residual block. Field names are those of the published ImageNet weights.
#[derive(Module, Debug)]
pub struct Block {
    expand_conv: Option<Conv2d>,
    bn0: Option<BatchNorm>,
    depthwise_conv: Conv2d,
    bn1: BatchNorm,
    project_conv: Conv2d,
    bn2: BatchNorm,
    skip: bool,
}

/// EfficientNet-Lite0 (ReLU6, no squeeze-and-excitation), global average pooling, the paper's
/// heads. Image only.
#[derive(Module, Debug)]
pub struct EfficientNetLite0 {
    conv_stem: Conv2d,
    bn0: BatchNorm,
    blocks: Vec<Block>,
    conv_head: Conv2d,
    bn1: BatchNorm,
    pool: AdaptiveAvgPool2d,
    heads: Heads,
}

impl EfficientNetLite0 {
    /// Weights are zero.
    pub fn new(device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 32;
        for (kernel, stride, expansion, out, repeats) in EFFICIENTNET_LITE0_STAGES {
            for i in 0..repeats {
                let stride = if i == 0 { stride } else { 1 };
                blocks.push(Block::new(channels, out, kernel, stride, expansion, device));
                channels = out;
            }
        }
        Self {
            conv_stem: same(3, 32, 3, 2, 1, device),
            bn0: norm(32, device),
            blocks,
            conv_head: same(channels, 1280, 1, 1, 1, device),
            bn1: norm(1280, device),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            heads: Heads::new(1280, device),
        }
    }

    /// `image`: `[batch, 3, height, width]`.
    pub fn forward(&self, image: Tensor<4>) -> NetOutput {
        self.heads(self.features(image))
    }

    /// From the image to the pooled features, `[batch, 1280]`.
    pub fn features(&self, image: Tensor<4>) -> Tensor<2> {
        let mut x = relu6(self.bn0.forward(self.conv_stem.forward(image)));
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = relu6(self.bn1.forward(self.conv_head.forward(x)));
        self.pool.forward(x).flatten::<2>(1, 3)
    }

    /// From the pooled features to the two heads.
    pub fn heads(&self, features: Tensor<2>) -> NetOutput {
        self.heads.forward(features)
    }
}

impl Block {
    fn new(i: usize, o: usize, kernel: usize, stride: usize, expand: usize, d: &Device) -> Self {
        let wide = i * expand;
        Self {
            expand_conv: (expand > 1).then(|| same(i, wide, 1, 1, 1, d)),
            bn0: (expand > 1).then(|| norm(wide, d)),
            depthwise_conv: same(wide, wide, kernel, stride, wide, d),
            bn1: norm(wide, d),
            project_conv: same(wide, o, 1, 1, 1, d),
            bn2: norm(o, d),
            skip: stride == 1 && i == o,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut x = input.clone();
        if let (Some(conv), Some(bn)) = (&self.expand_conv, &self.bn0) {
            x = relu6(bn.forward(conv.forward(x)));
        }
        x = relu6(self.bn1.forward(self.depthwise_conv.forward(x)));
        x = self.bn2.forward(self.project_conv.forward(x));
        if self.skip { x + input } else { x }
    }
}

/// Two clamps: burn-flex vectorises these and not `clamp(0, 6)`.
fn relu6(x: Tensor<4>) -> Tensor<4> {
    x.clamp_min(0.0).clamp_max(6.0)
}

fn same(i: usize, o: usize, kernel: usize, stride: usize, groups: usize, d: &Device) -> Conv2d {
    let config = Conv2dConfig::new([i, o], [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Same)
        .with_bias(false);
    conv(config, d)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).with_epsilon(1e-3).init(device)
}
