//! The charts over time.

use caril_core::{Regime, StepRecord};

use super::bands;
use super::chart::{Chart, Curve, TimeAxis};
use super::html::nines;
use super::{ReportInput, html};

/// Entropy of eleven equal probabilities, nats.
const ENTROPY_MAX: f64 = 2.397_895_272_798_370_7;

pub(super) fn section(input: &ReportInput<'_>, axis: &TimeAxis) -> String {
    if input.steps.is_empty() {
        return String::new();
    }
    let charts = [
        steer(input.steps, axis),
        confidence(input.steps, axis),
        deciding(input, axis),
        speed(input.steps, axis),
        deviation(input.steps, axis),
        bands::modes_and_faults(input, axis),
    ];
    format!("<section><h2>Over time</h2><div class=\"card\">{}</div></section>\n", charts.concat())
}

fn predicted(step: &StepRecord, value: f32) -> f64 {
    if step.predicted { f64::from(value) } else { f64::NAN }
}

fn truth(step: &StepRecord, value: impl Fn(&caril_core::Truth) -> f32) -> f64 {
    step.truth.as_ref().map_or(f64::NAN, |t| f64::from(value(t)))
}

fn steer(steps: &[StepRecord], axis: &TimeAxis) -> String {
    Chart {
        title: "Steer",
        unit: "of full lock, right is +",
        curves: vec![
            Curve::of("expert", "c-expert", steps, |s| truth(s, |t| t.expert_steer)),
            Curve::of("raw", "c-raw", steps, |s| predicted(s, s.steer_raw)),
            Curve::of("corrected", "c-corr", steps, |s| predicted(s, s.steer_corrected)),
            Curve::of("applied", "c-appl", steps, |s| f64::from(s.command.steer)),
        ],
        include: &[-0.02, 0.02],
        lines: Vec::new(),
        beneath: String::new(),
        more_legend: String::new(),
        height_px: 210,
    }
    .html(axis)
}

fn confidence(steps: &[StepRecord], axis: &TimeAxis) -> String {
    Chart {
        title: "Confidence",
        unit: "",
        curves: vec![
            Curve::of("entropy ÷ ln 11", "c-entr", steps, |s| {
                predicted(s, s.entropy_nats) / ENTROPY_MAX
            }),
            Curve::of("highest class", "c-max", steps, |s| predicted(s, s.confidence)),
        ],
        include: &[0.0, 1.0],
        lines: Vec::new(),
        beneath: String::new(),
        more_legend: String::new(),
        height_px: 150,
    }
    .html(axis)
}

/// What the correction decided by, in nines: 0.9 and 0.9999 are worlds apart.
fn deciding(input: &ReportInput<'_>, axis: &TimeAxis) -> String {
    let steps = input.steps;
    let is_paper = |s: &StepRecord| {
        use Regime::{PaperBinMean, PaperNoise, PaperUnsureKept};
        matches!(s.correction.regime, PaperBinMean | PaperUnsureKept | PaperNoise)
    };
    // The paper's rule has thresholds of its own, on the highest probability.
    let (lines, meaning) = if steps.iter().any(is_paper) {
        (vec![nines(0.9), nines(0.5)], "sure from 0.90, unsure below 0.50".to_owned())
    } else if let Some(card) = input.card {
        let (enter, exit) = (card.calibration.mass_enter, card.calibration.mass_exit);
        let (below, above) = (html::sure(enter), html::sure(exit));
        (vec![nines(enter), nines(exit)], format!("engages below {below}, lets go above {above}"))
    } else {
        (Vec::new(), String::new())
    };
    let (beneath, mut more_legend) = bands::regimes(steps, axis);
    if !lines.is_empty() {
        more_legend.push_str(&format!("<span><b class=\"dash\"></b>{meaning}</span>"));
    }
    Chart {
        title: "Deciding confidence",
        unit: "in nines: 2 is 0.99, 4 is 0.9999; bands show where the correction stepped in",
        curves: vec![Curve::of("deciding confidence", "c-conf", steps, |s| {
            if s.predicted { nines(s.correction.confidence) } else { f64::NAN }
        })],
        include: &[0.0, 7.0],
        lines,
        beneath,
        more_legend,
        height_px: 210,
    }
    .html(axis)
}

fn speed(steps: &[StepRecord], axis: &TimeAxis) -> String {
    Chart {
        title: "Speed",
        unit: "m/s",
        curves: vec![
            Curve::of("target", "c-target", steps, |s| f64::from(s.target_speed_mps)),
            Curve::of("cap of doubt", "c-cap", steps, |s| f64::from(s.correction.speed_cap_mps)),
            Curve::of("speed", "c-speed", steps, |s| f64::from(s.ego.speed_mps)),
        ],
        include: &[0.0],
        lines: Vec::new(),
        beneath: String::new(),
        more_legend: String::new(),
        height_px: 150,
    }
    .html(axis)
}

fn deviation(steps: &[StepRecord], axis: &TimeAxis) -> String {
    Chart {
        title: "Distance from the lane's centre",
        unit: "m, right is +",
        curves: vec![Curve::of("deviation", "c-dev", steps, |s| truth(s, |t| t.lane_deviation_m))],
        include: &[-0.5, 0.5],
        lines: Vec::new(),
        beneath: String::new(),
        more_legend: String::new(),
        height_px: 130,
    }
    .html(axis)
}
