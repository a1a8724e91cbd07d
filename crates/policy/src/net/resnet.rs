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
        self.heads(self.features(image))
    }

    /// From the image to the pooled features, `[batch, 2048]`.
    pub fn features(&self, image: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.stem.forward(image)));
        self.rest_of_backbone(0, x)
    }

    /// From the pooled features to the two heads.
    pub fn heads(&self, features: Tensor<2>) -> NetOutput {
        self.heads.forward(features)
    }

    /// The part that the paper freezes, the first 120 layers of Keras' ResNet50: up to the last
    /// convolution of block `conv4_block4`, before its normalisation. That convolution's output
    /// and the block's input side by side, `[batch, 2 · 1024, rows, columns]`.
    pub fn paper_frozen(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = self.pool.forward(relu(self.stem.forward(image)));
        for block in self.blocks.iter().take(Self::PAPER_BLOCK) {
            x = block.forward(x);
        }
        let Some(Bottleneck { convs: [a, b, c], .. }) = self.blocks.get(Self::PAPER_BLOCK) else {
            return x;
        };
        let last = c.conv.forward(relu(b.forward(relu(a.forward(x.clone())))));
        Tensor::cat(vec![last, x], 1)
    }

    /// The part that the paper trains: [`ResNet50::paper_frozen`]'s output to the two heads.
    pub fn paper_trained(&self, frozen: Tensor<4>) -> NetOutput {
        let mut halves = frozen.chunk(2, 1);
        let (Some(input), Some(last)) = (halves.pop(), halves.pop()) else {
            unreachable!("chunk(2) makes two");
        };
        let x = match self.blocks.get(Self::PAPER_BLOCK) {
            Some(block) => relu(block.convs[2].bn.forward(last) + input),
            None => last,
        };
        self.heads(self.rest_of_backbone(Self::PAPER_BLOCK + 1, x))
    }

    /// Place of Keras' `conv4_block4`.
    const PAPER_BLOCK: usize = 3 + 4 + 3;

    /// Whether a value by this path in the network is frozen in the paper's recipe.
    pub fn is_paper_frozen(path: &str) -> bool {
        let place = path.split("blocks.").nth(1);
        match place.and_then(|rest| rest.split_once('.')) {
            None => path.contains("stem."),
            Some((block, rest)) => match block.parse::<usize>() {
                Ok(block) if block == Self::PAPER_BLOCK => !rest.starts_with("convs.2.bn."),
                Ok(block) => block < Self::PAPER_BLOCK,
                Err(_) => false,
            },
        }
    }

    fn rest_of_backbone(&self, first: usize, mut x: Tensor<4>) -> Tensor<2> {
        for block in self.blocks.iter().skip(first) {
            x = block.forward(x);
        }
        self.average.forward(x).flatten::<2>(1, 3)
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
