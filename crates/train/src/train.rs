//! From options and a data set to a pack; calibration and measuring of a pack that exists.

use std::path::Path;

use burn::prelude::*;
use caril_core::{CalibrationFacts, CameraSpec, PolicyCard};
use caril_policy::{Architecture, Net, Pack};

use crate::augment::ground_distances;
use crate::calibrate::{CALIBRATION_FRAMES_MIN, Risk, calibrate_predictions, hidden_samples};
use crate::dataset::{Dataset, Sample};
use crate::error::TrainError;
use crate::evaluate::{Predicted, Quality, predict, quality};
use crate::learner::{fit, worker_pools};
use crate::options::{Progress, TrainOptions, TrainSummary};
use crate::runner::Runner;

/// The card that training with these options starts from: of the pack to go on from, or a new
/// one. It says how a data set's pictures have to be made.
///
/// # Errors
/// [`TrainError::Pack`] if the pack to go on from does not load; [`TrainError::Option`] if the
/// steer scale makes no sense or published weights are asked for that there are none of.
pub fn starting_card(
    options: &TrainOptions,
    camera: &CameraSpec,
) -> Result<PolicyCard, TrainError> {
    if let Some(dir) = &options.from {
        let card = Pack::load_card(dir)?;
        if card.architecture != options.architecture.name() {
            return Err(TrainError::Architecture {
                expected: options.architecture.name(),
                found: card.architecture,
                path: dir.clone(),
            });
        }
        return Ok(card);
    }
    if options.init.is_some() && options.architecture == Architecture::PilotNet {
        let expected = "left out for pilotnet, of which there are no published weights";
        return Err(TrainError::Option { option: "init", expected });
    }
    if !(options.steer_scale > 0.0 && options.steer_scale <= 1.0) {
        return Err(TrainError::Option { option: "steer scale", expected: "above 0, at most 1" });
    }
    let mut card = PolicyCard::new(&options.name, options.architecture, camera);
    card.steer_scale = options.steer_scale;
    Ok(card)
}

/// Trains on a data set made for `card` (see [`starting_card`]); `data_sha256` are the
/// recordings' hashes, for the card.
///
/// # Errors
/// [`TrainError`].
pub fn train_on(
    dataset: &Dataset,
    mut card: PolicyCard,
    data_sha256: Vec<String>,
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainSummary, TrainError> {
    if dataset.is_empty() {
        return Err(TrainError::NoData);
    }
    let device = Device::flex();
    let net = match (&options.from, &options.init) {
        (Some(dir), _) => Pack::load(dir, &device)?.net,
        (None, init) => {
            let architecture = Architecture::from_name(&card.architecture).unwrap_or_default();
            let net = Net::new(architecture, &card.input, options.seed, &device);
            match init {
                Some(path) => net.load_imagenet(path)?,
                None => net,
            }
        }
    };
    card.name.clone_from(&options.name);
    card.training.command.clone_from(&options.command);
    card.training.version = env!("CARGO_PKG_VERSION").into();
    card.training.data_sha256 = data_sha256;
    card.training.seed = options.seed;
    fit(dataset, card, net, options, progress)
}

/// Predicts every sample of a data set with a pack.
///
/// # Errors
/// [`TrainError::Pack`] if the pack does not load, [`TrainError::NoData`] without samples.
pub fn predict_pack(
    dir: &Path,
    dataset: &Dataset,
    threads: usize,
) -> Result<(PolicyCard, Vec<Predicted>), TrainError> {
    let samples: Vec<&Sample> = dataset.drives.iter().flat_map(|d| &d.samples).collect();
    if samples.is_empty() {
        return Err(TrainError::NoData);
    }
    let Pack { card, net } = Pack::load(dir, &Device::flex())?;
    let scale = card.inputs.speed_scale_mps.unwrap_or(1.0);
    let predicted = predict(&net, &samples, &dataset.input, scale, &worker_pools(threads)?);
    Ok((card, predicted))
}

/// Measures a pack on every sample of a data set.
///
/// # Errors
/// As [`predict_pack`].
pub fn evaluate_pack(dir: &Path, dataset: &Dataset, threads: usize) -> Result<Quality, TrainError> {
    let (_, predicted) = predict_pack(dir, dataset, threads)?;
    Ok(quality(&predicted, &crate::Loss::default()))
}

/// Calibrates a pack on drives that it was not trained on and writes its card again. `facts` says
/// which drives, what `runner` is called, and with `risk_budget` and `wrong_above` what risk is
/// accepted; its number of frames and the risk reached are filled in.
///
/// # Errors
/// As [`predict_pack`], and [`TrainError::Option`] if there are fewer than
/// [`CALIBRATION_FRAMES_MIN`] samples.
pub fn calibrate_on(
    dir: &Path,
    dataset: &Dataset,
    mut facts: CalibrationFacts,
    runner: &Runner,
    threads: usize,
) -> Result<PolicyCard, TrainError> {
    const EXPECTED: &str = "recordings with at least 50 frames and finite predictions";
    const { assert!(CALIBRATION_FRAMES_MIN == 50, "as EXPECTED says") };
    let Pack { mut card, net } = Pack::load(dir, &runner.device())?;
    let clean: Vec<&Sample> = dataset.drives.iter().flat_map(|d| &d.samples).collect();
    let distances_m = ground_distances(&card.camera, &dataset.input);
    let hidden = hidden_samples(&clean, dataset.input.width as usize, &distances_m);
    let hidden: Vec<&Sample> = hidden.iter().collect();
    let (scale, pools) = (card.inputs.speed_scale_mps.unwrap_or(1.0), worker_pools(threads)?);
    let predict =
        |samples: &[&Sample]| runner.predict(&net, samples, &dataset.input, scale, &pools);
    let risk = Risk { budget: f64::from(facts.risk_budget), wrong_above: facts.wrong_above };
    let fitted = calibrate_predictions(&predict(&clean), &predict(&hidden), risk)
        .ok_or(TrainError::Option { option: "data", expected: EXPECTED })?;
    card.calibration = fitted.calibration;
    card.conformal = Some(fitted.conformal);
    facts.frames = clean.len() as u64;
    facts.risk_reached = Some(fitted.risk_reached as f32);
    card.calibrated_on = Some(facts);
    caril_pack::save_card(&card, dir)?;
    Ok(card)
}
