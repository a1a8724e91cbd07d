//! The matrix for people, for docs and for programs.

use std::fmt::Write as _;

use caril_control::{Manoeuvre, rule};
use caril_core::{Fault, Mode};
use serde::Serialize;

use super::{Cell, Matrix, Outcome, Stop, column, has_lasting};

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Nominal => "nominal",
        Mode::Degraded => "degraded",
        Mode::SafeStop => "safe_stop",
    }
}

#[derive(Serialize)]
struct OutcomeJson {
    mode: &'static str,
    manoeuvre: Option<&'static str>,
    steering: &'static str,
    recovery: &'static str,
}

impl From<Outcome> for OutcomeJson {
    fn from(o: Outcome) -> Self {
        Self {
            mode: mode(o.mode),
            manoeuvre: o.manoeuvre.map(Manoeuvre::name),
            steering: o.steering.name(),
            recovery: o.recovery.name(),
        }
    }
}

#[derive(Serialize)]
struct CellJson {
    fault: &'static str,
    in_mode: &'static str,
    lasting: bool,
    expected: OutcomeJson,
    got: Option<OutcomeJson>,
    noticed_s: Option<f64>,
    stop: Option<Stop>,
    deviation_max_m: f64,
    wrong: Vec<String>,
}

/// One place's cells.
#[derive(Serialize)]
pub struct PlaceJson {
    at_s: f64,
    cells: Vec<CellJson>,
}

/// For programs.
pub fn json(matrix: &Matrix) -> PlaceJson {
    let cells = matrix.cells.iter().map(|c| CellJson {
        fault: c.question.fault.name(),
        in_mode: mode(c.question.mode),
        lasting: c.question.lasting,
        expected: c.expected.into(),
        got: c.got.map(Into::into),
        noticed_s: Some(c.noticed_s).filter(|s| s.is_finite()),
        stop: c.stop,
        deviation_max_m: c.deviation_max_m,
        wrong: c.wrong.clone(),
    });
    PlaceJson { at_s: matrix.at_s, cells: cells.collect() }
}

fn stop_text(stop: Stop) -> String {
    format!(
        "{:.1} m/s: {:.2} s, {:.1} m (stated {:.1})",
        stop.from_mps, stop.seconds, stop.metres, stop.stated_m
    )
}

/// For a terminal.
pub fn table(matrices: &[Matrix], map: &str) -> String {
    let mut text = String::new();
    for matrix in matrices {
        let _ = writeln!(text, "{map}, the fault comes {} s after the start", matrix.at_s);
        let _ = writeln!(
            text,
            "  {:<21} {:<18} {:<10} {:<12} {:<12} {:>8}  {:<40} {:>6}",
            "fault", "in mode", "mode", "manoeuvre", "recovery", "noticed", "stop from", "off m"
        );
        for cell in &matrix.cells {
            let (mode, manoeuvre, recovery) = cell.got.map_or(("-", "-", "-"), |g| {
                let manoeuvre = g.manoeuvre.map_or("none", Manoeuvre::name);
                (mode(g.mode), manoeuvre, g.recovery.name())
            });
            let _ = writeln!(
                text,
                "{} {:<21} {:<18} {mode:<10} {manoeuvre:<12} {recovery:<12} {:>6.2} s  {:<40} {:>6.2}",
                if cell.wrong.is_empty() { "✓" } else { "✗" },
                cell.question.fault.name(),
                column(cell.question),
                cell.noticed_s,
                cell.stop.map_or_else(String::new, stop_text),
                cell.deviation_max_m,
            );
            for wrong in &cell.wrong {
                let _ = writeln!(text, "    ✗ {wrong}");
            }
        }
    }
    text
}

/// For docs/safety.md: a row for each fault, from the worst of all places.
pub fn markdown(matrices: &[Matrix], map: &str) -> String {
    let places: Vec<String> = matrices.iter().map(|m| format!("{} s", m.at_s)).collect();
    let mut text = format!(
        "`{map}`, the fault comes {} after the start.\n\n\
         | fault | in nominal, degraded, safe_stop | lasting | noticed after | longest stop | from the cause | most off the centre |\n\
         |---|---|---|---|---|---|---|\n",
        places.join(", ")
    );
    for fault in Fault::ALL {
        let cells: Vec<&Cell> =
            matrices.iter().flat_map(|m| &m.cells).filter(|c| c.question.fault == fault).collect();
        let verdict = |lasting: bool| {
            let of: Vec<_> = cells.iter().filter(|c| c.question.lasting == lasting).collect();
            let good = of.iter().filter(|c| c.wrong.is_empty()).count();
            format!("{good} of {}", of.len())
        };
        let noticed = cells.iter().filter(|c| !c.question.lasting);
        let noticed_s = noticed.map(|c| c.noticed_s).fold(0.0, f64::max);
        let stop = cells.iter().filter_map(|c| c.stop).max_by(|a, b| a.metres.total_cmp(&b.metres));
        let off_m = cells.iter().map(|c| c.deviation_max_m).fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {noticed_s:.2} s | {} | {} | {off_m:.2} m |",
            fault.name(),
            verdict(false),
            if has_lasting(rule(fault).class) { verdict(true) } else { "–".to_owned() },
            stop.map_or_else(|| "–".to_owned(), stop_text),
            stop.map_or_else(|| "–".to_owned(), |s| format!("{:.1} m", s.from_cause_m)),
        );
    }
    text
}
