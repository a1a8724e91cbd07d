//! What is measured of one drive.

use caril_core::{EndReason, Mode, Regime, StepRecord, Truth};
use serde::{Deserialize, Serialize};

use crate::driving::{
    ActionTick, Infraction, Infractions, Leaderboard, Motion, REVERSAL_GAP, RouteResult, comfort,
    counterfactual, nocrash_success, steering_stability, switches_per_minute,
};
use crate::trajectory::{Point, SPACING_M, similarity};

/// Figures of one drive. What has no value on this drive is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Why it ended; `None` if the plant went away.
    pub end: Option<EndReason>,
    /// NoCrash's rule: goal reached in time, no collision.
    pub success: bool,
    /// Frames.
    pub frames: u64,
    /// Plant time, s.
    pub sim_seconds: f64,
    /// Length of the route, m.
    pub route_m: f64,
    /// Distance driven, m.
    pub driven_m: f64,
    /// Route completion, [0, 100].
    pub completion_pct: f64,
    /// Driving score, leaderboard 1.0.
    pub score_v1_0: f64,
    /// Driving score, leaderboard 2.1.
    pub score_v2_1: f64,
    /// Contacts.
    pub collisions: u32,
    /// Lane edges crossed.
    pub lane_invasions: u32,
    /// Driven with a wheel off the road, m.
    pub off_road_m: f64,
    /// Cross-track error against the expert's path, m: mean.
    pub cross_track_mean_m: Option<f64>,
    /// Root of its mean square.
    pub cross_track_rmse_m: Option<f64>,
    /// 95th percentile.
    pub cross_track_p95_m: Option<f64>,
    /// Greatest.
    pub cross_track_max_m: Option<f64>,
    /// Mean |distance from the lane's centre|, m.
    pub lane_deviation_m: Option<f64>,
    /// Discrete Fréchet distance to the expert's path, m.
    pub frechet_m: Option<f64>,
    /// Dynamic time warping, m.
    pub dtw_m: Option<f64>,
    /// Area between the paths, m².
    pub area_m2: Option<f64>,
    /// Curve-length measure.
    pub curve_length: Option<f64>,
    /// Share of comfortable windows, [0, 1].
    pub comfort: Option<f64>,
    /// RMS of the steer's rate, 1/s.
    pub whiteness_per_s: Option<f64>,
    /// Reversals of the steer per minute.
    pub reversals_per_min: Option<f64>,
    /// Mean speed, m/s.
    pub speed_mps: f64,
    /// Share of frames in safe stop.
    pub safe_stop_share: f64,
    /// Switches of the correction's regime per minute.
    pub switches_per_min: Option<f64>,
    /// Frames with an action, raw and corrected.
    pub ticks: u64,
    /// Of them corrected.
    pub changed: u64,
    /// Of them further from the expert than the raw action.
    pub harmed: u64,
    /// Of them nearer.
    pub helped: u64,
    /// Sum over them of |raw − expert| − |corrected − expert|, CARLA scale.
    pub gain_sum: f64,
}

impl Measures {
    /// Measures one drive.
    ///
    /// * `steps` – all records
    /// * `last` – the world's marks after the last command
    /// * `expert` – the expert's path on the same route
    /// * `period_s` – of the world: a frame that was lost left no record, but the car drove on under
    ///   the last command, so a record counts for as many periods as pass until the next
    /// * `traffic` – whether there are other cars: then a contact counts as one with a vehicle, else
    ///   as one with something static; the world does not say which
    pub fn of(
        steps: &[StepRecord],
        last: &Truth,
        end: Option<EndReason>,
        expert: &[Point],
        period_s: f64,
        traffic: bool,
    ) -> Self {
        let lasts = periods(steps, period_s);
        let sim_seconds = lasts.iter().sum::<usize>() as f64 * period_s;
        let route_m = f64::from(last.route_length_m);
        let driven_m: f64 = steps
            .iter()
            .zip(&lasts)
            .map(|(s, n)| f64::from(s.ego.speed_mps.abs()) * *n as f64 * period_s)
            .sum();
        let off_road_m = f64::from(last.off_road_m);
        let completion_pct = f64::from(last.route_completion).clamp(0.0, 100.0);
        let result = route_result(completion_pct, off_road_m, driven_m, last.collisions, traffic);
        // Cannot fail: both shares were brought into their range above.
        let score = |v| completion_pct * result.penalty(v).unwrap_or(0.0);
        let at_goal = end == Some(EndReason::GoalReached);
        let path: Vec<Point> = steps.iter().map(|s| [s.ego.pose.x_m, s.ego.pose.y_m]).collect();
        let near = similarity(expert, &path, SPACING_M).ok();
        let deviations: Vec<f64> =
            steps.iter().filter_map(|s| Some(f64::from(s.truth?.lane_deviation_m.abs()))).collect();
        // A value for every period. What moves does so evenly while nobody looks.
        let motion: Vec<Motion> = steps
            .iter()
            .enumerate()
            .flat_map(|(i, s)| {
                let (n, next) = (lasts.get(i).copied().unwrap_or(1), steps.get(i + 1).unwrap_or(s));
                (0..n).map(move |k| motion(s, next, k as f64 / n as f64))
            })
            .collect();
        let held = || steps.iter().zip(&lasts).flat_map(|(s, n)| std::iter::repeat_n(s, *n));
        let steers: Vec<f64> = held().map(|s| s.command.steer.into()).collect();
        let steering = steering_stability(&steers, period_s, REVERSAL_GAP).ok();
        let regimes: Vec<Regime> = held().map(|s| s.correction.regime).collect();
        let ticks: Vec<ActionTick> = steps
            .iter()
            .filter(|s| s.predicted && s.correction.regime != Regime::NoPrediction)
            .filter_map(|s| {
                let expert = s.truth?.expert_steer.into();
                let (raw, corrected) = (s.steer_raw.into(), s.steer_corrected.into());
                Some(ActionTick { raw, corrected, expert })
            })
            .collect();
        let what_if = counterfactual(&ticks, 0.0).ok();
        let of_changed = |rate: Option<f64>, changed: usize| {
            // The rates are counts over `changed`: rounding gives the counts back.
            (rate.unwrap_or(0.0) * changed as f64).round() as u64
        };
        let stopped = steps.iter().filter(|s| s.mode == Mode::SafeStop).count();
        let count = steps.len().max(1) as f64;
        Self {
            end,
            success: nocrash_success(route_m / 1e3, sim_seconds, at_goal, last.collisions)
                .unwrap_or(false),
            frames: steps.len() as u64,
            sim_seconds,
            route_m,
            driven_m,
            completion_pct,
            score_v1_0: score(Leaderboard::V1_0),
            score_v2_1: score(Leaderboard::V2_1),
            collisions: last.collisions,
            lane_invasions: last.lane_invasions,
            off_road_m,
            cross_track_mean_m: near.map(|n| n.cross_track.mean_m),
            cross_track_rmse_m: near.map(|n| n.cross_track.rmse_m),
            cross_track_p95_m: near.map(|n| n.cross_track.p95_m),
            cross_track_max_m: near.map(|n| n.cross_track.max_m),
            lane_deviation_m: (!deviations.is_empty())
                .then(|| deviations.iter().sum::<f64>() / deviations.len() as f64),
            frechet_m: near.map(|n| n.frechet_m),
            dtw_m: near.map(|n| n.dtw_m),
            area_m2: near.map(|n| n.area_m2),
            curve_length: near.and_then(|n| n.curve_length),
            comfort: comfort(&motion, period_s).ok().map(|c| c.share),
            whiteness_per_s: steering.map(|s| s.whiteness_per_s),
            reversals_per_min: steering.map(|s| s.reversals_per_min),
            speed_mps: driven_m / sim_seconds.max(period_s),
            safe_stop_share: stopped as f64 / count,
            switches_per_min: switches_per_minute(&regimes, period_s).ok(),
            ticks: ticks.len() as u64,
            changed: what_if.map_or(0, |w| w.activated as u64),
            harmed: what_if.map_or(0, |w| of_changed(w.harm_rate, w.activated)),
            helped: what_if.map_or(0, |w| of_changed(w.benefit_rate, w.activated)),
            gain_sum: what_if.map_or(0.0, |w| w.mean_gain.unwrap_or(0.0) * w.activated as f64),
        }
    }

    /// The drive as the driving score sees it.
    pub fn route_result(&self, traffic: bool) -> RouteResult {
        let Self { completion_pct, off_road_m, driven_m, collisions, .. } = *self;
        route_result(completion_pct, off_road_m, driven_m, collisions, traffic)
    }
}

fn route_result(
    completion_pct: f64,
    off_road_m: f64,
    driven_m: f64,
    collisions: u32,
    traffic: bool,
) -> RouteResult {
    let mut infractions = Infractions::default();
    infractions.add(if traffic { Infraction::Vehicle } else { Infraction::Static }, collisions);
    let off_road_share = if driven_m > 0.0 { (off_road_m / driven_m).min(1.0) } else { 0.0 };
    RouteResult { completion_pct, off_road_share, driven_km: driven_m / 1e3, infractions }
}

/// How many periods pass until the next record; 1 after the last one, and after one that came late
/// or twice.
fn periods(steps: &[StepRecord], period_s: f64) -> Vec<usize> {
    let between = |pair: &[StepRecord]| match pair {
        [a, b] => {
            let seconds = b.sim_time_ns.saturating_sub(a.sim_time_ns) as f64 * 1e-9;
            // A gap of more than a minute is none of a lost frame.
            ((seconds / period_s).round() as usize).clamp(1, (60.0 / period_s) as usize)
        }
        _ => 1,
    };
    let last = (!steps.is_empty()).then_some(1);
    steps.windows(2).map(between).chain(last).collect()
}

/// How the car moves a share of the way from one record to the next.
fn motion(from: &StepRecord, to: &StepRecord, share: f64) -> Motion {
    let at = |get: fn(&StepRecord) -> f32| {
        let (a, b) = (f64::from(get(from)), f64::from(get(to)));
        if share > 0.0 { a + share * (b - a) } else { a }
    };
    let speed_mps = at(|s| s.ego.speed_mps);
    Motion::without_slip(speed_mps, at(|s| s.ego.accel_mps2), at(|s| s.ego.yaw_rate_radps))
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less.
    Lower,
    /// More.
    Higher,
    /// Neither: it only describes.
    Neither,
}

/// One measure of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name in files.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its unit; empty if it has none.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Decimals worth printing.
    pub decimals: usize,
    /// Whether it is compared in every single cell too, not only in groups.
    pub key: bool,
    /// Its value on a drive.
    pub get: fn(&Measures) -> Option<f64>,
}

macro_rules! metrics {
    ($($name:literal, $title:literal, $unit:literal, $better:ident, $decimals:literal, $key:literal, $get:expr;)*) => {
        &[$(Metric {
            name: $name, title: $title, unit: $unit, better: Better::$better,
            decimals: $decimals, key: $key, get: $get,
        }),*]
    };
}

/// All measures that are compared, in the order of the tables.
pub const METRICS: &[Metric] = metrics! {
    "failed", "Failed drives (NoCrash rule)", "", Lower, 3, true, |m| Some(f64::from(u8::from(!m.success)));
    "cross_track_mean", "Cross-track error, mean", "m", Lower, 3, true, |m| m.cross_track_mean_m;
    "frechet", "Fréchet distance", "m", Lower, 2, true, |m| m.frechet_m;
    "completion", "Route completion", "%", Higher, 1, true, |m| Some(m.completion_pct);
    "score_v2_1", "Driving score (leaderboard 2.1)", "", Higher, 1, true, |m| Some(m.score_v2_1);
    "score_v1_0", "Driving score (leaderboard 1.0)", "", Higher, 1, false, |m| Some(m.score_v1_0);
    "cross_track_rmse", "Cross-track error, RMS", "m", Lower, 3, false, |m| m.cross_track_rmse_m;
    "cross_track_p95", "Cross-track error, 95 %", "m", Lower, 3, false, |m| m.cross_track_p95_m;
    "cross_track_max", "Cross-track error, greatest", "m", Lower, 2, false, |m| m.cross_track_max_m;
    "lane_deviation", "Distance from the lane’s centre, mean", "m", Lower, 3, false, |m| m.lane_deviation_m;
    "dtw", "Dynamic time warping", "m", Lower, 0, false, |m| m.dtw_m;
    "area", "Area between the paths", "m²", Lower, 1, false, |m| m.area_m2;
    "curve_length", "Curve-length measure", "", Lower, 3, false, |m| m.curve_length;
    "collisions", "Collisions a drive", "", Lower, 3, false, |m| Some(m.collisions.into());
    "off_road", "Off the road, a drive", "m", Lower, 1, false, |m| Some(m.off_road_m);
    "lane_invasions", "Lane edges crossed, a drive", "", Lower, 2, false, |m| Some(m.lane_invasions.into());
    "comfort", "Comfortable windows", "", Higher, 3, false, |m| m.comfort;
    "whiteness", "Steering whiteness", "1/s", Lower, 3, false, |m| m.whiteness_per_s;
    "reversals", "Steering reversals", "1/min", Lower, 1, false, |m| m.reversals_per_min;
    "speed", "Mean speed", "m/s", Neither, 2, true, |m| Some(m.speed_mps);
    "safe_stop", "Frames in safe stop", "", Neither, 3, false, |m| Some(m.safe_stop_share);
    "switches", "Regime switches", "1/min", Neither, 1, false, |m| m.switches_per_min;
};

#[cfg(test)]
mod tests {
    use caril_core::FrameId;

    use super::*;

    /// A car that speeds up evenly from 5 m/s on a straight line, steering to and fro.
    fn step(id: u64) -> StepRecord {
        let mut s = StepRecord {
            frame_id: FrameId(id),
            sim_time_ns: id * 50_000_000,
            ..StepRecord::default()
        };
        s.ego.speed_mps = 5.0 + 0.05 * id as f32;
        s.ego.accel_mps2 = 1.0;
        s.ego.pose.x_m = 0.25 * id as f64 + 0.00125 * (id * id) as f64;
        s.command.steer = if id % 40 < 20 { 0.1 } else { -0.1 };
        s
    }

    #[test]
    fn frames_that_were_lost_are_part_of_time_and_distance() {
        let truth = Truth { route_length_m: 200.0, off_road_m: 5.0, ..Truth::default() };
        let of = |ids: &[u64]| {
            let steps: Vec<StepRecord> = ids.iter().map(|id| step(*id)).collect();
            Measures::of(&steps, &truth, Some(EndReason::GoalReached), &[], 0.05, false)
        };
        let whole: Vec<u64> = (0..400).collect();
        let all = of(&whole);
        assert_eq!((all.frames, all.sim_seconds), (400, 400.0 * 0.05));
        // Half of them, and three times ten in a row.
        let lost = |id: &u64| id % 2 == 1 && *id != 399 || matches!(id % 100, 50..60);
        let some: Vec<u64> = whole.iter().copied().filter(|id| !lost(id)).collect();
        let gaps = of(&some);
        assert!(gaps.frames < 200);
        assert_eq!(gaps.sim_seconds, all.sim_seconds);
        assert!((gaps.driven_m / all.driven_m - 1.0).abs() < 0.02, "{gaps:?}");
        assert!((gaps.speed_mps / all.speed_mps - 1.0).abs() < 0.02);
        assert!((gaps.score_v2_1 - all.score_v2_1).abs() < 0.1);
        assert_eq!((gaps.comfort, gaps.reversals_per_min), (all.comfort, all.reversals_per_min));
        // One that came twice, its time standing still, counts for a period each time.
        let twice = of(&[0, 0, 0, 1, 2]);
        assert_eq!(twice.sim_seconds, 5.0 * 0.05);
    }
}
