//! A small convolutional network in the spirit of PilotNet, shaped for training on a CPU.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::relu;
use caril_core::BIN_COUNT;

use super::{BRANCHES, NetInput, NetOutput, conv, linear};

/// A patch stem (4×4 pixels, stride 4: all arithmetic of high resolution in one matrix product),
/// four 3×3 convolutions, a dense layer of features, then one branch per navigation command and
/// head. All branches are computed; the one-hot command keeps one of them.
///
/// At 200×64: 15 M multiply–adds, 0.59 M parameters.
#[derive(Module, Debug)]
pub struct PilotNet {
    /// `[32, 3, 4, 4]`, stride 4, no padding.
    pub stem: Conv2d,
    /// 3×3 with padding 1: 32→32, 32→48 stride 2, 48→64 stride 2, 64→64.
    pub convs: [Conv2d; 4],
    /// Flattened maps to features.
    pub features: Linear,
    /// Features and speed to `BRANCHES` · [`PilotNet::HIDDEN`].
    pub regression_hidden: Linear,
    /// Kept branch to steer.
    pub regression: Linear,
    /// Features and speed to `BRANCHES` · [`PilotNet::HIDDEN`].
    pub class_hidden: Linear,
    /// Kept branch to logits.
    pub classes: Linear,
}

impl PilotNet {
    /// Channels after the stem and each convolution.
    pub const CHANNELS: [usize; 5] = [32, 32, 48, 64, 64];
    /// Strides of the 3×3 convolutions.
    pub const STRIDES: [usize; 4] = [1, 2, 2, 1];
    /// Pixels per side of a stem patch.
    pub const PATCH: usize = 4;
    /// Width of the dense layer of features.
    pub const FEATURES: usize = 128;
    /// Width of one branch of one head.
    pub const HIDDEN: usize = 64;

    /// For an input of `width`×`height` pixels, both divisible by 4. Weights are zero.
    pub fn new(width: usize, height: usize, device: &Device) -> Self {
        let [c0, c1, c2, c3, c4] = Self::CHANNELS;
        let patch = [Self::PATCH, Self::PATCH];
        let three = |input: usize, output: usize, stride: usize| {
            let config = Conv2dConfig::new([input, output], [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
            conv(config, device)
        };
        let [s1, s2, s3, s4] = Self::STRIDES;
        let (columns, rows) = Self::map_size(width, height);
        let branches = BRANCHES * Self::HIDDEN;
        Self {
            stem: conv(Conv2dConfig::new([3, c0], patch).with_stride(patch), device),
            convs: [three(c0, c1, s1), three(c1, c2, s2), three(c2, c3, s3), three(c3, c4, s4)],
            features: linear(c4 * columns * rows, Self::FEATURES, device),
            regression_hidden: linear(Self::FEATURES + 1, branches, device),
            regression: linear(branches, 1, device),
            class_hidden: linear(Self::FEATURES + 1, branches, device),
            classes: linear(branches, BIN_COUNT, device),
        }
    }

    /// Columns and rows of the last map.
    pub fn map_size(width: usize, height: usize) -> (usize, usize) {
        let last = |pixels: usize| {
            Self::STRIDES.iter().fold(pixels / Self::PATCH, |n, stride| n.div_ceil(*stride))
        };
        (last(width), last(height))
    }

    /// Predicts a batch.
    pub fn forward(&self, input: NetInput) -> NetOutput {
        self.heads(self.maps(input.image), input.speed, input.branch)
    }

    /// From the image `[batch, 3, height, width]` to the flattened maps.
    fn maps(&self, image: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.stem.forward(image));
        for conv in &self.convs {
            x = relu(conv.forward(x));
        }
        x.flatten::<2>(1, 3)
    }

    /// What the heads see of the picture, `[batch, FEATURES]`.
    pub fn features(&self, image: Tensor<4>) -> Tensor<2> {
        relu(self.features.forward(self.maps(image)))
    }

    /// From the flattened maps `[batch, channels · rows · columns]` to the two heads.
    pub fn heads(&self, maps: Tensor<2>, speed: Tensor<2>, branch: Tensor<2>) -> NetOutput {
        let [batch, _] = branch.dims();
        let features = relu(self.features.forward(maps));
        let x = Tensor::cat(vec![features, speed], 1);
        let mask: Tensor<2> = branch
            .reshape([batch, BRANCHES, 1])
            .expand([batch, BRANCHES, Self::HIDDEN])
            .reshape([batch, BRANCHES * Self::HIDDEN]);
        let regression = relu(self.regression_hidden.forward(x.clone())) * mask.clone();
        let classes = relu(self.class_hidden.forward(x)) * mask;
        NetOutput {
            regression: self.regression.forward(regression),
            logits: self.classes.forward(classes),
        }
    }
}
