//! Steering stability: how restless is the wheel?

use crate::error::{Error, Result, finite, positive};

/// Steer by which a movement must turn back to count as a reversal, CARLA scale (about 1.4° at the
/// wheels of a car that steers 70°).
pub const REVERSAL_GAP: f64 = 0.02;

/// How restless the steering was.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SteeringStability {
    /// Root mean square of d(steer)/dt, steer per second.
    pub whiteness_per_s: f64,
    /// Changes of direction by more than the gap, per minute.
    pub reversals_per_min: f64,
}

/// Stability of `steer` tick by tick.
///
/// * `steer` – any scale; the result is in it
/// * `period_s` – of the ticks
/// * `gap` – least movement back that counts as a reversal, in the steer's scale: for example
///   [`REVERSAL_GAP`]
///
/// # Errors
/// If there are fewer than two ticks, a value is not finite, `period_s` is not above 0, or `gap`
/// is negative or not finite.
pub fn steering_stability(steer: &[f64], period_s: f64, gap: f64) -> Result<SteeringStability> {
    finite("steer", steer)?;
    positive("period_s", period_s)?;
    if !(gap.is_finite() && gap >= 0.0) {
        let expected = "a finite gap from 0 on";
        return Err(Error::OutOfRange { what: "gap", expected, got: gap, index: 0 });
    }
    let steps = steer.len() - 1;
    if steps == 0 {
        return Err(Error::TooFew { what: "steer", expected: 2, got: 1 });
    }
    let duration_s = steps as f64 * period_s;
    let squared: f64 = steer.iter().zip(steer.iter().skip(1)).map(|(a, b)| (b - a) * (b - a)).sum();
    Ok(SteeringStability {
        whiteness_per_s: (squared / steps as f64).sqrt() / period_s,
        reversals_per_min: reversals(steer, gap) as f64 / (duration_s / 60.0),
    })
}

/// How often the steer turns back by more than `gap` from where it last turned.
fn reversals(steer: &[f64], gap: f64) -> usize {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut rising, mut count) = (None, 0);
    for s in steer {
        low = low.min(*s);
        high = high.max(*s);
        let turned = match rising {
            Some(true) => high - s > gap,
            Some(false) => s - low > gap,
            // Which way it moves at first is no reversal.
            None if s - low > gap || high - s > gap => {
                rising = Some(s - low > gap);
                (low, high) = (*s, *s);
                false
            }
            None => false,
        };
        if turned {
            count += 1;
            rising = rising.map(|r| !r);
            (low, high) = (*s, *s);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_turns_twice_a_period() {
        // One minute at 20 Hz, 0.5 Hz, amplitude 0.1.
        let steer: Vec<f64> = (0..=1200)
            .map(|i| 0.1 * libm::sin(core::f64::consts::TAU * 0.5 * f64::from(i) / 20.0))
            .collect();
        let s = steering_stability(&steer, 0.05, REVERSAL_GAP).unwrap();
        assert_eq!(s.reversals_per_min, 60.0);
        // Slope's RMS of a sine: amplitude · 2πf / √2.
        assert!((s.whiteness_per_s - 0.1 * core::f64::consts::PI / 2f64.sqrt()).abs() < 0.002);
        let calm = steering_stability(&steer, 0.05, 0.21).unwrap();
        assert_eq!(calm.reversals_per_min, 0.0);
    }

    #[test]
    fn still_and_bad_input() {
        let still = steering_stability(&[0.3; 10], 0.05, 0.0).unwrap();
        assert_eq!((still.whiteness_per_s, still.reversals_per_min), (0.0, 0.0));
        let of = |s: &[f64], p, g| steering_stability(s, p, g).unwrap_err();
        assert!(matches!(of(&[], 0.05, 0.0), Error::Empty { .. }));
        assert!(matches!(of(&[0.0], 0.05, 0.0), Error::TooFew { .. }));
        assert!(matches!(of(&[0.0, f64::NAN], 0.05, 0.0), Error::NotFinite { .. }));
        assert!(matches!(of(&[0.0; 2], 0.0, 0.0), Error::OutOfRange { .. }));
        assert!(matches!(of(&[0.0; 2], 0.05, f64::NAN), Error::OutOfRange { .. }));
    }
}
