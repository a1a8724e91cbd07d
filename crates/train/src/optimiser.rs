//! Adam over a network's flat values, and the learning rate's course.

use crate::params::Slot;

/// How the learning rate changes over a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Linear warm-up over 5 % of the steps (at most 300), then a cosine to a hundredth.
    Cosine,
    /// Times `factor` every `steps` steps, continuously (Keras' `ExponentialDecay`).
    Exponential {
        /// Factor.
        factor: f32,
        /// Steps.
        steps: f32,
    },
}

impl Schedule {
    /// Learning rate at `step` (from 0) of `steps`, `peak` being the highest.
    pub fn rate(&self, peak: f32, step: u64, steps: u64) -> f32 {
        match *self {
            Self::Cosine => {
                let warm_up = (steps / 20).clamp(1, 300);
                if step < warm_up {
                    return peak * (step + 1) as f32 / warm_up as f32;
                }
                let x = (step - warm_up) as f64 / (steps.saturating_sub(warm_up)).max(1) as f64;
                let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * x.min(1.0)));
                peak * (0.01 + 0.99 * cosine as f32)
            }
            Self::Exponential { factor, steps } => {
                let power = step as f64 / f64::from(steps.max(1.0));
                peak * libm::pow(f64::from(factor), power) as f32
            }
        }
    }
}

/// Adam's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimiserOptions {
    /// Course of the learning rate.
    pub schedule: Schedule,
    /// Decay of the first and second moment.
    pub betas: (f32, f32),
    /// Decoupled weight decay of matrices and kernels (AdamW).
    pub weight_decay: f32,
    /// L2 penalty factor of the heads' hidden dense layers, in the gradient (the paper's 0.01).
    pub heads_l2: f32,
    /// Gradients longer than this are scaled down to it.
    pub clip_norm: f32,
    /// What is measured and saved is a moving average of the values with this decay; 0: the
    /// values themselves.
    pub average_decay: f32,
}

impl Default for OptimiserOptions {
    fn default() -> Self {
        Self {
            schedule: Schedule::Cosine,
            betas: (0.9, 0.99),
            weight_decay: 1e-3,
            heads_l2: 0.0,
            clip_norm: 5.0,
            average_decay: 0.998,
        }
    }
}

/// Values of one tensor and how they are treated.
#[derive(Debug, Clone)]
struct Group {
    start: usize,
    len: usize,
    decay: f32,
    l2: f32,
}

/// Adam with a moving average of the values.
#[derive(Debug, Clone)]
pub struct Adam {
    /// Moments and average of the values, and the steps made: all its state.
    pub state: AdamState,
    options: OptimiserOptions,
    groups: Vec<Group>,
}

/// What a checkpoint has to hold of [`Adam`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdamState {
    /// Steps made.
    pub step: u64,
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
    /// Moving average of the values: what is measured and saved.
    pub average: Vec<f32>,
}

impl Adam {
    /// For values laid out by `slots`; those of which `frozen` says so never change.
    pub fn new(
        values: &[f32],
        slots: &[Slot],
        frozen: impl Fn(&Slot) -> bool,
        options: OptimiserOptions,
    ) -> Self {
        let groups = slots.iter().filter(|s| !frozen(s)).map(|s| {
            // Hidden dense layers of the heads: rank 2 with more outputs than classes.
            let hidden = s.name.contains("heads.")
                && matches!(s.dims.as_slice(), [_, outputs] if *outputs > caril_core::BIN_COUNT);
            Group {
                start: s.start,
                len: s.len(),
                decay: if s.dims.len() > 1 { options.weight_decay } else { 0.0 },
                l2: if hidden { options.heads_l2 } else { 0.0 },
            }
        });
        let zeros = || vec![0.0; values.len()];
        let state =
            AdamState { step: 0, first: zeros(), second: zeros(), average: values.to_vec() };
        Self { state, options, groups: groups.collect() }
    }

    /// One step against `gradient`. Returns the gradient's norm before clipping.
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], lr: f32) -> f32 {
        let (b1, b2) = self.options.betas;
        let AdamState { step, first, second, average } = &mut self.state;
        *step += 1;
        let square: f64 = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
        let norm = square.sqrt() as f32;
        let clip = self.options.clip_norm;
        let scale = if norm > clip { clip / norm } else { 1.0 };
        let t = *step as f64;
        let correct = |beta: f32| (1.0 - libm::pow(f64::from(beta), t)) as f32;
        let (c1, c2) = (correct(b1), correct(b2));
        // A young average forgets faster, or it would remember the random start.
        let keep = self.options.average_decay.min((1.0 + *step as f32) / (10.0 + *step as f32));
        for group in &self.groups {
            let range = group.start..group.start + group.len;
            let moments = first[range.clone()]
                .iter_mut()
                .zip(&mut second[range.clone()])
                .zip(&mut average[range.clone()]);
            for ((value, g), ((m, v), average)) in
                values[range.clone()].iter_mut().zip(&gradient[range]).zip(moments)
            {
                let g = g * scale + 2.0 * group.l2 * *value;
                *m += (1.0 - b1) * (g - *m);
                *v += (1.0 - b2) * (g * g - *v);
                *value -= lr * ((*m / c1) / ((*v / c2).sqrt() + 1e-8) + group.decay * *value);
                *average =
                    if keep > 0.0 { *average + (1.0 - keep) * (*value - *average) } else { *value };
            }
        }
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Vec<Slot> {
        let slot = |name: &str, start, dims: &[usize]| Slot {
            name: name.into(),
            start,
            dims: dims.to_vec(),
        };
        vec![slot("stem.weight", 0, &[1, 2]), slot("heads.shared.0.weight", 2, &[1, 16])]
    }

    #[test]
    fn frozen_values_stay_and_the_penalty_pulls_hidden_layers_of_heads_to_zero() {
        let options = OptimiserOptions {
            weight_decay: 0.0,
            heads_l2: 0.01,
            average_decay: 0.0,
            ..OptimiserOptions::default()
        };
        let mut values = vec![1.0; 18];
        let frozen = |s: &Slot| s.name == "stem.weight";
        let mut adam = Adam::new(&values, &slots(), frozen, options);
        let mut gradient = vec![0.0; 18];
        gradient[..2].fill(7.0);
        adam.step(&mut values, &gradient, 0.1);
        assert_eq!(values[..2], [1.0; 2]);
        // Adam's first step is as long as the learning rate.
        assert!(values[2..].iter().all(|v| (v - 0.9).abs() < 1e-4), "{values:?}");
        assert_eq!(adam.state.average, values, "no average asked for");
    }

    #[test]
    fn the_rate_warms_up_falls_and_halves() {
        let rates: Vec<f32> = (0..100).map(|s| Schedule::Cosine.rate(1.0, s, 100)).collect();
        assert!(rates[0] < rates[3] && rates[4] <= 1.0 && rates[99] < 0.02);
        assert!(rates[5..].windows(2).all(|w| w[1] < w[0]));
        let halves = Schedule::Exponential { factor: 0.5, steps: 10.0 };
        assert!((halves.rate(8.0, 20, 0) - 2.0).abs() < 1e-6);
    }
}
