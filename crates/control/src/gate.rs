//! The command gate: the last station before the plant. Nothing leaves it that is not finite, in
//! range and within the limits; what the car does about faults is the table's.

use caril_core::{Command, Config, EgoState, FaultSet, FrameId, GateConfig, LimitsConfig, Mode};

use crate::longitudinal::HOLD_BRAKE;
use crate::memory::Words;
use crate::mode::MODES;
use crate::monitor::holds_steer;
use crate::{
    FrameMeta, ImageCheck, Limits, Manoeuvre, ModeMachine, Monitor, STANDSTILL_MPS, Steering,
    bounded,
};

/// What the gate makes of one step, before it is known what is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The frame to answer.
    pub frame_id: FrameId,
    /// Mode from this step on.
    pub mode: Mode,
    /// All faults of this step.
    pub faults: FaultSet,
    /// Whether there is a frame, newer than all before.
    pub fresh: bool,
    /// Whether this step's prediction may be used.
    pub steering: Steering,
    /// Speed, m/s: the present one or, failing that, the last known.
    pub speed_mps: f32,
}

/// Frame bookkeeping, modes and limits in one `Copy` state. Per step: [`CommandGate::judge`],
/// then [`CommandGate::steer`], then [`CommandGate::issue`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommandGate {
    monitor: Monitor,
    machine: ModeMachine,
    limits: Limits,
    last: Command,
}

impl Default for CommandGate {
    /// Before the first frame the brake is held.
    fn default() -> Self {
        Self {
            monitor: Monitor::default(),
            machine: ModeMachine::default(),
            limits: Limits::default(),
            last: Command { brake: HOLD_BRAKE, ..Command::default() },
        }
    }
}

impl CommandGate {
    pub(crate) fn walk(&mut self, w: &mut Words) {
        let Self { monitor, machine, limits, last } = self;
        monitor.walk(w);
        machine.walk(w);
        limits.walk(w);
        let Command { frame_id, steer, throttle, brake, mode } = last;
        w.u64(&mut frame_id.0);
        w.finite(steer);
        w.finite(throttle);
        w.finite(brake);
        w.one_of(mode, &MODES);
    }

    pub(crate) fn newest_frame_id(&self) -> FrameId {
        self.monitor.frame_id()
    }

    /// The last steer that went out, CARLA scale.
    pub const fn last_steer(&self) -> f32 {
        self.limits.steer()
    }

    /// The speed that an ego state tells if it is plausible, else the last known, m/s.
    pub(crate) fn speed_of(&self, ego: &EgoState) -> f32 {
        self.monitor.speed_of(ego)
    }

    /// Judges one step: a frame with its picture's check, or none, and the faults that others
    /// found (link, policy, deadline).
    pub fn judge(
        &mut self,
        config: &GateConfig,
        now_ns: u64,
        frame: Option<(&FrameMeta, &ImageCheck)>,
        found: FaultSet,
    ) -> Verdict {
        let (seen, fresh) = match frame {
            Some((meta, image)) => self.monitor.frame(config, now_ns, meta, image),
            None => (self.monitor.silence(config, now_ns), false),
        };
        let faults = seen.union(found);
        let speed_mps = self.monitor.speed_mps();
        self.machine.update(config, faults, fresh, speed_mps.abs() < STANDSTILL_MPS);
        let live = fresh && !holds_steer(faults);
        Verdict {
            // An old frame is answered under its own id: in lockstep its sender waits for that.
            frame_id: frame.map_or(self.monitor.frame_id(), |(meta, _)| meta.id),
            mode: self.machine.mode(),
            faults,
            fresh,
            steering: if live { Steering::Live } else { Steering::Held },
            speed_mps,
        }
    }

    /// The allowed steer nearest to `wanted` (CARLA scale), or to the last one where the verdict
    /// holds it. Without a fresh frame no time has passed in the plant as far as is known, and
    /// the steer stays as it is.
    pub fn steer(&mut self, config: &LimitsConfig, verdict: &Verdict, wanted: f32) -> f32 {
        if !verdict.fresh {
            return self.limits.steer();
        }
        let wanted = match verdict.steering {
            Steering::Live => wanted,
            Steering::Held => self.limits.steer(),
        };
        self.limits.apply(config, wanted, verdict.speed_mps, self.monitor.sim_time_ns())
    }

    /// The command: the last allowed steer with the wanted pedals, or what the mode makes of
    /// them.
    ///
    /// * `SafeStop` never gives throttle; it brakes as its manoeuvre says, and holds the brake at
    ///   a standstill.
    /// * Without a fresh frame the last pedals are held in `Nominal`; in `Degraded` the throttle
    ///   is released and the brake held.
    pub fn issue(
        &mut self,
        config: &Config,
        verdict: &Verdict,
        throttle: f32,
        brake: f32,
    ) -> Command {
        let (throttle, brake) = match (verdict.mode, verdict.fresh) {
            (Mode::SafeStop, _) => (0.0, self.stop_brake(config, verdict)),
            (_, true) => (throttle, brake),
            (Mode::Nominal, false) => (self.last.throttle, self.last.brake),
            (Mode::Degraded, false) => (0.0, self.last.brake),
        };
        let brake = bounded(brake, 0.0, 1.0);
        let throttle = if brake > 0.0 { 0.0 } else { bounded(throttle, 0.0, 1.0) };
        let (frame_id, mode, steer) = (verdict.frame_id, verdict.mode, self.limits.steer());
        self.last = Command { frame_id, steer, throttle, brake, mode };
        self.last
    }

    fn stop_brake(&self, config: &Config, verdict: &Verdict) -> f32 {
        if verdict.speed_mps.abs() < STANDSTILL_MPS {
            return HOLD_BRAKE;
        }
        let decel_mps2 = if self.machine.manoeuvre() == Manoeuvre::HardStop {
            config.gate.hard_decel_mps2
        } else {
            config.gate.comfort_decel_mps2
        };
        decel_mps2 / config.longitudinal.full_brake_mps2
    }
}

#[cfg(test)]
mod tests;
