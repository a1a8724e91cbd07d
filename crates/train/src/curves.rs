//! The course of a training: `curves.csv`, and the same drawn as `curves.svg`.

use std::fmt::Write as _;

use crate::evaluate::Quality;

const HEADER: &str = "epoch,step,seconds,train_loss,held_out_loss,mae,mae_straight,\
                      mae_turn,accuracy,accuracy_within_one\n";

/// Header of the table.
pub fn header() -> String {
    HEADER.into()
}

/// Adds an epoch's line to the table.
pub fn add(csv: &mut String, epoch: u32, step: u64, seconds: f32, train_loss: f32, q: &Quality) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        csv,
        "{epoch},{step},{seconds:.1},{train_loss:.5},{:.5},{:.5},{:.5},{:.5},{:.4},{:.4}",
        q.loss, q.mae, q.mae_straight, q.mae_turn, q.accuracy, q.accuracy_within_one
    );
}

/// Column of the table, its name and its colour.
type Line = (usize, &'static str, &'static str);

/// Panels of the drawing.
const PANELS: [(&str, &[Line]); 3] = [
    ("loss", &[(3, "training", "#888888"), (4, "held out", "#0b62a4")]),
    (
        "steer MAE, normalised",
        &[(5, "all", "#0b62a4"), (6, "straight", "#4f9d69"), (7, "turns", "#c8553d")],
    ),
    ("class accuracy", &[(8, "exact", "#0b62a4"), (9, "± 1 class", "#4f9d69")]),
];
const PANEL: (f32, f32) = (300.0, 220.0);
const FRAME: (f32, f32, f32, f32) = (46.0, 28.0, 288.0, 190.0);

/// Draws a table of [`add`]'s lines.
pub fn svg(csv: &str) -> String {
    let rows: Vec<Vec<f32>> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|v| v.parse().unwrap_or(f32::NAN)).collect())
        .collect();
    let (width, height) = (PANEL.0 * PANELS.len() as f32, PANEL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (i, (title, columns)) in PANELS.iter().enumerate() {
        panel(&mut out, PANEL.0 * i as f32, title, columns, &rows);
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, x: f32, title: &str, columns: &[Line], rows: &[Vec<f32>]) {
    let (left, top, right, bottom) = FRAME;
    let value = |row: &Vec<f32>, c: usize| row.get(c).copied().filter(|v| v.is_finite());
    let all = || rows.iter().flat_map(|r| columns.iter().filter_map(move |(c, ..)| value(r, *c)));
    let (mut low, mut high) = (all().fold(f32::MAX, f32::min), all().fold(f32::MIN, f32::max));
    if low > high {
        (low, high) = (0.0, 1.0);
    }
    let margin = (0.05 * (high - low)).max(1e-4);
    (low, high) = ((low - margin).max(0.0), high + margin);
    let last = rows.last().and_then(|r| value(r, 0)).unwrap_or(1.0).max(2.0);
    let at = |epoch: f32, v: f32| {
        let px = x + left + (epoch - 1.0) / (last - 1.0) * (right - left);
        (px, bottom - (v - low) / (high - low) * (bottom - top))
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<text x=\"{}\" y=\"14\" font-weight=\"bold\">{title}</text>", x + left);
    for k in 0..=4 {
        let v = low + (high - low) * k as f32 / 4.0;
        let y = at(1.0, v).1;
        let _ = writeln!(
            out,
            "<path d=\"M{} {y:.1}H{}\" stroke=\"#dddddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{v:.3}</text>",
            x + left,
            x + right,
            x + left - 4.0,
            y + 3.0
        );
    }
    for epoch in [1.0, last] {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{epoch}</text>",
            at(epoch, low).0,
            bottom + 13.0
        );
    }
    let middle = x + 0.5 * (left + right);
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">epoch</text>",
        bottom + 25.0
    );
    for (k, (column, name, color)) in columns.iter().enumerate() {
        let points: Vec<(f32, f32)> =
            rows.iter().filter_map(|r| Some(at(value(r, 0)?, value(r, *column)?))).collect();
        let mut line = String::new();
        for (px, py) in &points {
            let _ = write!(line, "{px:.1},{py:.1} ");
        }
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>",
            line.trim_end()
        );
        if let [(px, py)] = points[..] {
            let _ =
                writeln!(out, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2.5\" fill=\"{color}\"/>");
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\" text-anchor=\"end\">{name}</text>",
            x + right - 4.0,
            top + 12.0 * (k + 1) as f32
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_an_epoch_and_finite_places_in_the_drawing() {
        let mut csv = header();
        for svg in [svg(&csv), svg("")] {
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
        let q = Quality { loss: 0.5, mae: 0.1, accuracy: 0.7, ..Quality::default() };
        add(&mut csv, 1, 10, 1.0, f32::NAN, &q);
        assert!(svg(&csv).contains("<circle"));
        add(&mut csv, 2, 20, 2.0, 0.4, &Quality { loss: 0.3, ..q });
        let drawn = svg(&csv);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert_eq!(drawn.matches("<polyline").count(), 7);
    }
}
