//! `report.html` of `eval frames`: one file without any reference to the outside.

use caril_eval::confidence::SteerErrors;
use serde_json::Value;

use super::figure::{opt_cell, percent, summary_sections};
use super::measure::Figures;
use super::row::{CONTROLLER, PLAIN, Row, SIGNAL_NAMES};
use super::worst::{Pictures, Worst, row};
use super::{Found, Measured, Role, best};
use crate::report::html::{escape, num, picture_uri, signed};
use crate::report::style;

/// The whole page.
pub fn page(found: &Found, json: &Value, (worst, pictures): &(Vec<Worst>, Pictures)) -> String {
    let names: Vec<String> = found.policies.iter().map(|p| escape(&p.name)).collect();
    let title = format!("Frames: {}", names.join(", "));
    let json = serde_json::to_string(json).unwrap_or_default();
    [
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
             <style>{}{}</style></head><body><main class=\"eval\">\n",
            style::CSS,
            include_str!("page.css")
        ),
        header(found, &title),
        verdict(found),
        overview(found),
        shifts(found),
        found.summaries().map(|m| summary_sections(found, m)).collect(),
        moments(found, worst, pictures),
        format!(
            "<details class=\"card\"><summary>All figures (the object of <code>eval frames \
             --json</code>)</summary><pre>{}</pre></details>\n\
             <footer>caril {}</footer></main></body></html>\n",
            escape(&json),
            env!("CARGO_PKG_VERSION")
        ),
    ]
    .concat()
}

fn header(found: &Found, title: &str) -> String {
    let frames = |role: Role| -> usize {
        let of_role = found.sources.iter().filter(|s| s.role == role);
        of_role.map(|s| s.rows.first().map_or(0, Vec::len)).sum()
    };
    let (clean, shifted) = (frames(Role::Clean), frames(Role::Shifted));
    let shifted =
        if shifted > 0 { format!("<span><b>{shifted}</b> shifted</span>") } else { String::new() };
    let policy = |p: &super::Policy| {
        format!(
            "<span>policy <b>{}</b> ({}, steer scale {})</span>",
            escape(&p.name),
            escape(&p.card.architecture),
            num(p.card.steer_scale.into(), 2)
        )
    };
    let policies: String = found.policies.iter().map(policy).collect();
    let command = std::env::args().skip(1).fold("caril".to_owned(), |all, a| all + " " + &a);
    format!(
        "<header><h1>{title}</h1><p class=\"facts\">{policies}<span><b>{clean}</b> frames</span>\
         {shifted}</p></header>\n\
         <details class=\"command\"><summary>Command</summary><pre>{}</pre></details>\n",
        escape(&command)
    )
}

/// One sentence on every pack, on the clean frames.
fn verdict(found: &Found) -> String {
    let of = |m: &Measured| {
        let f = &m.figures;
        let ece = f.calibration.after.ece;
        let auroc = f.failure.signals.get(CONTROLLER).and_then(|s| s.auroc);
        let grade = match (ece, auroc.unwrap_or(1.0)) {
            (..=0.03, 0.85..) => "good",
            (..=0.08, 0.7..) => "fair",
            _ => "bad",
        };
        format!(
            "<p class=\"verdict {grade}\"><b>{}</b> on {}: the class is right in {} of {} frames \
             ({} within one class); confidence and accuracy are {} apart (ECE; {} before the \
             temperature). {}</p>\n",
            escape(found.policy(m.policy)),
            escape(found.set(m.set)),
            percent(f.classes.accuracy),
            f.frames,
            percent(f.classes.accuracy_within_one),
            num(ece, 3),
            num(f.calibration.before.ece, 3),
            detection(f),
        )
    };
    found.summaries().map(of).collect()
}

fn detection(f: &Figures) -> String {
    let bound = num(f.failure.wrong_above.into(), 2);
    let share = percent(f.failure.share);
    let Some(name) = best(f) else {
        return format!("{share} of the frames are more than {bound} from the expert.");
    };
    let auroc = |i: usize| {
        f.failure.signals.get(i).and_then(|s| s.auroc).map_or("–".to_owned(), |v| num(v, 3))
    };
    let top = f.failure.signals.iter().filter_map(|s| s.auroc).fold(0.0, f64::max);
    format!(
        "{share} of the frames are more than {bound} from the expert; <b>{name}</b> finds them \
         best (AUROC {}; the controller’s ±1 mass {}, the plain probability {}).",
        num(top, 3),
        auroc(CONTROLLER),
        auroc(PLAIN),
    )
}

/// Pack, data and then some cells, for every pack on every data set.
fn lines(found: &Found, cells: impl Fn(&Figures) -> String) -> String {
    let line = |m: &Measured| {
        let role = found.sets.get(m.set).map_or("", |s| match s.role {
            Role::Clean => "",
            Role::Shifted => "<small>shifted</small>",
        });
        format!(
            "<tr><th>{}</th><th>{}{role}</th>{}</tr>",
            escape(found.policy(m.policy)),
            escape(found.set(m.set)),
            cells(&m.figures)
        )
    };
    found.measured.iter().map(line).collect()
}

fn overview(found: &Found) -> String {
    let right = lines(found, |f| {
        let steer =
            |name: &str, value: fn(&SteerErrors) -> f64| opt_cell(f.steer.get(name).map(value), 4);
        [
            format!(
                "<td>{}</td><td>{}</td><td>{}</td>",
                f.frames,
                percent(f.classes.accuracy),
                percent(f.classes.accuracy_within_one),
            ),
            steer("all", |e| e.mae),
            steer("all", |e| e.rmse),
            steer("straight", |e| e.mae),
            steer("turn", |e| e.mae),
            format!("<td>{}</td>", percent(f.failure.share)),
        ]
        .concat()
    });
    let sure = lines(found, |f| {
        let (before, after) = (&f.calibration.before, &f.calibration.after);
        let arrow = |a: f64, b: f64| format!("<td>{} → {}</td>", num(a, 3), num(b, 3));
        let interval = f.groups.get("all").and_then(|g| g.conformal);
        [
            arrow(before.ece, after.ece),
            arrow(before.ace, after.ace),
            arrow(before.brier, after.brier),
            arrow(before.nll, after.nll),
            format!("<td>{}</td>", interval.map_or("–".to_owned(), |c| percent(c.coverage))),
            opt_cell(interval.map(|c| c.mean_width), 4),
        ]
        .concat()
    });
    format!(
        "<section><h2>Is it right?</h2><div class=\"card\"><table><thead><tr><th>pack</th>\
         <th>data</th><td>frames</td><td>class</td><td>±1 class</td><td>MAE</td><td>RMSE</td>\
         <td>MAE straight</td><td>MAE turn</td><td>wrong</td></tr></thead><tbody>{right}</tbody>\
         </table><p class=\"note\">Steers on the pack’s normalised scale; straight and turn by the \
         expert’s steer. A frame is wrong where |regression − expert| is above {}.</p></div>\
         </section>\n<section><h2>Can its probabilities be believed?</h2><div class=\"card\">\
         <table><thead><tr><th>pack</th><th>data</th><td>ECE</td><td>ACE</td><td>Brier</td>\
         <td>NLL</td><td>covered</td><td>width</td></tr></thead><tbody>{sure}</tbody></table>\
         <p class=\"note\">Before → after the card’s temperature. Covered: share of frames inside \
         the card’s conformal interval, and its mean width.</p></div></section>\n",
        num(found.measured.first().map_or(0.0, |m| m.figures.failure.wrong_above.into()), 2)
    )
}

/// Telling shifted from clean frames, by every signal.
fn shifts(found: &Found) -> String {
    if found.shifts.is_empty() {
        return String::new();
    }
    let head = |s: &super::Shift| {
        format!("<td>{}<br>{}</td>", escape(found.policy(s.policy)), escape(found.set(s.set)))
    };
    let heads: String = found.shifts.iter().map(head).collect();
    let line = |(i, (name, says)): (usize, &(&str, &str))| {
        let cell = |s: &super::Shift| {
            let most = s.auroc.iter().copied().fold(0.0, f64::max);
            let v = s.auroc.get(i).copied().unwrap_or(f64::NAN);
            let class = if v == most { " class=\"best\"" } else { "" };
            format!("<td{class}>{}</td>", num(v, 3))
        };
        let own = if i == CONTROLLER { " class=\"own\"" } else { "" };
        let cells: String = found.shifts.iter().map(cell).collect();
        format!("<tr{own}><th>{name}<small>{says}</small></th>{cells}</tr>")
    };
    let rows: String = SIGNAL_NAMES.iter().enumerate().map(line).collect();
    format!(
        "<section><h2>Does it notice that the world has changed?</h2><div class=\"card\"><table>\
         <thead><tr><th>signal</th>{heads}</tr></thead><tbody>{rows}</tbody></table>\
         <p class=\"note\">AUROC of telling a frame of the shifted data from a clean one by one \
         signal alone; 0.5 is chance.</p></div></section>\n"
    )
}

fn moments(found: &Found, worst: &[Worst], pictures: &Pictures) -> String {
    let card = |w: &Worst| {
        let Some(r) = row(found, w) else { return String::new() };
        let picture = pictures
            .get(&(w.source, r.mark.index))
            .and_then(|jpeg| picture_uri(jpeg))
            .map_or("<div class=\"noimg\">no picture</div>".to_owned(), |uri| {
                format!("<img src=\"{uri}\" alt=\"Frame {}\">", r.mark.frame_id)
            });
        format!(
            "<article class=\"card\"><h3>{} s <small>frame {}, {}</small><span class=\"conf\">\
             error {}</span></h3><div class=\"see\">{picture}<div>{}{}</div></div></article>",
            num(r.mark.sim_time_ns as f64 * 1e-9, 1),
            r.mark.frame_id,
            escape(found.set(w.source)),
            num(r.error().into(), 3),
            bars(r),
            values(r),
        )
    };
    let of_policy = |(i, p): (usize, &super::Policy)| {
        let cards: String = worst.iter().filter(|w| w.policy == i).map(card).collect();
        format!(
            "<section><h2>Furthest from the expert: {}</h2><div class=\"moments\">{cards}</div>\
             </section>\n",
            escape(&p.name)
        )
    };
    found.policies.iter().enumerate().map(of_policy).collect()
}

/// Calibrated class probabilities; the expert's class is marked.
fn bars(r: &Row) -> String {
    let bar = |(k, p): (usize, &f32)| {
        let class = if k == r.label { " class=\"ex\"" } else { "" };
        format!("<div{class}><i style=\"height:{:.1}%\"></i></div>", p.clamp(0.0, 1.0) * 100.0)
    };
    let bars: String = r.calibrated.probs().iter().enumerate().map(bar).collect();
    format!(
        "<div class=\"bars\">{bars}</div><div class=\"under\"><span>◂ left</span>\
         <span class=\"ex\">expert’s class</span><span>right ▸</span></div>"
    )
}

fn values(r: &Row) -> String {
    let signal = |i: usize| num(r.signals.get(i).copied().unwrap_or(f64::NAN), 3);
    let line = |name: &str, value: String| format!("<span>{name}</span><b>{value}</b>");
    format!(
        "<div class=\"kv\">{}{}{}{}{}{}</div>",
        line("expert", signed(r.expert.into())),
        line("regression", signed(r.plain.regression().into())),
        line("calibrated correction", signed(r.corrected[0].into())),
        line("plain probability", signal(PLAIN)),
        line("±1 mass", signal(CONTROLLER)),
        line("speed, m/s", num(r.speed_mps.into(), 1)),
    )
}
