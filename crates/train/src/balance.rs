//! Which training samples are drawn, and how often.

use caril_core::{BIN_COUNT, CounterRng, NavCommand};
use caril_policy::{BRANCHES, branch_of};

use crate::dataset::Sample;

/// How rare steers are made less rare to the learner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Samples are drawn as they occur.
    None,
    /// A sample's weight is one over the square root of how many share its class and branch (a
    /// mirrored pair counts as one), at most eight times that of the commonest.
    #[default]
    Weight,
    /// Of each of `bins` equal bins of the normalised steer at most `frames` samples are kept,
    /// chosen at random; what is kept is drawn evenly.
    Cap {
        /// Bins over [−1, 1].
        bins: usize,
        /// Samples per bin.
        frames: usize,
    },
}

impl Balance {
    /// The samples to train on, in the order they came.
    pub fn keep<'a>(&self, samples: Vec<&'a Sample>, seed: u64) -> Vec<&'a Sample> {
        let Self::Cap { bins, frames } = *self else { return samples };
        let bins = bins.max(1);
        let mut members: Vec<Vec<(u64, usize)>> = vec![Vec::new(); bins];
        for (i, sample) in samples.iter().enumerate() {
            let share = (sample.steer.clamp(-1.0, 1.0) + 1.0) * 0.5;
            // The cast turns NaN into 0.
            let bin = ((share * bins as f32) as usize).min(bins - 1);
            let rank = CounterRng::new(seed ^ 0x6361_7070_6564, i as u64).next_u64();
            if let Some(list) = members.get_mut(bin) {
                list.push((rank, i));
            }
        }
        let mut kept = vec![false; samples.len()];
        for mut list in members {
            list.sort_unstable();
            for (_, i) in list.into_iter().take(frames) {
                if let Some(k) = kept.get_mut(i) {
                    *k = true;
                }
            }
        }
        samples.into_iter().zip(kept).filter_map(|(s, kept)| kept.then_some(s)).collect()
    }
}

/// Draws training samples.
#[derive(Debug, Clone)]
pub struct Sampler {
    cumulative: Vec<f64>,
}

impl Sampler {
    /// Over these samples.
    pub fn new(samples: &[&Sample], balance: Balance) -> Self {
        let mut counts = [0usize; BRANCHES * BIN_COUNT];
        for sample in samples {
            if let Some(n) = counts.get_mut(group(sample)) {
                *n += 1;
            }
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let mut sum = 0.0;
        let weight = |s: &&Sample| {
            let count = counts.get(group(s)).copied().unwrap_or(1).max(1);
            sum += match balance {
                Balance::Weight => (most / count as f64).sqrt().min(8.0),
                Balance::None | Balance::Cap { .. } => 1.0,
            };
            sum
        };
        Self { cumulative: samples.iter().map(weight).collect() }
    }

    /// Index of a random sample.
    pub fn draw(&self, rng: &mut CounterRng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = rng.uniform() * total;
        self.cumulative.partition_point(|c| *c <= at).min(self.cumulative.len().saturating_sub(1))
    }
}

/// Class and branch; right turns are left turns in the mirror.
fn group(s: &Sample) -> usize {
    let (class, nav) = match s.nav {
        NavCommand::Right => (BIN_COUNT - 1 - s.class(), NavCommand::Left),
        NavCommand::Left => (s.class(), s.nav),
        nav => (s.class().min(BIN_COUNT - 1 - s.class()), nav),
    };
    branch_of(nav) * BIN_COUNT + class
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(steer: f32, nav: NavCommand) -> Sample {
        Sample { rgb: Box::from([1, 2, 3]), speed_mps: 5.0, nav, steer }
    }

    #[test]
    fn rare_turns_are_drawn_more_often_than_they_occur() {
        let straight = sample(0.0, NavCommand::Follow);
        let turn = sample(0.9, NavCommand::Right);
        let samples: Vec<&Sample> =
            std::iter::repeat_n(&straight, 99).chain(std::iter::once(&turn)).collect();
        let turns = |balance| {
            let sampler = Sampler::new(&samples, balance);
            let mut rng = CounterRng::new(1, 1);
            (0..10_000).filter(|_| sampler.draw(&mut rng) == 99).count()
        };
        assert!((600..900).contains(&turns(Balance::Weight)), "8 of 107");
        assert!((60..150).contains(&turns(Balance::None)), "1 of 100");
    }

    #[test]
    fn a_cap_keeps_the_rare_whole_and_thins_the_common() {
        let straight = sample(0.01, NavCommand::Follow);
        let turn = sample(0.9, NavCommand::Right);
        let samples: Vec<&Sample> =
            std::iter::repeat_n(&straight, 99).chain(std::iter::once(&turn)).collect();
        let cap = Balance::Cap { bins: 20, frames: 10 };
        let kept = cap.keep(samples.clone(), 1);
        assert_eq!((kept.len(), kept[10].steer), (11, 0.9));
        assert_eq!(Balance::Weight.keep(samples, 1).len(), 100);
    }
}
