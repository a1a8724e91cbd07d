//! The training loop: any backbone, deterministic for a seed whatever the number of threads.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Instant;

use burn::prelude::*;
use caril_core::PolicyCard;
use caril_policy::{Net, Pack};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::augment::ground_distances;
use crate::batch::{Batch, Source};
use crate::calibrate::{calibrate_predictions, hidden_samples};
use crate::dataset::{Dataset, Sample, Sampler};
use crate::evaluate::{Quality, predict, quality};
use crate::loss::Loss;
use crate::options::{Progress, TrainError, TrainOptions, TrainSummary};
use crate::params::{AdamW, Slot, flatten, flatten_gradients, learning_rate, unflatten};
use crate::pilot::{Gradient, Weights};

/// Samples per piece of work. Fixed, so that sums are made in the same order for any number of
/// threads; small enough for its memory to be used again from piece to piece.
const CHUNK: usize = 8;
const AVERAGE_DECAY: f32 = 0.998;
const CLIP_NORM: f32 = 5.0;

/// One pool with a single thread per worker: each worker's matrix products stay on its own core.
///
/// # Errors
/// [`TrainError::Option`] if the threads cannot be started.
pub fn worker_pools(threads: usize) -> Result<Vec<ThreadPool>, TrainError> {
    let count = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    // glibc gives memory back to the system, and page-faults it in again for the next piece of
    // work, unless it has once seen a large block freed: then it keeps up to twice that size. A
    // third of the time went there. Other allocators do not mind.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(31 << 20)));
    let pool = |_| ThreadPoolBuilder::new().num_threads(1).build();
    (0..count).map(pool).collect::<Result<_, _>>().map_err(|_| TrainError::Option {
        option: "threads",
        expected: "a number of threads that the system can start",
    })
}

/// Trains `net` on `dataset` and saves the best pack of all epochs (by held-out loss) to
/// `options.out`, calibrated on the held-out drives.
///
/// # Errors
/// [`TrainError`]; the pack on disk is then that of the last epoch that was an improvement.
pub fn fit(
    dataset: &Dataset,
    card: PolicyCard,
    net: Net,
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainSummary, TrainError> {
    check(options)?;
    let (train, held_out) = dataset.split(options.held_out_every);
    if train.is_empty() || (held_out.is_empty() && options.held_out_every != 0) {
        let (train, held_out) = (train.len(), held_out.len());
        return Err(TrainError::TooFewDrives { train, held_out });
    }
    let pools = worker_pools(options.threads)?;
    let speed_scale_mps = card.inputs.speed_scale_mps.unwrap_or(1.0);
    let distances_m = ground_distances(&card.camera, &dataset.input);
    let hidden = hidden_samples(&held_out, dataset.input.width as usize, &distances_m);
    let hidden: Vec<&Sample> = hidden.iter().collect();
    let source = Source {
        samples: &train,
        sampler: Sampler::new(&train),
        input: dataset.input,
        speed_scale_mps,
        distances_m,
        seed: options.seed,
        mirror: options.mirror,
        augment: options.augment,
    };
    let per_epoch = (train.len() as u64).div_ceil(options.batch as u64);
    let steps = options.steps.unwrap_or(per_epoch * u64::from(options.epochs));
    let epochs = steps.div_ceil(per_epoch) as u32;

    let (mut values, slots) = flatten(&net);
    let mut optimiser = AdamW::new(&values, &slots, options.weight_decay, AVERAGE_DECAY);
    let mut engine = Gradients::new(net, slots, dataset);
    let mut pack = Pack { card, net: engine.net(&values) };
    pack.card.training.frames = train.len() as u64;
    let mut best: Option<Quality> = None;
    let mut curves = String::from(CURVES_HEADER);
    let start = Instant::now();
    let (mut step, mut busy) = (0, 0.0);
    for epoch in 1..=epochs {
        let mut epoch_loss = Mean::default();
        let mut recent = (Mean::default(), Instant::now());
        let mut stopped = false;
        while step < steps.min(per_epoch * u64::from(epoch)) && !stopped {
            let begin = Instant::now();
            let lr = learning_rate(options.lr, step, steps);
            let (loss, gradient) =
                engine.gradient(&mut values, &source, step, options.batch, &options.loss, &pools);
            let norm = optimiser.step(&mut values, &gradient, lr, CLIP_NORM);
            step += 1;
            if !(loss.is_finite() && norm.is_finite()) {
                return Err(TrainError::Diverged { step, loss });
            }
            epoch_loss.add(loss);
            recent.0.add(loss);
            busy += begin.elapsed().as_secs_f64();
            stopped = options.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed));
            let seconds = recent.1.elapsed().as_secs_f32();
            if seconds >= 1.0 {
                let images_per_second = recent.0.count * options.batch as f32 / seconds;
                let loss = recent.0.mean();
                progress(Progress::Step { step, steps, loss, lr, images_per_second });
                recent = (Mean::default(), Instant::now());
            }
        }
        pack.net = engine.net(optimiser.average());
        let predicted = predict(&pack.net, &held_out, &dataset.input, speed_scale_mps, &pools);
        let measured = quality(&predicted, &options.loss);
        let is_best = best.is_none_or(|b| held_out.is_empty() || measured.loss < b.loss);
        if is_best {
            best = Some(measured);
            pack.card.training.epochs = epoch;
            pack.card.training.held_out_mae = measured.mae;
            pack.card.training.held_out_accuracy = measured.accuracy;
            let hidden = predict(&pack.net, &hidden, &dataset.input, speed_scale_mps, &pools);
            if let Some(fitted) = calibrate_predictions(&predicted, &hidden) {
                pack.card.calibration = fitted.calibration;
                pack.card.conformal = Some(fitted.conformal);
                pack.card.calibrated_on = None;
            }
            pack.save(&options.out)?;
        }
        let train_loss = epoch_loss.mean();
        let seconds = start.elapsed().as_secs_f32();
        curve(&mut curves, epoch, step, seconds, train_loss, &measured);
        let path = options.out.join("curves.csv");
        std::fs::write(&path, &curves).map_err(|source| TrainError::Io { source, path })?;
        progress(Progress::Epoch { epoch, epochs, train_loss, held_out: measured, best: is_best });
        if stopped {
            break;
        }
    }
    Ok(TrainSummary {
        pack: options.out.clone(),
        card: Pack::load_card(&options.out)?,
        train_frames: train.len(),
        held_out_frames: held_out.len(),
        steps: step,
        held_out: best.unwrap_or_default(),
        images_per_second: (step * options.batch as u64) as f32 / (busy as f32).max(1e-6),
        calibrated: held_out.len() >= crate::calibrate::CALIBRATION_FRAMES_MIN,
    })
}

fn check(options: &TrainOptions) -> Result<(), TrainError> {
    let check = |ok: bool, option, expected| {
        if ok { Ok(()) } else { Err(TrainError::Option { option, expected }) }
    };
    check((1..=4096).contains(&options.batch), "batch", "1 to 4096")?;
    check(options.lr.is_finite() && options.lr > 0.0, "lr", "more than 0")?;
    check(options.weight_decay >= 0.0, "weight decay", "0 or more")?;
    check(options.epochs > 0 && options.steps != Some(0), "epochs or steps", "more than 0")
}

/// Where gradients come from.
struct Gradients {
    net: Net,
    slots: Vec<Slot>,
    size: (usize, usize),
}

impl Gradients {
    fn new(net: Net, slots: Vec<Slot>, dataset: &Dataset) -> Self {
        let size = (dataset.input.width as usize, dataset.input.height as usize);
        Self { net, slots, size }
    }

    /// The network with these values, for prediction.
    fn net(&self, values: &[f32]) -> Net {
        unflatten(self.net.clone(), values, &Device::flex())
    }

    /// Mean loss of step `step` and its derivatives.
    fn gradient(
        &mut self,
        values: &mut [f32],
        source: &Source<'_>,
        step: u64,
        batch: usize,
        loss: &Loss,
        pools: &[ThreadPool],
    ) -> (f32, Vec<f32>) {
        let first = step * batch as u64;
        if !matches!(self.net, Net::PilotNet(_)) {
            // Their dropout draws from the device's own generator.
            Device::flex().seed(source.seed.wrapping_add(step));
            return autodiff_gradient(&self.net, values, &source.batch(first, batch), loss);
        }
        let weights = Weights::new(values, &self.slots, self.size.0, self.size.1);
        let chunks = batch.div_ceil(CHUNK);
        let mut parts: Vec<Vec<Gradient>> = vec![Vec::new(); pools.len()];
        std::thread::scope(|scope| {
            for (worker, (part, pool)) in parts.iter_mut().zip(pools).enumerate() {
                let weights = weights.clone();
                scope.spawn(move || {
                    *part = pool.install(|| {
                        (worker..chunks)
                            .step_by(pools.len())
                            .map(|c| {
                                let count = CHUNK.min(batch - c * CHUNK);
                                let chunk = source.batch(first + (c * CHUNK) as u64, count);
                                weights.gradient(&chunk, loss)
                            })
                            .collect()
                    });
                });
            }
        });
        // Chunk c is the (c / workers)-th of worker c mod workers: summed in the order of chunks.
        let mut sum: Option<Gradient> = None;
        for c in 0..chunks {
            if let Some(part) = parts.get(c % pools.len()).and_then(|p| p.get(c / pools.len())) {
                match &mut sum {
                    Some(sum) => sum.add(part),
                    None => sum = Some(part.clone()),
                }
            }
        }
        let scale = 1.0 / batch as f32;
        sum.map_or((f32::NAN, Vec::new()), |sum| {
            (sum.loss as f32 * scale, weights.flat_gradient(&sum, scale))
        })
    }
}

/// By Burn's automatic differentiation: for the backbones that have no pass of their own, and to
/// check the one that has. Mean loss over the batch and its derivatives; updates the statistics of
/// batch normalisation in `values`.
pub fn autodiff_gradient(
    net: &Net,
    values: &mut [f32],
    batch: &Batch,
    loss: &Loss,
) -> (f32, Vec<f32>) {
    let device = Device::flex().autodiff();
    let net = unflatten(net.clone(), values, &device);
    let out = net.forward(batch.to_net_input(&device));
    let get =
        |t: &Tensor<2>| t.clone().inner().into_data().try_into_vec::<f32>().unwrap_or_default();
    let (regression, logits) = (get(&out.regression), get(&out.logits));
    let scale = 1.0 / batch.len() as f32;
    let (mut sum, mut d_regression, mut d_logits) = (0.0, Vec::new(), Vec::new());
    let (rows, _) = logits.as_chunks();
    for ((r, l), steer) in regression.iter().zip(rows).zip(&batch.steer) {
        let o = loss.of(*r, *l, *steer);
        sum += o.loss * scale;
        d_regression.push(o.d_regression * scale);
        d_logits.extend(o.d_logits.map(|d| d * scale));
    }
    // A sum whose derivatives by the outputs are those of the loss.
    let constant = |values: Vec<f32>, like: &Tensor<2>| {
        Tensor::<2>::from_data(TensorData::new(values, like.dims()), &device)
    };
    let surrogate = (out.regression.clone() * constant(d_regression, &out.regression)).sum()
        + (out.logits.clone() * constant(d_logits, &out.logits)).sum();
    let gradients = surrogate.backward();
    (sum, flatten_gradients(&net, &gradients, values))
}

const CURVES_HEADER: &str = "epoch,step,seconds,train_loss,held_out_loss,mae,mae_straight,\
                             mae_turn,accuracy,accuracy_within_one\n";

fn curve(text: &mut String, epoch: u32, step: u64, seconds: f32, train_loss: f32, q: &Quality) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{epoch},{step},{seconds:.1},{train_loss:.5},{:.5},{:.5},{:.5},{:.5},{:.4},{:.4}",
        q.loss, q.mae, q.mae_straight, q.mae_turn, q.accuracy, q.accuracy_within_one
    );
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f32,
    count: f32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += value;
        self.count += 1.0;
    }

    fn mean(&self) -> f32 {
        if self.count > 0.0 { self.sum / self.count } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use caril_core::{CameraSpec, InputSpec};
    use caril_policy::Architecture;

    use super::*;
    use crate::dataset::Drive;
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
            distances_m: vec![9.0; 20],
            seed: 3,
            mirror: true,
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
        let mut card = PolicyCard::new("tiny", Architecture::PilotNet, &CameraSpec::PAPER);
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
}
