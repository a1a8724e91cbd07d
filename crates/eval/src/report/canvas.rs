//! A plane with axes on which curves are drawn: scales, ticks, legend, style.

/// Width of a drawing, px; it shrinks with its page.
pub(super) const WIDTH: f64 = 620.0;
/// Series colours, as the classes `k0`, `k1`, ….
const COLOURS: usize = 6;
/// Rough width of a letter of the legend, px: text cannot be measured here.
const LETTER: f64 = 6.3;
const LEGEND_ROW: f64 = 18.0;

/// Every class begins with `cv`, so that the style disturbs no page that holds the drawing.
const STYLE: &str = "<style>\
.cv{--cvb:#fff;--cvi:#17202b;--cvs:#5c6b7c;--cvg:#e7ebf0;--cvbad:#c22f3d;\
--cv0:#2563eb;--cv1:#e07a1f;--cv2:#0f9d6b;--cv3:#7c4dcc;--cv4:#c22f3d;--cv5:#8a96a5;\
font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",sans-serif;\
font-variant-numeric:tabular-nums;max-width:100%;height:auto}\
@media(prefers-color-scheme:dark){.cv{--cvb:#171d25;--cvi:#e6ebf1;--cvs:#97a5b5;--cvg:#29323d;\
--cvbad:#ff7a85;--cv0:#6ea1ff;--cv1:#f59e4b;--cv2:#3ecf98;--cv3:#b394f4;--cv4:#ff7a85;\
--cv5:#8593a3}}\
.cv .cvb{fill:var(--cvb)}.cv text{fill:var(--cvs)}.cv .cvt{fill:var(--cvi);font-size:14px;\
font-weight:600}.cv .cvn{fill:var(--cvi)}.cv path{fill:none;stroke-linejoin:round;\
stroke-linecap:round}.cv .cvg{stroke:var(--cvg)}.cv .cvz{stroke:var(--cvs);opacity:.6}\
.cv .cvd{stroke:var(--cvs);stroke-dasharray:5 4;stroke-linecap:butt}.cv .cvc{stroke-width:2}\
.cv .cvgap{fill:var(--cvbad);opacity:.28}.cv .cvbar{opacity:.45}\
.cv .k0{stroke:var(--cv0)}.cv .k1{stroke:var(--cv1)}.cv .k2{stroke:var(--cv2)}\
.cv .k3{stroke:var(--cv3)}.cv .k4{stroke:var(--cv4)}.cv .k5{stroke:var(--cv5)}\
.cv .f0{fill:var(--cv0)}.cv .f1{fill:var(--cv1)}.cv .f2{fill:var(--cv2)}.cv .f3{fill:var(--cv3)}\
.cv .f4{fill:var(--cv4)}.cv .f5{fill:var(--cv5)}\
.cv .dash{stroke-dasharray:7 4;stroke-linecap:butt}</style>";

/// The number of a series' colour.
pub(super) const fn colour(series: usize) -> usize {
    series % COLOURS
}

/// A drawing that grows from top to bottom.
pub(super) struct Canvas {
    title: String,
    body: String,
    /// How far down it is drawn, px.
    pub bottom: f64,
}

impl Canvas {
    /// A drawing with a heading.
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let body = format!("<text class=\"cvt\" x=\"16\" y=\"26\">{title}</text>");
        Self { title, body, bottom: 38.0 }
    }

    /// Adds SVG.
    pub fn push(&mut self, svg: &str) {
        self.body.push_str(svg);
    }

    /// Names and colours of the series, in rows as they fit.
    pub fn legend<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut x = 16.0;
        for (i, name) in names.enumerate() {
            let width = 30.0 + LETTER * name.chars().count() as f64;
            if x > 16.0 && x + width > WIDTH - 8.0 {
                x = 16.0;
                self.bottom += LEGEND_ROW;
            }
            let (y, class) = (self.bottom + 8.0, series_class(i));
            self.push(&format!("<path class=\"cvc {class}\" d=\"M{x:.0} {y:.0}h16\"/>"));
            let (text_x, text_y) = (x + 21.0, y + 4.0);
            let name = escape(name);
            self.push(&format!("<text x=\"{text_x:.0}\" y=\"{text_y:.0}\">{name}</text>"));
            x += width + 8.0;
        }
        self.bottom += LEGEND_ROW + 4.0;
    }

    /// The whole drawing as SVG.
    pub fn finish(self) -> String {
        let Self { title, body, bottom } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cv\" role=\"img\" \
             aria-label=\"{title}\" width=\"{WIDTH}\" height=\"{bottom:.0}\" \
             viewBox=\"0 0 {WIDTH} {bottom:.0}\">{STYLE}\
             <rect class=\"cvb\" width=\"{WIDTH}\" height=\"{bottom:.0}\" rx=\"12\"/>{body}</svg>\n"
        )
    }
}

/// Class of a series' stroke; a second round of colours is dashed.
pub(super) fn series_class(series: usize) -> String {
    let dash = if series >= COLOURS { " dash" } else { "" };
    format!("k{}{dash}", colour(series))
}

/// A plane with two linear axes, placed on a canvas.
pub(super) struct Plane {
    /// Left edge, px.
    pub left: f64,
    /// Upper edge, px.
    pub top: f64,
    /// Width, px.
    pub width: f64,
    /// Height, px.
    pub height: f64,
    /// Least and greatest x.
    pub x: (f64, f64),
    /// Least and greatest y.
    pub y: (f64, f64),
}

impl Plane {
    /// Where an x lies within the plane, px.
    pub fn px(&self, x: f64) -> f64 {
        (x - self.x.0) / (self.x.1 - self.x.0) * self.width
    }

    /// Where a y lies within the plane, px from its upper edge.
    pub fn py(&self, y: f64) -> f64 {
        (self.y.1 - y) / (self.y.1 - self.y.0) * self.height
    }

    /// Gridlines and numbers of the y axis and its name.
    pub fn y_axis(&self, name: &str) -> String {
        let step = nice_step((self.y.1 - self.y.0) / (self.height / 55.0).clamp(2.0, 8.0));
        let (left, right) = (self.left, self.left + self.width);
        let mut svg = String::new();
        for v in ticks(self.y, step) {
            let y = self.top + self.py(v);
            let class = if v.abs() < step * 1e-6 { "cvz" } else { "cvg" };
            svg.push_str(&format!("<path class=\"{class}\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
            let (x, y, text) = (left - 7.0, y + 4.0, number(v, decimals(step)));
            svg.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>"
            ));
        }
        let (middle, name) = (self.top + self.height / 2.0, escape(name));
        svg.push_str(&format!(
            "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">\
             {name}</text>"
        ));
        svg
    }

    /// Gridlines and numbers of the x axis and its name below.
    pub fn x_axis(&self, name: &str) -> String {
        let step = nice_step((self.x.1 - self.x.0) / 6.0);
        let bottom = self.top + self.height;
        let mut svg = String::new();
        for v in ticks(self.x, step) {
            let x = self.left + self.px(v);
            let class = if v.abs() < step * 1e-6 { "cvz" } else { "cvg" };
            let top = self.top;
            svg.push_str(&format!("<path class=\"{class}\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"));
            let (y, text) = (bottom + 17.0, number(v, decimals(step)));
            svg.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"
            ));
        }
        let (x, y, name) = (self.left + self.width / 2.0, bottom + 36.0, escape(name));
        svg.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
        ));
        svg
    }

    /// Puts what is drawn in the plane's own coordinates in place; what leaves it is cut off.
    pub fn inside(&self, svg: &str) -> String {
        let Self { left, top, width, height, .. } = self;
        format!(
            "<svg x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             {svg}</svg>"
        )
    }

    /// A curve through points; what is not finite leaves a gap.
    pub fn curve(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let (mut d, mut pen_down) = (String::new(), false);
        for (x, y) in points {
            let finite = x.is_finite() && y.is_finite();
            if finite {
                let pen = if pen_down { "L" } else { "M" };
                d.push_str(&format!("{pen}{:.1} {:.1}", self.px(x), self.py(y)));
            }
            pen_down = finite;
        }
        d
    }
}

/// Least and greatest of the finite values and of `include`, with a little room; never empty.
pub(super) fn range(values: impl Iterator<Item = f64>, include: &[f64]) -> (f64, f64) {
    let (low, high) = values
        .chain(include.iter().copied())
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let room = 0.06 * (high - low);
    if low < high && room > 0.0 && (high + room).is_finite() {
        (low - room, high + room)
    } else if low.is_finite() && low.abs() < 1e15 {
        (low - 1.0, low + 1.0)
    } else {
        (0.0, 1.0)
    }
}

/// Text as it may stand in SVG, also in an attribute. Control characters are left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A number with so many decimals and a proper minus sign.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text =
        if value.abs() >= 1e7 { format!("{value:.1e}") } else { format!("{value:.decimals$}") };
    // "-0.00" says something that the digits do not.
    let is_zero = !text.contains(|c: char| ('1'..='9').contains(&c));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// The next of 1, 2, 5 · 10ⁿ that is not less than `wanted`.
fn nice_step(wanted: f64) -> f64 {
    let decade = libm::pow(10.0, libm::log10(wanted).floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * decade).find(|s| *s >= wanted).unwrap_or(wanted)
}

fn ticks((low, high): (f64, f64), step: f64) -> impl Iterator<Item = f64> {
    let first = (low / step - 1e-9).ceil();
    (0..24)
        .map(move |i| (first + f64::from(i)) * step)
        .take_while(move |v| *v <= high + 1e-9 * step)
}

/// Decimals that tell ticks of this step apart.
pub(super) fn decimals(step: f64) -> usize {
    (-(libm::log10(step) + 1e-9).floor()).clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let of = |low: f64, high: f64| {
            let step = nice_step((high - low) / 5.0);
            ticks((low, high), step).map(|v| number(v, decimals(step))).collect::<Vec<_>>()
        };
        assert_eq!(of(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(of(-0.13, 0.04), ["−0.10", "−0.05", "0.00"]);
        assert_eq!(of(0.0, 1234.0), ["0", "500", "1000"]);
        // The logarithm of a step of 1000 must not round to 2.
        assert_eq!(decimals(1000.0), 0);
        assert_eq!((decimals(0.001), decimals(0.2), decimals(1.0)), (3, 1, 0));
    }

    #[test]
    fn ranges_are_never_empty() {
        for values in [&[][..], &[f64::NAN, f64::INFINITY], &[3.0], &[0.0, 0.0], &[1e300, -1e300]] {
            let (low, high) = range(values.iter().copied(), &[]);
            assert!(low < high && (high - low).is_finite(), "{values:?}: {low} {high}");
        }
        let (low, high) = range([2.0, 4.0].into_iter(), &[0.0]);
        assert!(low < 0.0 && high > 4.0 && high < 5.0);
    }

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(escape("a<b>&\"c'\u{1}\n"), "a&lt;b&gt;&amp;&quot;c&#39;");
        assert_eq!(number(-0.0001, 2), "0.00");
    }
}
