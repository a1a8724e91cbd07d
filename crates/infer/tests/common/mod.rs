//! Packs with random weights, and pictures, for the tests.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::Path;

use burn::module::{Module as _, ModuleMapper, Param};
use burn::prelude::*;
use caril_core::{CameraSpec, CounterRng, Frame, InputSpec, NavCommand, PolicyCard};
use caril_policy::{Architecture, Net, Pack};

pub fn camera() -> CameraSpec {
    CameraSpec { width: 96, height: 64, ..CameraSpec::PAPER }
}

/// Vectors (biases, normalisation) are not what training starts with, so that folding is tested.
struct Shake {
    tensor: u64,
}

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.tensor += 1;
        let mut rng = CounterRng::new(11, self.tensor);
        param.map(|old| match D {
            1 => {
                let dims: [usize; D] = old.dims();
                // Gamma and variance stay positive, the network's values of order one.
                let shake: Vec<f32> = (0..dims[0]).map(|_| rng.range(-0.15, 0.15) as f32).collect();
                let shake = Tensor::from_data(TensorData::new(shake, dims), &old.device());
                old + shake
            }
            _ => old,
        })
    }
}

pub fn spec(architecture: Architecture, width: u32, height: u32) -> InputSpec {
    InputSpec { width, height, ..architecture.default_input() }
}

/// Saves a pack with random weights.
pub fn save(dir: &Path, architecture: Architecture, input: InputSpec) {
    let mut card = PolicyCard::new("test", architecture, &camera());
    card.input = input;
    let net = Net::new(architecture, &card.input, 3, &Device::flex());
    let net = net.map(&mut Shake { tensor: 0 });
    Pack { card, net }.save(dir).unwrap();
}

/// Something like a road: a gradient with edges, and noise of the given strength.
pub fn frame(camera: &CameraSpec, seed: u64, noise: u64) -> Frame {
    let mut frame = Frame::for_camera(camera);
    let mut rng = CounterRng::new(5, seed);
    let (lean, width) = (rng.range(-0.4, 0.4), camera.width as usize);
    for (i, pixel) in frame.image.data.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % width, i / width);
        let middle = width as f64 * (0.5 + lean * (1.0 - y as f64 / f64::from(camera.height)));
        let road = (x as f64 - middle).abs() < 0.3 * y as f64;
        let mark = (x as f64 - middle).abs() < 1.5;
        let base = if mark {
            220
        } else if road {
            90
        } else {
            40 + (y % 120) as u64
        };
        for byte in pixel {
            *byte = (base + rng.below(noise.max(1))).min(255) as u8;
        }
    }
    frame.ego.speed_mps = rng.range(0.0, 20.0) as f32;
    frame.nav = NavCommand::ALL[rng.below(6) as usize];
    frame
}
