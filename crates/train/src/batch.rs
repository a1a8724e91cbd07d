//! A batch: samples side by side.

use burn::prelude::*;
use caril_core::InputSpec;
use caril_policy::{BRANCHES, NetInput, branch_of};

use crate::dataset::Sample;

/// Samples side by side.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How the pictures were made.
    pub input: InputSpec,
    /// RGB rows, one picture after the other.
    pub rgb: Vec<u8>,
    /// Features of a frozen backbone, one sample after the other, instead of pictures.
    pub features: Vec<f32>,
    /// Speeds / scale.
    pub speed: Vec<f32>,
    /// Branches.
    pub branch: Vec<usize>,
    /// Expert's normalised steers.
    pub steer: Vec<f32>,
    /// The steers whose classes are to be learned: the same, but for the paper's label bug.
    pub class_steer: Vec<f32>,
}

impl Batch {
    /// An empty batch.
    pub const fn new(input: InputSpec) -> Self {
        Self {
            input,
            rgb: Vec::new(),
            features: Vec::new(),
            speed: Vec::new(),
            branch: Vec::new(),
            steer: Vec::new(),
            class_steer: Vec::new(),
        }
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
        self.push_label(sample, false, speed_scale_mps);
    }

    /// Adds all of a sample but its picture, as it is or in the mirror.
    pub fn push_label(&mut self, sample: &Sample, mirrored: bool, speed_scale_mps: f32) {
        let (nav, steer) = if mirrored {
            (sample.nav.mirrored(), -sample.steer)
        } else {
            (sample.nav, sample.steer)
        };
        self.speed.push(sample.speed_mps / speed_scale_mps);
        self.branch.push(branch_of(nav));
        self.steer.push(steer);
        self.class_steer.push(steer);
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
