//! What a viewer who comes late is told of the drive so far: the path and the last seconds of
//! confidence, both of bounded size.

use std::collections::VecDeque;

use caril_core::StepRecord;
use serde::Serialize;

/// Points of the path at most; of more, every other one goes.
const MOST_POINTS: usize = 4096;
/// Points closer than this to the one before are no new ones, metres.
const SPACING_M: f64 = 0.5;
/// The chart's time span, ns.
const SPAN_NS: u64 = 30_000_000_000;
/// Least time between two points of the chart, ns.
const APART_NS: u64 = 40_000_000;

/// The path and the last seconds.
#[derive(Default, Serialize)]
pub(crate) struct Past {
    /// x, y in metres, and 1 where the action was corrected.
    path: Vec<(f64, f64, u8)>,
    /// Plant time in seconds, deciding confidence (`None`: there was none), regime.
    chart: VecDeque<(f64, Option<f32>, u8)>,
    #[serde(skip)]
    spacing_m: f64,
    #[serde(skip)]
    last_ns: u64,
}

impl Past {
    pub fn add(&mut self, step: &StepRecord) {
        let (x, y) = (step.ego.pose.x_m, step.ego.pose.y_m);
        let spacing_m = self.spacing_m.max(SPACING_M);
        let far = |p: &(f64, f64, u8)| (p.0 - x).hypot(p.1 - y) >= spacing_m;
        if x.is_finite() && y.is_finite() && self.path.last().is_none_or(far) {
            let centimetres = |v: f64| (v * 100.0).round() / 100.0;
            let corrected = u8::from(step.correction.regime.is_correction());
            self.path.push((centimetres(x), centimetres(y), corrected));
        }
        if self.path.len() > MOST_POINTS {
            let mut keep = false;
            self.path.retain(|_| {
                keep = !keep;
                keep
            });
            self.spacing_m = 2.0 * spacing_m;
        }
        let now_ns = step.sim_time_ns;
        if now_ns < self.last_ns {
            // Another drive has begun.
            self.chart.clear();
            self.last_ns = 0;
        }
        if self.chart.is_empty() || now_ns >= self.last_ns + APART_NS {
            let confidence = step.predicted.then_some(step.correction.confidence);
            let confidence = confidence.filter(|c| c.is_finite());
            let seconds = now_ns as f64 * 1e-9;
            self.chart.push_back((seconds, confidence, step.correction.regime as u8));
            self.last_ns = now_ns;
            let oldest = now_ns.saturating_sub(SPAN_NS) as f64 * 1e-9;
            while self.chart.front().is_some_and(|p| p.0 < oldest) {
                self.chart.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_drive() {
        let mut past = Past::default();
        let mut step = StepRecord { predicted: true, ..StepRecord::default() };
        for k in 0..40_000_u64 {
            step.sim_time_ns = k * 50_000_000;
            step.ego.pose.x_m = k as f64 * 0.6;
            past.add(&step);
        }
        assert!((MOST_POINTS / 4..=MOST_POINTS).contains(&past.path.len()), "{}", past.path.len());
        assert!((590..=602).contains(&past.chart.len()), "{}", past.chart.len());
        assert!(past.path.first().is_some_and(|p| p.0 == 0.0), "the start stays");
        step.sim_time_ns = 0;
        past.add(&step);
        assert_eq!(past.chart.len(), 1, "another drive");
    }

    #[test]
    fn what_is_no_number_is_no_point() {
        let mut past = Past::default();
        let mut step = StepRecord { predicted: true, ..StepRecord::default() };
        step.ego.pose.x_m = f64::NAN;
        step.correction.confidence = f32::NAN;
        past.add(&step);
        assert!(past.path.is_empty());
        assert_eq!(past.chart.front(), Some(&(0.0, None, 0)));
    }
}
