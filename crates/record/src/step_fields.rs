//! One table of a step's fields for writing, reading and the schema, so that they cannot differ.
//! The vehicle's state and the truth have theirs in core: the wire and the step hash share it.

use caril_core::{BIN_COUNT, FaultSet, Field, Mode, NavCommand, Number, Regime, Stage, StepRecord};

/// The parts of a step, causes before what follows from them: the gate's judgement of faults comes
/// before what is wanted, because it decides whether the prediction counts at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What was seen: frame, vehicle, picture's check, truth, faults that others found.
    Observe,
    /// What the network said.
    Infer,
    /// Mode and faults.
    Gate,
    /// What was wanted, without and with correction.
    Correct,
    /// What went to the plant.
    Command,
    /// Times of the clock and of the stages: never compared.
    Clock,
}

impl Part {
    /// Its name, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Infer => "infer",
            Self::Correct => "correct",
            Self::Gate => "gate",
            Self::Command => "command",
            Self::Clock => "clock",
        }
    }
}

/// What is done with each field. `E` is what can go wrong.
pub(crate) trait Visitor {
    /// What can go wrong.
    type Error;
    fn f32(
        &mut self,
        key: &'static str,
        about: &'static str,
        v: &mut f32,
    ) -> Result<(), Self::Error>;
    fn f64(
        &mut self,
        key: &'static str,
        about: &'static str,
        v: &mut f64,
    ) -> Result<(), Self::Error>;
    fn u64(
        &mut self,
        key: &'static str,
        about: &'static str,
        v: &mut u64,
    ) -> Result<(), Self::Error>;
    fn bool(
        &mut self,
        key: &'static str,
        about: &'static str,
        v: &mut bool,
    ) -> Result<(), Self::Error>;
    fn probs(
        &mut self,
        key: &'static str,
        about: &'static str,
        v: &mut [f32; BIN_COUNT],
    ) -> Result<(), Self::Error>;
    /// A value of an enum: position in `names`.
    fn name(
        &mut self,
        key: &'static str,
        about: &'static str,
        names: &'static [&'static str],
        v: &mut usize,
    ) -> Result<(), Self::Error>;
    /// What is wrong if a number does not fit its field.
    fn misfit(&self, key: &'static str) -> Self::Error;
    /// The fields that follow are of this part.
    fn part(&mut self, _: Part) {}
    /// Whether there is such a field: not in recordings older than it.
    fn has(&mut self, _: &'static str) -> bool {
        true
    }
}

const NAVS: [&str; NavCommand::COUNT] =
    ["follow", "left", "right", "straight", "change_left", "change_right"];
pub(crate) const MODES: [&str; 3] = ["nominal", "degraded", "safe_stop"];
const REGIME_NAMES: [&str; Regime::COUNT] = [
    "kept",
    "paper_bin_mean",
    "paper_unsure_kept",
    "paper_noise",
    "fused",
    "no_prediction",
    "second_look",
    "slowed",
];

/// Shows every field of `step` to `v` and takes back what `v` makes of it. The patterns name every
/// field without `..`, so that a new field does not compile until it is in the table.
pub(crate) fn visit<V: Visitor>(step: &mut StepRecord, v: &mut V) -> Result<(), V::Error> {
    let StepRecord {
        frame_id,
        sim_time_ns,
        dropped,
        ego,
        nav,
        advisory_speed_mps,
        image,
        observe_faults,
        predicted,
        regression,
        probs,
        confidence,
        entropy_nats,
        neighbour_mass,
        second_look,
        second_regression,
        second_probs,
        correction,
        steer_raw,
        steer_corrected,
        target_speed_mps,
        command,
        mode,
        faults,
        actuate_faults,
        truth,
        times,
    } = step;
    v.part(Part::Observe);
    v.u64("frame_id", "number of the frame, given by the plant", &mut frame_id.0)?;
    v.u64("sim_time_ns", "plant time, nanoseconds", sim_time_ns)?;
    u32(v, "dropped", "older frames thrown away before this one", dropped)?;

    numbers(v, ego.fields())?;
    numbers(v, ego.pose.fields())?;

    let mut k = *nav as usize;
    v.name("nav", "the navigation's command", &NAVS, &mut k)?;
    *nav = NavCommand::from_code(k as u8).ok_or_else(|| v.misfit("nav"))?;
    v.f32("advisory_speed_mps", "the navigation's advisory speed, m/s", advisory_speed_mps)?;
    if v.has(NEWER) {
        let caril_core::ImageCheck { mean_luma, fingerprint, malformed } = image;
        v.f32("image_luma", "mean brightness of the picture, 0 to 255", mean_luma)?;
        v.u64("image_fingerprint", "equal for equal pictures", fingerprint)?;
        v.bool("image_malformed", "whether the picture is none", malformed)?;
        fault_set(v, "observe_faults", "faults found before the step, as bits", observe_faults)?;
        fault_set(v, "actuate_faults", "faults of sending the command, as bits", actuate_faults)?;
    }

    v.part(Part::Infer);
    v.bool("predicted", "whether the network gave a usable prediction", predicted)?;
    v.f32("regression", "regression head, normalised steer", regression)?;
    v.probs("probs", "class probabilities, full left to full right", probs)?;
    v.f32("confidence", "highest class probability", confidence)?;
    v.f32("entropy_nats", "entropy of the classes, nats", entropy_nats)?;
    v.f32("neighbour_mass", "probability of argmax ± 1", neighbour_mass)?;

    // Whether there is one is the correction's decision: another configuration, not another network.
    v.part(Part::Correct);
    if v.has(SECOND_LOOK) {
        v.bool(SECOND_LOOK, "whether it looked again, at the brightened picture", second_look)?;
        v.f32("second_regression", "regression of the second look, normalised", second_regression)?;
        v.probs("second_probs", "class probabilities of the second look", second_probs)?;
    }
    let caril_core::Correction { steer, regime, speed_cap_mps, confidence, sigma } = correction;
    v.f32("correction_steer", "corrected steer, normalised", steer)?;
    let mut k = *regime as usize;
    v.name("regime", "rule of the correction that applied", &REGIME_NAMES, &mut k)?;
    *regime = Regime::ALL.get(k).copied().ok_or_else(|| v.misfit("regime"))?;
    v.f32(
        "speed_cap_mps",
        "cap on the speed because of doubt, m/s; none if absent",
        speed_cap_mps,
    )?;
    v.f32("correction_confidence", "the confidence that decided", confidence)?;
    v.f32("correction_sigma", "believed deviation of the steer, normalised", sigma)?;

    v.f32("steer_raw", "steer asked for without correction, CARLA scale", steer_raw)?;
    v.f32("steer_corrected", "steer asked for with correction, CARLA scale", steer_corrected)?;
    v.part(Part::Command);
    v.f32("target_speed_mps", "target of the longitudinal control, m/s", target_speed_mps)?;

    let caril_core::Command { frame_id, steer, throttle, brake, mode: command_mode } = command;
    v.u64("command_frame_id", "the frame that the command answers", &mut frame_id.0)?;
    v.f32("command_steer", "sent to the plant, +1 is full right", steer)?;
    v.f32("command_throttle", "sent to the plant, 0 to 1", throttle)?;
    v.f32("command_brake", "sent to the plant, 0 to 1", brake)?;
    named_mode(v, "command_mode", "mode as sent to the plant", command_mode)?;
    v.part(Part::Gate);
    named_mode(v, "mode", "the controller's mode", mode)?;

    fault_set(v, "faults", "faults as bits; names in fault_names", faults)?;

    v.part(Part::Observe);
    let mut has_truth = truth.is_some();
    v.bool("has_truth", "whether the plant told the truth_ fields", &mut has_truth)?;
    if has_truth {
        numbers(v, truth.get_or_insert_default().fields())?;
    }

    v.part(Part::Clock);
    let caril_core::StageTimes { ns, age_ns, received_ns, judged_ns } = times;
    let [observe, check, infer, decide, actuate, record] = ns;
    debug_assert_eq!(Stage::COUNT, 6);
    v.u64("observe_ns", "waiting for and receiving the frame", observe)?;
    v.u64("check_ns", "image checks", check)?;
    v.u64("infer_ns", "the network", infer)?;
    v.u64("decide_ns", "correction, longitudinal control, gate", decide)?;
    v.u64("actuate_ns", "sending the command", actuate)?;
    v.u64("record_ns", "handing the previous record over", record)?;
    v.u64("age_ns", "from the frame's arrival to the command handed over", age_ns)?;
    if v.has(NEWER) {
        v.u64("received_ns", "when the frame arrived, on the step's clock", received_ns)?;
        v.u64("judged_ns", "the controller's now, on the step's clock", judged_ns)?;
    }
    Ok(())
}

/// Not in recordings of before there were second looks.
const SECOND_LOOK: &str = "second_look";
/// Whoever wrote this field wrote all of its age.
pub(crate) const NEWER: &str = "judged_ns";

fn numbers<V: Visitor, const N: usize>(v: &mut V, fields: [Field<'_>; N]) -> Result<(), V::Error> {
    for Field { name, about, value } in fields {
        match value {
            Number::U32(field) => u32(v, name, about, field)?,
            Number::F32(field) => v.f32(name, about, field)?,
            Number::F64(field) => v.f64(name, about, field)?,
        }
    }
    Ok(())
}

fn u32<V: Visitor>(
    v: &mut V,
    key: &'static str,
    about: &'static str,
    field: &mut u32,
) -> Result<(), V::Error> {
    let mut wide = u64::from(*field);
    v.u64(key, about, &mut wide)?;
    *field = u32::try_from(wide).map_err(|_| v.misfit(key))?;
    Ok(())
}

fn fault_set<V: Visitor>(
    v: &mut V,
    key: &'static str,
    about: &'static str,
    field: &mut FaultSet,
) -> Result<(), V::Error> {
    let mut bits = field.bits();
    u32(v, key, about, &mut bits)?;
    *field = FaultSet::from_bits(bits).ok_or_else(|| v.misfit(key))?;
    Ok(())
}

fn named_mode<V: Visitor>(
    v: &mut V,
    key: &'static str,
    about: &'static str,
    mode: &mut Mode,
) -> Result<(), V::Error> {
    let mut k = *mode as usize;
    v.name(key, about, &MODES, &mut k)?;
    *mode = Mode::from_code(k as u8).ok_or_else(|| v.misfit(key))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_core() {
        for (k, regime) in Regime::ALL.into_iter().enumerate() {
            assert_eq!((regime as usize, regime.name()), (k, REGIME_NAMES[k]));
        }
        for (k, nav) in NavCommand::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_string(&nav).unwrap(), format!("{:?}", NAVS[k]));
        }
        for (k, name) in MODES.into_iter().enumerate() {
            let mode = Mode::from_code(k as u8).unwrap();
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("{name:?}"));
        }
    }
}
