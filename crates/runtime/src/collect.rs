//! Collecting labelled drives: the expert drives (with noise), or a policy drives and the expert
//! labels (DAgger). Works on every [`World`] that gives [`Truth`].

use caril_control::{LongitudinalInput, longitudinal};
use caril_core::{
    BIN_COUNT, Command, Config, CounterRng, EndReason, Frame, FrameId, Mode, Observed, Policy,
    StepRecord, Truth, World, bin_of,
};
use caril_record::Recorder;

use crate::noise::TriangularNoise;
use crate::wander::Wander;
use crate::{MonotonicClock, Pipeline, StopFlag};

/// The furthest that a policy may stray before the expert takes over, metres: past the middle of
/// the oncoming lane.
const TAKEOVER_MAX_M: f64 = 4.5;

/// Who drives.
#[derive(Debug)]
pub enum Driver<P> {
    /// The plant's expert.
    Expert,
    /// The policy through its controller; the expert takes over where the policy gets lost.
    Policy(Box<Pipeline<P>>),
}

/// One episode of collecting.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// Ends after so many pictures.
    pub pictures: u64,
    /// Every n-th frame is recorded with its picture; the others are driven only.
    pub every: u64,
    /// Strength of the triangular steering noise, [0, 1]: 1 disturbs by up to 2.5 m/s² of lateral
    /// acceleration about a third of the time.
    pub noise: f64,
    /// Whether the expert now and then drives beside its lane (see [`Wander`](crate::wander)).
    pub wander: bool,
    /// Seed of the noise.
    pub seed: u64,
    /// Added to frame ids, so that episodes of one recording keep rising.
    pub id_offset: u64,
    /// Added to times, likewise. A jump of more than a second marks a new drive.
    pub time_offset_ns: u64,
    /// Applied steer = normalised steer · this; only for the histogram.
    pub steer_scale: f32,
}

/// What an episode gave.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CollectSummary {
    /// Pictures recorded.
    pub pictures: u64,
    /// Frames driven.
    pub frames: u64,
    /// Last frame id (with offset).
    pub last_id: u64,
    /// Last time (with offset), nanoseconds.
    pub last_time_ns: u64,
    /// Frames in which the expert had taken over from the policy.
    pub takeover_frames: u64,
    /// Pictures per steering class of the expert's label.
    pub histogram: [u64; BIN_COUNT],
    /// Whether the plant gave a frame without the expert's steer: there is nothing to learn from.
    pub no_truth: bool,
    /// Why it ended; `None` if the plant went away, gave no truth or a stop was asked.
    pub end: Option<EndReason>,
}

/// Runs one episode.
pub fn collect<W: World, P: Policy>(
    world: &mut W,
    driver: &mut Driver<P>,
    config: &Config,
    recorder: &mut Recorder,
    stop: &StopFlag,
    options: &CollectOptions,
) -> CollectSummary {
    let clock = MonotonicClock::start();
    let mut frame = Frame::for_camera(&world.info().camera);
    let mut noise = TriangularNoise::new(options.noise, options.seed);
    let mut wander = Wander::new(options.wander, options.seed);
    // Some episodes let the policy wander into the next lane, others hold it near its own: both
    // places need labels.
    let takeover_m = CounterRng::new(options.seed, 0x7461_6b65).range(1.0, TAKEOVER_MAX_M) as f32;
    let mut takeover = false;
    let mut summary = CollectSummary::default();
    let mut misses = 0;
    while summary.pictures < options.pictures && !stop.asked() {
        let seen = world.observe(&mut frame, 100_000_000);
        match seen.observed {
            Observed::Fresh => misses = 0,
            Observed::Ended(reason) => {
                summary.end = Some(reason);
                break;
            }
            Observed::Gone => break,
            Observed::Nothing => {
                misses += 1;
                if misses > 50 {
                    break;
                }
                continue;
            }
        }
        let Some(truth) = frame.truth else {
            summary.no_truth = true;
            break;
        };
        let mut record = match driver {
            Driver::Expert => {
                let pull = noise.at(frame.sim_time_ns, frame.ego.speed_mps);
                let steer = wander.steer(&frame, &truth) + pull;
                expert_record(&frame, &truth, config, steer)
            }
            Driver::Policy(pipeline) => {
                let mut record = pipeline.step(&clock, &mut frame, seen.dropped, seen.faults);
                takeover = needs_takeover(&truth, takeover, takeover_m);
                if takeover {
                    record.command =
                        expert_record(&frame, &truth, config, truth.expert_steer).command;
                    summary.takeover_frames += 1;
                }
                record
            }
        };
        if world.actuate(&record.command).is_err() {
            break;
        }
        if summary.frames.is_multiple_of(options.every.max(1)) {
            record.frame_id = FrameId(frame.id.0 + options.id_offset);
            record.sim_time_ns = frame.sim_time_ns + options.time_offset_ns;
            if !recorder.push_waiting(&record, Some(&frame.image), &|waited| stop.gives_up(waited))
            {
                break;
            }
            summary.pictures += 1;
            summary.last_id = record.frame_id.0;
            summary.last_time_ns = record.sim_time_ns;
            let label = (truth.expert_steer / options.steer_scale).clamp(-1.0, 1.0);
            if let Some(count) = bin_of(label).and_then(|k| summary.histogram.get_mut(k)) {
                *count += 1;
            }
        }
        summary.frames += 1;
    }
    summary
}

/// The expert takes the wheel where the policy is about to leave its lane, and gives it back when
/// the car is well inside again.
fn needs_takeover(truth: &Truth, already: bool, beyond_m: f32) -> bool {
    let (deviation, heading) = (truth.lane_deviation_m.abs(), truth.heading_error_rad.abs());
    if already { deviation > 0.25 || heading > 0.12 } else { deviation > beyond_m || heading > 1.0 }
}

/// `steer` is what is driven; the label in the record is the expert's.
fn expert_record(frame: &Frame, truth: &Truth, config: &Config, steer: f32) -> StepRecord {
    let pedals = longitudinal(
        &config.longitudinal,
        &config.limits,
        &LongitudinalInput {
            speed_mps: frame.ego.speed_mps,
            steer: 0.0,
            advisory_speed_mps: truth.expert_speed_mps,
            nav: frame.nav,
            speed_cap_mps: f32::INFINITY,
        },
    );
    let steer = steer.clamp(-1.0, 1.0);
    let command = Command {
        frame_id: frame.id,
        steer: if steer.is_finite() { steer } else { 0.0 },
        throttle: pedals.throttle,
        brake: pedals.brake,
        mode: Mode::Nominal,
    };
    let (id, time_ns) = (frame.id, frame.sim_time_ns);
    StepRecord {
        advisory_speed_mps: frame.advisory_speed_mps,
        ..StepRecord::labelled(id, time_ns, frame.ego, frame.nav, *truth, command)
    }
}

#[cfg(test)]
mod tests;
