//! Shares one below the other, what is bad to the left of zero and what is good to the right.

use super::canvas::{Canvas, Plane, WIDTH, escape, number};

const ROW: f64 = 20.0;
/// Letters of a name that fit beside the plane.
const NAME: usize = 34;

/// One row of [`share_plot`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares<'a> {
    /// What the row is about.
    pub name: &'a str,
    /// Drawn to the left, [0, 1].
    pub worse: f64,
    /// Drawn to the right, [0, 1].
    pub better: f64,
    /// Written beside the row.
    pub note: &'a str,
}

/// Bars of two shares a row.
///
/// * `unit` – what the shares are of, for the axis in percent
pub fn share_plot(title: &str, unit: &str, rows: &[Shares<'_>]) -> String {
    let mut canvas = Canvas::new(title);
    canvas.legend(["better", "worse"].into_iter());
    let most = |of: fn(&Shares<'_>) -> f64| {
        let percent = rows.iter().map(|row| 100.0 * of(row));
        percent.filter(|v| v.is_finite()).fold(1.0, f64::max) * 1.06
    };
    let plane = Plane {
        left: 230.0,
        top: canvas.bottom + 4.0,
        width: WIDTH - 350.0,
        height: ROW * rows.len().max(1) as f64,
        x: (-most(|row| row.worse), most(|row| row.better)),
        y: (0.0, 1.0),
    };
    canvas.push(&plane.x_axis(unit));
    for (k, row) in rows.iter().enumerate() {
        let y = plane.top + ROW * k as f64;
        canvas.push(&bars(&plane, y, row));
    }
    canvas.bottom = plane.top + plane.height + 48.0;
    canvas.finish()
}

fn bars(plane: &Plane, y: f64, row: &Shares<'_>) -> String {
    let mut short: String = row.name.chars().take(NAME).collect();
    if short.len() < row.name.len() {
        short.push('…');
    }
    let (text_x, text_y) = (plane.left - 10.0, y + ROW / 2.0 + 4.0);
    let (short, note) = (escape(&short), escape(row.note));
    let note_x = plane.left + plane.width + 10.0;
    let mut svg = format!(
        "<text class=\"cvn\" x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"end\">{short}</text>\
         <text x=\"{note_x:.1}\" y=\"{text_y:.1}\">{note}</text>"
    );
    let zero = plane.left + plane.px(0.0);
    let (top, height) = (y + 3.0, ROW - 6.0);
    for (share, series) in [(row.better, 0), (-row.worse, 1)] {
        let percent = 100.0 * share;
        if !percent.is_finite() || percent == 0.0 {
            continue;
        }
        let end = plane.left + plane.px(percent);
        let (from, width) = (zero.min(end), (end - zero).abs());
        let text = number(percent.abs(), 1);
        svg.push_str(&format!(
            "<rect class=\"f{series}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"><title>{text} %</title></rect>"
        ));
    }
    svg
}
