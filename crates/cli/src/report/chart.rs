//! Curves over time: scales, ticks, decimation, SVG.

use caril_core::StepRecord;

use super::html::{escape, num};

/// Width of the drawing's units; the height is [`HEIGHT`].
pub(super) const WIDTH: f64 = 1000.0;
/// Height of the drawing's units.
const HEIGHT: f64 = 100.0;
/// Most points of one curve.
const POINTS: usize = 2000;

/// Plant time of a step, seconds.
pub(super) fn time_s(step: &StepRecord) -> f64 {
    step.sim_time_ns as f64 * 1e-9
}

/// The time axis that all charts share, and the moments marked on it.
pub(super) struct TimeAxis {
    start_s: f64,
    end_s: f64,
    moments_s: Vec<f64>,
}

impl TimeAxis {
    /// From the first to the last step.
    pub fn of(steps: &[StepRecord], moments: &[&StepRecord]) -> Self {
        let (start_s, end_s) = steps
            .iter()
            .map(time_s)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
        let moments_s = moments.iter().map(|s| time_s(s)).collect();
        if start_s < end_s {
            Self { start_s, end_s, moments_s }
        } else {
            let start_s = if start_s.is_finite() { start_s } else { 0.0 };
            Self { start_s, end_s: start_s + 1.0, moments_s }
        }
    }

    /// Where a time lies, [0, [`WIDTH`]].
    pub fn x(&self, t_s: f64) -> f64 {
        ((t_s - self.start_s) / (self.end_s - self.start_s) * WIDTH).clamp(0.0, WIDTH)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let minutes = self.end_s - self.start_s > 150.0;
        let step = if minutes {
            let wanted = (self.end_s - self.start_s) / 8.0;
            let steps = [15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0];
            steps.into_iter().find(|s| *s >= wanted).unwrap_or_else(|| nice_step(wanted))
        } else {
            nice_step((self.end_s - self.start_s) / 8.0)
        };
        ticks(self.start_s, self.end_s, step)
            .into_iter()
            .map(|t| {
                let text = if minutes {
                    format!("{}:{:02}", (t / 60.0) as u64, (t % 60.0).round() as u64)
                } else {
                    format!("{} s", num(t, decimals(step)))
                };
                (self.x(t) / WIDTH * 100.0, text)
            })
            .collect()
    }
}

/// One curve of a chart.
pub(super) struct Curve {
    name: &'static str,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve of what `value` says of each step; what is not finite leaves a gap.
    pub fn of(
        name: &'static str,
        class: &'static str,
        steps: &[StepRecord],
        value: impl Fn(&StepRecord) -> f64,
    ) -> Self {
        let points = steps.iter().map(|s| (time_s(s), value(s))).collect::<Vec<_>>();
        Self { name, class, points: decimate(&points, POINTS) }
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|p| p.1).filter(|v| v.is_finite())
    }
}

/// At most `most` of the points, keeping the lowest and highest of every bucket so that no spike
/// is lost. A bucket without any finite value leaves a gap.
fn decimate(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let bucket = points.len().div_ceil((most / 2).max(1));
    let mut out = Vec::with_capacity(most);
    for chunk in points.chunks(bucket) {
        let finite = || chunk.iter().enumerate().filter(|(_, p)| p.1.is_finite());
        let low = finite().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let high = finite().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
        match (low, high) {
            (Some((i, a)), Some((j, b))) if i < j => out.extend([*a, *b]),
            (Some((i, a)), Some((j, b))) if i > j => out.extend([*b, *a]),
            (Some((_, a)), _) => out.push(*a),
            _ => out.extend(chunk.first()),
        }
    }
    out
}

/// One chart: curves over the shared time axis.
pub(super) struct Chart<'a> {
    /// Heading.
    pub title: &'a str,
    /// What the axis is in.
    pub unit: &'a str,
    /// The curves, the last on top.
    pub curves: Vec<Curve>,
    /// Values that the axis must hold.
    pub include: &'a [f64],
    /// Dashed horizontal lines.
    pub lines: Vec<f64>,
    /// SVG to be drawn beneath the curves, in chart units.
    pub beneath: String,
    /// Legend entries, as HTML, of the lines and of what is beneath.
    pub more_legend: String,
    /// Height on the page, pixels.
    pub height_px: u32,
}

impl Chart<'_> {
    /// The chart as HTML.
    pub fn html(&self, axis: &TimeAxis) -> String {
        let (low, high) = self.range();
        let y = |v: f64| (high - v) / (high - low) * HEIGHT;
        let mut svg = self.beneath.clone();
        let mut labels = String::new();
        let step = nice_step((high - low) / 4.0);
        for v in ticks(low, high, step) {
            let class = if v.abs() < step * 1e-6 { "zero" } else { "grid" };
            svg.push_str(&format!("<path class=\"{class}\" d=\"M0 {:.1}H{WIDTH}\"/>", y(v)));
            let text = num(v, decimals(step));
            labels.push_str(&format!("<i class=\"yt\" style=\"top:{:.1}%\">{text}</i>", y(v)));
        }
        svg.push_str(&time_grid(axis));
        for v in self.lines.iter().filter(|v| v.is_finite()) {
            svg.push_str(&format!("<path class=\"limit\" d=\"M0 {:.1}H{WIDTH}\"/>", y(*v)));
        }
        let mut legend = String::new();
        for curve in self.curves.iter().filter(|c| c.finite().next().is_some()) {
            let d = path_data(&curve.points, |t| axis.x(t), y);
            svg.push_str(&format!(
                "<path class=\"curve {}\" data-n=\"{}\" d=\"{d}\"/>",
                curve.class, curve.name
            ));
            legend
                .push_str(&format!("<span><b class=\"{}\"></b>{}</span>", curve.class, curve.name));
        }
        let empty = if legend.is_empty() { "<p class=\"none\">no data</p>" } else { "" };
        format!(
            "<figure class=\"chart\"><figcaption><strong>{}</strong> <small>{}</small>\
             <span class=\"legend\">{legend}{}</span></figcaption>\
             <div class=\"plot\" data-y=\"{low} {high}\" data-t=\"{} {}\" style=\"height:{}px\">\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
             aria-hidden=\"true\">{svg}</svg>{labels}{}{}{empty}</div></figure>\n",
            escape(self.title),
            escape(self.unit),
            self.more_legend,
            axis.start_s,
            axis.end_s,
            self.height_px,
            moment_labels(axis),
            time_labels(axis),
        )
    }

    fn range(&self) -> (f64, f64) {
        let all = self
            .curves
            .iter()
            .flat_map(Curve::finite)
            .chain(self.include.iter().copied())
            .chain(self.lines.iter().copied());
        let (low, high) = all
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low < high {
            let pad = 0.05 * (high - low);
            (low - pad, high + pad)
        } else if low.is_finite() {
            (low - 1.0, low + 1.0)
        } else {
            (0.0, 1.0)
        }
    }
}

fn path_data(points: &[(f64, f64)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut d = String::with_capacity(points.len() * 12);
    let mut pen_down = false;
    for (t, v) in points {
        if v.is_finite() {
            // A line of no length, so that a value between two gaps is a dot.
            let (pen, dot) = if pen_down { ("L", "") } else { ("M", "h0") };
            d.push_str(&format!("{pen}{:.1} {:.1}{dot}", x(*t), y(*v)));
        }
        pen_down = v.is_finite();
    }
    d
}

/// Vertical lines at the ticks of time and at the moments.
pub(super) fn time_grid(axis: &TimeAxis) -> String {
    let tick = |(p, _): &(f64, String)| {
        format!("<path class=\"grid\" d=\"M{:.1} 0V{HEIGHT}\"/>", p * WIDTH / 100.0)
    };
    let moment = |t: &f64| format!("<path class=\"moment\" d=\"M{:.1} 0V{HEIGHT}\"/>", axis.x(*t));
    axis.ticks().iter().map(tick).chain(axis.moments_s.iter().map(moment)).collect()
}

/// The times under a chart. Every other one goes away on a narrow page.
pub(super) fn time_labels(axis: &TimeAxis) -> String {
    axis.ticks()
        .iter()
        .enumerate()
        .map(|(i, (p, text))| {
            let class = if i % 2 == 1 { "xt odd" } else { "xt" };
            format!("<i class=\"{class}\" style=\"left:{p:.2}%\">{text}</i>")
        })
        .collect()
}

fn moment_labels(axis: &TimeAxis) -> String {
    let label = |(i, t): (usize, &f64)| {
        let left = axis.x(*t) / WIDTH * 100.0;
        format!("<a class=\"mk\" href=\"#m{0}\" style=\"left:{left:.2}%\">{0}</a>", i + 1)
    };
    axis.moments_s.iter().enumerate().map(label).collect()
}

/// The next of 1, 2, 5 · 10ⁿ that is not less than `wanted`.
fn nice_step(wanted: f64) -> f64 {
    if !(wanted.is_finite() && wanted > 0.0) {
        return 1.0;
    }
    let decade = 10_f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * decade).find(|s| *s >= wanted).unwrap_or(wanted)
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step).ceil();
    (0..24).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= high).collect()
}

fn decimals(step: f64) -> usize {
    (-step.log10().floor()).clamp(0.0, 6.0) as usize
}
