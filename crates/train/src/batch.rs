//! A batch: samples drawn, mirrored and augmented, side by side.

use burn::prelude::*;
use caril_core::{CounterRng, InputSpec};
use caril_policy::{BRANCHES, NetInput, branch_of};

use crate::augment::augment;
use crate::dataset::{Sample, Sampler};

/// Samples side by side.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How the pictures were made.
    pub input: InputSpec,
    /// RGB rows, one picture after the other.
    pub rgb: Vec<u8>,
    /// Speeds / scale.
    pub speed: Vec<f32>,
    /// Branches.
    pub branch: Vec<usize>,
    /// Expert's normalised steers.
    pub steer: Vec<f32>,
}

impl Batch {
    /// An empty batch.
    pub const fn new(input: InputSpec) -> Self {
        Self { input, rgb: Vec::new(), speed: Vec::new(), branch: Vec::new(), steer: Vec::new() }
    }

    /// Number of samples.
    pub const fn len(&self) -> usize {
        self.steer.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.steer.is_empty()
    }

    /// Adds a sample as it is.
    pub fn push(&mut self, sample: &Sample, speed_scale_mps: f32) {
        self.rgb.extend_from_slice(&sample.rgb);
        self.speed.push(sample.speed_mps / speed_scale_mps);
        self.branch.push(branch_of(sample.nav));
        self.steer.push(sample.steer);
    }

    /// On a device.
    pub fn to_net_input(&self, device: &Device) -> NetInput {
        let (n, w, h) = (self.len(), self.input.width as usize, self.input.height as usize);
        let mut image = vec![0.0f32; n * 3 * w * h];
        let planes = image.chunks_exact_mut(3 * w * h);
        for (rgb, out) in self.rgb.chunks_exact(3 * w * h).zip(planes) {
            // Sizes are equal by construction.
            let _ = caril_policy::rgb_to_input(&self.input, rgb, out);
        }
        let mut branch = vec![0.0f32; n * BRANCHES];
        for (row, b) in branch.chunks_exact_mut(BRANCHES).zip(&self.branch) {
            row[*b] = 1.0;
        }
        NetInput {
            image: Tensor::from_data(TensorData::new(image, [n, 3, h, w]), device),
            speed: Tensor::from_data(TensorData::new(self.speed.clone(), [n, 1]), device),
            branch: Tensor::from_data(TensorData::new(branch, [n, BRANCHES]), device),
        }
    }
}

/// Where random batches come from: a pure function of (seed, number of the draw).
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Training samples.
    pub samples: &'a [&'a Sample],
    /// Draws from them.
    pub sampler: Sampler,
    /// How the pictures were made.
    pub input: InputSpec,
    /// Speeds are divided by this.
    pub speed_scale_mps: f32,
    /// Distance of the ground in every row, metres.
    pub distances_m: Vec<f32>,
    /// Seed of all draws.
    pub seed: u64,
    /// Whether half of the samples are mirrored.
    pub mirror: bool,
    /// Whether pictures are changed.
    pub augment: bool,
}

impl Source<'_> {
    /// Draws `first..first + count`.
    pub fn batch(&self, first: u64, count: usize) -> Batch {
        let mut batch = Batch::new(self.input);
        let width = self.input.width as usize;
        for i in 0..count as u64 {
            let mut rng = CounterRng::new(self.seed, first + i);
            let sample = self.samples[self.sampler.draw(&mut rng)];
            let start = batch.rgb.len();
            if self.mirror && rng.uniform() < 0.5 {
                batch.push(&sample.mirrored(width), self.speed_scale_mps);
            } else {
                batch.push(sample, self.speed_scale_mps);
            }
            if self.augment {
                augment(&mut batch.rgb[start..], width, &self.distances_m, &mut rng);
            }
        }
        batch
    }
}
