//! How fast training is, and what it would be without anything but the step.

use std::path::Path;
use std::time::Instant;

use burn::prelude::*;
use caril_core::{CameraSpec, PolicyCard};
use caril_policy::{Architecture, Net};

use crate::balance::{Balance, Sampler};
use crate::error::TrainError;
use crate::geometry::View;
use crate::gradients::{Gradients, autodiff_gradient};
use crate::learner::{fit, worker_pools};
use crate::optimiser::{Adam, OptimiserOptions};
use crate::options::{Augmentation, Freeze, TrainOptions};
use crate::params::flatten;
use crate::source::Source;
use crate::synthetic::synthetic;
use crate::{Loss, Sample};

/// Images per second of PilotNet's training, each the median of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainBench {
    /// Samples per step.
    pub batch: usize,
    /// Worker threads.
    pub threads: usize,
    /// Whole training: drawing, mirroring, changing pictures, gradient, optimiser.
    pub train: f32,
    /// Our gradient and optimiser on one batch that lies ready.
    pub step: f32,
    /// Burn's forward pass, automatic differentiation and our optimiser on that batch.
    pub burn: f32,
    /// `train` / `burn`.
    pub train_per_burn: f32,
    /// Share of the training's time in which a step waited for data.
    pub waited_share: f32,
}

/// Measures `steps` steps of each kind in each of `rounds` rounds, taking turns so that a busy
/// machine is unfair to none. Packs are written to `folder`.
///
/// # Errors
/// [`TrainError`] if the folder cannot be written or the options make no sense.
pub fn bench_train(
    folder: &Path,
    (batch, steps, rounds): (usize, u64, usize),
    threads: usize,
) -> Result<TrainBench, TrainError> {
    let architecture = Architecture::PilotNet;
    let input = architecture.default_input();
    let data = synthetic(input, 2, 64, 1);
    let card = PolicyCard::new("bench", architecture, &CameraSpec::PAPER);
    let net = Net::new(architecture, &input, 1, &Device::flex());
    let options = TrainOptions {
        out: folder.to_path_buf(),
        steps: Some(steps),
        batch,
        threads,
        held_out_every: 2,
        checkpoint_every: 0,
        ..TrainOptions::default()
    };
    let pools = worker_pools(threads)?;
    let (values, slots) = flatten(&net);
    let samples: Vec<&Sample> = data.drives.iter().flat_map(|d| &d.samples).collect();
    let source = Source {
        samples: &samples,
        sampler: Sampler::new(&samples, Balance::Weight),
        input,
        speed_scale_mps: 15.0,
        steer_scale: card.steer_scale,
        distances_m: Vec::new(),
        view: View::new(card.camera, input),
        seed: 1,
        augment: Augmentation::NONE,
        features: None,
    };
    let size = (input.width as usize, input.height as usize);
    let ours = Gradients::new(
        net.clone(),
        (&values, slots.clone()),
        size,
        Freeze::None,
        1,
        Device::flex(),
    );
    let loss = Loss::default();
    let pieces: Vec<_> = (0..batch)
        .step_by(ours.chunk(batch))
        .map(|at| source.batch(at as u64, ours.chunk(batch).min(batch - at)))
        .collect();
    let whole = source.batch(0, batch);
    let timed = |gradient: &dyn Fn(&mut Vec<f32>, u64) -> Vec<f32>| {
        let mut values = values.clone();
        let mut adam = Adam::new(&values, &slots, |_| false, OptimiserOptions::default());
        let begin = Instant::now();
        for step in 0..steps {
            let gradient = gradient(&mut values, step);
            adam.step(&mut values, &gradient, 1e-4);
        }
        (steps * batch as u64) as f32 / begin.elapsed().as_secs_f32()
    };
    let (mut train, mut step, mut burn, mut waited) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds.max(1) {
        let summary = fit(&data, card.clone(), net.clone(), &options, &mut |_| {})?;
        train.push(summary.images_per_second);
        waited.push(summary.waited_share);
        step.push(timed(&|values, step| ours.gradient(values, &pieces, step, &loss, &pools).1));
        burn.push(timed(&|values, _| {
            autodiff_gradient(&Device::flex(), &net, values, &whole, &loss, Freeze::None).1
        }));
    }
    let (train, burn) = (median(train), median(burn));
    Ok(TrainBench {
        batch,
        threads: pools.len(),
        train,
        step: median(step),
        burn,
        train_per_burn: train / burn,
        waited_share: median(waited),
    })
}

fn median(mut rates: Vec<f32>) -> f32 {
    rates.sort_unstable_by(f32::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f32::NAN)
}
