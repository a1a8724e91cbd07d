//! The dual-head networks: one type over the backbones.

mod efficientnet;
mod pilotnet;
mod resnet;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use caril_core::{CounterRng, InputSpec, NavCommand, PolicyInputs};

pub use efficientnet::EfficientNetLite0;
pub use pilotnet::PilotNet;
pub use resnet::ResNet50;

/// Number of command-conditioned branches: follow, left, right, straight.
pub const BRANCHES: usize = 4;

/// The branch of a navigation command. Lane changes use the branch of `Follow`: a branch of their
/// own would be untrained wherever the data has none.
pub const fn branch_of(nav: NavCommand) -> usize {
    match nav {
        NavCommand::Follow | NavCommand::ChangeLeft | NavCommand::ChangeRight => 0,
        NavCommand::Left => 1,
        NavCommand::Right => 2,
        NavCommand::Straight => 3,
    }
}

/// Name of a backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Architecture {
    /// Small, fast, takes speed and command: the default.
    #[default]
    PilotNet,
    /// EfficientNet-Lite0, image only.
    EfficientNetLite0,
    /// ResNet-50 as in the paper, image only.
    ResNet50,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PilotNet, Self::EfficientNetLite0, Self::ResNet50];

    /// Its name in cards and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PilotNet => "pilotnet",
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::ResNet50 => "resnet50",
        }
    }

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }

    /// The input that it is usually trained with.
    ///
    /// `pilotnet`: rows 212..372 of 448 (with the paper's camera: the road from 2.5 m ahead to a
    /// little above the horizon) to 200×64. The others: the paper's crop to 160×160.
    pub const fn default_input(self) -> InputSpec {
        let scale = 1.0 / 255.0;
        match self {
            Self::PilotNet => InputSpec {
                crop_top: 212.0 / 448.0,
                crop_bottom: 372.0 / 448.0,
                width: 200,
                height: 64,
                scale: [scale * 2.0; 3],
                offset: [-1.0; 3],
            },
            Self::EfficientNetLite0 => InputSpec {
                crop_top: 218.0 / 448.0,
                crop_bottom: 1.0,
                width: 160,
                height: 160,
                scale: [scale / 0.229, scale / 0.224, scale / 0.225],
                offset: [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
            },
            Self::ResNet50 => InputSpec {
                crop_top: 218.0 / 448.0,
                crop_bottom: 1.0,
                width: 160,
                height: 160,
                scale: [scale; 3],
                offset: [0.0; 3],
            },
        }
    }

    /// Its inputs beside the image.
    pub const fn default_inputs(self) -> PolicyInputs {
        match self {
            Self::PilotNet => PolicyInputs { speed_scale_mps: Some(15.0), nav: true },
            _ => PolicyInputs { speed_scale_mps: None, nav: false },
        }
    }

    /// What is wrong with an input's size or the inputs beside the image, if anything.
    pub(crate) fn misfit(self, input: &InputSpec, inputs: &PolicyInputs) -> Option<&'static str> {
        match self {
            Self::PilotNet => {
                let fits = input.width.is_multiple_of(4) && input.height.is_multiple_of(4);
                (!(fits && inputs.nav && inputs.speed_scale_mps.is_some()))
                    .then_some("width and height divisible by 4, nav and speed_scale_mps")
            }
            _ => {
                let small = input.width < 32 || input.height < 32;
                (small || inputs.nav || inputs.speed_scale_mps.is_some())
                    .then_some("at least 32×32 pixels, neither nav nor speed_scale_mps")
            }
        }
    }
}

/// What goes into a network. All on the network's device.
#[derive(Debug, Clone)]
pub struct NetInput {
    /// `[batch, 3, height, width]`, normalised.
    pub image: Tensor<4>,
    /// `[batch, 1]`, speed / `speed_scale_mps`; ignored by the backbones that take no speed.
    pub speed: Tensor<2>,
    /// `[batch, BRANCHES]`, one-hot of [`branch_of`]; ignored likewise.
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

impl Net {
    /// A network with He-initialised weights that depend on nothing but `seed` (Burn's own
    /// initialisation draws from a generator that all threads share).
    pub fn new(architecture: Architecture, input: &InputSpec, seed: u64, device: &Device) -> Self {
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
