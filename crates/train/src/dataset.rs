//! Samples of drives: pictures at the network's size, speed, command and the expert's steer.

use caril_core::{CounterRng, InputSpec, NavCommand, bin_of};
use caril_policy::branch_of;

/// One frame to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// RGB rows from the top at the network's input size.
    pub rgb: Box<[u8]>,
    /// Metres per second.
    pub speed_mps: f32,
    /// The navigation's command.
    pub nav: NavCommand,
    /// The expert's steer on the normalised scale, [−1, 1].
    pub steer: f32,
}

impl Sample {
    /// The sample as seen in a mirror: picture, command and steer (and so its class).
    #[must_use]
    pub fn mirrored(&self, width: usize) -> Self {
        let mut rgb = self.rgb.clone();
        for row in rgb.chunks_exact_mut(width * 3) {
            let (pixels, _) = row.as_chunks_mut::<3>();
            pixels.reverse();
        }
        Self { rgb, speed_mps: self.speed_mps, nav: self.nav.mirrored(), steer: -self.steer }
    }

    /// The class of its steer.
    pub fn class(&self) -> usize {
        bin_of(self.steer).unwrap_or(caril_core::STRAIGHT_BIN)
    }
}

/// The samples of one drive, in time order. Neighbouring frames are nearly the same, so a drive
/// is never divided between training and holding out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drive {
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// Drives, all pictures of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// How the pictures were made.
    pub input: InputSpec,
    /// The drives in the order of the recordings.
    pub drives: Vec<Drive>,
}

impl Dataset {
    /// Number of samples of all drives.
    pub fn len(&self) -> usize {
        self.drives.iter().map(|d| d.samples.len()).sum()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Training samples and held-out samples: every `held_out_every`-th drive that has samples is
    /// held out, beginning with the last of the first group; 0 holds nothing out. If there are
    /// fewer drives than that (but two at least) the last one is held out.
    pub fn split(&self, held_out_every: usize) -> (Vec<&Sample>, Vec<&Sample>) {
        let drives: Vec<&Drive> = self.drives.iter().filter(|d| !d.samples.is_empty()).collect();
        let every = match held_out_every {
            0 => usize::MAX,
            n => n.min(drives.len()).max(2),
        };
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for (i, drive) in drives.iter().enumerate() {
            let part = if (i + 1) % every == 0 { &mut held_out } else { &mut train };
            part.extend(&drive.samples);
        }
        (train, held_out)
    }
}

/// Draws training samples so that rare situations are not rare to the learner: the weight of a
/// sample is one over the square root of how many share its class and branch (a mirrored pair
/// counts as one), at most eight times that of the commonest.
#[derive(Debug, Clone)]
pub struct Sampler {
    cumulative: Vec<f64>,
}

impl Sampler {
    /// Over these samples.
    pub fn new(samples: &[&Sample]) -> Self {
        const CLASSES: usize = caril_core::BIN_COUNT;
        let group = |s: &Sample| {
            // Right turns are left turns in the mirror.
            let (class, nav) = match s.nav {
                NavCommand::Right => (CLASSES - 1 - s.class(), NavCommand::Left),
                NavCommand::Left => (s.class(), s.nav),
                nav => (s.class().min(CLASSES - 1 - s.class()), nav),
            };
            branch_of(nav) * CLASSES + class
        };
        let mut counts = [0usize; caril_policy::BRANCHES * CLASSES];
        for sample in samples {
            if let Some(n) = counts.get_mut(group(sample)) {
                *n += 1;
            }
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let mut sum = 0.0;
        let cumulative = samples
            .iter()
            .map(|s| {
                let count = counts.get(group(s)).copied().unwrap_or(1).max(1);
                sum += (most / count as f64).sqrt().min(8.0);
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// Index of a random sample.
    pub fn draw(&self, rng: &mut CounterRng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = rng.uniform() * total;
        self.cumulative.partition_point(|c| *c <= at).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(steer: f32, nav: NavCommand) -> Sample {
        Sample {
            rgb: Box::from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            speed_mps: 5.0,
            nav,
            steer,
        }
    }

    #[test]
    fn mirrored_sample_is_mirrored_in_all_parts() {
        let s = sample(0.5, NavCommand::Left);
        let m = s.mirrored(2);
        assert_eq!(*m.rgb, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        assert_eq!((m.steer, m.nav, m.speed_mps), (-0.5, NavCommand::Right, 5.0));
        assert_eq!((s.class(), m.class()), (8, 2));
        assert_eq!(m.mirrored(2), s);
    }

    #[test]
    fn held_out_split_is_by_drive() {
        let input = caril_policy::Architecture::PilotNet.default_input();
        let drive =
            |d: usize| Drive { samples: vec![sample(d as f32 / 10.0, NavCommand::Follow); 3] };
        let mut data = Dataset { input, drives: (0..7).map(drive).collect() };
        let (train, held) = data.split(3);
        assert_eq!((train.len(), held.len()), (15, 6));
        assert!(train.iter().all(|t| held.iter().all(|h| h.steer != t.steer)));
        data.drives.truncate(2);
        let (train, held) = data.split(5);
        assert_eq!((train.len(), held.len()), (3, 3), "few drives still hold one out");
        assert_eq!(data.split(0).1.len(), 0);
    }

    #[test]
    fn rare_turns_are_drawn_more_often_than_they_occur() {
        let straight = sample(0.0, NavCommand::Follow);
        let turn = sample(0.9, NavCommand::Right);
        let samples: Vec<&Sample> =
            std::iter::repeat_n(&straight, 99).chain(std::iter::once(&turn)).collect();
        let sampler = Sampler::new(&samples);
        let mut rng = CounterRng::new(1, 1);
        let turns = (0..10_000).filter(|_| sampler.draw(&mut rng) == 99).count();
        assert!((600..900).contains(&turns), "8 of 107: {turns}");
    }
}
