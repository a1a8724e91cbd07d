//! The least confident moments: picture, class probabilities, steers, and what was decided.

use std::f64::consts::FRAC_PI_3;

use caril_core::{BIN_COUNT, PolicyCard, Regime, StepRecord, bin_center};

use super::ReportInput;
use super::chart::time_s;
use super::headline::nearer;
use super::html::{num, picture_uri, signed, sure};

pub(super) fn section(input: &ReportInput<'_>, moments: &[&StepRecord]) -> String {
    if moments.is_empty() {
        return String::new();
    }
    let cards = cards(input, moments, 1);
    format!("<section id=\"moments\"><h2>Least confident moments</h2>{cards}</section>\n")
}

/// The moments' cards, numbered from `first`.
pub(super) fn cards(input: &ReportInput<'_>, moments: &[&StepRecord], first: usize) -> String {
    let full = dial_range(moments);
    let cards: String =
        moments.iter().enumerate().map(|(i, s)| card(input, first + i, s, full)).collect();
    format!("<div class=\"moments\">{cards}</div>")
}

fn card(input: &ReportInput<'_>, number: usize, step: &StepRecord, full: f64) -> String {
    let picture = input
        .pictures
        .iter()
        .find(|(id, _)| *id == step.frame_id)
        .and_then(|(_, jpeg)| picture_uri(jpeg))
        .map_or_else(
            || "<div class=\"noimg\">no picture</div>".to_owned(),
            |uri| format!("<img src=\"{uri}\" alt=\"What the camera saw at moment {number}\">"),
        );
    format!(
        "<article class=\"card\" id=\"m{number}\"><h3><span class=\"pin\">{number}</span>\
         {} s <small>frame {}</small><span class=\"conf\">confidence {}</span></h3>\
         <div class=\"see\">{picture}<div>{}{}</div></div><p>{}</p></article>",
        num(time_s(step), 1),
        step.frame_id.0,
        num(step.correction.confidence.into(), 2),
        classes(step, input.card),
        dial(step, full),
        sentence(step),
    )
}

/// Bars of the class probabilities. The expert's class is marked, where it is known.
fn classes(step: &StepRecord, card: Option<&PolicyCard>) -> String {
    let expert =
        step.truth.zip(card).and_then(|(t, c)| caril_core::bin_of(t.expert_steer / c.steer_scale));
    // Of the look that counted.
    let probs = if step.second_look { &step.second_probs } else { &step.probs };
    let bars: String = probs
        .iter()
        .enumerate()
        .map(|(k, p)| {
            let height = if p.is_finite() { f64::from(p.clamp(0.0, 1.0)) * 100.0 } else { 0.0 };
            let class = if expert == Some(k) { " class=\"ex\"" } else { "" };
            format!(
                "<div{class} title=\"class {} of {BIN_COUNT}, steer {}: {}\">\
                 <i style=\"height:{height:.1}%\"></i></div>",
                k + 1,
                num(bin_center(k).into(), 2),
                num((*p).into(), 3),
            )
        })
        .collect();
    let note = if expert.is_some() { "<span class=\"ex\">expert’s class</span>" } else { "" };
    format!(
        "<div class=\"classes\"><div class=\"bars\">{bars}</div>\
         <div class=\"under\"><span>◂ left</span>{note}<span>right ▸</span></div></div>"
    )
}

/// Steer at the end of the dials: one range for all moments, so that they can be compared.
fn dial_range(moments: &[&StepRecord]) -> f64 {
    let largest = moments
        .iter()
        .flat_map(|s| [s.steer_raw, s.steer_corrected, s.truth.map_or(0.0, |t| t.expert_steer)])
        .filter(|v| v.is_finite())
        .fold(0.02_f32, |a, v| a.max(v.abs()));
    // A twentieth of a turn would be invisible on the scale of the full lock.
    f64::from((largest * 1.1).min(1.0))
}

fn dial(step: &StepRecord, full: f64) -> String {
    let needle = |steer: f64, class: &str, length: f64| {
        if !steer.is_finite() {
            return String::new();
        }
        let angle = (steer / full).clamp(-1.0, 1.0) * FRAC_PI_3;
        let (sin, cos) = angle.sin_cos();
        format!(
            "<path class=\"needle {class}\" d=\"M100 100L{:.1} {:.1}\"/>",
            100.0 + length * sin,
            100.0 - length * cos
        )
    };
    let expert = step.truth.map_or(f64::NAN, |t| f64::from(t.expert_steer));
    let (raw, corrected) = (f64::from(step.steer_raw), f64::from(step.steer_corrected));
    let ticks: String = [-1.0_f64, -0.5, 0.0, 0.5, 1.0]
        .into_iter()
        .map(|t| {
            let (sin, cos) = (t * FRAC_PI_3).sin_cos();
            format!(
                "<path class=\"tick\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
                100.0 + 86.0 * sin,
                100.0 - 86.0 * cos,
                100.0 + 92.0 * sin,
                100.0 - 92.0 * cos
            )
        })
        .collect();
    let value = |name: &str, class: &str, v: f64| {
        format!("<span><b class=\"{class}\"></b>{name} {}</span>", signed(v))
    };
    format!(
        "<div class=\"dial\"><svg viewBox=\"10 2 180 102\" role=\"img\" aria-label=\"steer\">\
         <path class=\"arc\" d=\"M20.3 54A92 92 0 0 1 179.7 54\"/>{ticks}{}{}{}\
         <circle class=\"hub\" cx=\"100\" cy=\"100\" r=\"4\"/></svg>\
         <div class=\"legend\">{}{}{}</div></div>",
        needle(expert, "c-expert", 84.0),
        needle(raw, "c-raw", 76.0),
        needle(corrected, "c-corr", 68.0),
        value("raw", "c-raw", raw),
        value("corrected", "c-corr", corrected),
        value("expert", "c-expert", expert),
    )
}

fn sentence(step: &StepRecord) -> String {
    let confidence = sure(step.correction.confidence);
    let mut text = match step.correction.regime {
        Regime::Kept => format!("With a confidence of {confidence} the network’s steer was kept."),
        Regime::PaperBinMean => format!(
            "The class head was sure ({confidence}) of another class than the regression’s, so \
             the steer was taken from inside that class."
        ),
        Regime::PaperUnsureKept => format!(
            "The class head knew nothing (highest class {confidence}, entropy {} nats), so the \
             regression was kept.",
            num(step.entropy_nats.into(), 2)
        ),
        Regime::PaperNoise => format!(
            "The class head was neither sure nor lost ({confidence}), so noise was averaged onto \
             the regression."
        ),
        Regime::Fused => format!(
            "Only {confidence} of the mass lay on the likeliest class and its neighbours, so a \
             steer made of both heads’ was taken, as the correction did then."
        ),
        Regime::SecondLook => format!(
            "The picture is dark; what the network said of it brightened, its colours balanced \
             ({confidence}), was taken."
        ),
        Regime::Slowed => format!(
            "With a confidence of {confidence} there was doubt: the network’s steer was kept and the \
             speed capped."
        ),
        Regime::NoPrediction => {
            "There was no usable prediction: the last steer was held.".to_owned()
        }
    };
    let change = f64::from(step.steer_corrected) - f64::from(step.steer_raw);
    if change.is_finite() && change.abs() >= 0.0005 {
        let side = if change > 0.0 { "right" } else { "left" };
        text.push_str(&format!(" That moved the steer by {} to the {side}", num(change.abs(), 3)));
        text.push_str(&against_expert(step));
        text.push('.');
    } else if let Some(t) = step.truth.filter(|t| t.expert_steer.is_finite()) {
        let error = (f64::from(step.steer_corrected) - f64::from(t.expert_steer)).abs();
        text.push_str(&format!(" It is {} away from the expert’s.", num(error, 3)));
    }
    let cap = f64::from(step.correction.speed_cap_mps);
    if cap.is_finite() {
        text.push_str(&format!(" Doubt capped the speed at {} m/s.", num(cap, 1)));
    }
    text
}

fn against_expert(step: &StepRecord) -> String {
    let Some(truth) = step.truth else { return String::new() };
    let error = |steer: f32| num((f64::from(steer) - f64::from(truth.expert_steer)).abs(), 3);
    match nearer(step) {
        Some(better) => format!(
            ", {} the expert (error {} → {})",
            if better { "nearer to" } else { "away from" },
            error(step.steer_raw),
            error(step.steer_corrected)
        ),
        None => String::new(),
    }
}
