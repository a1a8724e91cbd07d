//! Samples of drives: pictures at the network's size, speed, command and the expert's steer.

use caril_core::{Colours, InputSpec, NavCommand, bin_of};

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

/// Pictures are alike enough for so many of them to tell the colours of all.
const COLOUR_SAMPLES: usize = 1000;

/// The colours of samples, for the card: of at most [`COLOUR_SAMPLES`], spread over all of them.
/// `None` if there is none.
pub(crate) fn colours(samples: &[&Sample]) -> Option<Colours> {
    let every = samples.len().div_ceil(COLOUR_SAMPLES).max(1);
    Colours::of(samples.iter().step_by(every).map(|s| &*s.rgb))
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
    fn colours_are_of_samples_spread_over_all() {
        let grey = |v: u8| Sample { rgb: Box::from([v; 12]), ..sample(0.0, NavCommand::Follow) };
        let (dark, bright) = (grey(50), grey(150));
        let mut samples = vec![&dark; 5000];
        samples.extend([&bright; 5000]);
        let got = colours(&samples).unwrap();
        assert_eq!((got.mean, got.deviation), ([100.0; 3], [50.0; 3]));
        assert_eq!(colours(&samples[4999..5001]).unwrap().mean, [100.0; 3], "few are all counted");
        assert_eq!(colours(&[]), None);
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
}
