//! The top of the page: what was driven, the verdict, the figures that matter.

use caril_core::{Mode, StepRecord, Truth};
use serde_json::Value;

use super::ReportInput;
use super::html::{escape, mean, num, opt, percentile};
use super::timing::busy_p99_ms;

/// The figures of the headline: from the summary, else from the steps.
struct Figures {
    completion: Option<f64>,
    deviation_mean_m: Option<f64>,
    deviation_p95_m: Option<f64>,
    collisions: Option<f64>,
    off_road_m: Option<f64>,
    invasions: Option<f64>,
    corrected_share: Option<f64>,
    /// Shares of nominal, degraded, safe stop.
    modes: Option<[f64; 3]>,
    loop_p99_ms: Option<f64>,
    /// Share of the changed steps in which the change came nearer to the expert.
    nearer_share: Option<f64>,
}

impl Figures {
    fn of(summary: &Value, steps: &[StepRecord]) -> Self {
        let said = |name: &str| summary.get(name).and_then(Value::as_f64).filter(|v| v.is_finite());
        let last = steps.iter().rev().find_map(|s| s.truth);
        let known = |name: &str, value: fn(&Truth) -> f32| {
            let of_truth = last.as_ref().map(|t| f64::from(value(t)));
            said(name).or(of_truth.filter(|v| v.is_finite()))
        };
        let deviations =
            || steps.iter().filter_map(|s| Some(f64::from(s.truth?.lane_deviation_m.abs())));
        Self {
            completion: known("route_completion", |t| t.route_completion),
            deviation_mean_m: said("lane_deviation_mean_m").or_else(|| mean(deviations())),
            deviation_p95_m: said("lane_deviation_p95_m")
                .or_else(|| percentile(deviations(), 0.95)),
            collisions: known("collisions", |t| t.collisions as f32),
            off_road_m: known("off_road_m", |t| t.off_road_m),
            invasions: known("lane_invasions", |t| t.lane_invasions as f32),
            // Of steps that were thinned out the summary alone knows the whole.
            corrected_share: said("corrected_share")
                .filter(|_| is_thinned(summary, steps))
                .or_else(|| share(steps.iter().map(|s| s.correction.regime.is_correction())))
                .or_else(|| said("corrected_share")),
            modes: modes(summary, steps),
            loop_p99_ms: summary
                .get("loop_ms")
                .and_then(|v| v.get("p99"))
                .and_then(Value::as_f64)
                .or_else(|| busy_p99_ms(steps)),
            nearer_share: share(steps.iter().filter_map(nearer)),
        }
    }
}

/// All steps of the drive, those included that were thinned out.
fn steps_driven(summary: &Value, steps: &[StepRecord]) -> u64 {
    let said = summary.get("frames").and_then(Value::as_u64).unwrap_or(0);
    said.max(steps.len() as u64)
}

fn is_thinned(summary: &Value, steps: &[StepRecord]) -> bool {
    steps_driven(summary, steps) > steps.len() as u64
}

fn share(flags: impl Iterator<Item = bool>) -> Option<f64> {
    let (yes, all) = flags.fold((0_u32, 0_u32), |(y, n), f| (y + u32::from(f), n + 1));
    (all > 0).then(|| f64::from(yes) / f64::from(all))
}

/// Whether the change of this step came nearer to the expert; `None` if nothing was changed or
/// no expert is known.
pub(super) fn nearer(step: &StepRecord) -> Option<bool> {
    let expert = step.truth?.expert_steer;
    let before = (step.steer_raw - expert).abs();
    let after = (step.steer_corrected - expert).abs();
    let changed = step.predicted && step.steer_raw != step.steer_corrected;
    (changed && before.is_finite() && after.is_finite()).then_some(after < before)
}

fn modes(summary: &Value, steps: &[StepRecord]) -> Option<[f64; 3]> {
    const MODES: [(Mode, &str); 3] =
        [(Mode::Nominal, "nominal"), (Mode::Degraded, "degraded"), (Mode::SafeStop, "safe_stop")];
    // Counts or shares: only their proportion is used.
    let amounts = MODES.map(|(mode, name)| {
        if steps.is_empty() || is_thinned(summary, steps) {
            summary.get("modes").and_then(|m| m.get(name)).and_then(Value::as_f64).unwrap_or(0.0)
        } else {
            steps.iter().filter(|s| s.mode == mode).count() as f64
        }
    });
    let sum: f64 = amounts.iter().sum();
    (sum > 0.0).then(|| amounts.map(|a| a / sum))
}

pub(super) fn section(input: &ReportInput<'_>) -> String {
    let figures = Figures::of(input.summary, input.steps);
    let (grade, verdict) = verdict(&figures, input.steps.len());
    let policy = input.card.map_or(String::new(), |c| {
        format!("<span>policy <b>{}</b> ({})</span>", escape(&c.name), escape(&c.architecture))
    });
    let all = steps_driven(input.summary, input.steps);
    let drawn = if is_thinned(input.summary, input.steps) {
        format!("<span>drawn and timed from <b>{}</b> of them</span>", input.steps.len())
    } else {
        String::new()
    };
    let span = match (input.steps.first(), input.steps.last()) {
        (Some(a), Some(b)) => num(b.sim_time_ns.saturating_sub(a.sim_time_ns) as f64 * 1e-9, 1),
        _ => "0".to_owned(),
    };
    format!(
        "<header><h1>{}</h1><p class=\"facts\"><span>map <b>{}</b></span><span>weather <b>{}</b>\
         </span><span>plant <b>{}</b></span>{policy}<span><b>{}</b> steps in <b>{span} s</b></span>\
         {drawn}</p></header>\n<p class=\"verdict {grade}\">{verdict}</p>\n<div class=\"tiles\">{}</div>\n\
         <details class=\"command\" open><summary>Command</summary><pre>{}</pre></details>\n",
        escape(input.title),
        escape(&input.plant.map),
        escape(&input.plant.weather),
        escape(&input.plant.name),
        all,
        tiles(&figures),
        escape(input.command_line),
    )
}

fn tiles(f: &Figures) -> String {
    let percent = |v: Option<f64>, d| {
        v.map_or("–".to_owned(), |v| format!("{}<em>%</em>", num(v * 100.0, d)))
    };
    let metres =
        |v: Option<f64>, d| v.map_or("–".to_owned(), |v| format!("{}<em>m</em>", num(v, d)));
    let grade = |v: Option<f64>, good: bool| match v {
        None => "",
        Some(_) if good => "good",
        Some(_) => "bad",
    };
    let done = f.completion.map(|c| c / 100.0);
    let nominal = f.modes.map(|m| m[0]);
    let other = f.modes.map_or(String::new(), |m| {
        format!("degraded {} %, safe stop {} %", num(m[1] * 100.0, 1), num(m[2] * 100.0, 1))
    });
    let helped = f.nearer_share.map_or(String::new(), |s| {
        format!("{} % of the changes came nearer to the expert", num(s * 100.0, 0))
    });
    let untouched = f.collisions == Some(0.0);
    [
        tile("Route completion", &percent(done, 1), "", grade(done, done >= Some(0.995))),
        tile(
            "Lane deviation",
            &metres(f.deviation_mean_m, 2),
            &format!("on average; 95 % below {} m", opt(f.deviation_p95_m, 2)),
            "",
        ),
        tile("Steps corrected", &percent(f.corrected_share, 1), &helped, ""),
        tile("Nominal mode", &percent(nominal, 1), &other, ""),
        tile("Collisions", &opt(f.collisions, 0), "", grade(f.collisions, untouched)),
        tile(
            "Off the road",
            &metres(f.off_road_m, 1),
            &f.invasions.map_or(String::new(), |n| format!("{} lane invasions", num(n, 0))),
            grade(f.off_road_m, f.off_road_m <= Some(0.0)),
        ),
        tile(
            "Loop, p99",
            &f.loop_p99_ms.map_or("–".to_owned(), |v| format!("{}<em>ms</em>", num(v, 1))),
            "",
            "",
        ),
    ]
    .concat()
}

fn tile(name: &str, value: &str, below: &str, grade: &str) -> String {
    format!(
        "<div class=\"tile {grade}\"><h3>{name}</h3><div class=\"value\">{value}</div>\
         <small>{below}</small></div>"
    )
}

/// Grade and one or two sentences.
fn verdict(f: &Figures, steps: usize) -> (&'static str, String) {
    if steps == 0 {
        return ("bad", "Nothing was driven: there is not a single step.".to_owned());
    }
    let completion = f.completion.unwrap_or(f64::NAN);
    let collided = f.collisions.is_some_and(|n| n > 0.0);
    let left = f.off_road_m.is_some_and(|m| m > 0.0);
    let stopped = f.modes.is_some_and(|m| m[2] > 0.0);
    let way = if completion >= 99.5 {
        "The car drove the whole route".to_owned()
    } else if completion.is_finite() {
        format!("The car drove {} % of the route", num(completion, 1))
    } else {
        "How much of the route was driven is not known: the plant gave no ground truth".to_owned()
    };
    let harm = match (collided, left) {
        (false, false) if f.collisions.is_some() => {
            " without touching anything or leaving the road"
        }
        (false, true) => " without touching anything, but left the road",
        (true, false) => " and collided on the way",
        (true, true) => ", collided on the way and left the road",
        _ => "",
    };
    let deviation = f
        .deviation_mean_m
        .map_or(String::new(), |m| format!(", {} m from the lane’s centre on average", num(m, 2)));
    let changed = match f.corrected_share {
        Some(s) if s > 0.0 => {
            let helped = f.nearer_share.map_or(String::new(), |n| {
                format!(
                    ", which brought the steer nearer to the expert’s in {} % of them",
                    num(n * 100.0, 0)
                )
            });
            format!("The correction changed {} % of the steps{helped}", num(s * 100.0, 1))
        }
        _ => "The correction changed nothing".to_owned(),
    };
    let mode = match f.modes {
        Some([_, _, s]) if s > 0.0 => {
            format!("; {} % of all steps were a safe stop", num(s * 100.0, 1))
        }
        Some([_, d, _]) if d > 0.0 => {
            format!("; {} % of all steps ran degraded", num(d * 100.0, 1))
        }
        Some(_) => "; the controller was nominal throughout".to_owned(),
        None => String::new(),
    };
    let grade = if collided || left || completion < 50.0 {
        "bad"
    } else if completion >= 99.5 && !stopped {
        "good"
    } else {
        "fair"
    };
    (grade, format!("{way}{harm}{deviation}. {changed}{mode}."))
}
