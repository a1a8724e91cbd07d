//! States over time as coloured bands.

use caril_core::{Fault, Mode, Regime, StepRecord};

use super::ReportInput;
use super::chart::{TimeAxis, WIDTH, time_grid, time_labels, time_s};

/// Cells that the time axis is cut into; within a cell the highest code is shown, so that no
/// short fault is lost, and the page stays small however long the drive was.
const CELLS: usize = 500;

/// Runs of equal codes as (from, to, code) in chart units. `None` is no band.
fn runs(
    steps: &[StepRecord],
    axis: &TimeAxis,
    code: impl Fn(&StepRecord) -> Option<u8>,
) -> Vec<(f64, f64, u8)> {
    let cell_of = |x: f64| ((x / WIDTH * CELLS as f64) as usize).min(CELLS - 1);
    let mut cells = [None; CELLS];
    for (i, step) in steps.iter().enumerate() {
        let from = cell_of(axis.x(time_s(step)));
        let next = steps.get(i + 1).map_or(from, |s| cell_of(axis.x(time_s(s))));
        // A step's state holds until the next one.
        let until = (from + 1).max(next).min(CELLS);
        for cell in cells.iter_mut().take(until).skip(from) {
            *cell = (*cell).max(code(step));
        }
    }
    let width = WIDTH / CELLS as f64;
    let mut out: Vec<(f64, f64, u8)> = Vec::new();
    let mut before = None;
    for (i, cell) in cells.iter().enumerate() {
        let (from, to) = (i as f64 * width, (i + 1) as f64 * width);
        match (out.last_mut(), cell) {
            (Some(last), Some(_)) if *cell == before => last.1 = to,
            (_, Some(code)) => out.push((from, to, *code)),
            (_, None) => {}
        }
        before = *cell;
    }
    out
}

fn rects(runs: &[(f64, f64, u8)], class: impl Fn(u8) -> String) -> String {
    let rect = |(from, to, code): &(f64, f64, u8)| {
        format!(
            "<rect class=\"{}\" x=\"{from:.0}\" width=\"{:.0}\" height=\"100\"/>",
            class(*code),
            to - from
        )
    };
    runs.iter().map(rect).collect()
}

const REGIMES: [(Regime, &str); Regime::COUNT] = [
    (Regime::Kept, "kept as it was"),
    (Regime::PaperBinMean, "paper: mean of the sure bin"),
    (Regime::PaperUnsureKept, "paper: unsure, kept"),
    (Regime::PaperNoise, "paper: noise"),
    (Regime::Fused, "of both heads (as until 2026-11-30)"),
    (Regime::NoPrediction, "no prediction"),
    (Regime::SecondLook, "second look, brightened"),
    (Regime::Slowed, "in doubt, slowed"),
];

fn regime_rects(steps: &[StepRecord], axis: &TimeAxis) -> String {
    let changed =
        |s: &StepRecord| (s.correction.regime != Regime::Kept).then_some(s.correction.regime as u8);
    rects(&runs(steps, axis, changed), |code| format!("g{code}"))
}

fn regime_legend(steps: &[StepRecord]) -> String {
    REGIMES
        .iter()
        .skip(1)
        .filter(|(r, _)| steps.iter().any(|s| s.correction.regime == *r))
        .map(|(r, name)| format!("<span><b class=\"box g{}\"></b>{name}</span>", *r as u8))
        .collect()
}

/// Bands of the correction's regimes for beneath a chart, and their legend.
pub(super) fn regimes(steps: &[StepRecord], axis: &TimeAxis) -> (String, String) {
    (regime_rects(steps, axis), regime_legend(steps))
}

/// Modes, and one row for each fault that occurred.
pub(super) fn modes_and_faults(input: &ReportInput<'_>, axis: &TimeAxis) -> String {
    let steps = input.steps;
    const MODES: [(Mode, &str); 3] =
        [(Mode::Nominal, "nominal"), (Mode::Degraded, "degraded"), (Mode::SafeStop, "safe stop")];
    let modes = rects(&runs(steps, axis, |s| Some(s.mode as u8)), |code| format!("o{code}"));
    let legend: String = MODES
        .iter()
        .filter(|(m, _)| steps.iter().any(|s| s.mode == *m))
        .map(|(m, name)| format!("<span><b class=\"box o{}\"></b>{name}</span>", *m as u8))
        .collect();
    let mut any = false;
    let mut rows = row("mode", &modes, axis);
    for fault in Fault::ALL {
        let seen = steps.iter().filter(|s| s.faults.contains(fault)).count() as u64;
        // Of a long drive not every step is here, but every one is counted.
        let all = input.summary.get("faults").and_then(|f| f.get(fault.name()));
        let count = seen.max(all.and_then(serde_json::Value::as_u64).unwrap_or(0));
        if count > 0 {
            any = true;
            let runs = runs(steps, axis, |s| s.faults.contains(fault).then_some(0));
            let times = if count == 1 { "step" } else { "steps" };
            let name = format!("fault: {} ({count} {times})", fault.name().replace('_', " "));
            rows.push_str(&row(&name, &rects(&runs, |_| "fl".to_owned()), axis));
        }
    }
    let none = if any { "" } else { "no fault occurred" };
    format!(
        "<figure class=\"chart\"><figcaption><strong>Modes and faults</strong> \
         <small>{none}</small><span class=\"legend\">{legend}</span></figcaption>{rows}\
         <div class=\"plot\" style=\"height:0\">{}</div></figure>\n",
        time_labels(axis)
    )
}

fn row(name: &str, rects: &str, axis: &TimeAxis) -> String {
    format!(
        "<div class=\"row\">{name}</div><div class=\"plot band\"><svg viewBox=\"0 0 {WIDTH} 100\" \
         preserveAspectRatio=\"none\" aria-hidden=\"true\">{rects}{}</svg></div>",
        time_grid(axis)
    )
}
