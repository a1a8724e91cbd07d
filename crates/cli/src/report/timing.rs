//! How long the stages took and how old frames were.

use caril_core::{Stage, StepRecord};

use super::ReportInput;
use super::chart::{Chart, Curve, TimeAxis};
use super::html::{num, percentile};

pub(super) fn section(input: &ReportInput<'_>, axis: &TimeAxis) -> String {
    let steps = input.steps;
    if steps.is_empty() {
        return String::new();
    }
    const NAMES: [(&str, &str); Stage::COUNT] = [
        ("observe", "waiting for the frame"),
        ("check", "looking at the picture"),
        ("infer", "the network"),
        ("decide", "correction, speed, gate"),
        ("actuate", "sending the command"),
        ("record", "handing the record over"),
    ];
    let mut rows: Vec<(&str, &str, [f64; 3])> = Stage::ALL
        .iter()
        .zip(NAMES)
        .map(|(stage, (name, what))| (name, what, figures(steps, |s| stage_ms(s, *stage))))
        .collect();
    rows.push(("age", "frame arrived → command out", figures(steps, age_ms)));
    // Waiting is idle time: on its scale every other bar would be invisible.
    let busy = rows.iter().skip(1).map(|r| r.2[1]).fold(0.0, f64::max);
    let bar = |[p50, p99, _]: &[f64; 3]| {
        let share = |v: f64| if busy > 0.0 { (v / busy * 100.0).clamp(0.0, 100.0) } else { 0.0 };
        format!(
            "<div><u style=\"width:{:.1}%\"></u><s style=\"width:{:.1}%\"></s></div>",
            share(*p99),
            share(*p50)
        )
    };
    let table: String = rows
        .iter()
        .enumerate()
        .map(|(i, (name, what, figures))| {
            let bar = if i == 0 { String::new() } else { bar(figures) };
            let cells = figures.map(cell).concat();
            format!(
                "<tr><th>{name}<small>{what}</small></th>{cells}<td class=\"bar\">{bar}</td></tr>"
            )
        })
        .collect();
    let age = Chart {
        title: "Age at actuation",
        unit: "ms from the frame's arrival to the command",
        curves: vec![Curve::of("age", "c-age", steps, age_ms)],
        include: &[0.0],
        lines: Vec::new(),
        beneath: String::new(),
        more_legend: String::new(),
        height_px: 130,
    };
    format!(
        "<section><h2>How long it took</h2><div class=\"card\"><div class=\"scroll\">\
         <table class=\"stages\"><thead><tr><th>stage, ms</th><td>p50</td><td>p99</td><td>max</td>\
         <td class=\"bar\">p50, p99</td></tr></thead><tbody>{table}</tbody></table></div>\
         {}</div></section>\n",
        age.html(axis)
    )
}

fn cell(ms: f64) -> String {
    format!("<td>{}</td>", num(ms, if ms < 10.0 { 3 } else { 1 }))
}

fn stage_ms(step: &StepRecord, stage: Stage) -> f64 {
    step.times.ns.get(stage as usize).map_or(f64::NAN, |ns| *ns as f64 * 1e-6)
}

fn age_ms(step: &StepRecord) -> f64 {
    step.times.age_ns as f64 * 1e-6
}

fn figures(steps: &[StepRecord], value: impl Fn(&StepRecord) -> f64) -> [f64; 3] {
    [0.5, 0.99, 1.0].map(|q| percentile(steps.iter().map(&value), q).unwrap_or(f64::NAN))
}

/// 99th percentile of the busy time of a step (all but the waiting), ms.
pub(super) fn busy_p99_ms(steps: &[StepRecord]) -> Option<f64> {
    let busy = |s: &StepRecord| s.times.ns.iter().skip(1).map(|ns| *ns as f64 * 1e-6).sum();
    percentile(steps.iter().map(busy), 0.99)
}
