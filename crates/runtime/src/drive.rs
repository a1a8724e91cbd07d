//! The drive loop: observe, step, actuate, record, until the episode ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use caril_core::{
    Command, Config, ConfigError, EndReason, Fault, FaultSet, Frame, FrameId, Image, Observed,
    Pacing, Policy, Stage, StepRecord, World,
};
use caril_record::Recorder;

use crate::{Clock, DriveStats, DriveSummary, MonotonicClock, Pipeline};

/// How a running drive is asked to stop: once for a comfortable stop, twice for an end at once.
#[derive(Debug, Default)]
pub struct StopFlag(AtomicU8);

impl StopFlag {
    /// Not asked.
    pub const fn new() -> Self {
        Self(AtomicU8::new(0))
    }
    /// Asks (again).
    pub fn ask(&self) {
        // Saturates at two: more is no more urgent.
        let _ =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < 2).then_some(n + 1));
    }
    /// Whether a stop was asked for.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
    /// Whether it was asked for twice.
    pub fn insisted(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
    /// Whether somebody who has waited so long for the disk should wait no longer: a stop that was
    /// asked for once gives it time, so that a recording has no gap because of it.
    pub fn gives_up(&self, waited: Duration) -> bool {
        self.insisted() || (self.asked() && waited > PATIENCE)
    }
}

/// How long a disk may stand still after a stop was asked for: flash memory that tidies up takes
/// some seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Limits of one drive.
#[derive(Debug, Clone, Copy, Default)]
pub struct DriveOptions {
    /// Ends after so many frames.
    pub frame_limit: Option<u64>,
}

/// How a drive ended.
#[derive(Debug, Clone)]
pub struct DriveEnd {
    /// Everything measured.
    pub summary: DriveSummary,
    /// The plant went away before the episode's end.
    pub plant_gone: bool,
    /// The user stopped it.
    pub stopped: bool,
}

/// Why there was no drive, or no end of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriveError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plant's frames are further apart than the gate waits for one.
    #[error(
        "the plant sends {rate_hz_text} frames/s, but gate.late_ms is {late_ms}: every frame would be \
         late; set gate.late_ms to {needed_ms} or more (--config), and missing_ms and gone_ms above it"
    )]
    TooSlow {
        /// The plant's rate, frames a second, as text so that errors compare.
        rate_hz_text: String,
        /// `gate.late_ms` as configured.
        late_ms: u32,
        /// The least that fits the rate.
        needed_ms: u32,
    },
    /// A bug: the loop panicked. The plant was told to brake, the recording is closed by its
    /// owner.
    #[error("bug in the drive loop, the car was told to brake: {message}")]
    Bug {
        /// What the panic said.
        message: String,
    },
}

/// Drives until the episode ends, the plant goes away or `stop` is asked.
///
/// `on_step` sees every record after its command has been sent; it must be quick.
///
/// # Errors
/// [`DriveError`] if the configuration makes no sense, or policy or controller panic: then full
/// brake has been sent.
pub fn drive<W: World, P: Policy>(
    world: &mut W,
    policy: P,
    config: &Config,
    recorder: Option<&mut Recorder>,
    stop: &StopFlag,
    options: DriveOptions,
    on_step: &mut dyn FnMut(&StepRecord, &DriveStats),
) -> Result<DriveEnd, DriveError> {
    drive_watched(world, policy, config, recorder, stop, options, &mut |_, _| {}, on_step)
}

/// Like [`drive`], while somebody looks on: `watch` sees every step with its picture after the
/// command has been sent, and also the steps for which no frame came. It must neither wait nor
/// allocate.
///
/// # Errors
/// As [`drive`].
#[allow(clippy::too_many_arguments, reason = "those of `drive`, and one more")]
pub fn drive_watched<W: World, P: Policy>(
    world: &mut W,
    policy: P,
    config: &Config,
    mut recorder: Option<&mut Recorder>,
    stop: &StopFlag,
    options: DriveOptions,
    watch: &mut dyn FnMut(&StepRecord, Option<&Image>),
    on_step: &mut dyn FnMut(&StepRecord, &DriveStats),
) -> Result<DriveEnd, DriveError> {
    let pipeline = Pipeline::new(policy, config)?;
    in_time(config, world.info().rate_hz)?;
    let clock = MonotonicClock::start();
    let mut last = Command::full_brake(FrameId(0), 0.0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        run(
            world,
            pipeline,
            config,
            &mut recorder,
            stop,
            options,
            watch,
            on_step,
            &clock,
            &mut last,
        )
    }));
    result.map_err(|panic| {
        // The plant's own watchdog brakes too; this only makes it quicker.
        let _ = world.actuate(&Command::full_brake(last.frame_id, last.steer));
        let message = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        DriveError::Bug { message }
    })
}

/// The gate's patience must fit the plant's rate: with frames further apart than `late_ms` every
/// one would be late, and the car would stop for good.
fn in_time(config: &Config, rate_hz: f32) -> Result<(), DriveError> {
    let late_ms = config.gate.late_ms;
    // Half a period more, so that a little jitter is no fault.
    let needed_ms = (1500.0 / rate_hz).ceil();
    if rate_hz > 0.0 && late_ms as f32 >= needed_ms {
        return Ok(());
    }
    Err(DriveError::TooSlow {
        rate_hz_text: rate_hz.to_string(),
        late_ms,
        needed_ms: needed_ms as u32,
    })
}

/// How long one wait for a frame lasts before the gate is asked what to do without one.
const WAIT_NS: u64 = 50_000_000;
/// Below this speed a stopped car counts as standing, m/s.
const STANDING_MPS: f32 = 0.1;

/// Sends the record's command. The fault if the plant did not take it, which the record has, too.
fn tell<W: World>(world: &mut W, record: &mut StepRecord) -> FaultSet {
    if let Err(fault) = world.actuate(&record.command) {
        record.actuate_faults.insert(fault);
        record.faults.insert(fault);
    }
    record.actuate_faults
}

#[allow(
    clippy::too_many_arguments,
    reason = "private seam between the panic boundary and the loop"
)]
fn run<W: World, P: Policy>(
    world: &mut W,
    mut pipeline: Pipeline<P>,
    config: &Config,
    recorder: &mut Option<&mut Recorder>,
    stop: &StopFlag,
    options: DriveOptions,
    watch: &mut dyn FnMut(&StepRecord, Option<&Image>),
    on_step: &mut dyn FnMut(&StepRecord, &DriveStats),
    clock: &MonotonicClock,
    last: &mut Command,
) -> DriveEnd {
    let mut frame = Frame::for_camera(&world.info().camera);
    let mut stats = DriveStats::new(u64::from(config.gate.deadline_ms) * 1_000_000);
    let gone_ns = u64::from(config.gate.gone_ms) * 1_000_000;
    // Whoever asks for every pixel of every frame wants no gap, and a plant in lockstep waits.
    let mut wait_for_recorder = config.drive_loop.pacing == Pacing::Lockstep
        && config.record.lossless
        && config.record.image_every == 1;
    let mut unsent = FaultSet::EMPTY;
    let mut last_fresh_ns = clock.now_ns();
    let mut stopped = false;
    // Known only when the record is gone, so that the next one tells it.
    let mut handing_over_ns = 0;
    let (end, plant_gone) = loop {
        let wait_start_ns = clock.now_ns();
        let seen = world.observe(&mut frame, WAIT_NS);
        let now_ns = clock.now_ns();
        // A command that was not taken is known after its step: the next one judges it.
        let mut faults = seen.faults.union(unsent);
        if stop.asked() {
            faults.insert(Fault::StopRequested);
            stopped = true;
        }
        if let Some(recorder) = recorder.as_deref_mut()
            && recorder.wants_memory()
        {
            recorder.push_memory(&pipeline.memory());
        }
        match seen.observed {
            Observed::Fresh => {}
            Observed::Ended(reason) => {
                if let Some(truth) = frame.truth {
                    stats.set_final_truth(truth);
                }
                break (Some(reason), false);
            }
            Observed::Gone => break (None, true),
            Observed::Nothing => {
                let mut record = pipeline.no_frame(now_ns, faults);
                unsent = tell(world, &mut record);
                if let Some(recorder) = recorder.as_deref_mut() {
                    recorder.push_no_frame(&record);
                }
                watch(&record, None);
                // A wait without a frame is no standstill: below 20 Hz every period has one.
                if stop.insisted() || now_ns.saturating_sub(last_fresh_ns) > gone_ns {
                    break (None, !stop.asked());
                }
                continue;
            }
        }
        // Should the step end in a panic, this frame is the one to be answered.
        last.frame_id = frame.id;
        frame.received_ns = now_ns;
        let mut record = pipeline.step(clock, &mut frame, seen.dropped, faults);
        *last = record.command;
        let before_actuate_ns = clock.now_ns();
        unsent = tell(world, &mut record);
        let after_actuate_ns = clock.now_ns();
        let times = &mut record.times;
        times.ns[Stage::Observe as usize] = now_ns.saturating_sub(wait_start_ns);
        times.ns[Stage::Actuate as usize] = after_actuate_ns.saturating_sub(before_actuate_ns);
        times.ns[Stage::Record as usize] = handing_over_ns;
        times.age_ns = after_actuate_ns.saturating_sub(now_ns);
        if let Some(recorder) = recorder.as_deref_mut() {
            if wait_for_recorder {
                // Once it did not take a step there is a gap: from there on it is not waited for.
                wait_for_recorder = recorder
                    .push_waiting(&record, Some(&frame.image), &|waited| stop.gives_up(waited));
            } else {
                recorder.push(&record, Some(&frame.image));
            }
            handing_over_ns = clock.now_ns().saturating_sub(after_actuate_ns);
        }
        stats.add(&record);
        watch(&record, Some(&frame.image));
        on_step(&record, &stats);
        // The plant's silence begins when we listen again: a slow step of ours is none of its faults.
        last_fresh_ns = clock.now_ns();
        let standing = frame.ego.speed_mps.abs() < STANDING_MPS;
        if stop.insisted() || (stopped && standing) {
            let _ = world.actuate(&Command::full_brake(frame.id, last.steer));
            break (Some(EndReason::Stopped), false);
        }
        if options.frame_limit.is_some_and(|limit| stats.frames() >= limit) {
            break (Some(EndReason::FrameLimit), false);
        }
    };
    let wall_seconds = clock.now_ns() as f64 * 1e-9;
    DriveEnd { summary: stats.finish(end, wall_seconds), plant_gone, stopped }
}

#[cfg(test)]
mod tests;
