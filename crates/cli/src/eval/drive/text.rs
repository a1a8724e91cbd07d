//! The tables as a terminal shows them.

use caril_eval::suite::{Comparison, Effect, GroupTable, METRICS, Metric, Row, Verdict};

/// Columns of measures; all are in the files.
const COLUMNS: [(&str, &str); 6] = [
    ("failed", "failed"),
    ("cross_track_mean", "cross-track m"),
    ("frechet", "Fréchet m"),
    ("completion", "route %"),
    ("score_v2_1", "score 2.1"),
    ("speed", "m/s"),
];
/// So many tables of single cells are shown; all are in the files.
const CELLS_SHOWN: usize = 8;

/// All tables that fit.
pub fn tables(tables: &[GroupTable]) -> String {
    let mut text = String::new();
    let cells = tables.iter().filter(|t| t.is_cell).count();
    for table in tables.iter().filter(|t| !t.is_cell || cells <= CELLS_SHOWN) {
        text += &format!("\n{}: {}\n", table.suite, table.name);
        text += &rows(table);
        if !table.is_cell {
            text += &effects(table);
        }
    }
    if cells > CELLS_SHOWN {
        text += &format!("\n{cells} cells: see results.csv\n");
    }
    text
}

fn rows(table: &GroupTable) -> String {
    let mut head = vec!["arm".to_owned(), "drives".to_owned()];
    head.extend(COLUMNS.iter().map(|(_, title)| (*title).to_owned()));
    head.extend(["col/km", "corrected", "harm", "benefit"].map(str::to_owned));
    let mut lines = vec![head];
    for row in &table.rows {
        let crashed =
            if row.crashed > 0 { format!("+{} crashed", row.crashed) } else { String::new() };
        let mut line = vec![row.arm.clone(), format!("{}{crashed}", row.drives)];
        line.extend(COLUMNS.iter().map(|(name, _)| mean(row, name)));
        let percent = |v: Option<f64>| v.map_or("–".into(), |v| format!("{:.1} %", 100.0 * v));
        line.push(row.collisions_per_km.map_or("–".into(), |v| format!("{v:.2}")));
        line.extend([row.activation_rate, row.harm_rate, row.benefit_rate].map(percent));
        lines.push(line);
    }
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len))
        .map(|c| lines.iter().filter_map(|l| l.get(c)).map(|t| t.chars().count()).max())
        .map(|w| w.unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        for (c, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count().min(*width));
            text += &if c == 0 { format!("  {cell}{gap}") } else { format!("  {gap}{cell}") };
        }
        text.push('\n');
    }
    text
}

fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|m| m.name == name)
}

fn find<'a>(row: &'a Row, name: &str) -> Option<&'a Comparison> {
    row.metrics.iter().find(|m| m.metric == name)
}

fn mean(row: &Row, name: &str) -> String {
    let decimals = metric(name).map_or(3, |m| m.decimals);
    match find(row, name).and_then(|c| c.mean) {
        Some(i) => format!("{:.decimals$}", i.estimate),
        None => "–".into(),
    }
}

/// What is better or worse than the baseline; what is neither is not said.
fn effects(table: &GroupTable) -> String {
    let mut text = String::new();
    for row in table.rows.iter().filter(|r| r.arm != "expert") {
        let said: Vec<String> = row.metrics.iter().filter_map(claim).collect();
        let pairs = row.metrics.iter().filter_map(|c| c.effect.as_ref()).map(|e| e.pairs).max();
        if let Some(pairs) = pairs {
            let said = match said.is_empty() {
                true => "no difference to off is established".to_owned(),
                false => said.join("\n      "),
            };
            text += &format!("  {} against off, {pairs} pairs:\n      {said}\n", row.arm);
        }
    }
    text
}

fn claim(c: &Comparison) -> Option<String> {
    let (effect, metric) = (c.effect.as_ref()?, metric(c.metric)?);
    let word = match effect.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Different | Verdict::Unclear => return None,
    };
    Some(format!("{word}: {} {}", metric.title, change(effect, metric)))
}

/// The change in per cent where that has a meaning, else in the measure's unit, with its interval.
pub fn change(effect: &Effect, metric: &Metric) -> String {
    let p = effect.sign.p_value;
    match &effect.change {
        Some(c) => format!(
            "{:+.1} % [{:+.1}, {:+.1}], sign test p {p:.2e}",
            100.0 * c.estimate,
            100.0 * c.low,
            100.0 * c.high
        ),
        None => {
            let (d, n) = (&effect.difference, metric.decimals);
            let unit = metric.unit;
            format!(
                "{:+.n$} {unit} [{:+.n$}, {:+.n$}], sign test p {p:.2e}",
                d.estimate, d.low, d.high
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caril_eval::stats::Bootstrap;
    use caril_eval::suite::{Arm, compare};

    #[test]
    fn gains_are_said_and_chance_is_not() {
        let arms: Vec<Arm> = ["off", "calibrated"].iter().map(|a| Arm::parse(a).unwrap()).collect();
        let b = Bootstrap { resamples: 200, ..Bootstrap::new(1) };
        let text = tables(&compare(&super::super::testing::results(8), &arms, &b));
        assert!(text.contains("made_up: all") && text.contains("calibrated against off, 16 pairs"));
        assert!(text.contains("better: Cross-track error, mean -50.0 %"), "{text}");
        assert!(!text.contains("better: Route completion") && !text.contains("worse"), "{text}");
    }
}
