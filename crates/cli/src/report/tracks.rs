//! Many driven paths over one map: where all drives of an arm went, how far they were off and how
//! sure.

use caril_road::RoadMap;

use super::html::escape;
use super::map::{LEVELS, View, level, roads};

/// A point farther than this from the one before is another drive, metres.
const JUMP_M: f64 = 25.0;

/// What colours the paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shade {
    /// Distance from the lane's centre.
    Deviation,
    /// Confidence.
    Confidence,
}

/// One drawing: paths of x, y, deviation in metres and confidence.
pub(crate) struct Drawing<'a> {
    /// Its heading.
    pub title: String,
    /// What colours it.
    pub shade: Shade,
    /// The paths.
    pub paths: Vec<&'a [(f32, f32, f32, f32)]>,
}

/// Drawings over one map, side by side; `id` tells this map from others of the page.
pub(crate) fn maps(map: &RoadMap, id: &str, drawings: &[Drawing<'_>]) -> String {
    let all = drawings.iter().flat_map(|d| &d.paths).flat_map(|p| p.iter());
    let Some(view) = View::around(all.map(|p| (f64::from(p.0), f64::from(p.1)))) else {
        return String::new();
    };
    let (id, roads) = (escape(id), roads(map, &view));
    let figures: String = drawings.iter().map(|d| figure(d, &view, &id)).collect();
    format!(
        "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\
         <g id=\"{id}\" class=\"roads\">{roads}</g></defs></svg><div class=\"maps\">{figures}</div>"
    )
}

fn figure(drawing: &Drawing<'_>, view: &View, id: &str) -> String {
    let mut layers = vec![String::new(); LEVELS];
    for path in &drawing.paths {
        for pair in path.windows(2) {
            let [(x0, y0, ..), (x1, y1, deviation, confidence)] = *pair else { continue };
            let shade = match drawing.shade {
                Shade::Deviation => level(f64::from(deviation) / 0.15),
                Shade::Confidence => level(f64::from(1.0 - confidence) / 0.1),
            };
            let ends = [(x0, y0), (x1, y1)].map(|(x, y)| (f64::from(x), f64::from(y)));
            if let Some(layer) = layers.get_mut(shade) {
                layer.push_str(&view.polyline(JUMP_M, ends.into_iter()));
            }
        }
    }
    // Bad ones last, so that what many drove well does not hide where one did not.
    let ways: String = layers
        .iter()
        .enumerate()
        .filter(|(_, d)| !d.is_empty())
        .map(|(i, d)| format!("<path class=\"way thin q{i}\" d=\"{d}\"/>"))
        .collect();
    let [low, high] = match drawing.shade {
        Shade::Deviation => ["0", "≥ 0.9 m"],
        Shade::Confidence => ["1", "≤ 0.4"],
    };
    let boxes: String = (0..LEVELS).map(|i| format!("<b class=\"q{i}\"></b>")).collect();
    let title = escape(&drawing.title);
    format!(
        "<figure class=\"card map\"><figcaption><strong>{title}</strong>\
         <span class=\"ramp\">{low}{boxes}{high}</span></figcaption><div class=\"world\">\
         <svg viewBox=\"0 0 {:.1} {:.1}\" role=\"img\" aria-label=\"{title}\">\
         <use href=\"#{id}\"/>{ways}</svg></div></figure>",
        view.width_m, view.height_m,
    )
}
