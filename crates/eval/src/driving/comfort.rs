//! Comfort: do accelerations, jerks and yaw stay within what passengers bear?

use super::savgol::{SAVGOL_WINDOW, savgol_slope, savgol_smooth};
use crate::error::{Error, Result, is_finite, positive};

/// Steps of one window.
pub const WINDOW_STEPS: usize = 20;

/// A quantity that is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Bound {
    /// Acceleration along the vehicle, m/s².
    Longitudinal = 0,
    /// Acceleration across the vehicle, m/s².
    Lateral = 1,
    /// Rate of the acceleration's magnitude, m/s³.
    Jerk = 2,
    /// Rate of the acceleration along the vehicle, m/s³.
    LongitudinalJerk = 3,
    /// Rate of the yaw rate, rad/s².
    YawAcceleration = 4,
    /// Yaw rate, rad/s.
    YawRate = 5,
}

impl Bound {
    /// Number of bounds.
    pub const COUNT: usize = 6;
    /// All bounds, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Longitudinal,
        Self::Lateral,
        Self::Jerk,
        Self::LongitudinalJerk,
        Self::YawAcceleration,
        Self::YawRate,
    ];
}

/// Open range of each quantity, by [`Bound`], in its unit (Bench2Drive, after nuPlan).
pub const BOUNDS: [(f64, f64); Bound::COUNT] =
    [(-4.05, 2.40), (-4.89, 4.89), (-8.37, 8.37), (-4.13, 4.13), (-1.93, 1.93), (-0.95, 0.95)];

/// How the vehicle moved at one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// Acceleration along the vehicle, m/s².
    pub longitudinal_mps2: f64,
    /// Acceleration across the vehicle, m/s²; right is positive.
    pub lateral_mps2: f64,
    /// Yaw rate, rad/s; clockwise is positive.
    pub yaw_rate_radps: f64,
}

impl Motion {
    /// From what a vehicle without an accelerometer knows: the acceleration across is
    /// speed × yaw rate, as long as it does not slip.
    pub const fn without_slip(speed_mps: f64, longitudinal_mps2: f64, yaw_rate_radps: f64) -> Self {
        Self { longitudinal_mps2, lateral_mps2: speed_mps * yaw_rate_radps, yaw_rate_radps }
    }
}

/// How comfortable a drive was.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Comfort {
    /// Windows judged.
    pub windows: usize,
    /// Share of windows with every quantity inside its bounds, [0, 1].
    pub share: f64,
    /// Windows in which each quantity left its bounds, by [`Bound`].
    pub violations: [usize; Bound::COUNT],
    /// Greatest magnitude of each quantity, by [`Bound`], in its unit.
    pub peaks: [f64; Bound::COUNT],
}

/// Judges a drive in windows of [`WINDOW_STEPS`] steps that do not overlap, each smoothed by
/// itself (Savitzky–Golay, window 7, order 2), as Bench2Drive does; a shorter rest is left out,
/// unless it is all there is. Unlike Bench2Drive's script, which compares the yaw rate itself with
/// the bound of the yaw acceleration, we differentiate it.
///
/// * `motion` – tick by tick
/// * `period_s` – of the ticks; Bench2Drive's are 0.1 s
///
/// # Errors
/// If there are fewer than seven ticks, a value is not finite, or `period_s` is not above 0.
pub fn comfort(motion: &[Motion], period_s: f64) -> Result<Comfort> {
    positive("period_s", period_s)?;
    if motion.len() < SAVGOL_WINDOW {
        return Err(Error::TooFew { what: "motion", expected: SAVGOL_WINDOW, got: motion.len() });
    }
    let good = |m: &Motion| {
        [m.longitudinal_mps2, m.lateral_mps2, m.yaw_rate_radps].into_iter().all(is_finite)
    };
    if let Some(index) = motion.iter().position(|m| !good(m)) {
        return Err(Error::NotFinite { what: "motion", index });
    }
    let mut comfort =
        Comfort { windows: 0, share: 0.0, violations: [0; Bound::COUNT], peaks: [0.0; 6] };
    let mut good = 0;
    for window in motion.chunks_exact(WINDOW_STEPS.min(motion.len())) {
        let mut inside = true;
        let all = quantities(window, period_s)?;
        let counters = comfort.violations.iter_mut().zip(&mut comfort.peaks);
        for ((values, (low, high)), (violations, peak)) in all.iter().zip(BOUNDS).zip(counters) {
            let within = values.iter().all(|v| low < *v && *v < high);
            *violations += usize::from(!within);
            *peak = values.iter().fold(*peak, |p, v| p.max(v.abs()));
            inside &= within;
        }
        comfort.windows += 1;
        good += usize::from(inside);
    }
    comfort.share = good as f64 / comfort.windows as f64;
    Ok(comfort)
}

/// The smoothed quantities of one window, by [`Bound`].
fn quantities(window: &[Motion], period_s: f64) -> Result<[Vec<f64>; Bound::COUNT]> {
    let smooth =
        |of: fn(&Motion) -> f64| savgol_smooth(&window.iter().map(of).collect::<Vec<f64>>());
    let longitudinal = smooth(|m| m.longitudinal_mps2)?;
    let lateral = smooth(|m| m.lateral_mps2)?;
    let magnitude = smooth(|m| {
        (m.longitudinal_mps2 * m.longitudinal_mps2 + m.lateral_mps2 * m.lateral_mps2).sqrt()
    })?;
    let yaw_rate = smooth(|m| m.yaw_rate_radps)?;
    let jerk = savgol_slope(&magnitude, period_s)?;
    let longitudinal_jerk = savgol_slope(&longitudinal, period_s)?;
    let yaw_acceleration = savgol_slope(&yaw_rate, period_s)?;
    Ok([longitudinal, lateral, jerk, longitudinal_jerk, yaw_acceleration, yaw_rate])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Motion = Motion { longitudinal_mps2: 0.5, lateral_mps2: 1.0, yaw_rate_radps: 0.1 };

    #[test]
    fn one_hard_brake_spoils_its_window_only() {
        let mut motion = vec![CALM; 65];
        for m in &mut motion[25..32] {
            m.longitudinal_mps2 = -7.0;
        }
        let c = comfort(&motion, 0.1).unwrap();
        assert_eq!(c.windows, 3);
        assert!((c.share - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(c.violations[Bound::Longitudinal as usize], 1);
        assert_eq!(c.violations[Bound::LongitudinalJerk as usize], 1);
        assert_eq!(c.violations[Bound::Lateral as usize], 0);
        assert!((c.peaks[Bound::Lateral as usize] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn each_bound_is_held_at_its_edge() {
        // Constant quantities have no rates: only the bound itself can be broken.
        let of = |a, l, y| {
            let m = Motion { longitudinal_mps2: a, lateral_mps2: l, yaw_rate_radps: y };
            comfort(&[m; 20], 0.1).unwrap().violations
        };
        assert_eq!(of(2.39, -4.88, 0.94), [0; 6]);
        assert_eq!(of(2.41, 0.0, 0.0), [1, 0, 0, 0, 0, 0]);
        assert_eq!(of(-4.06, 0.0, 0.0), [1, 0, 0, 0, 0, 0]);
        assert_eq!(of(0.0, -4.9, -0.96), [0, 1, 0, 0, 0, 1]);
        // A yaw rate that grows by 2 rad/s², within its own bound.
        let ramp: Vec<Motion> =
            (0..20).map(|i| Motion { yaw_rate_radps: 0.04 * f64::from(i), ..CALM }).collect();
        assert_eq!(comfort(&ramp, 0.02).unwrap().violations, [0, 0, 0, 0, 1, 0]);
        assert_eq!(comfort(&ramp, 0.1).unwrap().violations, [0; 6]);
    }

    #[test]
    fn short_drives_and_bad_input() {
        assert_eq!(comfort(&[CALM; 7], 0.1).unwrap().windows, 1);
        assert_eq!(Motion::without_slip(8.0, 0.0, -0.5).lateral_mps2, -4.0);
        assert!(matches!(comfort(&[CALM; 6], 0.1), Err(Error::TooFew { .. })));
        assert!(matches!(comfort(&[CALM; 20], f64::NAN), Err(Error::OutOfRange { .. })));
        let nan = Motion { yaw_rate_radps: f64::NAN, ..CALM };
        assert!(matches!(comfort(&[nan; 20], 0.1), Err(Error::NotFinite { .. })));
    }
}
