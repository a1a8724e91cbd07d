//! Where training batches come from: drawn, mirrored and changed, beside the training step.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use caril_core::{CounterRng, InputSpec};

use crate::augment::augment;
use crate::balance::Sampler;
use crate::batch::Batch;
use crate::dataset::Sample;
use crate::features::FeatureTable;
use crate::geometry::{Displacement, View};
use crate::options::Augmentation;

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
    /// Applied steer = network steer · this.
    pub steer_scale: f32,
    /// Distance of the ground in every row, metres.
    pub distances_m: Vec<f32>,
    /// Draws displaced pictures.
    pub view: View,
    /// Seed of all draws.
    pub seed: u64,
    /// How samples are changed.
    pub augment: Augmentation,
    /// Features of all samples, if the backbone is frozen: then there are no pictures.
    pub features: Option<&'a FeatureTable>,
}

impl Source<'_> {
    /// Draws `first..first + count`.
    pub fn batch(&self, first: u64, count: usize) -> Batch {
        let mut batch = Batch::new(self.input);
        for i in 0..count as u64 {
            let mut rng = CounterRng::new(self.seed, first + i);
            self.push(&mut batch, &mut rng);
        }
        batch
    }

    fn push(&self, batch: &mut Batch, rng: &mut CounterRng) {
        let index = self.sampler.draw(rng);
        let Some(sample) = self.samples.get(index) else { return };
        let mirrored = self.augment.mirror && rng.uniform() < 0.5;
        let start = batch.rgb.len();
        if let Some(table) = self.features {
            batch.features.extend_from_slice(table.of(index, mirrored));
            batch.push_label(sample, mirrored, self.speed_scale_mps);
        } else if mirrored {
            batch.push(&sample.mirrored(self.input.width as usize), self.speed_scale_mps);
        } else {
            batch.push(sample, self.speed_scale_mps);
        }
        if self.augment.label_bug
            && let Some(class) = batch.class_steer.last_mut()
        {
            *class = sample.steer;
        }
        let Some(rgb) = batch.rgb.get_mut(start..).filter(|rgb| !rgb.is_empty()) else { return };
        let (shift_m, yaw_deg) = (self.augment.shift_m, self.augment.yaw_deg);
        if (shift_m > 0.0 || yaw_deg > 0.0) && rng.uniform() < 0.5 {
            let displacement = Displacement {
                right_m: (rng.range(-1.0, 1.0) as f32) * shift_m,
                yaw_rad: (rng.range(-1.0, 1.0) as f32) * yaw_deg.to_radians(),
            };
            self.view.displace(rgb, displacement, mirrored);
            for steers in [&mut batch.steer, &mut batch.class_steer] {
                if let Some(steer) = steers.last_mut() {
                    *steer = displacement.steer(*steer, self.steer_scale, sample.speed_mps);
                }
            }
        }
        if self.augment.picture {
            augment(rgb, self.input.width as usize, &self.distances_m, rng);
        }
    }

    /// The batch of one step in pieces of `chunk` samples.
    fn step(&self, step: u64, batch: usize, chunk: usize) -> Vec<Batch> {
        let first = step * batch as u64;
        (0..batch)
            .step_by(chunk.max(1))
            .map(|at| self.batch(first + at as u64, chunk.min(batch - at)))
            .collect()
    }
}

/// Batches of the coming steps, made by threads of their own.
#[derive(Debug)]
pub struct Feeder {
    /// Producer k makes every `len`-th step, beginning with the first + k.
    queues: Vec<Receiver<Vec<Batch>>>,
    next: usize,
    /// Time for which [`Feeder::next`] had to wait.
    pub waited: Duration,
}

impl Feeder {
    /// Batches that wait per producer.
    const DEPTH: usize = 2;

    /// Begins to make the batches of `steps` (`batch` samples in pieces of `chunk`) on `producers`
    /// threads, which end when this is dropped.
    pub fn start<'scope, 'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        source: &'env Source<'env>,
        steps: std::ops::Range<u64>,
        (batch, chunk): (usize, usize),
        producers: usize,
    ) -> Self {
        let producers = producers.max(1);
        let queues = (0..producers)
            .map(|k| {
                let (sender, receiver): (SyncSender<Vec<Batch>>, _) = sync_channel(Self::DEPTH);
                let steps = steps.clone().skip(k).step_by(producers);
                scope.spawn(move || {
                    for step in steps {
                        if sender.send(source.step(step, batch, chunk)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        Self { queues, next: 0, waited: Duration::ZERO }
    }

    /// The next step's batch; empty after the last.
    pub fn next(&mut self) -> Vec<Batch> {
        let Some(queue) = self.queues.get(self.next) else { return Vec::new() };
        self.next = (self.next + 1) % self.queues.len();
        match queue.try_recv() {
            Ok(batch) => batch,
            Err(TryRecvError::Disconnected) => Vec::new(),
            Err(TryRecvError::Empty) => {
                let begin = Instant::now();
                let batch = queue.recv().unwrap_or_default();
                self.waited += begin.elapsed();
                batch
            }
        }
    }
}
