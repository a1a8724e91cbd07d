//! Distance to the training features: how unlike everything it was trained on a frame looks to the
//! network (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors").

use burn::prelude::*;
use caril_core::InputSpec;
use caril_policy::Net;
use rayon::prelude::*;

use crate::batch::Batch;
use crate::dataset::Sample;

/// Which neighbour's distance counts: one odd training frame does not make a region known.
const NEIGHBOUR: usize = 10;
/// Most features that are kept, evenly spaced: more make the search slower, hardly better.
pub const REFERENCE_FRAMES_MAX: usize = 4_000;
/// Samples that go through the network together.
const BATCH: usize = 16;

/// Features of frames like those a pack was trained on, each of length one.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    features: Vec<f32>,
    length: usize,
}

impl Reference {
    /// Keeps at most [`REFERENCE_FRAMES_MAX`] of the rows, evenly spaced. `None` if there are no
    /// more rows than the neighbour that counts.
    pub fn new(rows: &[Vec<f32>]) -> Option<Self> {
        let length = rows.first()?.len();
        let step = rows.len().div_ceil(REFERENCE_FRAMES_MAX).max(1);
        let kept: Vec<&Vec<f32>> = rows.iter().step_by(step).collect();
        (kept.len() > NEIGHBOUR && length > 0)
            .then(|| Self { features: kept.into_iter().flatten().copied().collect(), length })
    }

    /// Distance to the tenth-nearest feature, [0, 2].
    pub fn distance(&self, row: &[f32]) -> f32 {
        let mut nearest = [f32::INFINITY; NEIGHBOUR];
        for known in self.features.chunks_exact(self.length) {
            let square: f32 = known.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum();
            if square < nearest[NEIGHBOUR - 1] {
                let at = nearest.partition_point(|n| *n <= square);
                nearest[at..].rotate_right(1);
                nearest[at] = square;
            }
        }
        nearest[NEIGHBOUR - 1].sqrt()
    }

    /// The distance of every row, in order.
    pub fn distances(&self, rows: &[Vec<f32>]) -> Vec<f32> {
        rows.par_iter().map(|row| self.distance(row)).collect()
    }
}

/// What the network's last hidden layer before the heads makes of every sample, scaled to length
/// one, in order. `net` is on `device`.
pub fn features(
    net: &Net,
    samples: &[&Sample],
    input: &InputSpec,
    speed_scale_mps: f32,
    device: &Device,
) -> Vec<Vec<f32>> {
    let batch = |samples: &[&Sample]| {
        let mut batch = Batch::new(*input);
        samples.iter().for_each(|s| batch.push(s, speed_scale_mps));
        let out = net.features(batch.to_net_input(device));
        let [_, length] = out.dims();
        let values = out.into_data().try_into_vec::<f32>().unwrap_or_default();
        values.chunks_exact(length.max(1)).map(unit).collect::<Vec<_>>()
    };
    samples.chunks(BATCH).flat_map(batch).collect()
}

fn unit(row: &[f32]) -> Vec<f32> {
    let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    row.iter().map(|v| v / norm).collect()
}

#[cfg(test)]
mod tests {
    use caril_core::CounterRng;

    use super::*;

    fn cloud(seed: u64, n: usize, at: usize) -> Vec<Vec<f32>> {
        let mut rng = CounterRng::new(seed, 1);
        let mut row = || {
            let mut v: Vec<f32> = (0..6).map(|_| 0.1 * rng.normal() as f32).collect();
            v[at] += 1.0;
            unit(&v)
        };
        (0..n).map(|_| row()).collect()
    }

    #[test]
    fn what_was_never_seen_is_further_away() {
        let reference = Reference::new(&cloud(1, 500, 0)).unwrap();
        let known = reference.distances(&cloud(2, 50, 0));
        let new = reference.distances(&cloud(3, 50, 1));
        let most = known.iter().copied().fold(0.0, f32::max);
        assert!(new.iter().all(|d| *d > most && *d <= 2.0), "{most} {new:?}");
    }

    #[test]
    fn the_tenth_neighbour_counts() {
        // Nine copies of a point and many far from it: the point itself is still far from the tenth.
        let mut rows = cloud(4, 20, 0);
        rows.extend(std::iter::repeat_n(unit(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]), 9));
        let point = rows.last().unwrap().clone();
        assert!(Reference::new(&rows).unwrap().distance(&point) > 1.0);
        rows.push(point.clone());
        assert!(Reference::new(&rows).unwrap().distance(&point) < 1e-6);
        assert_eq!(Reference::new(&rows[..10]), None);
    }
}
