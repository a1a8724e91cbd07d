//! Statistics of a drive, gathered without allocation per frame.

use caril_core::{EndReason, Fault, Mode, Stage, StepRecord, Truth};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::StepHash;

/// p50, p99 and maximum of a duration in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
}

/// Frames in each mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ModeCounts {
    /// [`Mode::Nominal`].
    pub nominal: u64,
    /// [`Mode::Degraded`].
    pub degraded: u64,
    /// [`Mode::SafeStop`].
    pub safe_stop: u64,
}

/// What `drive --json` prints, but for the paths.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriveSummary {
    /// Frames answered.
    pub frames: u64,
    /// Plant time driven, seconds.
    pub sim_seconds: f64,
    /// Wall time, seconds.
    pub wall_seconds: f64,
    /// Why the episode ended; `None` if the plant went away.
    pub end: Option<EndReason>,
    /// Length of the route, metres.
    pub route_length_m: f64,
    /// Share of it driven, 0–100.
    pub route_completion: f64,
    /// Leaderboard 2.1: completion · (1 − off-road share) / (1 + 0.7 · collisions); every
    /// collision counts as one with a vehicle.
    pub driving_score: f64,
    /// Mean |distance from the lane centre|, metres.
    pub lane_deviation_mean_m: f64,
    /// 95th percentile of it.
    pub lane_deviation_p95_m: f64,
    /// Maximum of it.
    pub lane_deviation_max_m: f64,
    /// Contacts.
    pub collisions: u32,
    /// Markings crossed.
    pub lane_invasions: u32,
    /// Metres driven with a wheel off the road.
    pub off_road_m: f64,
    /// Frames whose action was corrected.
    pub corrections: u64,
    /// Share of frames whose action was corrected, [0, 1].
    pub corrected_share: f64,
    /// Frames in each mode.
    pub modes: ModeCounts,
    /// Frames with each fault that occurred, by name.
    pub faults: std::collections::BTreeMap<&'static str, u64>,
    /// The network.
    pub infer_ms: Quantiles,
    /// Everything between frame and command but waiting for the frame.
    pub loop_ms: Quantiles,
    /// The same without the network: what the controller itself adds.
    pub overhead_ms: Quantiles,
    /// Of that, handing frame and step to the recorder.
    pub record_ms: Quantiles,
    /// Age of the frame when its command was handed over.
    pub age_ms: Quantiles,
    /// Frames whose age exceeded the deadline.
    pub deadline_misses: u64,
    /// Frames thrown away because a newer one waited.
    pub dropped_frames: u64,
    /// SHA-256 over all step records without their times.
    pub step_hash: String,
}

/// Gathers a [`DriveSummary`].
#[derive(Debug)]
pub struct DriveStats {
    frames: u64,
    first_time_ns: Option<u64>,
    last_time_ns: u64,
    deviation_mm: Histogram<u64>,
    deviation_sum_m: f64,
    deviations: u64,
    deviation_max_m: f64,
    distance_m: f64,
    truth: Option<Truth>,
    corrections: u64,
    modes: ModeCounts,
    faults: [u64; Fault::COUNT],
    infer_ns: Histogram<u64>,
    loop_ns: Histogram<u64>,
    overhead_ns: Histogram<u64>,
    record_ns: Histogram<u64>,
    age_ns: Histogram<u64>,
    deadline_ns: u64,
    deadline_misses: u64,
    dropped: u64,
    hash: StepHash,
}

impl DriveStats {
    /// Empty statistics; `deadline_ns` is what a frame's age is judged against.
    pub fn new(deadline_ns: u64) -> Self {
        Self {
            frames: 0,
            first_time_ns: None,
            last_time_ns: 0,
            deviation_mm: histogram(1_000_000),
            deviation_sum_m: 0.0,
            deviations: 0,
            deviation_max_m: 0.0,
            distance_m: 0.0,
            truth: None,
            corrections: 0,
            modes: ModeCounts::default(),
            faults: [0; Fault::COUNT],
            infer_ns: histogram(MAX_NS),
            loop_ns: histogram(MAX_NS),
            overhead_ns: histogram(MAX_NS),
            record_ns: histogram(MAX_NS),
            age_ns: histogram(MAX_NS),
            deadline_ns,
            deadline_misses: 0,
            dropped: 0,
            hash: StepHash::default(),
        }
    }

    /// Adds one step. Does not allocate.
    pub fn add(&mut self, r: &StepRecord) {
        if self.first_time_ns.is_none() {
            self.first_time_ns = Some(r.sim_time_ns);
        } else {
            let dt_s = r.sim_time_ns.saturating_sub(self.last_time_ns) as f64 * 1e-9;
            if r.ego.speed_mps.is_finite() {
                self.distance_m += f64::from(r.ego.speed_mps.abs()) * dt_s;
            }
        }
        self.frames += 1;
        self.last_time_ns = r.sim_time_ns;
        self.dropped += u64::from(r.dropped);
        self.corrections += u64::from(r.correction.regime.is_correction());
        match r.mode {
            Mode::Nominal => self.modes.nominal += 1,
            Mode::Degraded => self.modes.degraded += 1,
            Mode::SafeStop => self.modes.safe_stop += 1,
        }
        for (count, fault) in self.faults.iter_mut().zip(Fault::ALL) {
            *count += u64::from(r.faults.contains(fault));
        }
        if let Some(t) = r.truth {
            let d = f64::from(t.lane_deviation_m.abs());
            self.deviation_mm.saturating_record((d * 1e3) as u64);
            self.deviation_sum_m += d;
            self.deviations += 1;
            self.deviation_max_m = self.deviation_max_m.max(d);
            self.truth = Some(t);
        }
        let stage = |s: Stage| r.times.ns.get(s as usize).copied().unwrap_or(0);
        let own = stage(Stage::Check)
            + stage(Stage::Decide)
            + stage(Stage::Actuate)
            + stage(Stage::Record);
        self.infer_ns.saturating_record(stage(Stage::Infer));
        self.overhead_ns.saturating_record(own);
        self.record_ns.saturating_record(stage(Stage::Record));
        self.loop_ns.saturating_record(own + stage(Stage::Infer));
        self.age_ns.saturating_record(r.times.age_ns);
        self.deadline_misses += u64::from(r.times.age_ns > self.deadline_ns);
        self.hash.add(r);
    }

    /// The marks that the plant gave after the last command.
    pub const fn set_final_truth(&mut self, truth: Truth) {
        self.truth = Some(truth);
    }

    /// Frames so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The latest marks.
    pub const fn truth(&self) -> Option<&Truth> {
        self.truth.as_ref()
    }

    /// The summary.
    pub fn finish(&self, end: Option<EndReason>, wall_seconds: f64) -> DriveSummary {
        let t = self.truth.unwrap_or_default();
        let off_share =
            if self.distance_m > 0.0 { f64::from(t.off_road_m) / self.distance_m } else { 0.0 };
        let completion = f64::from(t.route_completion);
        DriveSummary {
            frames: self.frames,
            sim_seconds: self
                .first_time_ns
                .map_or(0.0, |first| self.last_time_ns.saturating_sub(first) as f64 * 1e-9),
            wall_seconds,
            end,
            route_length_m: f64::from(t.route_length_m),
            route_completion: completion,
            driving_score: completion * (1.0 - off_share).clamp(0.0, 1.0)
                / (1.0 + 0.7 * f64::from(t.collisions)),
            lane_deviation_mean_m: self.deviation_sum_m / self.deviations.max(1) as f64,
            lane_deviation_p95_m: self.deviation_mm.value_at_quantile(0.95) as f64 * 1e-3,
            lane_deviation_max_m: self.deviation_max_m,
            collisions: t.collisions,
            lane_invasions: t.lane_invasions,
            off_road_m: f64::from(t.off_road_m),
            corrections: self.corrections,
            corrected_share: self.corrections as f64 / self.frames.max(1) as f64,
            modes: self.modes,
            faults: Fault::ALL
                .into_iter()
                .zip(self.faults)
                .filter(|(_, n)| *n > 0)
                .map(|(f, n)| (f.name(), n))
                .collect(),
            infer_ms: quantiles(&self.infer_ns),
            loop_ms: quantiles(&self.loop_ns),
            overhead_ms: quantiles(&self.overhead_ns),
            record_ms: quantiles(&self.record_ns),
            age_ms: quantiles(&self.age_ns),
            deadline_misses: self.deadline_misses,
            dropped_frames: self.dropped,
            step_hash: self.hash.hex(),
        }
    }
}

const MAX_NS: u64 = 60_000_000_000;

fn histogram(max: u64) -> Histogram<u64> {
    match Histogram::new_with_bounds(1, max, 3) {
        Ok(h) => h,
        // Bounds are the constants above: 1 < 2·1 ≤ max and 3 digits are what the crate asks for.
        Err(_) => unreachable!("constant histogram bounds"),
    }
}

fn quantiles(h: &Histogram<u64>) -> Quantiles {
    let ms = |ns: u64| ns as f64 * 1e-6;
    Quantiles {
        p50: ms(h.value_at_quantile(0.5)),
        p99: ms(h.value_at_quantile(0.99)),
        max: ms(h.max()),
    }
}

#[cfg(test)]
mod tests;
