//! Intervals one below the other, with the line at zero that a gain must not touch.

use super::canvas::{Canvas, Plane, WIDTH, decimals, escape, number, range};
use crate::stats::Interval;

const ROW: f64 = 26.0;
/// Letters of a name that fit beside the plane.
const NAME: usize = 28;

/// Estimates with their intervals. An interval that excludes zero is drawn in colour, others grey.
///
/// * `unit` – name of the quantity with its unit, for the axis
/// * `rows` – name and interval, from above
pub fn interval_plot(title: &str, unit: &str, rows: &[(&str, Interval)]) -> String {
    let mut canvas = Canvas::new(title);
    let ends = rows.iter().flat_map(|(_, i)| [i.low, i.estimate, i.high]);
    let x = range(ends, &[0.0]);
    let plane = Plane {
        left: 190.0,
        top: canvas.bottom + 4.0,
        width: WIDTH - 380.0,
        height: ROW * rows.len().max(1) as f64,
        x,
        y: (0.0, 1.0),
    };
    canvas.push(&plane.x_axis(unit));
    let digits = decimals((x.1 - x.0) / 100.0).min(4);
    for (k, (name, interval)) in rows.iter().enumerate() {
        let middle = plane.top + ROW * (k as f64 + 0.5);
        canvas.push(&row(&plane, middle, name, interval, digits));
    }
    canvas.bottom = plane.top + plane.height + 48.0;
    canvas.finish()
}

fn row(plane: &Plane, y: f64, name: &str, interval: &Interval, digits: usize) -> String {
    let Interval { estimate, low, high, .. } = *interval;
    let mut short: String = name.chars().take(NAME).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    let (text_x, text_y, short) = (plane.left - 10.0, y + 4.0, escape(&short));
    let label = format!(
        "<text class=\"cvn\" x=\"{text_x:.1}\" y=\"{text_y:.1}\" text-anchor=\"end\">{short}</text>"
    );
    if ![estimate, low, high].iter().all(|v| v.is_finite()) {
        return label;
    }
    let at = |v: f64| plane.left + plane.px(v);
    let (from, to, dot) = (at(low), at(high), at(estimate));
    let k = if interval.excludes_zero() { 0 } else { 5 };
    let [e, l, h] = [estimate, low, high].map(|v| number(v, digits));
    let value_x = plane.left + plane.width + 10.0;
    format!(
        "{label}<path class=\"cvc k{k}\" d=\"M{from:.1} {y:.1}H{to:.1}\"/>\
         <circle class=\"f{k}\" cx=\"{dot:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>\
         <text x=\"{value_x:.1}\" y=\"{text_y:.1}\">{e} [{l}, {h}]</text>"
    )
}
