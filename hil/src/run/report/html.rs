//! The report: one page without outside assets, light and dark, on a phone and on a wall.

use std::fmt::Write as _;

use super::{escaped, maybe, number, outcome};
use crate::run::Results;

const CSS: &str = include_str!("report.css");
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 26.0;

/// The page.
pub fn page(r: &Results) -> String {
    let f = &r.figures;
    let verdict = if r.passed { "passed" } else { "not passed" };
    let class = if r.passed { "good" } else { "bad" };
    let mut body = format!(
        "<header><p class=\"verdict {class}\">{verdict}</p><h1>{} in {}</h1><p>{} frames at {} Hz in {} s, {:.0} m driven. From frame to command half of them took less than <b>{} ms</b>, 99 % less than <b>{} ms</b>. Class of the plant's thread: {}.</p></header>",
        escaped(&r.target),
        escaped(&r.map),
        f.frames,
        number(f.rate_hz),
        number(f.seconds),
        f.driven_m,
        number(f.age_ms.p50),
        number(f.age_ms.p99),
        escaped(&r.plant_class),
    );
    for wrong in &r.wrong {
        let _ = write!(body, "<p class=\"bad box\">{}</p>", escaped(wrong));
    }
    body.push_str("<section><h2>Budgets</h2><table><tr><th></th><th>figure</th><th>measured</th><th>allowed</th></tr>");
    for v in &r.verdicts {
        let (mark, class) = match (v.passed, v.limit, v.got) {
            (false, ..) => ("✗", "bad"),
            (true, Some(_), Some(_)) => ("✓", "good"),
            _ => ("·", ""),
        };
        let limit = v
            .limit
            .map_or_else(|| "–".to_owned(), |l| format!("{} {} {}", v.sign, number(l), v.unit));
        let _ = write!(
            body,
            "<tr class=\"{class}\"><td>{mark}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{limit}</td></tr>",
            v.name,
            maybe(v.got, v.unit)
        );
    }
    body.push_str("</table></section>");
    let limit_ms = r.verdicts.iter().find(|v| v.name == "age p99").and_then(|v| v.limit);
    body.push_str("<section><h2>From frame to command</h2>");
    body.push_str(&ages(&r.age_histogram, limit_ms));
    body.push_str("<p>Milliseconds on a logarithmic scale, heights by the root of the count, so that a single late answer is seen.</p></section>");
    if r.samples.len() > 2 {
        body.push_str("<section><h2>Memory of the controller</h2>");
        let points: Vec<_> = r.samples.iter().map(|s| (s.time_s, s.memory_mib)).collect();
        body.push_str(&curve(&points, "MiB"));
        body.push_str("<h2>Its share of one core</h2>");
        let shares: Vec<_> = r
            .samples
            .windows(2)
            .filter(|w| w[1].time_s > w[0].time_s)
            .map(|w| {
                let share = (w[1].cpu_s - w[0].cpu_s) / (w[1].time_s - w[0].time_s);
                (w[1].time_s, 100.0 * share)
            })
            .collect();
        body.push_str(&curve(&shares, "%"));
        body.push_str("</section>");
    }
    if let Some(act) = f.last_act {
        let _ = write!(
            body,
            "<section><h2>The last act</h2><p>At {} m/s the controller was stopped (SIGSTOP). The plant braked by itself after <b>{}</b> and stood {} and <b>{}</b> later, {} from its lane's centre at most.</p></section>",
            number(act.from_mps),
            maybe(act.brake_after_s, "s"),
            maybe(act.stood_after_s, "s"),
            maybe(act.distance_m, "m"),
            maybe(Some(act.deviation_max_m), "m"),
        );
    }
    if !r.incidents.is_empty() {
        body.push_str("<section><h2>What was broken</h2><ol>");
        for i in &r.incidents {
            let class = if i.wrong.is_empty() { "good" } else { "bad" };
            let _ = write!(
                body,
                "<li class=\"{class}\"><b>{}</b> at {} s for {} s, from {} m/s: {}",
                i.name,
                number(i.at_s),
                number(i.lasts_s),
                number(i.from_mps),
                escaped(&outcome(i))
            );
            for line in i.notes.iter().chain(&i.wrong) {
                let _ = write!(body, "<br><small>{}</small>", escaped(line));
            }
            body.push_str("</li>");
        }
        body.push_str("</ol></section>");
    }
    let _ = write!(
        body,
        "<footer><p>Frames sent {}, commands {}, dropped {}, malformed {}, stale {}, refused {}, strangers {}, sessions {}. Lane edges crossed {}, collisions {}, off the road {} m.</p>",
        r.link.frames,
        r.link.commands,
        r.link.dropped,
        r.link.malformed,
        r.link.stale,
        r.link.refused,
        r.link.strangers,
        r.link.sessions,
        f.lane_invasions,
        f.collisions,
        number(f.off_road_m)
    );
    for hash in &r.step_hashes {
        let _ = write!(body, "<p>step hash <code>{}</code></p>", escaped(hash));
    }
    let _ = write!(body, "<p><code>{}</code></p></footer>", escaped(&r.command_line.join(" ")));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>caril-hil: {verdict}</title><style>{CSS}</style></head><body>{body}</body></html>\n"
    )
}

fn axis_text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn frame(what: &str, label: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">{what}</svg>"
    )
}

/// The histogram of ages.
fn ages(histogram: &[(f64, u64)], limit_ms: Option<f64>) -> String {
    let used: Vec<usize> =
        histogram.iter().enumerate().filter(|(_, (_, n))| *n > 0).map(|(i, _)| i).collect();
    let (Some(first), Some(last)) = (used.first(), used.last()) else {
        return "<p>Nothing was answered.</p>".to_owned();
    };
    // Up to the limit at least, so that it is seen how far away that is.
    let until = histogram
        .iter()
        .position(|(bound, _)| limit_ms.is_none_or(|l| *bound >= l))
        .unwrap_or(0)
        .max(*last);
    let first = first.saturating_sub(1);
    let shown = &histogram[first..=until.min(histogram.len() - 1)];
    let most = shown.iter().map(|(_, n)| *n).max().unwrap_or(1) as f64;
    let step = (WIDTH - LEFT) / shown.len() as f64;
    let mut out = String::new();
    for (i, (bound, count)) in shown.iter().enumerate() {
        let x = LEFT + i as f64 * step;
        let height = (*count as f64 / most).sqrt() * (HEIGHT - BOTTOM - 8.0);
        let class = if limit_ms.is_some_and(|l| *bound > l * 1.0001) { "over" } else { "bar" };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>up to {} ms: {count}</title></rect>",
            HEIGHT - BOTTOM - height,
            (step - 1.0).max(0.5),
            number(*bound)
        );
        if i % 5 == 0 {
            axis_text(&mut out, x + step, HEIGHT - 8.0, "middle", &number(*bound));
        }
    }
    if let Some(limit) = limit_ms
        && let Some(at) = shown.iter().position(|(bound, _)| *bound >= limit)
    {
        let x = LEFT + (at as f64 + 1.0) * step;
        let _ = write!(
            out,
            "<line class=\"limit\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{:.1}\"/>",
            HEIGHT - BOTTOM
        );
        axis_text(&mut out, x - 4.0, 14.0, "end", &format!("p99 ≤ {} ms", number(limit)));
    }
    axis_text(&mut out, LEFT - 6.0, 16.0, "end", &number(most));
    frame(&out, "histogram of ages in milliseconds")
}

/// A curve over time.
fn curve(points: &[(f64, f64)], unit: &str) -> String {
    let end_s = points.last().map_or(1.0, |p| p.0).max(1.0);
    let most = points.iter().map(|p| p.1).fold(0.0, f64::max).max(1e-9) * 1.1;
    let x = |s: f64| LEFT + s / end_s * (WIDTH - LEFT - 6.0);
    let y = |v: f64| HEIGHT - BOTTOM - v / most * (HEIGHT - BOTTOM - 8.0);
    // More points than pixels say nothing more.
    let every = (points.len() / 600).max(1);
    let line: Vec<String> =
        points.iter().step_by(every).map(|(s, v)| format!("{:.1},{:.1}", x(*s), y(*v))).collect();
    let mut out = format!("<polyline class=\"curve\" points=\"{}\"/>", line.join(" "));
    axis_text(&mut out, LEFT - 6.0, y(most / 1.1) + 4.0, "end", &number(most / 1.1));
    axis_text(&mut out, LEFT - 6.0, HEIGHT - BOTTOM, "end", "0");
    axis_text(&mut out, LEFT, 12.0, "start", unit);
    axis_text(&mut out, x(end_s), HEIGHT - 8.0, "end", &format!("{} s", number(end_s)));
    frame(&out, unit)
}
