//! The training loop: any backbone, deterministic for a seed whatever the number of threads, and
//! resumable between any two steps.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use burn::prelude::*;
use caril_core::PolicyCard;
use caril_policy::{Backend, Net, Pack};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::augment::ground_distances;
use crate::balance::Sampler;
use crate::calibrate::{CALIBRATION_FRAMES_MIN, Risk, calibrate_predictions, hidden_samples};
use crate::checkpoint::{Checkpoint, Position, give_up, replace_file};
use crate::curves;
use crate::dataset::{Dataset, Sample, colours};
use crate::error::TrainError;
use crate::evaluate::{Predicted, Quality, predict_on, quality};
use crate::features::{FeatureTable, can_freeze};
use crate::geometry::View;
use crate::gradients::{Gradients, is_frozen};
use crate::identity::identity;
use crate::loss::Loss;
use crate::optimiser::Adam;
use crate::options::{Freeze, Progress, TrainEnd, TrainOptions, TrainSummary};
use crate::params::flatten;
use crate::source::{Feeder, Source};

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
    check(options, &net)?;
    let device = options.backend.device()?;
    let (train, held_out) = dataset.split(options.held_out_every);
    let train = options.balance.keep(train, options.seed);
    if train.is_empty() || (held_out.is_empty() && options.held_out_every != 0) {
        let (train, held_out) = (train.len(), held_out.len());
        return Err(TrainError::TooFewDrives { train, held_out });
    }
    let class = train.first().map_or(0, |s| s.class());
    if train.iter().all(|s| s.class() == class) {
        return Err(TrainError::OneClass { class, frames: train.len() });
    }
    let pools = worker_pools(options.threads)?;
    let (values, slots) = flatten(&net);
    let identity = identity(dataset, &train, &card, &values, options);

    // Where to begin.
    let found = if options.resume { Checkpoint::load(&options.out)? } else { None };
    if let Some(found) = &found {
        found.check(&identity, &options.out)?;
        progress(Progress::Resumed { step: found.position.step });
    } else if give_up(&options.out) {
        progress(Progress::GivenUp);
    }
    let measure = Measure::new(&net, &held_out, &card, dataset, (&pools, &device), options);
    if let Some(over) = found.as_ref().filter(|c| c.position.finished) {
        let mut run = Run::summary(&over.position, options, &train, &held_out)?;
        run.held_out = measure.of(&Pack::load(&options.out, &device)?.net).1;
        return Ok(run);
    }

    let frozen = |slot: &_| is_frozen(options.freeze, slot);
    let mut run = Run {
        adam: Adam::new(&values, &slots, frozen, options.optimiser),
        values,
        position: Position { epoch: 1, curves: curves::header(), ..Position::default() },
        best: None,
    };
    if let Some(found) = found {
        (run.values, run.adam.state, run.position) = (found.values, found.adam, found.position);
    }

    let features = (options.freeze == Freeze::Backbone)
        .then(|| FeatureTable::new(&net, &train, &dataset.input, options.augment.mirror, &pools))
        .flatten();
    let source = Source {
        samples: &train,
        sampler: Sampler::new(&train, options.balance),
        input: dataset.input,
        speed_scale_mps: card.inputs.speed_scale_mps.unwrap_or(1.0),
        steer_scale: card.steer_scale,
        distances_m: ground_distances(&card.camera, &dataset.input),
        view: View::new(card.camera, dataset.input),
        seed: options.seed,
        augment: options.augment,
        features: features.as_ref(),
    };
    let size = (dataset.input.width as usize, dataset.input.height as usize);
    let engine = Gradients::new(
        net,
        (&run.values, slots),
        size,
        options.freeze,
        options.seed,
        device.clone(),
    );
    let mut pack = Pack { net: engine.net(&run.values), card };
    pack.card.training.frames = train.len() as u64;
    pack.card.colours = colours(&train);

    let per_epoch = (train.len() as u64).div_ceil(options.batch as u64);
    let steps = options.steps.unwrap_or(per_epoch * u64::from(options.epochs));
    let plan = Plan { per_epoch, steps, epochs: steps.div_ceil(per_epoch) as u32 };
    let ended = std::thread::scope(|scope| {
        let (chunk, producers) = (engine.chunk(options.batch), pools.len().div_ceil(8));
        let todo = run.position.step..steps;
        let feeder = Feeder::start(scope, &source, todo, (options.batch, chunk), producers);
        run.all(&plan, &engine, feeder, &pools, &measure, &mut pack, &identity, options, progress)
    })?;

    if ended.end != TrainEnd::Stopped {
        run.position.finished = true;
        Checkpoint::save(&options.out, &identity, &run.position, &[], &run.adam.state)?;
    }
    let mut summary = Run::summary(&run.position, options, &train, &held_out)?;
    summary.held_out = match run.best {
        Some(best) => best,
        // Found before the interruption.
        None => measure.of(&Pack::load(&options.out, &device)?.net).1,
    };
    summary.end = ended.end;
    let busy = (ended.busy as f32).max(1e-6);
    summary.images_per_second = (ended.steps * options.batch as u64) as f32 / busy;
    summary.waited_share = (ended.waited as f32 / busy).min(1.0);
    Ok(summary)
}

/// How much there is to do.
struct Plan {
    per_epoch: u64,
    steps: u64,
    epochs: u32,
}

/// How the loop ended, and the time it took in this process.
struct Ended {
    end: TrainEnd,
    steps: u64,
    busy: f64,
    waited: f64,
}

/// The state between two steps.
struct Run {
    values: Vec<f32>,
    adam: Adam,
    position: Position,
    /// Of the pack on disk, if it was measured in this process.
    best: Option<Quality>,
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "called once, from `fit`")]
    fn all(
        &mut self,
        plan: &Plan,
        engine: &Gradients,
        mut feeder: Feeder,
        pools: &[ThreadPool],
        measure: &Measure<'_>,
        pack: &mut Pack,
        identity: &crate::checkpoint::Identity,
        options: &TrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Ended, TrainError> {
        let before_s = f32::from_bits(self.position.seconds_bits);
        let start = Instant::now();
        let (mut made, mut busy) = (0, 0.0);
        let mut recent = (Mean::default(), Instant::now());
        let mut end = TrainEnd::Complete;
        let steps = plan.steps;
        let save = |run: &Self| {
            Checkpoint::save(&options.out, identity, &run.position, &run.values, &run.adam.state)
        };
        while self.position.epoch <= plan.epochs {
            let mut losses = Mean {
                sum: f32::from_bits(self.position.loss_sum_bits),
                count: self.position.loss_count as f32,
            };
            let epoch = self.position.epoch;
            while self.position.step < steps.min(plan.per_epoch * u64::from(epoch)) {
                let begin = Instant::now();
                let step = self.position.step;
                let lr = options.optimiser.schedule.rate(options.lr, step, steps);
                let chunks = feeder.next();
                let (loss, gradient) =
                    engine.gradient(&mut self.values, &chunks, step, &options.loss, pools);
                let norm = self.adam.step(&mut self.values, &gradient, lr);
                self.position.step += 1;
                if !(loss.is_finite() && norm.is_finite()) {
                    return Err(TrainError::Diverged { step: step + 1, loss });
                }
                losses.add(loss);
                recent.0.add(loss);
                made += 1;
                busy += begin.elapsed().as_secs_f64();
                self.position.loss_sum_bits = losses.sum.to_bits();
                self.position.loss_count = losses.count as u32;
                let seconds = before_s + start.elapsed().as_secs_f32();
                self.position.seconds_bits = seconds.to_bits();
                let seconds = recent.1.elapsed().as_secs_f32();
                if seconds >= 1.0 {
                    let images_per_second = recent.0.count * options.batch as f32 / seconds;
                    let (step, loss) = (self.position.step, recent.0.mean());
                    progress(Progress::Step { step, steps, loss, lr, images_per_second });
                    recent = (Mean::default(), Instant::now());
                }
                let stopped = options.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed));
                let due = options.checkpoint_every != 0
                    && self.position.step.is_multiple_of(options.checkpoint_every);
                if stopped || due {
                    save(self)?;
                }
                if stopped {
                    end = TrainEnd::Stopped;
                    break;
                }
            }
            pack.net = engine.net(&self.adam.state.average);
            if end == TrainEnd::Stopped {
                // Who stops in the first epoch gets a pack as well; it is not the checkpoint's
                // best, so that who goes on gets the same as who never stopped.
                if self.position.best_epoch == 0 {
                    let (predicted, measured) = measure.of(&pack.net);
                    measure.save(pack, epoch, &predicted, &measured, &options.out)?;
                    self.best = Some(measured);
                }
                break;
            }
            let (predicted, measured) = measure.of(&pack.net);
            let best_loss = f32::from_bits(self.position.best_loss_bits);
            let is_best =
                self.position.best_epoch == 0 || measured.frames == 0 || measured.loss < best_loss;
            if is_best {
                self.best = Some(measured);
                (self.position.best_epoch, self.position.best_loss_bits) =
                    (epoch, measured.loss.to_bits());
                measure.save(pack, epoch, &predicted, &measured, &options.out)?;
            }
            let train_loss = losses.mean();
            let Position { step, curves, .. } = &mut self.position;
            let seconds = before_s + start.elapsed().as_secs_f32();
            curves::add(curves, epoch, *step, seconds, train_loss, &measured);
            replace_file(&options.out.join("curves.csv"), curves.as_bytes())?;
            replace_file(&options.out.join("curves.svg"), curves::svg(curves).as_bytes())?;
            let epochs = plan.epochs;
            progress(Progress::Epoch {
                epoch,
                epochs,
                train_loss,
                held_out: measured,
                best: is_best,
            });
            (self.position.loss_sum_bits, self.position.loss_count) = (0, 0);
            self.position.epoch += 1;
            let idle = epoch - self.position.best_epoch;
            if epoch < plan.epochs && options.patience.is_some_and(|p| idle >= p) {
                end = TrainEnd::EarlyStop;
                break;
            }
            if epoch < plan.epochs {
                save(self)?;
            }
        }
        Ok(Ended { end, steps: made, busy, waited: feeder.waited.as_secs_f64() })
    }

    fn summary(
        position: &Position,
        options: &TrainOptions,
        train: &[&Sample],
        held_out: &[&Sample],
    ) -> Result<TrainSummary, TrainError> {
        Ok(TrainSummary {
            pack: options.out.clone(),
            card: Pack::load_card(&options.out)?,
            train_frames: train.len(),
            held_out_frames: held_out.len(),
            steps: position.step,
            held_out: Quality::default(),
            images_per_second: 0.0,
            calibrated: held_out.len() >= CALIBRATION_FRAMES_MIN,
            waited_share: 0.0,
            end: TrainEnd::Complete,
        })
    }
}

/// Measures networks on held-out drives.
struct Measure<'a> {
    held_out: &'a [&'a Sample],
    /// Some of them with most of the picture hidden, to calibrate doubt on.
    hidden: Vec<Sample>,
    dataset: &'a Dataset,
    speed_scale_mps: f32,
    pools: &'a [ThreadPool],
    /// That the networks are on.
    device: &'a Device,
    /// Of the held-out and of the hidden ones, if the backbone is frozen.
    features: Option<(FeatureTable, FeatureTable)>,
    loss: Loss,
}

impl<'a> Measure<'a> {
    fn new(
        net: &Net,
        held_out: &'a [&'a Sample],
        card: &PolicyCard,
        dataset: &'a Dataset,
        (pools, device): (&'a [ThreadPool], &'a Device),
        options: &TrainOptions,
    ) -> Self {
        let input = &dataset.input;
        let distances_m = ground_distances(&card.camera, input);
        let hidden = hidden_samples(held_out, input.width as usize, &distances_m);
        let table = |samples: &[&Sample]| FeatureTable::new(net, samples, input, false, pools);
        let features = match options.freeze {
            Freeze::Backbone => table(held_out).zip(table(&hidden.iter().collect::<Vec<_>>())),
            Freeze::None | Freeze::Paper => None,
        };
        Self {
            held_out,
            hidden,
            dataset,
            speed_scale_mps: card.inputs.speed_scale_mps.unwrap_or(1.0),
            // One caller keeps any device but the CPU busy.
            pools: if *device == Device::flex() { pools } else { pools.get(..1).unwrap_or(pools) },
            device,
            features,
            loss: options.loss,
        }
    }

    fn predict(&self, net: &Net, samples: &[&Sample]) -> Vec<Predicted> {
        let (input, scale) = (&self.dataset.input, self.speed_scale_mps);
        predict_on(self.device, net, samples, input, scale, self.pools)
    }

    fn of(&self, net: &Net) -> (Vec<Predicted>, Quality) {
        let predicted = match &self.features {
            Some((features, _)) => features.predict(net, self.held_out),
            None => self.predict(net, self.held_out),
        };
        let measured = quality(&predicted, &self.loss);
        (predicted, measured)
    }

    /// Calibrates a pack and saves it.
    fn save(
        &self,
        pack: &mut Pack,
        epoch: u32,
        predicted: &[Predicted],
        measured: &Quality,
        out: &Path,
    ) -> Result<(), TrainError> {
        pack.card.training.epochs = epoch;
        pack.card.training.held_out_mae = measured.mae;
        pack.card.training.held_out_accuracy = measured.accuracy;
        let hidden: Vec<&Sample> = self.hidden.iter().collect();
        let hidden = match &self.features {
            Some((_, features)) => features.predict(&pack.net, &hidden),
            None => self.predict(&pack.net, &hidden),
        };
        if let Some(fitted) = calibrate_predictions(predicted, &hidden, Risk::default()) {
            pack.card.calibration = fitted.calibration;
            pack.card.conformal = Some(fitted.conformal);
            pack.card.calibrated_on = None;
        }
        Ok(pack.save(out)?)
    }
}

fn check(options: &TrainOptions, net: &Net) -> Result<(), TrainError> {
    let check = |ok: bool, option, expected| {
        if ok { Ok(()) } else { Err(TrainError::Option { option, expected }) }
    };
    let adam = &options.optimiser;
    let augment = &options.augment;
    check((1..=4096).contains(&options.batch), "batch", "1 to 4096")?;
    check(options.lr.is_finite() && options.lr > 0.0, "lr", "more than 0")?;
    check(adam.weight_decay >= 0.0 && adam.heads_l2 >= 0.0, "weight decay", "0 or more")?;
    check(options.epochs > 0 && options.steps != Some(0), "epochs or steps", "more than 0")?;
    check(options.patience != Some(0), "patience", "1 or more")?;
    check(
        options.patience.is_none() || options.held_out_every != 0,
        "patience",
        "left out where no drive is held out",
    )?;
    check((0.0..=2.0).contains(&augment.shift_m), "shift", "0 to 2 metres")?;
    check((0.0..=15.0).contains(&augment.yaw_deg), "yaw", "0 to 15 degrees")?;
    let displaced = augment.shift_m > 0.0 || augment.yaw_deg > 0.0;
    check(
        !augment.label_bug || (augment.mirror && !displaced),
        "label bug",
        "with mirrored samples (--mirror) and without shift and yaw, as in the paper",
    )?;
    check(
        options.freeze != Freeze::Backbone || can_freeze(net),
        "freeze",
        "for efficientnet-lite0 or resnet50",
    )?;
    check(
        options.freeze != Freeze::Backbone || !(augment.picture || displaced),
        "freeze",
        "without changes to pictures: their features are computed once",
    )?;
    check(
        options.freeze != Freeze::Backbone || options.backend == Backend::Flex,
        "freeze",
        "without --backend: the features of a frozen backbone are computed on flex",
    )?;
    check(
        options.freeze != Freeze::Paper || matches!(net, Net::ResNet50(_)),
        "the paper's freezing",
        "for resnet50",
    )
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
mod tests;
