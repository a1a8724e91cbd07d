//! The step: frame in, command and record out.

use std::time::Instant;

use caril_control::{Controller, FrameMeta, StepInput, StepOutput, check_image};
use caril_core::{
    BIN_COUNT, Config, ConfigError, FaultSet, Frame, Pacing, Policy, Prediction, Stage, StageTimes,
    StepRecord,
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
    controller: Controller,
    pacing: Pacing,
    deadline_ns: u64,
    /// Plant time of the newest frame seen.
    plant_ns: Option<u64>,
}

impl<P: Policy> Pipeline<P> {
    /// A pipeline at rest. The card's calibration and steer scale are the controller's.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration makes no sense.
    pub fn new(policy: P, config: &Config) -> Result<Self, ConfigError> {
        let card = policy.card();
        let controller = Controller::new(*config, card.calibration, card.steer_scale)?;
        Ok(Self {
            policy,
            controller,
            pacing: config.drive_loop.pacing,
            deadline_ns: u64::from(config.gate.deadline_ms) * 1_000_000,
            plant_ns: None,
        })
    }

    /// The policy.
    pub const fn policy(&self) -> &P {
        &self.policy
    }

    /// One frame in, one record out; the record holds the command. Stages after `Decide` are
    /// filled in by the loop.
    pub fn step(
        &mut self,
        clock: &impl Clock,
        frame: &Frame,
        dropped: u32,
        faults: FaultSet,
    ) -> StepRecord {
        let mut times = StageTimes::default();
        let start_ns = clock.now_ns();
        let check = check_image(&frame.image);
        let checked_ns = clock.now_ns();
        let prediction = self.policy.infer(frame);
        let inferred_ns = clock.now_ns();
        // In lockstep nothing is late but by the plant's own time.
        let (now_ns, received_ns) = match self.pacing {
            Pacing::Lockstep => (frame.sim_time_ns, frame.sim_time_ns),
            Pacing::Free => (inferred_ns, frame.received_ns),
        };
        self.plant_ns = self.plant_ns.max(Some(frame.sim_time_ns));
        let overrun = now_ns.saturating_sub(received_ns) > self.deadline_ns;
        let output = self.controller.step(&StepInput {
            now_ns,
            frame: FrameMeta { received_ns, ..FrameMeta::of(frame, dropped) },
            image: check,
            prediction,
            overrun,
            faults,
        });
        let decided_ns = clock.now_ns();
        times.ns[Stage::Check as usize] = checked_ns.saturating_sub(start_ns);
        times.ns[Stage::Infer as usize] = inferred_ns.saturating_sub(checked_ns);
        times.ns[Stage::Decide as usize] = decided_ns.saturating_sub(inferred_ns);
        record(frame, dropped, prediction.ok(), &output, times)
    }

    /// A step without a frame: nothing arrived, or the plant is gone.
    pub fn no_frame(&mut self, now_ns: u64, faults: FaultSet) -> StepOutput {
        let now_ns = match self.pacing {
            // The plant's time stands still until its next frame. Before the first one it is not
            // known at all: whatever that frame says is then no later than this.
            Pacing::Lockstep => self.plant_ns.unwrap_or(u64::MAX),
            Pacing::Free => now_ns,
        };
        self.controller.no_frame(now_ns, faults)
    }
}

fn record(
    frame: &Frame,
    dropped: u32,
    prediction: Option<Prediction>,
    output: &StepOutput,
    times: StageTimes,
) -> StepRecord {
    StepRecord {
        frame_id: frame.id,
        sim_time_ns: frame.sim_time_ns,
        dropped,
        ego: frame.ego,
        nav: frame.nav,
        advisory_speed_mps: frame.advisory_speed_mps,
        predicted: prediction.is_some(),
        regression: prediction.map_or(0.0, |p| p.regression()),
        probs: prediction.map_or([0.0; BIN_COUNT], |p| *p.probs()),
        confidence: prediction.map_or(0.0, |p| p.confidence()),
        entropy_nats: prediction.map_or(0.0, |p| p.entropy_nats()),
        neighbour_mass: prediction.map_or(0.0, |p| p.neighbour_mass()),
        correction: output.correction,
        steer_raw: output.steer_raw,
        steer_corrected: output.steer_corrected,
        target_speed_mps: output.target_speed_mps,
        command: output.command,
        mode: output.mode,
        faults: output.faults,
        truth: frame.truth,
        times,
    }
}

#[cfg(test)]
mod tests;
