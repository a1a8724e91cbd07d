//! The learner, on tiny made-up drives.

use caril_core::{CameraSpec, InputSpec};
use caril_policy::{Architecture, new_card};


use super::*;
use crate::dataset::Drive;
use crate::gradients::autodiff_gradient;
use crate::loss::Loss;
use crate::options::Augmentation;
use crate::synthetic::synthetic;

fn tiny() -> InputSpec {
    InputSpec { width: 44, height: 20, ..Architecture::PilotNet.default_input() }
}

#[test]
fn written_out_gradient_agrees_with_automatic_differentiation() {
    let data = synthetic(tiny(), 1, 24, 1);
    let net = Net::new(Architecture::PilotNet, &tiny(), 7, &Device::flex());
    let (values, slots) = flatten(&net);
    let (samples, _) = data.split(0);
    let source = Source {
        samples: &samples,
        sampler: Sampler::new(&samples),
        input: tiny(),
        speed_scale_mps: 15.0,
        seed: 3,
        augment: true,
    };
    let pools = worker_pools(2).unwrap();
    for loss in [Loss::default(), Loss::Paper] {
        let (want_loss, want) =
            autodiff_gradient(&net, &mut values.clone(), &source.batch(48, 24), &loss);
        let mut ours = Gradients::new(net.clone(), slots.clone(), &data);
        let (got_loss, got) = ours.gradient(&mut values.clone(), &source, 2, 24, &loss, &pools);
        assert!((want_loss - got_loss).abs() < 1e-5, "{want_loss} {got_loss}");
        for slot in &slots {
            let (want, got) = (slot.of(&want), slot.of(&got));
            let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
            let apart: Vec<f32> = want.iter().zip(got).map(|(a, b)| a - b).collect();
            assert!(norm(want) > 1e-6, "{slot:?}");
            assert!(norm(&apart) < 1e-4 * norm(want), "{slot:?} {}", norm(&apart));
        }
    }
}

fn options(dir: &std::path::Path) -> TrainOptions {
    TrainOptions {
        out: dir.to_path_buf(),
        steps: Some(6),
        batch: 40,
        held_out_every: 2,
        threads: 2,
        ..TrainOptions::default()
    }
}

fn train(options: &TrainOptions, data: &Dataset) -> Result<TrainSummary, TrainError> {
    let mut card = new_card("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
    card.input = data.input;
    let net = Net::new(Architecture::PilotNet, &data.input, options.seed, &Device::flex());
    fit(data, card, net, options, &mut |_| {})
}

#[test]
fn same_seed_same_weights_whatever_the_threads() {
    let data = synthetic(tiny(), 2, 60, 1);
    let hash = |threads, seed| {
        let dir = tempfile::tempdir().unwrap();
        let options = TrainOptions { threads, seed, ..options(dir.path()) };
        train(&options, &data).unwrap().card.weights_sha256
    };
    let one = hash(1, 1);
    assert_eq!(hash(1, 1), one);
    assert_eq!(hash(3, 1), one);
    assert_ne!(hash(1, 2), one);
}

#[test]
fn overfits_32_samples_and_calibrates() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = synthetic(tiny(), 1, 32, 1);
    let again = Drive { samples: [&*data.drives[0].samples; 2].concat() };
    data.drives.push(again);
    let options = TrainOptions {
        steps: Some(400),
        batch: 32,
        augment: false,
        lr: 2e-3,
        ..options(dir.path())
    };
    let mut epochs = 0;
    let mut card = new_card("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
    card.input = data.input;
    let net = Net::new(Architecture::PilotNet, &data.input, 1, &Device::flex());
    let summary = fit(&data, card, net, &options, &mut |p| {
        epochs += u32::from(matches!(p, Progress::Epoch { .. }));
    })
    .unwrap();
    assert_eq!(epochs, 400, "32 samples are one step an epoch");
    assert!(summary.held_out.mae < 0.03, "{:?}", summary.held_out);
    assert!(summary.held_out.accuracy_within_one > 0.95, "{:?}", summary.held_out);
    assert!(summary.calibrated && summary.card.calibration.regression_sigma < 0.05);
    let curves = std::fs::read_to_string(dir.path().join("curves.csv")).unwrap();
    assert_eq!(curves.lines().count(), 401);
    Pack::load(dir.path(), &Device::flex()).unwrap();
}

#[test]
fn divergence_is_an_error_and_leaves_no_pack() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = synthetic(tiny(), 2, 60, 1);
    data.drives[0].samples.iter_mut().for_each(|s| s.speed_mps = f32::NAN);
    let error = train(&options(dir.path()), &data).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 1, .. }), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn too_little_data_or_nonsense_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let one = synthetic(tiny(), 1, 60, 1);
    let error = train(&options(dir.path()), &one).unwrap_err();
    assert!(matches!(error, TrainError::TooFewDrives { train: 60, held_out: 0 }), "{error}");
    let two = synthetic(tiny(), 2, 60, 1);
    let bad = TrainOptions { lr: f32::NAN, ..options(dir.path()) };
    assert!(matches!(train(&bad, &two), Err(TrainError::Option { option: "lr", .. })));
}
