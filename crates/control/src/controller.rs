//! The controller: correction, longitudinal control, limits and gate in one step.

use caril_core::{
    Calibration, Command, Config, ConfigError, ControllerMemory, Correction, EgoState, Fault,
    FaultSet, Lift, MEMORY_LAYOUT, Mode, Prediction, Regime,
};

use crate::memory::Words;
use crate::{
    CommandGate, CorrectionState, FrameMeta, ImageCheck, LongitudinalInput, Steering, Verdict,
    correct, longitudinal,
};

/// What one step with a frame looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepInput {
    /// Now, nanoseconds, on the clock of the frame's `received_ns`.
    pub now_ns: u64,
    /// The frame, without its picture.
    pub frame: FrameMeta,
    /// The picture's check.
    pub image: ImageCheck,
    /// What the policy said.
    pub prediction: Result<Prediction, Fault>,
    /// What it said of the brightened picture; only where [`Controller::asks_again`]. It counts
    /// instead of the first.
    pub second: Option<Prediction>,
    /// Whether the step took longer than its deadline.
    pub overrun: bool,
    /// Faults that others found: the world's observation, the driver.
    pub faults: FaultSet,
}

/// What one step decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutput {
    /// The correction; regime `NoPrediction` where the last steer is held.
    pub correction: Correction,
    /// Steer wanted without correction, CARLA scale.
    pub steer_raw: f32,
    /// Steer wanted with correction, CARLA scale, before limits.
    pub steer_corrected: f32,
    /// The speed aimed at, m/s.
    pub target_speed_mps: f32,
    /// The command to the plant.
    pub command: Command,
    /// The mode.
    pub mode: Mode,
    /// All faults of the step.
    pub faults: FaultSet,
}

/// The whole controller of one episode. `Copy`, so that a replay can keep it and go on from
/// there. An episode that starts anew needs a new controller: frame ids must rise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controller {
    config: Config,
    calibration: Calibration,
    steer_scale: f32,
    state: CorrectionState,
    gate: CommandGate,
    correction: Correction,
    target_speed_mps: f32,
}

impl Controller {
    /// A controller at rest. `calibration` and `steer_scale` (applied steer = normalised steer ·
    /// scale) are the policy card's; validate the card.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first value that makes no sense, with `steer_scale` expected in
    /// (0, 1].
    pub fn new(
        config: Config,
        calibration: Calibration,
        steer_scale: f32,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if !(steer_scale > 0.0 && steer_scale <= 1.0) {
            let expected = "more than 0, at most 1";
            return Err(ConfigError { field: "steer_scale", expected });
        }
        let correction = Correction {
            steer: 0.0,
            regime: Regime::NoPrediction,
            speed_cap_mps: f32::INFINITY,
            confidence: 0.0,
            sigma: calibration.regression_sigma,
        };
        let (state, gate) = (CorrectionState::default(), CommandGate::default());
        let target_speed_mps = 0.0;
        Ok(Self { config, calibration, steer_scale, state, gate, correction, target_speed_mps })
    }

    /// What it remembers of the steps so far; `plant_ns` is the caller's.
    pub fn memory(&self) -> ControllerMemory {
        let mut words = Words::writer();
        let mut copy = *self;
        copy.walk(&mut words);
        ControllerMemory {
            layout: MEMORY_LAYOUT,
            newest_frame_id: self.gate.newest_frame_id(),
            plant_ns: None,
            words: words.words(),
        }
    }

    /// The same controller with that memory instead of its own; `None` if that is no memory of
    /// such a controller. Configuration and calibration stay.
    pub fn remembering(&self, memory: &ControllerMemory) -> Option<Self> {
        let mut words = Words::reader(memory.words);
        let mut copy = *self;
        copy.walk(&mut words);
        (memory.layout == MEMORY_LAYOUT && words.fit()).then_some(copy)
    }

    fn walk(&mut self, w: &mut Words) {
        // Named in full: whatever is added here must be thought of.
        let Self {
            config: _,
            calibration: _,
            steer_scale: _,
            state: CorrectionState { engaged },
            gate,
            correction,
            target_speed_mps,
        } = self;
        w.bool(engaged);
        gate.walk(w);
        let Correction { steer, regime, speed_cap_mps, confidence, sigma } = correction;
        w.finite(steer);
        w.one_of(regime, &Regime::ALL);
        // Infinite if there is none.
        w.f32(speed_cap_mps);
        w.f32(confidence);
        w.f32(sigma);
        w.f32(target_speed_mps);
    }

    /// Whether the policy shall look at the picture once more, brightened: it is dark, but not black
    /// or malformed. However sure the first look is: in the dark it is wrong and sure, too, and a car
    /// that follows now one look and now the other swings between them. A function of the picture
    /// alone, not of what the controller remembers.
    pub fn asks_again(&self, image: &ImageCheck) -> bool {
        let black = image.malformed || image.mean_luma <= self.config.gate.black_mean;
        self.config.correction.looks_again() && !black && Lift::is_for(image.mean_luma)
    }

    /// The ego state that the policy shall look at: with the last known speed where it tells none
    /// that is plausible. A network that takes the speed in can then still steer, which it must
    /// while `ego_invalid` stops the car gently.
    pub fn ego_for_policy(&self, ego: &EgoState) -> EgoState {
        EgoState { speed_mps: self.gate.speed_of(ego), ..*ego }
    }

    /// One step with a frame.
    pub fn step(&mut self, input: &StepInput) -> StepOutput {
        let mut faults = input.faults;
        if input.overrun {
            faults.insert(Fault::DeadlineOverrun);
        }
        // Corrected before it is judged, because a correction that is no number is a fault too;
        // the memory of it counts only if the verdict believes the prediction.
        let mut state = self.state;
        let wanted = match self.correct(input, &mut state) {
            Ok(wanted) => Some(wanted),
            Err(fault) => {
                faults.insert(fault);
                None
            }
        };
        let frame = Some((&input.frame, &input.image));
        let verdict = self.gate.judge(&self.config.gate, input.now_ns, frame, faults);
        let (steer_raw, steer_corrected) = match wanted {
            Some((raw, correction)) if verdict.steering == Steering::Live => {
                self.state = state;
                self.correction = correction;
                (raw * self.steer_scale, correction.steer * self.steer_scale)
            }
            _ => self.hold(),
        };
        let steer = self.gate.steer(&self.config.limits, &verdict, steer_corrected);
        let pedals = longitudinal(
            &self.config.longitudinal,
            &self.config.limits,
            &LongitudinalInput {
                speed_mps: verdict.speed_mps,
                steer,
                advisory_speed_mps: input.frame.advisory_speed_mps,
                nav: input.frame.nav,
                speed_cap_mps: self.correction.speed_cap_mps.min(self.mode_cap(verdict.mode)),
            },
        );
        if verdict.fresh {
            self.target_speed_mps = pedals.target_speed_mps;
        }
        self.finish(&verdict, (steer_raw, steer_corrected), pedals.throttle, pedals.brake)
    }

    /// One step without a frame: nothing arrived in time. To be called at least once per period,
    /// so that the plant gets commands and silence is noticed.
    pub fn no_frame(&mut self, now_ns: u64, faults: FaultSet) -> StepOutput {
        let verdict = self.gate.judge(&self.config.gate, now_ns, None, faults);
        let steers = self.hold();
        self.finish(&verdict, steers, 0.0, 0.0)
    }

    /// Normalised steer without correction, and the correction.
    fn correct(
        &self,
        input: &StepInput,
        state: &mut CorrectionState,
    ) -> Result<(f32, Correction), Fault> {
        let prediction = input.prediction?;
        let key = (self.config.drive_loop.seed, input.frame.id);
        let believed = input.second.unwrap_or(prediction);
        let mut correction =
            correct(&self.config.correction, &self.calibration, &believed, state, key);
        if input.second.is_some() {
            correction.regime = Regime::SecondLook;
        }
        if !(correction.steer + correction.sigma).is_finite() {
            return Err(Fault::PredictionNonFinite);
        }
        Ok((prediction.regression().clamp(-1.0, 1.0), correction))
    }

    /// Wants the last steer that went out, which may be less than was wanted last.
    fn hold(&mut self) -> (f32, f32) {
        let steer = self.gate.last_steer();
        self.correction.regime = Regime::NoPrediction;
        self.correction.steer = (steer / self.steer_scale).clamp(-1.0, 1.0);
        self.correction.confidence = 0.0;
        (steer, steer)
    }

    /// Cap on the speed because of the mode, m/s.
    const fn mode_cap(&self, mode: Mode) -> f32 {
        match mode {
            Mode::Nominal => f32::INFINITY,
            Mode::Degraded => self.config.gate.degraded_speed_mps,
            Mode::SafeStop => 0.0,
        }
    }

    fn finish(
        &mut self,
        verdict: &Verdict,
        (steer_raw, steer_corrected): (f32, f32),
        throttle: f32,
        brake: f32,
    ) -> StepOutput {
        StepOutput {
            correction: self.correction,
            steer_raw,
            steer_corrected,
            target_speed_mps: self.target_speed_mps.min(self.mode_cap(verdict.mode)),
            command: self.gate.issue(&self.config, verdict, throttle, brake),
            mode: verdict.mode,
            faults: verdict.faults,
        }
    }
}

#[cfg(test)]
mod tests;
