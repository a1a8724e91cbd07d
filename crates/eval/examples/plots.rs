//! Draws the report's pictures from made-up data into a folder: to look at.
//!
//! `cargo run --release -p caril-eval --example plots -- FOLDER`

use caril_core::CounterRng;
use caril_eval::confidence::{ECE_BINS, equal_width_bins, risk_coverage};
use caril_eval::report::{interval_plot, reliability_diagram, risk_coverage_plot};
use caril_eval::stats::{Bootstrap, paired_difference};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("a folder is missing")?;
    let mut rng = CounterRng::new(1, 0);
    let confidence: Vec<f64> = (0..4000).map(|_| rng.uniform().sqrt()).collect();
    let mut right = |power: f64| -> Vec<bool> {
        confidence.iter().map(|c| rng.uniform() < libm::pow(*c, power)).collect()
    };
    let (before, after) = (right(2.2), right(1.05));
    let before_bins = equal_width_bins(&confidence, &before, ECE_BINS)?;
    let after_bins = equal_width_bins(&confidence, &after, ECE_BINS)?;
    let loss = |ok: &[bool]| ok.iter().map(|o| f64::from(u8::from(!o))).collect::<Vec<_>>();
    let blind: Vec<f64> = (0..4000).map(|_| rng.uniform()).collect();
    let by_probability = risk_coverage(&confidence, &loss(&after))?;
    let by_chance = risk_coverage(&blind, &loss(&after))?;
    let base: Vec<f64> = (0..60).map(|_| 0.5 + 0.1 * rng.normal()).collect();
    let mut arm = |gain: f64| {
        let arm: Vec<f64> = base.iter().map(|b| b - gain + 0.08 * rng.normal()).collect();
        paired_difference(&base, &arm, None, &Bootstrap::new(7))
    };
    let rows =
        [("calibrated", arm(0.1)?), ("paper", arm(0.0)?), ("classification only", arm(-0.04)?)];
    let pictures = [
        (
            "reliability",
            reliability_diagram("Reliability, unseen maps", &[("pilot", &before_bins)]),
        ),
        (
            "reliability_two",
            reliability_diagram(
                "Reliability before and after calibration",
                &[("before", &before_bins), ("after", &after_bins)],
            ),
        ),
        (
            "risk_coverage",
            risk_coverage_plot(
                "Risk–coverage, shifted set",
                "share of errors",
                &[("max probability", &by_probability), ("chance", &by_chance)],
            ),
        ),
        ("intervals", interval_plot("Cross-track error against off", "difference, m", &rows)),
    ];
    for (name, svg) in pictures {
        std::fs::write(format!("{folder}/{name}.svg"), svg)?;
    }
    Ok(())
}
