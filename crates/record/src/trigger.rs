//! The event recorder: only what happened around events is kept, so that a fleet brings home the
//! frames worth looking at.

use std::collections::VecDeque;
use std::io::Write;

use caril_core::{Correction, Mode, Regime, StepRecord};

use crate::RecordError;
use crate::log::{Item, Log};

/// Steps that wait for an event at most; the oldest go first, however short the time before is.
const MOST_WAITING: usize = 4096;

/// Two looks at a picture that are further apart than this, normalised steer, do not agree: what
/// packs call wrong unless they say otherwise.
const LOOKS_APART: f32 = 0.1;

/// Which steps are events, and how much around them is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trigger {
    /// Plant time that is kept before an event, nanoseconds; up to a second more.
    pub before_ns: u64,
    /// Plant time that is kept after an event, nanoseconds; up to a second more.
    pub after_ns: u64,
    /// A prediction whose deciding confidence is below this is an event.
    pub confidence_below: Option<f32>,
    /// A correction of the steer is one. A second look is taken for as long as it is dark; it is an
    /// event only where it does not agree with the first.
    pub corrections: bool,
    /// A fault is one.
    pub faults: bool,
    /// A step that is not driven in mode nominal is one: the safety core has taken over.
    pub takeovers: bool,
}

impl Trigger {
    /// Whether this step is an event.
    pub fn fires(&self, step: &StepRecord) -> bool {
        let Correction { regime, confidence, .. } = step.correction;
        // Where the last steer is held, no confidence has decided.
        let low = |limit: f32| regime != Regime::NoPrediction && confidence < limit;
        self.confidence_below.is_some_and(low)
            || (self.corrections && corrected(step))
            || (self.faults && !step.faults.is_empty())
            || (self.takeovers && step.mode != Mode::Nominal)
    }
}

fn corrected(step: &StepRecord) -> bool {
    match step.correction.regime {
        Regime::SecondLook => (step.second_regression - step.regression).abs() > LOOKS_APART,
        regime => regime.is_correction(),
    }
}

/// Steps that follow each other, from a memory of the controller on: a clip can begin here. The
/// very first piece has none: there the controller is at rest.
struct Piece {
    from_ns: u64,
    items: Vec<Item<'static>>,
}

impl Piece {
    fn frames(&self) -> u64 {
        self.items.iter().filter(|item| item.frame).count() as u64
    }
}

/// Holds steps back until it is known whether they are wanted.
pub(crate) struct Clips {
    trigger: Trigger,
    waiting: VecDeque<Piece>,
    /// Everything is written up to this plant time, and on to the next memory.
    until_ns: Option<u64>,
    /// Newest plant time.
    now_ns: u64,
    /// Something was left out since the last step that was written.
    gap: bool,
    /// Clips written.
    pub clips: u64,
}

impl Clips {
    pub fn new(trigger: Trigger) -> Self {
        let (waiting, until_ns, now_ns, gap, clips) = (VecDeque::new(), None, 0, false, 0);
        Self { trigger, waiting, until_ns, now_ns, gap, clips }
    }

    /// Takes a step, and writes what is known to be wanted.
    pub fn take<W: Write>(&mut self, log: &mut Log<W>, item: &Item<'_>) -> Result<(), RecordError> {
        if item.frame {
            self.now_ns = self.now_ns.max(item.step.sim_time_ns);
        }
        if item.memory.is_some() && self.until_ns.is_some_and(|until| self.now_ns > until) {
            self.until_ns = None;
        }
        let fires = self.trigger.fires(&item.step);
        if self.until_ns.is_some() {
            if fires {
                self.extend();
            }
            return log.write(item, false);
        }
        if item.memory.is_some() || self.waiting.is_empty() {
            self.forget(log);
            self.waiting.push_back(Piece { from_ns: self.now_ns, items: Vec::new() });
        }
        if let Some(piece) = self.waiting.back_mut() {
            piece.items.push(item.to_owned());
        }
        if fires {
            self.extend();
            self.clips += 1;
            for item in self.waiting.drain(..).flat_map(|piece| piece.items) {
                log.write(&item, std::mem::take(&mut self.gap))?;
            }
        }
        Ok(())
    }

    /// What still waits is not wanted.
    pub fn finish<W: Write>(&mut self, log: &mut Log<W>) {
        self.waiting.drain(..).for_each(|piece| log.leave_out(piece.frames()));
    }

    fn extend(&mut self) {
        self.until_ns = Some(self.now_ns.saturating_add(self.trigger.after_ns));
    }

    /// Lets go of pieces that lie wholly before the time to keep.
    fn forget<W: Write>(&mut self, log: &mut Log<W>) {
        let wanted_ns = self.now_ns.saturating_sub(self.trigger.before_ns);
        let mut held: usize = self.waiting.iter().map(|piece| piece.items.len()).sum();
        while self.waiting.get(1).is_some_and(|next| next.from_ns <= wanted_ns)
            || held > MOST_WAITING
        {
            let Some(piece) = self.waiting.pop_front() else { return };
            held -= piece.items.len();
            log.leave_out(piece.frames());
            self.gap = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_look_is_an_event_where_it_does_not_agree() {
        let trigger = Trigger {
            before_ns: 0,
            after_ns: 0,
            confidence_below: None,
            corrections: true,
            faults: false,
            takeovers: false,
        };
        let fires = |regime, second_regression| {
            let mut step = StepRecord { regression: 0.2, second_regression, ..Default::default() };
            step.correction.regime = regime;
            trigger.fires(&step)
        };
        assert!(!fires(Regime::SecondLook, 0.29) && !fires(Regime::SecondLook, 0.11));
        assert!(fires(Regime::SecondLook, 0.31) && fires(Regime::SecondLook, 0.09));
        assert!(fires(Regime::PaperNoise, 0.0) && !fires(Regime::Slowed, 0.0));
    }
}
