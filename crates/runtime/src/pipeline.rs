//! The step: frame in, command and record out.

use std::time::Instant;

use caril_control::{Controller, FrameMeta, StepInput, StepOutput, check_image};
use caril_core::{
    BIN_COUNT, Config, ConfigError, ControllerMemory, EgoState, Fault, FaultSet, Frame, ImageCheck,
    Lift, Pacing, Policy, PolicyCard, Prediction, Stage, StageTimes, StepRecord,
};

/// Where the loop's time comes from. Only measured durations and, in free pacing, the age of a
/// frame depend on it; in lockstep the plant's time decides.
pub trait Clock {
    /// Monotonic nanoseconds.
    fn now_ns(&self) -> u64;
}

/// The machine's monotonic clock, from its creation.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock(Instant);

impl MonotonicClock {
    /// Starts at 0.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Policy and controller together.
///
/// In lockstep the plant waits for us, so time, staleness and deadlines are judged on the plant's
/// time and a slow machine changes nothing in the result: that is what makes `step_hash`
/// repeatable. In free pacing they are judged on the clock.
#[derive(Debug)]
pub struct Pipeline<P> {
    policy: P,
    decider: Decider,
}

impl<P: Policy> Pipeline<P> {
    /// A pipeline at rest. The card's calibration and steer scale are the controller's.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration makes no sense.
    pub fn new(policy: P, config: &Config) -> Result<Self, ConfigError> {
        let decider = Decider::new(policy.card(), config)?;
        Ok(Self { policy, decider })
    }

    /// The policy.
    pub const fn policy(&self) -> &P {
        &self.policy
    }

    /// The policy, to be asked beside the steps: it remembers nothing between frames.
    pub const fn policy_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// One frame in, one record out; the record holds the command. Stages after `Decide` are
    /// filled in by the loop. The frame is the same afterwards: only while the policy looks at it
    /// does it have [`Decider::ego_for_policy`].
    pub fn step(
        &mut self,
        clock: &impl Clock,
        frame: &mut Frame,
        dropped: u32,
        faults: FaultSet,
    ) -> StepRecord {
        let start_ns = clock.now_ns();
        let image = check_image(&frame.image);
        let checked_ns = clock.now_ns();
        let told = frame.ego;
        frame.ego = self.decider.ego_for_policy(&told);
        let prediction = self.policy.infer(frame);
        let again = prediction.is_ok() && self.decider.asks_again(&image);
        let second = again.then(|| self.policy.look_again(frame, &Lift::of(image.mean_luma)));
        frame.ego = told;
        let inferred_ns = clock.now_ns();
        // In lockstep nothing is late but by the plant's own time.
        let (judged_ns, received_ns) = match self.decider.pacing {
            Pacing::Lockstep => (frame.sim_time_ns, frame.sim_time_ns),
            Pacing::Free => (inferred_ns, frame.received_ns),
        };
        let seen = StepRecord {
            frame_id: frame.id,
            sim_time_ns: frame.sim_time_ns,
            dropped,
            ego: frame.ego,
            nav: frame.nav,
            advisory_speed_mps: frame.advisory_speed_mps,
            image,
            observe_faults: faults,
            truth: frame.truth,
            times: StageTimes { received_ns, judged_ns, ..StageTimes::default() },
            ..StepRecord::default()
        };
        let mut record = self.decider.decide(&seen, prediction, second);
        let decided_ns = clock.now_ns();
        let ns = &mut record.times.ns;
        ns[Stage::Check as usize] = checked_ns.saturating_sub(start_ns);
        ns[Stage::Infer as usize] = inferred_ns.saturating_sub(checked_ns);
        ns[Stage::Decide as usize] = decided_ns.saturating_sub(inferred_ns);
        record
    }

    /// What the controller remembers of the steps so far.
    pub fn memory(&self) -> ControllerMemory {
        self.decider.memory()
    }

    /// A step without a frame: nothing arrived, or the plant is gone.
    pub fn no_frame(&mut self, now_ns: u64, faults: FaultSet) -> StepRecord {
        self.decider.no_frame(now_ns, faults)
    }
}

/// The part of a step after the network: a function of what a [`StepRecord`] says was seen, of the
/// prediction, and of the steps before. `Copy`, and the same whether the plant or a recording asks.
#[derive(Debug, Clone, Copy)]
pub struct Decider {
    controller: Controller,
    pacing: Pacing,
    deadline_ns: u64,
    /// Plant time of the newest frame seen.
    plant_ns: Option<u64>,
}

impl Decider {
    /// A controller at rest with the card's steer scale and calibration, less the thresholds that
    /// the configuration gives.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration makes no sense, by itself or with the card.
    pub fn new(card: &PolicyCard, config: &Config) -> Result<Self, ConfigError> {
        let calibration = config.correction.over(&card.calibration)?;
        Ok(Self {
            controller: Controller::new(*config, calibration, card.steer_scale)?,
            pacing: config.drive_loop.pacing,
            deadline_ns: u64::from(config.gate.deadline_ms) * 1_000_000,
            plant_ns: None,
        })
    }

    /// What it remembers of the steps so far.
    pub fn memory(&self) -> ControllerMemory {
        ControllerMemory { plant_ns: self.plant_ns, ..self.controller.memory() }
    }

    /// The same with that memory instead of its own; `None` if that is none of such a controller.
    pub fn remembering(&self, memory: &ControllerMemory) -> Option<Self> {
        let controller = self.controller.remembering(memory)?;
        Some(Self { controller, plant_ns: memory.plant_ns, ..*self })
    }

    /// The ego state that the policy shall look at: with the last known speed where it tells none
    /// that is plausible.
    pub fn ego_for_policy(&self, ego: &EgoState) -> EgoState {
        self.controller.ego_for_policy(ego)
    }

    /// Whether the policy shall look at the picture once more, brightened.
    pub fn asks_again(&self, image: &ImageCheck) -> bool {
        self.controller.asks_again(image)
    }

    /// Decides on what `seen` saw: its frame's facts, picture check, faults found before the step,
    /// truth and the clock's two readings. Everything else in it is passed over. `second` is passed
    /// over too where this does not ask for it ([`Self::asks_again`]); a fault in it is one of the
    /// whole prediction.
    pub fn decide(
        &mut self,
        seen: &StepRecord,
        prediction: Result<Prediction, Fault>,
        second: Option<Result<Prediction, Fault>>,
    ) -> StepRecord {
        let asked = prediction.is_ok() && self.asks_again(&seen.image);
        let (prediction, second) = match second.filter(|_| asked) {
            Some(Ok(second)) => (prediction, Some(second)),
            Some(Err(fault)) => (Err(fault), None),
            None => (prediction, None),
        };
        let StageTimes { received_ns, judged_ns, .. } = seen.times;
        self.plant_ns = self.plant_ns.max(Some(seen.sim_time_ns));
        let output = self.controller.step(&StepInput {
            now_ns: judged_ns,
            frame: FrameMeta {
                id: seen.frame_id,
                sim_time_ns: seen.sim_time_ns,
                received_ns,
                dropped: seen.dropped,
                ego: seen.ego,
                advisory_speed_mps: seen.advisory_speed_mps,
                nav: seen.nav,
            },
            image: seen.image,
            prediction,
            second,
            overrun: judged_ns.saturating_sub(received_ns) > self.deadline_ns,
            faults: seen.observe_faults,
        });
        let prediction = prediction.ok();
        StepRecord {
            predicted: prediction.is_some(),
            regression: prediction.map_or(0.0, |p| p.regression()),
            probs: prediction.map_or([0.0; BIN_COUNT], |p| *p.probs()),
            confidence: prediction.map_or(0.0, |p| p.confidence()),
            entropy_nats: prediction.map_or(0.0, |p| p.entropy_nats()),
            neighbour_mass: prediction.map_or(0.0, |p| p.neighbour_mass()),
            second_look: second.is_some(),
            second_regression: second.map_or(0.0, |p| p.regression()),
            second_probs: second.map_or([0.0; BIN_COUNT], |p| *p.probs()),
            actuate_faults: FaultSet::EMPTY,
            times: StageTimes { received_ns, judged_ns, ..StageTimes::default() },
            ..record(&output, seen)
        }
    }

    /// A step without a frame. In lockstep the plant's time stands still until its next frame;
    /// before the first one it is not known at all: whatever that frame says is then no later than
    /// the end of time.
    pub fn no_frame(&mut self, now_ns: u64, faults: FaultSet) -> StepRecord {
        let now_ns = match self.pacing {
            Pacing::Lockstep => self.plant_ns.unwrap_or(u64::MAX),
            Pacing::Free => now_ns,
        };
        let output = self.controller.no_frame(now_ns, faults);
        let seen = StepRecord {
            frame_id: output.command.frame_id,
            sim_time_ns: self.plant_ns.unwrap_or(0),
            observe_faults: faults,
            times: StageTimes { judged_ns: now_ns, ..StageTimes::default() },
            ..StepRecord::default()
        };
        record(&output, &seen)
    }
}

fn record(output: &StepOutput, seen: &StepRecord) -> StepRecord {
    StepRecord {
        correction: output.correction,
        steer_raw: output.steer_raw,
        steer_corrected: output.steer_corrected,
        target_speed_mps: output.target_speed_mps,
        command: output.command,
        mode: output.mode,
        faults: output.faults,
        ..*seen
    }
}

#[cfg(test)]
mod tests;
