//! Reliability diagrams and risk–coverage curves.

use super::canvas::{Canvas, Plane, WIDTH, colour, number, range, series_class};
use crate::confidence::{Bin, RiskCoverage, mean_gap};

/// Most points of one curve; more cannot be told apart.
const POINTS: usize = 300;
/// Coverage below which the risk is of too few frames to be drawn.
const NOISE: f64 = 0.01;

/// How often each confidence was right, for one or several packs side by side. A single series is
/// drawn as bars with the gap to its confidence, and the share of frames in each bin below;
/// several as curves, their points larger where there are more frames. The legend says the mean
/// gap: the ECE, if the bins are equally wide.
///
/// * `series` – name and bins, from [`crate::confidence::equal_width_bins`] or its kin
pub fn reliability_diagram(title: &str, series: &[(&str, &[Bin])]) -> String {
    let mut canvas = Canvas::new(title);
    let names: Vec<String> = series
        .iter()
        .map(|(name, bins)| match mean_gap(bins) {
            Ok(gap) => format!("{name} · ECE {}", number(gap, 3)),
            Err(_) => format!("{name} · no data"),
        })
        .collect();
    canvas.legend(names.iter().map(String::as_str));
    let plane = Plane {
        left: 64.0,
        top: canvas.bottom + 8.0,
        width: WIDTH - 84.0,
        height: 300.0,
        x: (0.0, 1.0),
        y: (0.0, 1.0),
    };
    canvas.push(&plane.y_axis("share that is right"));
    let mut inside = String::new();
    if let [(_, bins)] = series {
        bins.iter().for_each(|b| inside.push_str(&bar(&plane, b)));
    }
    let diagonal = plane.curve([(0.0, 0.0), (1.0, 1.0)].into_iter());
    inside.push_str(&format!("<path class=\"cvd\" d=\"{diagonal}\"/>"));
    for (i, (_, bins)) in series.iter().enumerate() {
        let total: usize = bins.iter().map(|b| b.count).sum();
        if series.len() > 1 {
            let d = plane.curve(bins.iter().map(|b| (b.confidence, b.accuracy)));
            inside.push_str(&format!("<path class=\"cvc {}\" d=\"{d}\"/>", series_class(i)));
        }
        for b in *bins {
            let (x, y) = (plane.px(b.confidence), plane.py(b.accuracy));
            let r = 2.0 + 5.0 * (b.count as f64 / total as f64).sqrt();
            let fill = colour(i);
            inside.push_str(&format!(
                "<circle class=\"f{fill}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\"/>"
            ));
        }
    }
    if let [(_, bins)] = series {
        canvas.push(&plane.inside(&inside));
        let shares = share_plane(&plane, bins);
        canvas.push(&shares.y_axis("frames"));
        canvas.push(&shares.inside(&share_bars(&shares, bins)));
        canvas.push(&shares.x_axis("confidence"));
        canvas.bottom = shares.top + shares.height + 48.0;
    } else {
        canvas.push(&plane.x_axis("confidence"));
        canvas.push(&plane.inside(&inside));
        canvas.bottom = plane.top + plane.height + 48.0;
    }
    canvas.finish()
}

/// A bin's accuracy as a bar, and its distance to what the confidence promised.
fn bar(plane: &Plane, b: &Bin) -> String {
    let (x, width) = (plane.px(b.low) + 1.0, (plane.px(b.high) - plane.px(b.low) - 2.0).max(1.0));
    let (right, promised) = (plane.py(b.accuracy), plane.py(b.confidence));
    let (top, height) = (right.min(promised), (right - promised).abs());
    let full = plane.height - right;
    format!(
        "<rect class=\"f0 cvbar\" x=\"{x:.1}\" y=\"{right:.1}\" width=\"{width:.1}\" \
         height=\"{full:.1}\"/><rect class=\"cvgap\" x=\"{x:.1}\" y=\"{top:.1}\" \
         width=\"{width:.1}\" height=\"{height:.1}\"/>"
    )
}

/// The plane below, for the share of frames in each bin.
fn share_plane(above: &Plane, bins: &[Bin]) -> Plane {
    let total: usize = bins.iter().map(|b| b.count).sum();
    let most = bins.iter().map(|b| b.count).max().unwrap_or(1) as f64 / total.max(1) as f64;
    Plane {
        top: above.top + above.height + 14.0,
        height: 64.0,
        y: (0.0, if most > 0.0 { 1.08 * most } else { 1.0 }),
        ..*above
    }
}

fn share_bars(plane: &Plane, bins: &[Bin]) -> String {
    let total: usize = bins.iter().map(|b| b.count).sum();
    let bar = |b: &Bin| {
        let (x, width) =
            (plane.px(b.low) + 1.0, (plane.px(b.high) - plane.px(b.low) - 2.0).max(1.0));
        let y = plane.py(b.count as f64 / total as f64);
        let height = plane.height - y;
        format!(
            "<rect class=\"f0 cvbar\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        )
    };
    bins.iter().map(bar).collect()
}

/// What the risk falls to when only the surest frames are accepted, for several packs or
/// confidences side by side; dashed, the risk of accepting all frames of the first.
///
/// * `risk` – name of the risk with its unit, for the axis
/// * `series` – name and curve, from [`crate::confidence::risk_coverage`]
pub fn risk_coverage_plot(title: &str, risk: &str, series: &[(&str, &[RiskCoverage])]) -> String {
    let mut canvas = Canvas::new(title);
    canvas.legend(series.iter().map(|(name, _)| *name));
    let risks = series.iter().flat_map(|(_, curve)| curve.iter());
    let (_, high) = range(risks.filter(|p| p.coverage >= NOISE).map(|p| p.risk), &[0.0]);
    let plane = Plane {
        left: 64.0,
        top: canvas.bottom + 8.0,
        width: WIDTH - 84.0,
        height: 300.0,
        x: (0.0, 1.0),
        y: (0.0, high),
    };
    canvas.push(&plane.y_axis(risk));
    canvas.push(&plane.x_axis("coverage: share of frames accepted"));
    let mut inside = String::new();
    if let Some(all) = series.first().and_then(|(_, curve)| curve.last()) {
        let d = plane.curve([(0.0, all.risk), (1.0, all.risk)].into_iter());
        inside.push_str(&format!("<path class=\"cvd\" d=\"{d}\"/>"));
    }
    for (i, (_, curve)) in series.iter().enumerate() {
        let d = plane.curve(thinned(curve).map(|p| (p.coverage, p.risk)));
        inside.push_str(&format!("<path class=\"cvc {}\" d=\"{d}\"/>", series_class(i)));
    }
    canvas.push(&plane.inside(&inside));
    canvas.bottom = plane.top + plane.height + 48.0;
    canvas.finish()
}

/// About [`POINTS`] of the points, evenly by coverage, with the last.
fn thinned(curve: &[RiskCoverage]) -> impl Iterator<Item = &RiskCoverage> {
    let (mut next, last) = (NOISE, curve.len().saturating_sub(1));
    curve.iter().enumerate().filter_map(move |(i, p)| {
        if p.coverage < next && i != last {
            return None;
        }
        next = p.coverage + 1.0 / POINTS as f64;
        Some(p)
    })
}
