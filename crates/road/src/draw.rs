//! A map from above, as SVG.

use std::fmt::Write;

use crate::{LaneStrip, LaneType, Mark, MarkColor, MarkKind, RoadMap};

/// Distance between samples, metres (denser in bends).
const STEP_M: f64 = 2.0;
/// Free space round the map, metres.
const MARGIN_M: f64 = 12.0;
/// A mark is drawn at least this wide, metres: thinner would vanish.
const MIN_MARK_M: f64 = 0.25;

/// Draws the network from above, one unit per metre, north up: lanes by type, road marks,
/// junctions tinted, road ids, a scale bar. The same map gives the same text.
pub fn draw_svg(map: &RoadMap) -> String {
    let ([x0, y0], [x1, y1]) = map.bounds();
    let (left, top) = (x0 - MARGIN_M, y0 - MARGIN_M);
    let (width, height) = (x1 - x0 + 2.0 * MARGIN_M, y1 - y0 + 2.0 * MARGIN_M + 8.0);
    let mut strips = map.strips(STEP_M);
    // What is driven on lies on top: in junctions verges of one turn cross other turns.
    strips.sort_by_key(|s| (rank(s.lane_type), s.key));
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{left:.2} {top:.2} {width:.2} {height:.2}\" width=\"{:.0}\" height=\"{:.0}\">\n<title>{}</title>\n<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"#dfe8cf\"/>",
        2.0 * width,
        2.0 * height,
        escape(map.name())
    );
    out += "<g stroke-width=\"0.1\" stroke-linejoin=\"round\">\n";
    strips.iter().filter(|s| s.lane_type != LaneType::None_).for_each(|s| surface(&mut out, s));
    out += "</g>\n<g fill=\"none\">\n";
    for s in &strips {
        line(&mut out, &s.outer, &s.outer_mark);
        // Lanes 1 and -1 both carry the centre mark: once is enough.
        if s.key.lane == -1 || !has_right(map, s) {
            line(&mut out, &s.inner, &s.inner_mark);
        }
    }
    out += "</g>\n";
    labels(&mut out, map, &strips);
    scale_bar(&mut out, left + 6.0, top + height - 5.0, width);
    out += "</svg>\n";
    out
}

/// Whether the section of a left lane has a lane -1.
fn has_right(map: &RoadMap, s: &LaneStrip) -> bool {
    map.lane_type(crate::LaneKey { lane: -1, ..s.key }).is_some()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn rank(kind: LaneType) -> u8 {
    match kind {
        LaneType::None_ => 0,
        LaneType::Sidewalk | LaneType::Border | LaneType::Curb | LaneType::Other => 1,
        LaneType::Median | LaneType::Restricted | LaneType::Shoulder => 2,
        LaneType::Parking | LaneType::Biking => 3,
        LaneType::Driving => 4,
    }
}

fn color(kind: LaneType, junction: bool) -> &'static str {
    match kind {
        LaneType::Driving if junction => "#6f6a7c",
        LaneType::Driving => "#5d636b",
        LaneType::Shoulder => "#8b9096",
        LaneType::Sidewalk => "#d3c6b4",
        LaneType::Parking => "#7f8fa8",
        LaneType::Biking => "#b5726a",
        LaneType::Median => "#a9bf8d",
        LaneType::Restricted => "#a99a96",
        LaneType::Border | LaneType::Curb => "#b9b9b4",
        LaneType::None_ | LaneType::Other => "#cfd6c2",
    }
}

fn points<'a>(out: &mut String, all: impl Iterator<Item = &'a [f64; 3]>) {
    for (i, [x, y, _]) in all.enumerate() {
        let _ = write!(out, "{}{x:.2} {y:.2}", if i == 0 { "M" } else { "L" });
    }
}

fn surface(out: &mut String, s: &LaneStrip) {
    let fill = color(s.lane_type, s.junction);
    // The stroke hides the seams between neighbours.
    let _ = write!(out, "<path fill=\"{fill}\" stroke=\"{fill}\" d=\"");
    points(out, s.inner.iter().chain(s.outer.iter().rev()));
    *out += "Z\"/>\n";
}

/// Draws each stretch of the same mark along an edge.
fn line(out: &mut String, edge: &[[f64; 3]], marks: &[Mark]) {
    let mut first = 0;
    for stretch in marks.chunk_by(|a, b| a == b) {
        let next = first + stretch.len();
        if let (Some(mark), Some(part)) = (stretch.first(), edge.get(first..=next)) {
            mark_path(out, *mark, part);
        }
        first = next;
    }
}

fn mark_path(out: &mut String, mark: Mark, edge: &[[f64; 3]]) {
    use MarkKind as K;
    let (dash, double) = match mark.kind {
        K::None | K::Grass => return,
        K::Solid | K::Curb | K::Other => ("", false),
        K::Broken => (" stroke-dasharray=\"3 3\"", false),
        K::BottsDots => (" stroke-dasharray=\"0.3 1\"", false),
        K::SolidSolid | K::SolidBroken | K::BrokenSolid => ("", true),
        K::BrokenBroken => (" stroke-dasharray=\"3 3\"", true),
    };
    let color = match (mark.kind, mark.color) {
        (K::Curb, _) => "#a3a29d",
        (_, MarkColor::White) => "#ffffff",
        (_, MarkColor::Yellow) => "#f2c230",
        (_, MarkColor::Red) => "#d8483e",
        (_, MarkColor::Blue) => "#3c78d8",
        (_, MarkColor::Green) => "#3f9b4f",
        (_, MarkColor::Orange) => "#ef8b2c",
        (_, MarkColor::Other) => "#c0c0c0",
    };
    let width = mark.width_m.max(MIN_MARK_M);
    // A double line is one thrice as wide with a gap drawn into it.
    let strokes = [(color, if double { 3.0 * width } else { width }), ("#5d636b", width)];
    for (stroke, width) in strokes.into_iter().take(if double { 2 } else { 1 }) {
        let _ = write!(out, "<path stroke=\"{stroke}\" stroke-width=\"{width:.2}\"{dash} d=\"");
        points(out, edge.iter());
        *out += "\"/>\n";
    }
}

/// The id of each road outside junctions, at its middle.
fn labels(out: &mut String, map: &RoadMap, strips: &[LaneStrip]) {
    *out +=
        "<g font-family=\"sans-serif\" font-size=\"5\" text-anchor=\"middle\" fill=\"#ffffff\">\n";
    for (i, road) in map.roads().iter().enumerate().filter(|(_, r)| r.junction.is_none()) {
        let half = 0.5 * road.length_m;
        let at = strips
            .iter()
            .filter(|s| s.key.road as usize == i && s.key.lane.abs() == 1)
            .flat_map(|s| s.s_m.iter().zip(&s.inner))
            .min_by(|a, b| (a.0 - half).abs().total_cmp(&(b.0 - half).abs()));
        if let Some((_, [x, y, _])) = at {
            let _ = writeln!(out, "<text x=\"{x:.2}\" y=\"{:.2}\">{}</text>", y + 1.8, road.id);
        }
    }
    *out += "</g>\n";
}

/// A bar of 1, 2 or 5 times a power of ten metres, at most a quarter of the width.
fn scale_bar(out: &mut String, x: f64, y: f64, width: f64) {
    let lengths = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
    let fits = lengths.into_iter().rfind(|l| *l <= 0.25 * width);
    let length = fits.unwrap_or(1.0);
    let _ = writeln!(
        out,
        "<path d=\"M{x:.2} {:.2}v2h{length}v-2\" fill=\"none\" stroke=\"#222222\" stroke-width=\"0.6\"/>\n<text x=\"{:.2}\" y=\"{:.2}\" font-family=\"sans-serif\" font-size=\"6\" fill=\"#222222\">{length} m</text>",
        y - 2.0,
        x + length + 2.0,
        y + 0.5
    );
}
