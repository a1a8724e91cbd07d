//! The backbones by name: what goes in, without the networks themselves.

use crate::{BIN_COUNT, InputSpec, NavCommand, PolicyInputs};

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

/// EfficientNet-Lite0's stages: kernel, stride, expansion, channels out, repeats.
pub const EFFICIENTNET_LITE0_STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
];

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
    pub fn misfit(self, input: &InputSpec, inputs: &PolicyInputs) -> Option<&'static str> {
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

/// Probabilities of logits. NaN if a logit is NaN or +∞.
pub fn softmax(logits: [f32; BIN_COUNT]) -> [f32; BIN_COUNT] {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = logits.map(|l| libm::expf(l - max));
    let sum: f32 = exp.iter().sum();
    exp.map(|e| e / sum)
}
