//! Two steps field by field, to the bit, by the one table of fields.

use caril_core::{BIN_COUNT, StepRecord};

use crate::Part;
use crate::step_fields::{Visitor, visit};

/// A field that is not the same in two steps.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldDifference {
    /// The part of the step that it belongs to.
    pub part: Part,
    /// Its key, as in recordings; `probs` once for each class.
    pub field: &'static str,
    /// Its value in the first step.
    pub then: String,
    /// Its value in the second step.
    pub now: String,
}

/// Every field whose bits differ, but for those of [`Part::Clock`]: that part is the whole list of
/// what is not compared. In the order in which parts come about, so that the first is the cause.
pub fn differences(then: &StepRecord, now: &StepRecord) -> Vec<FieldDifference> {
    let mut all = Vec::new();
    let mut compare = |a: &Entry, b: &Entry| {
        if a.part != Part::Clock && a.value.bits() != b.value.bits() {
            let (then, now) = (a.value.text(), b.value.text());
            all.push(FieldDifference { part: a.part, field: a.field, then, now });
        }
    };
    let has_truth = |step: &StepRecord| Entry {
        part: Part::Observe,
        field: "has_truth",
        value: Value::Bool(step.truth.is_some()),
    };
    compare(&has_truth(then), &has_truth(now));
    // With truth in both, the same fields stand side by side.
    let (then, now) = (Values::of(then), Values::of(now));
    then.0.iter().zip(&now.0).for_each(|(a, b)| compare(a, b));
    all.sort_by_key(|d| d.part);
    all
}

#[derive(Debug, Clone, Copy)]
enum Value {
    F32(f32),
    F64(f64),
    U64(u64),
    Bool(bool),
    Name(&'static str),
}

impl Value {
    /// Equal for equal values and for nothing else. Names of one field differ in their text.
    fn bits(self) -> (u64, &'static str) {
        match self {
            Self::F32(v) => (u64::from(v.to_bits()), ""),
            Self::F64(v) => (v.to_bits(), ""),
            Self::U64(v) => (v, ""),
            Self::Bool(v) => (u64::from(v), ""),
            Self::Name(v) => (0, v),
        }
    }

    fn text(self) -> String {
        match self {
            Self::F32(v) => format!("{v:?}"),
            Self::F64(v) => format!("{v:?}"),
            Self::U64(v) => v.to_string(),
            Self::Bool(v) => v.to_string(),
            Self::Name(v) => v.to_owned(),
        }
    }
}

struct Entry {
    part: Part,
    field: &'static str,
    value: Value,
}

struct Values(Vec<Entry>, Part);

impl Values {
    fn of(step: &StepRecord) -> Self {
        let mut values = Self(Vec::with_capacity(96), Part::Observe);
        let mut copy = *step;
        copy.truth.get_or_insert_default();
        // Listing values cannot fail.
        let _ = visit(&mut copy, &mut values);
        values
    }

    fn push(&mut self, field: &'static str, value: Value) -> std::fmt::Result {
        self.0.push(Entry { part: self.1, field, value });
        Ok(())
    }
}

impl Visitor for Values {
    type Error = std::fmt::Error;

    fn part(&mut self, part: Part) {
        self.1 = part;
    }
    fn f32(&mut self, key: &'static str, _: &'static str, v: &mut f32) -> std::fmt::Result {
        self.push(key, Value::F32(*v))
    }
    fn f64(&mut self, key: &'static str, _: &'static str, v: &mut f64) -> std::fmt::Result {
        self.push(key, Value::F64(*v))
    }
    fn u64(&mut self, key: &'static str, _: &'static str, v: &mut u64) -> std::fmt::Result {
        self.push(key, Value::U64(*v))
    }
    fn bool(&mut self, key: &'static str, _: &'static str, v: &mut bool) -> std::fmt::Result {
        self.push(key, Value::Bool(*v))
    }
    fn probs(
        &mut self,
        key: &'static str,
        _: &'static str,
        v: &mut [f32; BIN_COUNT],
    ) -> std::fmt::Result {
        v.iter().try_for_each(|p| self.push(key, Value::F32(*p)))
    }
    fn name(
        &mut self,
        key: &'static str,
        _: &'static str,
        names: &'static [&'static str],
        v: &mut usize,
    ) -> std::fmt::Result {
        self.push(key, Value::Name(names.get(*v).copied().unwrap_or("?")))
    }
    fn misfit(&self, _: &'static str) -> std::fmt::Error {
        std::fmt::Error
    }
}

#[cfg(test)]
mod tests {
    use caril_core::{Mode, StageTimes, Truth};

    use super::*;

    #[test]
    fn every_field_that_differs_is_named_once_and_times_never() {
        let then = StepRecord { advisory_speed_mps: f32::NAN, ..StepRecord::default() };
        assert_eq!(differences(&then, &then), []);
        let times = StageTimes { ns: [7; 6], age_ns: 8, received_ns: 9, judged_ns: 10 };
        assert_eq!(differences(&then, &StepRecord { times, ..then }), []);
        let mut now = StepRecord { mode: Mode::Degraded, steer_raw: -0.0, ..then };
        now.probs[3] = 0.5;
        now.image.mean_luma = 1.5;
        let found: Vec<_> = differences(&then, &now)
            .into_iter()
            .map(|d| (d.part, d.field, d.then, d.now))
            .collect();
        let text = |part, field, then: &str, now: &str| (part, field, then.into(), now.into());
        assert_eq!(
            found,
            [
                text(Part::Observe, "image_luma", "0.0", "1.5"),
                text(Part::Infer, "probs", "0.0", "0.5"),
                text(Part::Gate, "mode", "nominal", "degraded"),
                text(Part::Correct, "steer_raw", "0.0", "-0.0"),
            ]
        );
    }

    #[test]
    fn truth_in_one_only_is_a_difference_of_observing() {
        let then = StepRecord::default();
        let truth = Truth { collisions: 1, ..Truth::default() };
        let now = StepRecord { truth: Some(truth), ..then };
        for found in [differences(&then, &now), differences(&now, &then)] {
            let fields: Vec<_> = found.iter().map(|d| (d.part, d.field)).collect();
            assert_eq!(fields, [(Part::Observe, "has_truth"), (Part::Observe, "collisions")]);
        }
    }
}
