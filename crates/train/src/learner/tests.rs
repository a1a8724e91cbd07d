//! The learner, on tiny made-up drives.

use caril_core::{CameraSpec, InputSpec};
use caril_policy::Architecture;

use super::*;
use crate::dataset::Drive;
use crate::evaluate::predict;
use crate::gradients::autodiff_gradient;
use crate::options::Augmentation;
use crate::params::Slot;
use crate::synthetic::synthetic;

fn tiny() -> InputSpec {
    InputSpec { width: 44, height: 20, ..Architecture::PilotNet.default_input() }
}

fn source<'a>(samples: &'a [&'a Sample], augment: Augmentation) -> Source<'a> {
    Source {
        samples,
        sampler: Sampler::new(samples, crate::Balance::Weight),
        input: tiny(),
        speed_scale_mps: 15.0,
        steer_scale: 0.25,
        distances_m: vec![9.0; 20],
        view: View::new(CameraSpec::PAPER, tiny()),
        seed: 3,
        augment,
        features: None,
    }
}

#[test]
fn written_out_gradient_agrees_with_automatic_differentiation() {
    let data = synthetic(tiny(), 1, 24, 1);
    let net = Net::new(Architecture::PilotNet, &tiny(), 7, &Device::flex());
    let (values, slots) = flatten(&net);
    let (samples, _) = data.split(0);
    let augment = Augmentation { mirror: true, label_bug: true, ..Augmentation::default() };
    let source = source(&samples, augment);
    let pools = worker_pools(2).unwrap();
    let whole = source.batch(48, 24);
    let pieces = [source.batch(48, 8), source.batch(56, 8), source.batch(64, 8)];
    assert!(whole.steer != whole.class_steer, "the bug is in the targets");
    for loss in [Loss::default(), Loss::Paper] {
        let (want_loss, want) = autodiff_gradient(
            &Device::flex(),
            &net,
            &mut values.clone(),
            &whole,
            &loss,
            Freeze::None,
        );
        let ours = Gradients::new(
            net.clone(),
            (&values, slots.clone()),
            (44, 20),
            Freeze::None,
            3,
            Device::flex(),
        );
        let (got_loss, got) = ours.gradient(&mut values.clone(), &pieces, 2, &loss, &pools);
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

fn options(dir: &Path) -> TrainOptions {
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
    let mut card = PolicyCard::new("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
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
    // Sixteen steps an epoch: measuring and saving is not what this tests.
    let one = data.drives[0].samples.clone();
    let again =
        |times: usize| Drive { samples: one.iter().cycle().take(32 * times).cloned().collect() };
    data.drives = vec![again(16), again(2)];
    let options = TrainOptions {
        steps: Some(400),
        batch: 32,
        augment: Augmentation::NONE,
        lr: 2e-3,
        ..options(dir.path())
    };
    let mut epochs = 0;
    let mut card = PolicyCard::new("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
    card.input = data.input;
    let net = Net::new(Architecture::PilotNet, &data.input, 1, &Device::flex());
    let summary = fit(&data, card, net, &options, &mut |p| {
        epochs += u32::from(matches!(p, Progress::Epoch { .. }));
    })
    .unwrap();
    assert_eq!(epochs, 25, "512 samples are 16 steps an epoch");
    assert!(summary.held_out.mae < 0.03, "{:?}", summary.held_out);
    assert!(summary.held_out.accuracy_within_one > 0.95, "{:?}", summary.held_out);
    assert!(summary.calibrated && summary.card.calibration.regression_sigma < 0.05);
    // Noise of 0 to 59 with a bright line.
    let colours = summary.card.colours.unwrap();
    assert!(colours.mean.iter().all(|m| (30.0..60.0).contains(m)), "{colours:?}");
    let curves = std::fs::read_to_string(dir.path().join("curves.csv")).unwrap();
    assert_eq!(curves.lines().count(), 26);
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

#[test]
fn one_class_or_no_held_out_drive_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = synthetic(tiny(), 2, 20, 1);
    data.drives.iter_mut().flat_map(|d| &mut d.samples).for_each(|s| s.steer = 0.3);
    let error = train(&options(dir.path()), &data).unwrap_err();
    assert!(matches!(error, TrainError::OneClass { class: 7, frames: 20 }), "{error}");
    let patience = TrainOptions { patience: Some(0), ..options(dir.path()) };
    assert!(train(&patience, &synthetic(tiny(), 2, 20, 1)).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was written");
}

/// Weights, curves without their seconds.
fn results(dir: &Path) -> (Vec<u8>, Vec<String>) {
    let weights = std::fs::read(dir.join(caril_policy::WEIGHTS_FILE)).unwrap();
    let curves = std::fs::read_to_string(dir.join("curves.csv")).unwrap();
    let without_time = |line: &str| {
        line.split(',').enumerate().filter(|(i, _)| *i != 2).map(|(_, v)| format!("{v},")).collect()
    };
    (weights, curves.lines().map(without_time).collect())
}

/// Trains in processes that are stopped after every single step.
fn in_pieces(options: &TrainOptions, mut go_on: impl FnMut(&TrainOptions) -> TrainSummary) -> u64 {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let options = TrainOptions { resume: true, stop: Some(stop), ..options.clone() };
    let mut runs = 0;
    while go_on(&options).end == TrainEnd::Stopped {
        runs += 1;
        assert!(runs < 100);
    }
    runs
}

#[test]
fn stopped_after_every_step_gives_the_same_bits() {
    let (whole, pieces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = synthetic(tiny(), 2, 60, 1);
    let options = TrainOptions { batch: 25, steps: Some(7), ..options(whole.path()) };
    let once = train(&options, &data).unwrap();
    assert_eq!((once.end, once.steps), (TrainEnd::Complete, 7));
    let options = TrainOptions { out: pieces.path().to_path_buf(), threads: 1, ..options };
    let runs = in_pieces(&options, |o| train(o, &data).unwrap());
    assert_eq!(runs, 7, "one step each, then the end");
    assert_eq!(results(whole.path()), results(pieces.path()));
    // And once more: it is over.
    let over = train(&TrainOptions { resume: true, ..options.clone() }, &data).unwrap();
    assert_eq!((over.steps, over.card.weights_sha256), (7, once.card.weights_sha256));
    assert_eq!(over.held_out, once.held_out);
    let other = TrainOptions { resume: true, lr: 0.5, ..options };
    let error = train(&other, &data).unwrap_err().to_string();
    assert!(error.contains("its lr was 0.001, now it is 0.5"), "{error}");
}

#[test]
fn no_improvement_ends_the_training_and_the_best_pack_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut data = synthetic(tiny(), 2, 40, 1);
    // What is learned is the opposite of what is asked.
    data.drives[1].samples.iter_mut().for_each(|s| s.steer = -s.steer);
    let options = TrainOptions {
        steps: Some(2000),
        lr: 5e-3,
        patience: Some(3),
        augment: Augmentation::NONE,
        ..options(dir.path())
    };
    let mut epochs = Vec::new();
    let mut card = PolicyCard::new("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
    card.input = data.input;
    let net = Net::new(Architecture::PilotNet, &data.input, 1, &Device::flex());
    let summary = fit(&data, card, net, &options, &mut |p| {
        if let Progress::Epoch { best, held_out, .. } = p {
            epochs.push((best, held_out.loss));
        }
    })
    .unwrap();
    assert_eq!(summary.end, TrainEnd::EarlyStop);
    let last_best = epochs.iter().rposition(|(best, _)| *best).unwrap();
    assert_eq!(epochs.len(), last_best + 4, "{epochs:?}");
    assert_eq!(summary.held_out.loss, epochs[last_best].1);
}

#[test]
fn displaced_and_capped_training_depends_on_the_seed_alone() {
    let data = synthetic(tiny(), 2, 40, 1);
    let hash = |threads| {
        let dir = tempfile::tempdir().unwrap();
        let options = TrainOptions {
            threads,
            steps: Some(3),
            balance: crate::Balance::Cap { bins: 20, frames: 2 },
            augment: Augmentation { shift_m: 0.4, yaw_deg: 2.0, ..Augmentation::default() },
            ..options(dir.path())
        };
        let summary = train(&options, &data).unwrap();
        assert!(summary.train_frames < 40 && (0.0..1.0).contains(&summary.waited_share));
        summary.card.weights_sha256
    };
    assert_eq!(hash(1), hash(3));
}

/// The backbones that are differentiated automatically, at the least size.
fn small(architecture: Architecture) -> (Dataset, PolicyCard, Net) {
    let input = InputSpec { width: 32, height: 32, ..architecture.default_input() };
    let mut card = PolicyCard::new("small", architecture, &CameraSpec::PAPER);
    card.input = input;
    (synthetic(input, 2, 8, 1), card, Net::new(architecture, &input, 1, &Device::flex()))
}

#[test]
fn frozen_backbone_stays_and_heads_learn_the_same_in_pieces() {
    let (data, card, net) = small(Architecture::EfficientNetLite0);
    let (before, slots) = flatten(&net);
    let (whole, pieces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = TrainOptions {
        steps: Some(3),
        batch: 4,
        freeze: Freeze::Backbone,
        augment: Augmentation { mirror: true, ..Augmentation::NONE },
        ..options(whole.path())
    };
    let fit = |o: &TrainOptions| fit(&data, card.clone(), net.clone(), o, &mut |_| {}).unwrap();
    let once = fit(&options);
    let options = TrainOptions { out: pieces.path().to_path_buf(), ..options };
    in_pieces(&options, fit);
    assert_eq!(results(whole.path()), results(pieces.path()));
    let pack = Pack::load(whole.path(), &Device::flex()).unwrap();
    let (after, _) = flatten(&pack.net);
    for slot in &slots {
        let same = slot.of(&before) == slot.of(&after);
        assert_eq!(same, !slot.name.contains("heads."), "{}", slot.name);
    }
    // The whole network says what the heads said of the features.
    let (_, held_out) = data.split(2);
    let pools = worker_pools(1).unwrap();
    let predicted = predict(&pack.net, &held_out, &data.input, 1.0, &pools);
    assert!((quality(&predicted, &Loss::default()).loss - once.held_out.loss).abs() < 1e-4);
    let picture = TrainOptions { augment: Augmentation::default(), ..options };
    assert!(super::fit(&data, card, net.clone(), &picture, &mut |_| {}).is_err());
}

#[test]
fn batch_normalisation_and_dropout_go_on_where_they_were() {
    let (data, card, net) = small(Architecture::EfficientNetLite0);
    let (whole, pieces) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = TrainOptions { steps: Some(2), batch: 2, ..options(whole.path()) };
    let fit = |o: &TrainOptions| fit(&data, card.clone(), net.clone(), o, &mut |_| {}).unwrap();
    fit(&options);
    in_pieces(&TrainOptions { out: pieces.path().to_path_buf(), ..options }, fit);
    assert_eq!(results(whole.path()), results(pieces.path()));
}

#[test]
fn the_papers_two_parts_are_the_whole_and_its_frozen_part_stays() {
    let (data, card, net) = small(Architecture::ResNet50);
    let Net::ResNet50(resnet) = &net else { unreachable!() };
    let (samples, _) = data.split(0);
    let mut batch = crate::batch::Batch::new(data.input);
    samples.iter().take(2).for_each(|s| batch.push(s, 1.0));
    let image = batch.to_net_input(&Device::flex()).image;
    let get = |t: Tensor<2>| t.into_data().try_into_vec::<f32>().unwrap();
    let whole = resnet.forward(image.clone());
    let parts = resnet.paper_trained(resnet.paper_frozen(image));
    assert_eq!(get(whole.logits), get(parts.logits));
    assert_eq!(get(whole.regression), get(parts.regression));

    let dir = tempfile::tempdir().unwrap();
    let options = TrainOptions {
        out: dir.path().to_path_buf(),
        steps: Some(1),
        batch: 2,
        held_out_every: 2,
        threads: 2,
        ..TrainOptions::paper()
    };
    let (before, slots) = flatten(&net);
    fit(&data, card, net, &options, &mut |_| {}).unwrap();
    let (after, _) = flatten(&Pack::load(dir.path(), &Device::flex()).unwrap().net);
    let same = |s: &&Slot| s.of(&before) == s.of(&after);
    let kept: Vec<&str> = slots.iter().filter(same).map(|s| s.name.as_str()).collect();
    // Stem and 10 blocks, 3 of them with a projection: 1 + 33 convolutions with a normalisation
    // (5 tensors each); of block 10 two and the third's kernel.
    assert!(kept.iter().filter(|n| !n.contains("heads.")).count() >= 34 * 5 + 11, "{kept:?}");
    assert!(!kept.iter().any(|n| n.contains("blocks.11.") && n.contains("conv.weight")));
    assert!(!kept.iter().any(|n| n.contains("blocks.10.convs.2.bn.gamma")), "{kept:?}");
}
