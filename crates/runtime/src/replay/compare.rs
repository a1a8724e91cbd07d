//! What a replay did otherwise, gathered tick by tick.

use std::collections::BTreeMap;

use caril_core::{Fault, FrameId, Mode, StepRecord};
use caril_record::{FieldDifference, Part, differences};
use serde::Serialize;

/// The first step that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirstDifference {
    /// Its frame; for a step without one, the last before it.
    pub frame_id: FrameId,
    /// Plant time, nanoseconds.
    pub sim_time_ns: u64,
    /// The first stage whose result is another: the cause.
    pub stage: Part,
    /// Every field that differs, the cause first.
    pub fields: Vec<FieldDifference>,
}

/// How far the steers that went to the plant lie apart, CARLA scale.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SteerDifference {
    /// Mean of |now − then| over all compared steps.
    pub mean: f64,
    /// The greatest.
    pub max: f64,
    /// Where that is.
    pub max_frame_id: FrameId,
}

/// From what to what, with the number of steps, of those that changed.
pub type Changes = BTreeMap<String, u64>;

/// Steers wanted then and now against the expert's, CARLA scale, on steps with truth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ExpertDistance {
    /// Steps with truth.
    pub ticks: u64,
    /// Steps on which the new steer is nearer to the expert's.
    pub nearer: u64,
    /// Steps on which it is further away.
    pub further: u64,
    /// Mean of |steer − expert| then.
    pub then_mae: f64,
    /// Mean of |steer − expert| now.
    pub now_mae: f64,
}

/// The result of comparing.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Comparison {
    /// Steps compared.
    pub compared: u64,
    /// Of these, with a bit that differs.
    pub differ: u64,
    /// The first of these.
    pub first: Option<FirstDifference>,
    /// How many differ first in which stage.
    pub stages: BTreeMap<&'static str, u64>,
    /// Steers sent.
    pub steer: SteerDifference,
    /// Regimes that changed, `then → now`.
    pub regimes: Changes,
    /// Modes that changed, `then → now`.
    pub modes: Changes,
    /// Faults that came (`+name`) or went (`-name`).
    pub faults: Changes,
    /// Which is nearer to the expert.
    pub expert: ExpertDistance,
}

impl Comparison {
    /// Whether every compared step is the same to the bit, but for the clock.
    pub const fn is_equal(&self) -> bool {
        self.differ == 0
    }

    /// Adds a step and returns the first stage that differs.
    pub fn add(&mut self, then: &StepRecord, now: &StepRecord) -> Option<Part> {
        self.compared += 1;
        self.add_expert(then, now);
        let fields = differences(then, now);
        let d = f64::from((now.command.steer - then.command.steer).abs());
        // Means are kept as means, so that a comparison can be looked at whenever one likes.
        let n = self.compared as f64;
        let steer = &mut self.steer;
        if d.is_finite() {
            steer.mean += (d - steer.mean) / n;
            if d > steer.max {
                (steer.max, steer.max_frame_id) = (d, then.frame_id);
            }
        }
        let stage = fields.first()?.part;
        self.differ += 1;
        *self.stages.entry(stage.name()).or_default() += 1;
        let (was, is) = (then.correction.regime.name(), now.correction.regime.name());
        change(&mut self.regimes, was, is);
        change(&mut self.modes, mode_name(then.mode), mode_name(now.mode));
        for fault in Fault::ALL {
            let sign = match (then.faults.contains(fault), now.faults.contains(fault)) {
                (false, true) => '+',
                (true, false) => '-',
                _ => continue,
            };
            *self.faults.entry(format!("{sign}{}", fault.name())).or_default() += 1;
        }
        if self.first.is_none() {
            let (frame_id, sim_time_ns) = (then.frame_id, then.sim_time_ns);
            self.first = Some(FirstDifference { frame_id, sim_time_ns, stage, fields });
        }
        Some(stage)
    }

    fn add_expert(&mut self, then: &StepRecord, now: &StepRecord) {
        let Some(truth) = &then.truth else { return };
        let off = |step: &StepRecord| f64::from((step.steer_corrected - truth.expert_steer).abs());
        let (was, is) = (off(then), off(now));
        if was.is_finite() && is.is_finite() {
            let e = &mut self.expert;
            e.ticks += 1;
            e.nearer += u64::from(is < was);
            e.further += u64::from(is > was);
            let n = e.ticks as f64;
            e.then_mae += (was - e.then_mae) / n;
            e.now_mae += (is - e.now_mae) / n;
        }
    }
}

fn change(changes: &mut Changes, was: &str, is: &str) {
    if was != is {
        *changes.entry(format!("{was} → {is}")).or_default() += 1;
    }
}

/// As in recordings.
const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Nominal => "nominal",
        Mode::Degraded => "degraded",
        Mode::SafeStop => "safe_stop",
    }
}
