//! The driven path over the map, from above. CARLA's y points south, as SVG's points down.

use caril_core::StepRecord;
use caril_road::{LaneStrip, LaneType, MarkKind, RoadMap};

use super::ReportInput;
use super::html::{escape, nines};

/// Shades of a quantity along the path, from harmless to bad.
pub(super) const LEVELS: usize = 7;
/// Most points of the path.
const POINTS: usize = 2000;
/// Most bytes of the drawn road; it gets coarser until it fits.
const ROAD_BYTES: usize = 500_000;
/// A jump from one step to the next farther than this is no driving: the line is broken, metres.
const JUMP_M: f64 = 25.0;

/// The part of the world that is shown.
pub(super) struct View {
    pub x_m: f64,
    pub y_m: f64,
    pub width_m: f64,
    pub height_m: f64,
}

impl View {
    /// Around all points, with a margin, neither too flat nor too tall.
    pub fn around(points: impl Iterator<Item = (f64, f64)>) -> Option<Self> {
        let mut low = (f64::INFINITY, f64::INFINITY);
        let mut high = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (x, y) in points.filter(|p| on_earth(*p)) {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        if low.0 > high.0 {
            return None;
        }
        let (w, h) = (high.0 - low.0, high.1 - low.1);
        let margin = 12.0 + 0.04 * w.max(h);
        let width_m = (w + 2.0 * margin).max(0.95 * (h + 2.0 * margin));
        let height_m = (h + 2.0 * margin).max(0.6 * width_m);
        let (x_m, y_m) = (low.0 + 0.5 * (w - width_m), low.1 + 0.5 * (h - height_m));
        Some(Self { x_m, y_m, width_m, height_m })
    }

    fn shows(&self, p: &[f64; 3]) -> bool {
        let (x, y) = (p[0] - self.x_m, p[1] - self.y_m);
        (-20.0..=self.width_m + 20.0).contains(&x) && (-20.0..=self.height_m + 20.0).contains(&y)
    }

    /// SVG path data, broken where two points are farther apart than `jump_m`.
    pub fn polyline(&self, jump_m: f64, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut d = String::new();
        let mut last: Option<(f64, f64)> = None;
        for (x, y) in points {
            let near = last.is_some_and(|(a, b)| (x - a).hypot(y - b) < jump_m);
            let pen = if near { 'L' } else { 'M' };
            d.push_str(&format!("{pen}{:.1} {:.1}", x - self.x_m, y - self.y_m));
            last = Some((x, y));
        }
        d
    }

    /// A mark of HTML at a place of the world.
    fn pin(&self, (x, y): (f64, f64), tag: &str, class: &str, text: &str) -> String {
        let left = (x - self.x_m) / self.width_m * 100.0;
        let top = (y - self.y_m) / self.height_m * 100.0;
        let name = tag.split(' ').next().unwrap_or(tag);
        format!(
            "<{tag} class=\"pin {class}\" style=\"left:{left:.2}%;top:{top:.2}%\">{text}</{name}>"
        )
    }
}

fn on_earth(p: (f64, f64)) -> bool {
    p.0.abs() < 1e6 && p.1.abs() < 1e6
}

fn place(step: &StepRecord) -> (f64, f64) {
    (step.ego.pose.x_m, step.ego.pose.y_m)
}

pub(super) fn section(input: &ReportInput<'_>, moments: &[&StepRecord]) -> String {
    let route = || input.plant.route.iter().map(|p| (f64::from(p.0), f64::from(p.1)));
    let driven = || input.steps.iter().map(place);
    let Some(view) = View::around(driven().chain(route())) else { return String::new() };
    let roads = input.map.map(|map| roads(map, &view)).unwrap_or_default();
    let line = view.polyline(f64::INFINITY, route().filter(|p| on_earth(*p)));
    let defs = format!(
        "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\
         <g id=\"world\" class=\"roads\">{roads}<path class=\"route\" d=\"{line}\"/></g></defs></svg>"
    );
    let mut pins = String::new();
    let start = route().find(|p| on_earth(*p)).or_else(|| driven().find(|p| on_earth(*p)));
    pins.extend(start.map(|p| view.pin(p, "span", "start", "S")));
    let goal = route().rfind(|p| on_earth(*p));
    pins.extend(goal.map(|p| view.pin(p, "span", "goal", "G")));
    for (i, step) in moments.iter().enumerate().filter(|(_, s)| on_earth(place(s))) {
        // A number that would cover an earlier one moves aside by one width of a pin.
        let (x, y) = place(step);
        let covers =
            |s: &&&StepRecord| (place(s).0 - x).hypot(place(s).1 - y) < 0.035 * view.width_m;
        let aside = moments.iter().take(i).filter(covers).count() as f64 * 0.042 * view.width_m;
        let number = (i + 1).to_string();
        pins.push_str(&view.pin((x + aside, y), &format!("a href=\"#m{number}\""), "", &number));
    }
    let deviation = |s: &StepRecord| {
        let d = s.truth.as_ref().map(|t| f64::from(t.lane_deviation_m.abs()))?;
        d.is_finite().then(|| level(d / 0.15))
    };
    let doubt = |s: &StepRecord| {
        let c = s.correction.confidence;
        (s.predicted && c.is_finite()).then(|| level(6.5 - nines(c)))
    };
    let maps = [
        draw(
            input.steps,
            &view,
            &pins,
            deviation,
            "Distance from the lane's centre",
            ["0", "≥ 0.9 m"],
        ),
        draw(input.steps, &view, &pins, doubt, "Confidence, in nines", ["6", "0"]),
    ];
    format!(
        "<section><h2>Where it drove</h2>{defs}<div class=\"maps\">{}</div>\
         <p class=\"note\">S is the start, G the goal, the dashed line the route; the numbers are \
         the <a href=\"#moments\">least confident moments</a>. Map {}, {} × {} m.</p></section>\n",
        maps.concat(),
        escape(&input.plant.map),
        view.width_m.round(),
        view.height_m.round(),
    )
}

pub(super) fn level(v: f64) -> usize {
    (v.max(0.0) as usize).min(LEVELS - 1)
}

fn draw(
    steps: &[StepRecord],
    view: &View,
    pins: &str,
    level: impl Fn(&StepRecord) -> Option<usize>,
    title: &str,
    ends: [&str; 2],
) -> String {
    let stride = steps.len().div_ceil(POINTS).max(1);
    let jump_m = JUMP_M * stride as f64;
    // Of the steps that share a point the worst one colours it.
    let points: Vec<((f64, f64), Option<usize>)> = steps
        .chunks(stride)
        .filter_map(|c| Some((place(c.first()?), c.iter().filter_map(&level).max())))
        .filter(|(p, _)| on_earth(*p))
        .collect();
    let casing = view.polyline(jump_m, points.iter().map(|p| p.0));
    let mut layers = vec![String::new(); LEVELS + 1];
    let mut rest = points.as_slice();
    while let Some((_, shade)) = rest.first() {
        let run = rest.iter().take_while(|p| p.1 == *shade).count();
        // One point more, so that runs touch.
        let line = view.polyline(jump_m, rest.iter().take(run + 1).map(|p| p.0));
        if let Some(layer) = layers.get_mut(shade.map_or(0, |s| s + 1)) {
            layer.push_str(&line);
        }
        rest = rest.get(run..).unwrap_or_default();
    }
    // Bad ones last, so that a loop driven twice shows them.
    let colours: String = layers
        .iter()
        .enumerate()
        .filter(|(_, d)| !d.is_empty())
        .map(|(i, d)| match i.checked_sub(1) {
            None => format!("<path class=\"way\" d=\"{d}\"/>"),
            Some(i) => format!("<path class=\"way q{i}\" d=\"{d}\"/>"),
        })
        .collect();
    let known = points.iter().any(|p| p.1.is_some());
    let legend = if known {
        let boxes: String = (0..LEVELS).map(|i| format!("<b class=\"q{i}\"></b>")).collect();
        format!("<span class=\"ramp\">{}{boxes}{}</span>", ends[0], ends[1])
    } else {
        "<small>not known for this drive</small>".to_owned()
    };
    format!(
        "<figure class=\"card map\"><figcaption><strong>{title}</strong>{legend}</figcaption>\
         <div class=\"world\"><svg viewBox=\"0 0 {:.1} {:.1}\" role=\"img\" aria-label=\"{title}\">\
         <use href=\"#world\"/><path class=\"casing\" d=\"{casing}\"/>{colours}</svg>{pins}</div>\
         </figure>",
        view.width_m, view.height_m,
    )
}

/// Surfaces and marks of the roads in view.
pub(super) fn roads(map: &RoadMap, view: &View) -> String {
    let size = view.width_m.max(view.height_m);
    let mut step = (size / 300.0).clamp(1.0, 20.0);
    loop {
        let strips = map.strips(step);
        let seen: Vec<&LaneStrip> = strips
            .iter()
            .filter(|s| s.inner.iter().chain(&s.outer).any(|p| view.shows(p)))
            .collect();
        let drawn = roads_of(&seen, view, size / 1500.0, size < 900.0);
        if drawn.len() <= ROAD_BYTES {
            return drawn;
        }
        if step > 100.0 {
            return String::new();
        }
        step *= 2.0;
    }
}

fn roads_of(strips: &[&LaneStrip], view: &View, tolerance: f64, with_marks: bool) -> String {
    let (mut verge, mut drive, mut marks) = (String::new(), String::new(), String::new());
    for strip in strips {
        let layer = match strip.lane_type {
            LaneType::Driving | LaneType::Parking | LaneType::Biking => &mut drive,
            LaneType::Shoulder | LaneType::Sidewalk | LaneType::Border | LaneType::Median => {
                &mut verge
            }
            _ => continue,
        };
        let inner = simplified(&strip.inner, tolerance);
        let mut outer = simplified(&strip.outer, tolerance);
        outer.reverse();
        push_line(layer, view, inner.iter().chain(&outer));
        layer.push('z');
        if with_marks && strip.lane_type == LaneType::Driving && !strip.junction {
            for (mark, edge) in
                [(&strip.inner_mark, &strip.inner), (&strip.outer_mark, &strip.outer)]
            {
                let painted = mark.first().is_some_and(|m| {
                    !matches!(m.kind, MarkKind::None | MarkKind::Curb | MarkKind::Grass)
                });
                if painted {
                    push_line(&mut marks, view, simplified(edge, tolerance).iter());
                }
            }
        }
    }
    format!(
        "<path class=\"verge\" d=\"{verge}\"/><path class=\"drive\" d=\"{drive}\"/>\
         <path class=\"mark\" d=\"{marks}\"/>"
    )
}

fn push_line<'a>(d: &mut String, view: &View, points: impl Iterator<Item = &'a [f64; 3]>) {
    for (i, p) in points.enumerate() {
        let pen = if i == 0 { 'M' } else { 'L' };
        d.push_str(&format!("{pen}{:.1} {:.1}", p[0] - view.x_m, p[1] - view.y_m));
    }
}

/// The line without the points that lie within `tolerance` of a chord (Douglas and Peucker 1973).
fn simplified(points: &[[f64; 3]], tolerance: f64) -> Vec<[f64; 3]> {
    let Some(end) = points.len().checked_sub(1) else { return Vec::new() };
    let mut keep = vec![false; points.len()];
    let mut open = vec![(0, end)];
    while let Some((a, b)) = open.pop() {
        (keep[a], keep[b]) = (true, true);
        let off = |i: usize| distance(points[i], points[a], points[b]);
        let worst = (a + 1..b).max_by(|i, j| off(*i).total_cmp(&off(*j)));
        if let Some(i) = worst.filter(|i| off(*i) > tolerance) {
            open.extend([(a, i), (i, b)]);
        }
    }
    points.iter().zip(keep).filter(|(_, k)| *k).map(|(p, _)| *p).collect()
}

fn distance(p: [f64; 3], a: [f64; 3], b: [f64; 3]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length2 = dx * dx + dy * dy;
    let along = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length2;
    let along = if length2 > 0.0 { along.clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - along * dx).hypot(p[1] - a[1] - along * dy)
}
