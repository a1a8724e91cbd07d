//! The steps of a drive for its report, in bounded memory: of a long drive every second, then every
//! fourth, and so on, of each group the one that has most to say.

use caril_core::StepRecord;

/// Steps in order, never more than there was room for at the start.
#[derive(Debug)]
pub struct Thinned {
    steps: Vec<StepRecord>,
    most: usize,
    /// One of so many is kept.
    every: u64,
    /// Steps of the last group so far; 0 if it is whole.
    in_group: u64,
}

impl Thinned {
    /// Room for `most` steps, an even number: all that is ever allocated.
    pub fn new(most: usize) -> Self {
        let most = most & !1;
        Self { steps: Vec::with_capacity(most), most, every: 1, in_group: 0 }
    }

    /// Takes a step. Neither allocates nor frees; once in a long while it moves half of all steps.
    pub fn push(&mut self, step: &StepRecord) {
        if self.in_group == 0 {
            if self.steps.len() >= self.most {
                self.halve();
            }
            if self.steps.len() >= self.most {
                // There is room for none.
                return;
            }
            self.steps.push(*step);
        } else if let Some(last) = self.steps.last_mut()
            && says_more(step, last)
        {
            *last = *step;
        }
        self.in_group = (self.in_group + 1) % self.every;
    }

    /// What is kept.
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    fn halve(&mut self) {
        let half = self.steps.len() / 2;
        for k in 0..half {
            let (Some(a), Some(b)) = (self.steps.get(2 * k), self.steps.get(2 * k + 1)) else {
                return;
            };
            let kept = if says_more(b, a) { *b } else { *a };
            if let Some(place) = self.steps.get_mut(k) {
                *place = kept;
            }
        }
        self.steps.truncate(half);
        self.every *= 2;
    }
}

/// Faults say more than a correction, a correction more than doubt; of equals the earlier one stays.
fn says_more(a: &StepRecord, b: &StepRecord) -> bool {
    let rank = |s: &StepRecord| {
        (s.faults.iter().count(), s.mode as u8, s.correction.regime.is_correction())
    };
    let sure = |s: &StepRecord| if s.predicted { s.correction.confidence } else { f32::INFINITY };
    rank(a) > rank(b) || (rank(a) == rank(b) && sure(a) < sure(b))
}

#[cfg(test)]
mod tests {
    use caril_core::{Fault, FaultSet, FrameId};

    use super::*;

    fn step(id: u64) -> StepRecord {
        let mut step = StepRecord { frame_id: FrameId(id), predicted: true, ..Default::default() };
        step.correction.confidence = 1.0;
        step
    }

    fn ids(kept: &Thinned) -> Vec<u64> {
        kept.steps().iter().map(|s| s.frame_id.0).collect()
    }

    #[test]
    fn a_drive_that_fits_is_kept_whole_and_a_longer_one_evenly() {
        let mut kept = Thinned::new(8);
        for id in 0..1000 {
            kept.push(&step(id));
            let ids = ids(&kept);
            assert!(ids.len() <= 8 && ids.len() >= if id < 8 { id as usize + 1 } else { 4 });
            let apart: Vec<u64> = ids.windows(2).map(|w| w[1] - w[0]).collect();
            assert!(apart.iter().all(|n| n == &apart[0] && n.is_power_of_two()), "{ids:?}");
        }
        assert_eq!(ids(&kept), [0, 128, 256, 384, 512, 640, 768, 896]);
    }

    #[test]
    fn of_each_group_the_step_that_says_most_stays() {
        let mut kept = Thinned::new(8);
        for id in 0..64 {
            let mut step = step(id);
            match id {
                // One fault in the first group, beside a doubt; one doubt in the last.
                2 => step.correction.confidence = 0.1,
                5 => step.faults = FaultSet::of(Fault::ImageBlack),
                62 => step.correction.confidence = 0.2,
                _ => {}
            }
            kept.push(&step);
        }
        assert_eq!(ids(&kept), [5, 8, 16, 24, 32, 40, 48, 62]);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        for most in [0, 1] {
            let mut kept = Thinned::new(most);
            (0..9).for_each(|id| kept.push(&step(id)));
            assert!(kept.steps().is_empty());
        }
    }
}
