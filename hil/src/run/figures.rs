//! The figures of one run, and the histograms that they come from.

use std::time::{Duration, Instant};

use caril_core::FrameId;
use caril_link::Seen;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::incidents;
use super::process::{Sample, judge_samples};
use super::viewers::LookedOn;
use crate::plant::course::Tick;

/// Nothing is judged before so much of the run has passed: programs warm up.
pub const SETTLE: Duration = Duration::from_secs(2);

/// Quantiles of a duration, ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

/// What the plant's end of the link saw.
#[derive(Debug)]
pub struct Watched {
    period: Duration,
    began: Option<Instant>,
    last_sent: Option<(Instant, FrameId)>,
    /// Frames that were never sent.
    dropped: u64,
    /// Nothing is judged any more: what comes is meant to be broken.
    closed: bool,
    /// Ages, ns.
    pub ages: Histogram<u64>,
    /// Each of them with the moment at which it came, where someone wants to know.
    pub answers: Option<Vec<(Instant, Duration)>>,
    deviations: Histogram<u64>,
    /// Frames sent after [`SETTLE`].
    pub sent: u64,
    first_judged: Option<Instant>,
    answered: u64,
    late: u64,
    /// Ticks in which the plant braked by itself.
    pub braked: u64,
}

fn histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1_000, 60_000_000_000, 3) {
        Ok(histogram) => histogram,
        // 1 ≤ low, 2 low ≤ high, at most 5 digits: what the crate asks for.
        Err(_) => unreachable!("constant bounds"),
    }
}

fn quantiles(h: &Histogram<u64>) -> Quantiles {
    let ms = |ns: u64| ns as f64 * 1e-6;
    let at = |q| ms(h.value_at_quantile(q));
    Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(h.max()) }
}

/// Quantiles of some ages.
pub fn quantiles_of(ages: impl Iterator<Item = Duration>) -> Quantiles {
    let mut all = histogram();
    ages.for_each(|age| all.saturating_record(age.as_nanos() as u64));
    quantiles(&all)
}

impl Watched {
    /// Ages in 60 classes of equal ratio from 0.1 ms to 1 s: upper bound in ms, and how many.
    pub fn histogram(&self) -> Vec<(f64, u64)> {
        let bound_ms = |i: u32| 0.1 * 10_f64.powf(f64::from(i) / 15.0);
        let mut below = 0;
        (0..=60)
            .map(|i| {
                let bound = bound_ms(i);
                let ns = (bound * 1e6) as u64;
                let until = if i == 60 { self.ages.len() } else { self.ages.count_between(0, ns) };
                let here = until.saturating_sub(below);
                below = until;
                (bound, here)
            })
            .collect()
    }

    /// Nothing seen yet, at this rate.
    pub fn new(rate_hz: f32) -> Self {
        Self {
            period: Duration::from_secs_f64(1.0 / f64::from(rate_hz)),
            began: None,
            last_sent: None,
            dropped: 0,
            closed: false,
            ages: histogram(),
            answers: None,
            deviations: histogram(),
            sent: 0,
            first_judged: None,
            answered: 0,
            late: 0,
            braked: 0,
        }
    }

    /// Judges nothing that comes from here on.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Takes note.
    pub fn see(&mut self, seen: Seen) {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let judged = now.duration_since(began) >= SETTLE && !self.closed;
        match seen {
            Seen::Sent(id) => {
                if judged {
                    self.first_judged.get_or_insert(now);
                    self.sent += 1;
                    if let Some((last, last_id)) = self.last_sent {
                        self.dropped += id.0.saturating_sub(last_id.0).saturating_sub(1);
                        let apart = now.duration_since(last).abs_diff(self.period);
                        self.deviations.saturating_record(apart.as_nanos() as u64);
                    }
                }
                if !self.closed {
                    self.last_sent = Some((now, id));
                }
            }
            Seen::Answered(_, age) if judged => {
                self.answered += 1;
                self.late += u64::from(age > self.period);
                self.ages.saturating_record(age.as_nanos() as u64);
                if let Some(answers) = &mut self.answers {
                    answers.push((now, age));
                }
            }
            Seen::Answered(..) => {}
            Seen::Braked => self.braked += 1,
        }
    }
}

/// The last act: the controller falls silent while the car drives.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LastAct {
    /// Speed at that moment, m/s.
    pub from_mps: f64,
    /// Until the plant brakes fully by itself, s; `None` if it did not.
    pub brake_after_s: Option<f64>,
    /// From that brake to standstill, s.
    pub stood_after_s: Option<f64>,
    /// From that brake to standstill, m.
    pub distance_m: Option<f64>,
    /// Of it beyond v²/2a of full brake, m.
    pub beyond_m: Option<f64>,
    /// Largest |distance from the lane's centre| from the silence on, m.
    pub deviation_max_m: f64,
}

/// Everything that is judged or reported of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Rate asked for, Hz.
    pub rate_hz: f64,
    /// From the first judged frame to the last, s.
    pub seconds: f64,
    /// Frames sent.
    pub frames: u64,
    /// Answers received.
    pub answers: u64,
    /// Frames sent a second, share of the rate.
    pub rate_share: f64,
    /// |Interval less the period|.
    pub period_deviation_ms: Quantiles,
    /// From frame sent to command received.
    pub age_ms: Quantiles,
    /// Answers older than one period.
    pub deadline_misses: u64,
    /// The same, share.
    pub deadline_miss_share: f64,
    /// Frames never sent.
    pub dropped: u64,
    /// The same, share.
    pub dropped_share: f64,
    /// Processor time of the controller, share of one core.
    pub cpu_share: Option<f64>,
    /// Its memory when warm, MiB.
    pub memory_warm_mib: Option<f64>,
    /// Growth from there to the end, MiB.
    pub memory_growth_mib: Option<f64>,
    /// What watching costs, where somebody watched.
    pub looked_on: Option<LookedOn>,
    /// The last act.
    pub last_act: Option<LastAct>,
    /// Of it: from silence to brake, s.
    pub time_to_safe_stop_s: Option<f64>,
    /// Of it: beyond v²/2a, m.
    pub distance_beyond_m: Option<f64>,
    /// Collisions.
    pub collisions: u32,
    /// Lane edges crossed.
    pub lane_invasions: u32,
    /// Off the road, m.
    pub off_road_m: f64,
    /// Largest |distance from the lane's centre|, m.
    pub deviation_max_m: f64,
    /// Driven, m.
    pub driven_m: f64,
    /// Ticks in which the plant braked by itself.
    pub braked_ticks: u64,
}

impl Figures {
    /// What tape, process and last act add.
    pub fn fill(&mut self, tape: &[Tick], samples: &[Sample], silenced_at_s: Option<f64>) {
        if let Some(last) = tape.last() {
            self.collisions = last.collisions;
            self.lane_invasions = last.lane_invasions;
            self.off_road_m = last.off_road_m;
            self.driven_m = last.driven_m;
        }
        let deviations = tape.iter().map(|t| f64::from(t.deviation_m.abs()));
        self.deviation_max_m = deviations.fold(0.0, f64::max);
        if let Some((cpu, warm, growth)) = judge_samples(samples) {
            self.cpu_share = Some(cpu);
            self.memory_warm_mib = Some(warm);
            self.memory_growth_mib = Some(growth);
        }
        self.last_act = silenced_at_s.and_then(|at_s| incidents::last_act(at_s, tape));
        // No brake, no stand: a limit is not kept by what never came.
        self.time_to_safe_stop_s =
            self.last_act.map(|act| act.brake_after_s.unwrap_or(f64::INFINITY));
        self.distance_beyond_m = self.last_act.map(|act| act.beyond_m.unwrap_or(f64::INFINITY));
    }

    /// Of what was watched; the rest is filled in by whoever knows it. `lockstep`: the controller
    /// sets the pace, there is no rate to keep.
    pub fn new(w: &Watched, rate_hz: f32, lockstep: bool) -> Self {
        let rate = f64::from(rate_hz);
        let seconds = match (w.first_judged, w.last_sent) {
            (Some(first), Some((last, _))) => last.duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        let share = |n: u64, of: u64| n as f64 / of.max(1) as f64;
        Self {
            rate_hz: rate,
            seconds,
            frames: w.sent,
            answers: w.answered,
            rate_share: if lockstep {
                1.0
            } else {
                w.sent.saturating_sub(1) as f64 / (seconds * rate).max(1.0)
            },
            period_deviation_ms: if lockstep {
                Quantiles::default()
            } else {
                quantiles(&w.deviations)
            },
            age_ms: quantiles(&w.ages),
            deadline_misses: w.late,
            deadline_miss_share: share(w.late, w.answered),
            dropped: w.dropped,
            dropped_share: share(w.dropped, w.sent + w.dropped),
            cpu_share: None,
            memory_warm_mib: None,
            memory_growth_mib: None,
            looked_on: None,
            last_act: None,
            time_to_safe_stop_s: None,
            distance_beyond_m: None,
            collisions: 0,
            lane_invasions: 0,
            off_road_m: 0.0,
            deviation_max_m: 0.0,
            driven_m: 0.0,
            braked_ticks: w.braked,
        }
    }
}
