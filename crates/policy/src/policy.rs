//! A policy pack behind the `Policy` trait.

use std::path::Path;

use burn::prelude::*;
use caril_core::{
    BIN_COUNT, BRANCHES, Fault, Frame, Lift, Policy, PolicyCard, Prediction, PredictionError,
    Preprocessor, branch_of, rgb_to_input, softmax,
};

use crate::{Backend, Net, NetInput, Pack, PackError};

/// A network that drives. Burn allocates in its forward pass; nothing else here does.
#[derive(Debug)]
pub struct BurnPolicy {
    card: PolicyCard,
    net: Net,
    device: Device,
    preprocessor: Preprocessor,
    input: Vec<f32>,
}

impl BurnPolicy {
    /// Loads a pack and runs it once on a black image, so that the first frame is not the slow
    /// one.
    ///
    /// # Errors
    /// [`PackError`] if the pack does not load or the backend is not compiled in.
    pub fn load(dir: &Path, backend: Backend) -> Result<Self, PackError> {
        let device = backend.device()?;
        let pack = Pack::load(dir, &device)?;
        Ok(Self::new(pack, device))
    }

    /// From a pack in memory, whose network is on `device` (not an autodiff one).
    pub fn new(pack: Pack, device: Device) -> Self {
        let Pack { card, net } = pack;
        let preprocessor = Preprocessor::for_card(&card);
        let input = vec![0.0; (3 * card.input.width * card.input.height) as usize];
        let mut policy = Self { card, net, device, preprocessor, input };
        let frame = Frame::for_camera(&policy.card.camera);
        // A prediction or a fault; both have warmed the caches.
        let _ = policy.infer(&frame);
        policy
    }

    /// The network.
    pub const fn net(&self) -> &Net {
        &self.net
    }

    fn forward(&self, speed: f32, branch: usize) -> Option<(f32, [f32; BIN_COUNT])> {
        let spec = &self.card.input;
        let shape = [1, 3, spec.height as usize, spec.width as usize];
        let mut one_hot = [0.0f32; BRANCHES];
        *one_hot.get_mut(branch)? = 1.0;
        let output = self.net.forward(NetInput {
            image: Tensor::from_data(TensorData::new(self.input.clone(), shape), &self.device),
            speed: Tensor::from_data([[speed]], &self.device),
            branch: Tensor::from_data([one_hot], &self.device),
        });
        // One tensor: a GPU is waited for once.
        let output = Tensor::cat(vec![output.regression, output.logits], 1);
        let values = output.try_into_data().ok()?.try_into_vec::<f32>().ok()?;
        match values.as_slice() {
            [regression, logits @ ..] => Some((*regression, softmax(logits.try_into().ok()?))),
            [] => None,
        }
    }
}

impl Policy for BurnPolicy {
    fn card(&self) -> &PolicyCard {
        &self.card
    }

    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        self.look(frame, None)
    }

    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        self.look(frame, Some(lift))
    }
}

impl BurnPolicy {
    fn look(&mut self, frame: &Frame, lift: Option<&Lift>) -> Result<Prediction, Fault> {
        self.preprocessor.rgb(&frame.image).ok_or(Fault::ImageMalformed)?;
        let rgb = self.preprocessor.lifted(lift);
        rgb_to_input(&self.card.input, rgb, &mut self.input).ok_or(Fault::ImageMalformed)?;
        let speed = match self.card.inputs.speed_scale_mps {
            Some(scale) => frame.ego.speed_mps / scale,
            None => 0.0,
        };
        if !speed.is_finite() {
            return Err(Fault::EgoInvalid);
        }
        let (regression, probs) =
            self.forward(speed, branch_of(frame.nav)).ok_or(Fault::PredictionMalformed)?;
        Prediction::new(regression, probs).map_err(|e| match e {
            PredictionError::NonFinite => Fault::PredictionNonFinite,
            PredictionError::Malformed => Fault::PredictionMalformed,
        })
    }
}
