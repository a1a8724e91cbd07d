//! The dual-head networks: one type over the backbones.

mod efficientnet;
mod pilotnet;
mod resnet;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use caril_core::{Architecture, BRANCHES, CounterRng, InputSpec};

pub use efficientnet::EfficientNetLite0;
pub use pilotnet::PilotNet;
pub use resnet::ResNet50;

/// What goes into a network. All on the network's device.
#[derive(Debug, Clone)]
pub struct NetInput {
    /// `[batch, 3, height, width]`, normalised.
    pub image: Tensor<4>,
    /// `[batch, 1]`, speed / `speed_scale_mps`; ignored by the backbones that take no speed.
    pub speed: Tensor<2>,
    /// `[batch, BRANCHES]`, one-hot of [`branch_of`](caril_core::branch_of); ignored likewise.
    pub branch: Tensor<2>,
}

/// What comes out.
#[derive(Debug, Clone)]
pub struct NetOutput {
    /// `[batch, 1]`, normalised steer, linear.
    pub regression: Tensor<2>,
    /// `[batch, BIN_COUNT]`, before softmax.
    pub logits: Tensor<2>,
}

/// A dual-head network.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one per process")]
pub enum Net {
    /// See [`PilotNet`].
    PilotNet(PilotNet),
    /// See [`EfficientNetLite0`].
    EfficientNetLite0(EfficientNetLite0),
    /// See [`ResNet50`].
    ResNet50(ResNet50),
}

/// Whoever holds this draws alone. Burn's random numbers come from one generator of the whole
/// process: a network that is made in another thread between `seed` and a dropout's draw would
/// change the draw, and training would not repeat to the bit.
pub fn generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// A network with He-initialised weights that depend on nothing but `seed` (Burn's own
    /// initialisation draws from a generator that all threads share).
    pub fn new(architecture: Architecture, input: &InputSpec, seed: u64, device: &Device) -> Self {
        let _drawing = generator();
        let net = match architecture {
            Architecture::PilotNet => {
                let (width, height) = (input.width as usize, input.height as usize);
                Self::PilotNet(PilotNet::new(width, height, device))
            }
            Architecture::EfficientNetLite0 => {
                Self::EfficientNetLite0(EfficientNetLite0::new(device))
            }
            Architecture::ResNet50 => Self::ResNet50(ResNet50::new(device)),
        };
        net.map(&mut HeInit { seed, tensor: 0 })
    }

    /// Which backbone it is.
    pub const fn architecture(&self) -> Architecture {
        match self {
            Self::PilotNet(_) => Architecture::PilotNet,
            Self::EfficientNetLite0(_) => Architecture::EfficientNetLite0,
            Self::ResNet50(_) => Architecture::ResNet50,
        }
    }

    /// Predicts a batch.
    pub fn forward(&self, input: NetInput) -> NetOutput {
        match self {
            Self::PilotNet(net) => net.forward(input),
            Self::EfficientNetLite0(net) => net.forward(input.image),
            Self::ResNet50(net) => net.forward(input.image),
        }
    }

    /// The last layer before the heads, `[batch, length]`: what the picture means to the network.
    pub fn features(&self, input: NetInput) -> Tensor<2> {
        match self {
            Self::PilotNet(net) => net.features(input.image),
            Self::EfficientNetLite0(net) => net.features(input.image),
            Self::ResNet50(net) => net.features(input.image),
        }
    }
}

/// He-normal for every weight of rank 2 and 4; vectors (biases, normalisation) stay as they are.
struct HeInit {
    seed: u64,
    tensor: u64,
}

impl ModuleMapper for HeInit {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.tensor += 1;
        let mut rng = CounterRng::new(self.seed, self.tensor);
        // Burn's ids are random and are written to the file: numbered ones make the same weights
        // the same bytes.
        let (_, value, mapper) = param.consume();
        let param = Param::from_mapped_value(self.tensor.into(), value, mapper);
        param.map(|old| {
            let dims: [usize; D] = old.dims();
            // Linear is [in, out]; convolutions are [out, in, rows, columns].
            let (fan_in, gain) = match dims.as_slice() {
                // The last layers start small: a first guess of straight ahead and even classes.
                [input, output] if *output <= caril_core::BIN_COUNT => (*input, 0.1),
                [input, _] => (*input, 2.0),
                [_, input, rows, columns] => (input * rows * columns, 2.0),
                _ => return old,
            };
            let std = libm::sqrt(gain / fan_in.max(1) as f64);
            let count = dims.iter().product();
            let values: Vec<f32> = (0..count).map(|_| (rng.normal() * std) as f32).collect();
            Tensor::from_data(TensorData::new(values, dims), &old.device())
        })
    }
}

/// The two heads over a feature vector, for the backbones that see the image alone: dense 256 and
/// 128 shared, 64 per head, dropout 0.3 between (the paper's).
#[derive(Module, Debug)]
pub struct Heads {
    shared: [nn::Linear; 2],
    regression: [nn::Linear; 2],
    classes: [nn::Linear; 2],
    dropout: nn::Dropout,
}

impl Heads {
    fn new(features: usize, device: &Device) -> Self {
        let linear = |i, o| linear(i, o, device);
        Self {
            shared: [linear(features, 256), linear(256, 128)],
            regression: [linear(128, 64), linear(64, 1)],
            classes: [linear(128, 64), linear(64, caril_core::BIN_COUNT)],
            dropout: nn::DropoutConfig::new(0.3).init(),
        }
    }

    /// `features`: `[batch, features]`.
    fn forward(&self, features: Tensor<2>) -> NetOutput {
        let dense = |layer: &nn::Linear, x| {
            self.dropout.forward(burn::tensor::activation::relu(layer.forward(x)))
        };
        let [a, b] = &self.shared;
        let x = dense(b, dense(a, features));
        let [hidden, out] = &self.regression;
        let regression = out.forward(dense(hidden, x.clone()));
        let [hidden, out] = &self.classes;
        NetOutput { regression, logits: out.forward(dense(hidden, x)) }
    }
}

/// Zeros: [`HeInit`] fills in the weights.
fn linear(input: usize, output: usize, device: &Device) -> nn::Linear {
    nn::LinearConfig::new(input, output).with_initializer(nn::Initializer::Zeros).init(device)
}

fn conv(config: nn::conv::Conv2dConfig, device: &Device) -> nn::conv::Conv2d {
    config.with_initializer(nn::Initializer::Zeros).init(device)
}
