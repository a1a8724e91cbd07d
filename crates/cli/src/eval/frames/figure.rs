//! The report's figures of one pack on one data set: signals, curves, confusion, groups.

use caril_eval::confidence::RiskCoverage;
use caril_eval::driving::Counterfactual;
use caril_eval::report::{reliability_diagram, risk_coverage_plot};

use super::measure::{Figures, GroupFigures, SignalFigures};
use super::row::{CONTROLLER, SIGNAL_NAMES};
use super::{Found, Measured};
use crate::report::html::{escape, num, opt};

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    format!("{} %", num(100.0 * share, 1))
}

/// A table's cell of a number that may be missing.
pub fn opt_cell(value: Option<f64>, decimals: usize) -> String {
    format!("<td>{}</td>", opt(value, decimals))
}

/// Signals, reliability, risk–coverage, confusion and groups.
pub fn summary_sections(found: &Found, m: &Measured) -> String {
    let f = &m.figures;
    let title = format!("{} on {}", escape(found.policy(m.policy)), escape(found.set(m.set)));
    let temperature = num(f.calibration.temperature.into(), 2);
    let after = format!("T = {temperature}");
    let reliability = reliability_diagram(
        "Reliability of the highest probability",
        &[("T = 1", &f.calibration.before.bins), (&after, &f.calibration.after.bins)],
    );
    let curves: Vec<(&str, &[RiskCoverage])> =
        f.failure.signals.iter().map(|s| (s.name, s.curve.as_slice())).collect();
    let curves =
        risk_coverage_plot("Risk–coverage of every signal", "share of wrong frames", &curves);
    format!(
        "<section><h2>{title}</h2>{}<div class=\"pair\"><div class=\"card\">{reliability}</div>\
         <div class=\"card\">{curves}</div></div>{}{}</section>\n",
        signals(f),
        groups(f),
        confusion(f),
    )
}

/// Whether a greater value is better.
type Column = (&'static str, fn(&SignalFigures) -> Option<f64>, bool, usize);

const COLUMNS: [Column; 6] = [
    ("AUROC", |s| s.auroc, true, 3),
    ("AUPR", |s| s.aupr, true, 3),
    ("FPR95", |s| s.fpr95, false, 3),
    ("AURC", |s| Some(s.aurc), false, 5),
    ("AUGRC", |s| Some(s.augrc), false, 5),
    ("AUSE", |s| Some(s.ause), false, 5),
];

fn signals(f: &Figures) -> String {
    let best = COLUMNS.map(|(_, value, greater, _)| {
        let all = f.failure.signals.iter().filter_map(value);
        all.fold(None, |a: Option<f64>, v| {
            Some(a.map_or(v, |a| if greater { a.max(v) } else { a.min(v) }))
        })
    });
    let line = |(i, (s, (name, says))): (usize, (&SignalFigures, &(&str, &str)))| {
        let cells: String = COLUMNS
            .iter()
            .zip(best)
            .map(|((_, value, _, decimals), best)| {
                let v = value(s);
                let class = if v.is_some() && v == best { " class=\"best\"" } else { "" };
                format!("<td{class}>{}</td>", opt(v, *decimals))
            })
            .collect();
        let own = if i == CONTROLLER { " class=\"own\"" } else { "" };
        format!("<tr{own}><th>{name}<small>{says}</small></th>{cells}</tr>")
    };
    let rows: String = f.failure.signals.iter().zip(&SIGNAL_NAMES).enumerate().map(line).collect();
    let heads = COLUMNS.map(|(name, ..)| format!("<td>{name}</td>")).concat();
    format!(
        "<div class=\"card\"><h3>Which confidence finds the wrong frames?</h3><table><thead><tr>\
         <th>signal</th>{heads}</tr></thead><tbody>{rows}</tbody></table><p class=\"note\">{} of {} \
         frames are wrong ({}). AUPR by chance would be that share; FPR95: false alarms where 95 % \
         of them are found; AURC and AUGRC of the share wrong, AUSE of |regression − expert|: less \
         is better.</p></div>",
        f.failure.wrong,
        f.frames,
        percent(f.failure.share),
    )
}

fn groups(f: &Figures) -> String {
    const NAMES: [(&str, &str); 5] = [
        ("all", "all frames"),
        ("straight_slow", "straight, slow"),
        ("straight_fast", "straight, fast"),
        ("turn_slow", "turn, slow"),
        ("turn_fast", "turn, fast"),
    ];
    let correction = |c: &Counterfactual| {
        let share = |v: Option<f64>| v.map_or("–".to_owned(), percent);
        format!(
            "<td class=\"split\">{}</td><td>{}</td><td>{}</td><td>{}</td>",
            percent(c.activation_rate),
            share(c.benefit_rate),
            share(c.harm_rate),
            opt(c.mean_gain, 4)
        )
    };
    let line = |(key, name): (&str, &str)| {
        let Some(g) = f.groups.get(key) else { return String::new() };
        let GroupFigures { steer, wrong_share, conformal, calibrated, paper } = g;
        format!(
            "<tr><th>{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"split\">{}</td>{}{}{}</tr>",
            steer.count,
            num(steer.mae, 4),
            num(steer.rmse, 4),
            percent(*wrong_share),
            conformal.map_or("–".to_owned(), |c| percent(c.coverage)),
            opt_cell(conformal.map(|c| c.mean_width), 4),
            correction(calibrated),
            correction(paper),
        )
    };
    let rows = NAMES.map(line).concat();
    let of_mode = "<td class=\"split\">changed</td><td>nearer</td><td>further</td><td>gain</td>";
    format!(
        "<div class=\"card\" style=\"margin-top:14px\"><h3>By group, and what the correction does</h3>\
         <table><thead><tr><td colspan=\"5\"></td><td class=\"span split\" colspan=\"2\">conformal</td>\
         <td class=\"span split\" colspan=\"4\">correction calibrated</td>\
         <td class=\"span split\" colspan=\"4\">correction paper</td></tr><tr><th>group</th>\
         <td>frames</td><td>MAE</td><td>RMSE</td><td>wrong</td><td class=\"split\">covered</td>\
         <td>width</td>{of_mode}{of_mode}</tr></thead><tbody>{rows}</tbody></table>\
         <p class=\"note\">Groups by what is known while driving: the regression’s steer and the \
         speed. Changed: share of frames whose steer the correction moved; of those, the shares \
         that came nearer to the expert and further away, and by how much on average (positive \
         helps).</p></div>"
    )
}

fn confusion(f: &Figures) -> String {
    let line = |(l, row): (usize, &[u64; caril_core::BIN_COUNT])| {
        let total: u64 = row.iter().sum();
        let cell = |(p, n): (usize, &u64)| {
            let share = *n as f64 / total.max(1) as f64;
            let on = if share > 0.5 { " on" } else { "" };
            let diagonal = if l == p { " diag" } else { "" };
            let text = if *n == 0 { String::new() } else { n.to_string() };
            format!(
                "<td class=\"c{on}{diagonal}\"><u style=\"opacity:{share:.2}\"></u>\
                 <span>{text}</span></td>"
            )
        };
        let cells: String = row.iter().enumerate().map(cell).collect();
        format!("<tr><th>{}</th>{cells}</tr>", steer(l))
    };
    let rows: String = f.classes.confusion.iter().enumerate().map(line).collect();
    let heads: String =
        (0..caril_core::BIN_COUNT).map(|k| format!("<td>{}</td>", steer(k))).collect();
    format!(
        "<div class=\"card\"><h3>Confusion</h3><table class=\"heat\"><thead><tr>\
         <th>expert ↓ network →</th>{heads}</tr></thead><tbody>{rows}</tbody></table><p \
         class=\"note\">Classes by the steer in their middle; − is left. Shade: share of the \
         expert’s class. Balanced accuracy {}.</p></div>",
        percent(f.classes.balanced_accuracy)
    )
}

fn steer(class: usize) -> String {
    num(caril_core::bin_center(class).into(), 2)
}
