//! The drawings: well-formed whatever is given, complete, and the same every time.

use caril_eval::confidence::{Bin, RiskCoverage, equal_width_bins, risk_coverage};
use caril_eval::report::{
    Shares, interval_plot, reliability_diagram, risk_coverage_plot, share_plot,
};
use caril_eval::stats::Interval;

/// Opened and closed tags match, and no number was not one.
fn assert_drawing(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag's end");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().expect("a name"));
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn interval(estimate: f64, half: f64) -> Interval {
    let (low, high) = (estimate - half, estimate + half);
    Interval { estimate, low, high, count: 30, clusters: 30 }
}

#[test]
fn reliability() {
    let confidence = [0.1, 0.35, 0.8, 0.85, 0.9, 0.95, 1.0];
    let correct = [false, true, true, false, true, true, true];
    let bins = equal_width_bins(&confidence, &correct, 15).unwrap();
    let one = reliability_diagram("Unseen <maps>", &[("pilot & co", &bins)]);
    assert_drawing(&one);
    assert!(one.contains("Unseen &lt;maps&gt;") && one.contains("pilot &amp; co · ECE 0."));
    assert_eq!(one.matches("<circle").count(), bins.len());
    assert_eq!(one.matches("class=\"cvgap\"").count(), bins.len());
    assert_eq!(one, reliability_diagram("Unseen <maps>", &[("pilot & co", &bins)]));
    let two = reliability_diagram("", &[("a", &bins), ("b", &bins[1..])]);
    assert_drawing(&two);
    assert_eq!(two.matches("<circle").count(), 2 * bins.len() - 1);
    assert!(!two.contains("class=\"cvgap\""));
    let empty: &[Bin] = &[];
    assert!(reliability_diagram("", &[("none", empty)]).contains("none · no data"));
    assert_drawing(&reliability_diagram("", &[("none", empty)]));
    assert_drawing(&reliability_diagram("", &[]));
}

#[test]
fn risk() {
    let confidence: Vec<f64> = (0..50_000).map(f64::from).collect();
    let loss: Vec<f64> = (0..50_000).map(|i| f64::from(i % 3)).collect();
    let curve = risk_coverage(&confidence, &loss).unwrap();
    let svg = risk_coverage_plot("Shifted", "|steer − expert|", &[("p", &curve), ("q", &curve)]);
    assert_drawing(&svg);
    // Thinned, but drawn to the end.
    assert!(svg.len() < 20_000, "{}", svg.len());
    assert!(svg.contains("L536.0 "));
    let many = vec![("x", curve.get(..2).unwrap()); 9];
    assert!(risk_coverage_plot("", "", &many).contains("dash"));
    let none: &[RiskCoverage] = &[];
    assert_drawing(&risk_coverage_plot("", "", &[("none", none)]));
    assert_drawing(&risk_coverage_plot("", "", &[]));
}

#[test]
fn intervals() {
    let rows = [("calibrated", interval(-0.3, 0.1)), ("paper", interval(0.0, 0.1))];
    let svg = interval_plot("Against off", "difference, m", &rows);
    assert_drawing(&svg);
    assert!(svg.contains("−0.300 [−0.400, −0.200]"), "{svg}");
    // Only what excludes zero is coloured.
    assert_eq!(svg.matches("cvc k0").count(), 1);
    assert_eq!(svg.matches("cvc k5").count(), 1);
    assert_drawing(&interval_plot("", "", &[]));
    assert_drawing(&interval_plot("", "", &[("bad", interval(f64::NAN, 1.0))]));
    assert_drawing(&interval_plot("", "", &[("exact", interval(0.0, 0.0))]));
}

#[test]
fn shares() {
    let row = |name, worse, better| Shares { name, worse, better, note: "<40> ticks" };
    let rows = [row("turn & wet", 0.1, 0.3), row("straight", 0.0, 0.2), row("bad", f64::NAN, 0.0)];
    let svg = share_plot("Paper", "share of ticks, %", &rows);
    assert_drawing(&svg);
    // A bar for each share that is not zero, and the background.
    assert_eq!(svg.matches("<rect").count(), 4);
    assert!(svg.contains("turn &amp; wet") && svg.contains("&lt;40&gt; ticks"));
    assert_drawing(&share_plot("", "", &[]));
}
