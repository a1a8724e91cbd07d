//! Tables of the page: verdicts, the paper's beside ours, every group's measures.

use caril_eval::report::interval_plot;
use caril_eval::stats::Interval;
use caril_eval::suite::{
    Arm, Better, Comparison, Effect, GroupTable, METRICS, Metric, Row, Verdict,
};

use super::Found;
use crate::report::html::{escape, num, opt};

/// Measures whose changes are drawn.
const DRAWN: [&str; 4] = ["cross_track_mean", "frechet", "failed", "score_v2_1"];

fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.name == name)
}

fn find<'a>(row: &'a Row, name: &str) -> Option<&'a Comparison> {
    row.metrics.iter().find(|m| m.metric == name)
}

/// A sentence on every arm that corrects, on every suite: what is established and what is not.
pub(super) fn verdicts(found: &Found<'_>) -> String {
    let mut html = String::new();
    for table in found.tables.iter().filter(|t| t.name == "all") {
        for row in table.rows.iter().filter(|r| r.arm != Arm::BASELINE && r.arm != "expert") {
            let claims: Vec<(Verdict, String)> = ["cross_track_mean", "failed", "frechet"]
                .iter()
                .filter_map(|name| {
                    let effect = find(row, name)?.effect.as_ref()?;
                    let metric = metric(name)?;
                    (effect.verdict != Verdict::Unclear).then(|| {
                        (effect.verdict, format!("{} {}", metric.title, size(effect, metric)))
                    })
                })
                .collect();
            let any = |v: Verdict| claims.iter().any(|c| c.0 == v);
            let (grade, word) = match (any(Verdict::Better), any(Verdict::Worse)) {
                (true, false) => ("good", "better than off"),
                (false, true) => ("bad", "worse than off"),
                (true, true) => ("fair", "better and worse than off"),
                (false, false) if row.metrics.iter().any(|m| m.effect.is_some()) => {
                    ("fair", "no different from off, as far as these drives tell")
                }
                (false, false) => ("fair", "not compared, for off was not driven"),
            };
            let said: Vec<String> = claims.into_iter().map(|c| c.1).collect();
            let said =
                if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
            html += &format!(
                "<p class=\"verdict {grade}\"><b>{}</b> on {}: {word}{said}.</p>\n",
                escape(&row.arm),
                escape(&table.suite)
            );
        }
    }
    html
}

/// How much an arm differs, in per cent where that has a meaning, with its interval.
fn size(effect: &Effect, metric: &Metric) -> String {
    let (i, factor, decimals, unit) = match &effect.change {
        Some(change) => (change, 100.0, 0, "%"),
        None => (&effect.difference, 1.0, metric.decimals, metric.unit),
    };
    let [e, l, h] = [i.estimate, i.low, i.high].map(|v| num(factor * v, decimals));
    format!("{e} {unit} [{l}, {h}]").replace("  ", " ")
}

/// Published means with / without correction: Fréchet, DTW, area, curve length.
type Published = [(f64, f64); 4];
const PAPER: [(&str, &str, Published); 4] = [
    ("straight", "Straight", [(1.50, 1.56), (145.27, 160.82), (32.26, 41.56), (0.351, 0.503)]),
    ("one_turn", "One turn", [(6.66, 7.11), (1108.42, 1148.90), (635.16, 655.99), (0.226, 0.236)]),
    (
        "two_turn",
        "Two turns",
        [(8.93, 25.99), (5417.38, 6605.88), (3267.10, 3726.18), (0.596, 1.479)],
    ),
    ("all", "All", [(5.70, 11.56), (2223.69, 2638.54), (1311.51, 1474.58), (0.391, 0.739)]),
];
const SIMILARITY: [&str; 4] = ["frechet", "dtw", "area", "curve_length"];

/// The paper's table with ours beside it.
pub(super) fn paper(found: &Found<'_>) -> String {
    let of = |group: &str| found.tables.iter().find(|t| t.suite == "paper" && t.name == group);
    if of("all").is_none() {
        return String::new();
    }
    let mut body = String::new();
    for (group, title, published) in PAPER {
        let Some(table) = of(group) else { continue };
        let line = |name: &str, cells: [String; 4]| {
            let cells: String = cells.iter().map(|c| format!("<td>{c}</td>")).collect();
            format!("<tr><th>{title}<small>{}</small></th>{cells}</tr>", escape(name))
        };
        body += &line("published, without", published.map(|p| num(p.1, 2)));
        body += &line("published, with", published.map(|p| num(p.0, 2)));
        for row in &table.rows {
            let cells = SIMILARITY.map(|name| match find(row, name).and_then(|c| c.mean) {
                Some(i) => format!(
                    "{} <small>[{}, {}]</small>",
                    num(i.estimate, 2),
                    num(i.low, 2),
                    num(i.high, 2)
                ),
                None => "–".to_owned(),
            });
            body += &line(&format!("ours, {}", row.arm), cells);
        }
    }
    format!(
        "<section><h2>The paper’s table, and ours</h2><div class=\"card scroll\"><table><thead><tr>\
         <th>Route</th><td>Fréchet, m</td><td>DTW, m</td><td>Area, m²</td><td>Curve length</td></tr>\
         </thead><tbody>{body}</tbody></table></div><p class=\"note\">Published: Town04, a ResNet-50, \
         other routes and points: their magnitudes cannot be compared with ours, only the change \
         from without to with. None of the published differences is significant at 5 % (Welch, from \
         the published means and deviations). Ours: resampled every 0.5 m against the expert’s path; \
         95 % intervals.</p></section>\n"
    )
}

/// Every group: its measures, and the changes as intervals.
pub(super) fn sections(found: &Found<'_>) -> String {
    let mut html = String::new();
    for table in found.tables.iter().filter(|t| !t.is_cell) {
        html += &section(table);
        let of = |t: &&GroupTable| t.suite == table.suite && t.is_cell;
        let cells: Vec<&GroupTable> = found.tables.iter().filter(of).collect();
        // A suite of one group has no table for it beside that of all.
        let groups = |t: &GroupTable| t.suite == table.suite && !t.is_cell && t.name != "all";
        let grouped = found.tables.iter().any(groups);
        let mine = |t: &&&GroupTable| match table.name.as_str() {
            "all" => !grouped,
            group => t.name.strip_prefix(group).is_some_and(|rest| rest.starts_with(' ')),
        };
        let own: Vec<&GroupTable> = cells.iter().filter(mine).copied().collect();
        html += &plots_of_cells(&own);
    }
    html
}

fn section(table: &GroupTable) -> String {
    let arms: String = table
        .rows
        .iter()
        .map(|r| {
            let crashed =
                if r.crashed > 0 { format!(", {} crashed", r.crashed) } else { String::new() };
            format!("<td>{}<br><small>{} drives{crashed}</small></td>", escape(&r.arm), r.drives)
        })
        .collect();
    let mut body = String::new();
    for m in METRICS {
        let cells: String = table.rows.iter().map(|row| cell(m, find(row, m.name))).collect();
        let unit =
            if m.unit.is_empty() { String::new() } else { format!("<small>{}</small>", m.unit) };
        body += &format!("<tr><th>{}{unit}</th>{cells}</tr>", escape(m.title));
    }
    type Pooled = fn(&Row) -> Option<f64>;
    let pooled: [(&str, &str, usize, f64, Pooled); 5] = [
        ("Collisions per km", "1/km", 3, 1.0, |r| r.collisions_per_km),
        ("Frames corrected", "%", 1, 100.0, |r| r.activation_rate),
        ("Harm rate: corrected away from the expert", "%", 1, 100.0, |r| r.harm_rate),
        ("Benefit rate: corrected towards the expert", "%", 1, 100.0, |r| r.benefit_rate),
        ("Mean gain of a corrected frame", "steer × 1000", 2, 1000.0, |r| r.mean_gain),
    ];
    for (title, unit, decimals, factor, of) in pooled {
        let cells: String = table
            .rows
            .iter()
            .map(|r| format!("<td>{}</td>", opt(of(r).map(|v| factor * v), decimals)))
            .collect();
        body += &format!("<tr><th>{title}<small>{unit}</small></th>{cells}</tr>");
    }
    format!(
        "<section><h2>{}: {}</h2>{}<div class=\"card scroll\"><table><thead><tr><th></th>{arms}</tr>\
         </thead><tbody>{body}</tbody></table></div><p class=\"note\">Mean; below it the change \
         against off on the same pairs with its 95 % interval, where the interval excludes zero: \
         green is better, red is worse.</p></section>\n",
        escape(&table.suite),
        escape(&table.name),
        plots(table)
    )
}

fn cell(metric: &Metric, comparison: Option<&Comparison>) -> String {
    let mean = comparison.and_then(|c| c.mean);
    let Some(mean) = mean else { return "<td>–</td>".to_owned() };
    let n = metric.decimals;
    let effect = comparison.and_then(|c| c.effect.as_ref());
    let (colour, below) = match effect {
        Some(e) if e.verdict != Verdict::Unclear => {
            let colour = match e.verdict {
                Verdict::Better => "var(--good)",
                Verdict::Worse => "var(--bad)",
                Verdict::Different | Verdict::Unclear => "var(--soft)",
            };
            let text = size(e, metric);
            (colour, format!("<br><small style=\"color:{colour}\">{text}</small>"))
        }
        _ => ("inherit", String::new()),
    };
    format!("<td style=\"color:{colour}\">{}{below}</td>", num(mean.estimate, n))
}

/// Changes of every arm against off, a plot a measure.
fn plots(table: &GroupTable) -> String {
    let plots: String = DRAWN
        .iter()
        .filter_map(|name| {
            let metric = metric(name)?;
            let rows: Vec<(&str, Interval)> = table
                .rows
                .iter()
                .filter(|r| r.arm != "expert")
                .filter_map(|r| Some((r.arm.as_str(), scaled(find(r, name)?)?)))
                .collect();
            plot(metric, &rows)
        })
        .collect();
    if plots.is_empty() { plots } else { format!("<div class=\"pair\">{plots}</div>") }
}

/// Changes of the calibrated arm in every cell of a group.
fn plots_of_cells(cells: &[&GroupTable]) -> String {
    let plots: String = ["cross_track_mean", "failed"]
        .iter()
        .filter_map(|name| {
            let metric = metric(name)?;
            let rows: Vec<(&str, Interval)> = cells
                .iter()
                .filter_map(|t| {
                    let row = t.rows.iter().find(|r| r.arm == "calibrated")?;
                    Some((t.name.as_str(), scaled(find(row, name)?)?))
                })
                .collect();
            plot(metric, &rows)
        })
        .collect();
    match plots.is_empty() {
        true => plots,
        false => format!(
            "<p class=\"note\">The calibrated arm against off in every cell:</p>\
             <div class=\"pair\">{plots}</div>"
        ),
    }
}

fn plot(metric: &Metric, rows: &[(&str, Interval)]) -> Option<String> {
    let better = match metric.better {
        Better::Lower => "left is better",
        Better::Higher => "right is better",
        Better::Neither => "",
    };
    (!rows.is_empty()).then(|| {
        let svg = interval_plot(metric.title, &format!("change against off, % ({better})"), rows);
        format!("<div class=\"card\">{svg}</div>")
    })
}

/// The change in per cent.
fn scaled(comparison: &Comparison) -> Option<Interval> {
    let c = comparison.effect.as_ref()?.change.as_ref()?;
    Some(Interval { estimate: 100.0 * c.estimate, low: 100.0 * c.low, high: 100.0 * c.high, ..*c })
}
