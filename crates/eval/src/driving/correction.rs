//! Did the correction help? Raw and corrected action of every tick against the expert's.

use crate::error::{Error, Result, is_finite, positive};

/// The actions of one tick, all in one scale of steer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionTick {
    /// Without correction.
    pub raw: f64,
    /// With correction.
    pub corrected: f64,
    /// What the expert would have done here.
    pub expert: f64,
}

/// How the corrected actions compare with the raw ones.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Counterfactual {
    /// Ticks.
    pub ticks: usize,
    /// Ticks on which the action was changed.
    pub activated: usize,
    /// Share of ticks on which it was changed, [0, 1].
    pub activation_rate: f64,
    /// Share of changed ticks on which it came further from the expert; `None` if none changed.
    pub harm_rate: Option<f64>,
    /// Share of changed ticks on which it came nearer; `None` if none changed.
    pub benefit_rate: Option<f64>,
    /// Mean of |raw − expert| − |corrected − expert| over changed ticks, in the steer's scale:
    /// positive helps; `None` if none changed.
    pub mean_gain: Option<f64>,
    /// Mean of |raw − expert| over all ticks.
    pub raw_mae: f64,
    /// Mean of |corrected − expert| over all ticks.
    pub corrected_mae: f64,
}

/// Harm, benefit and activation of a correction.
///
/// * `least_change` – |corrected − raw| above which a tick counts as changed, in the steer's
///   scale; 0 counts any change
///
/// # Errors
/// If there are no ticks, a value is not finite, or `least_change` is negative or not finite.
pub fn counterfactual(ticks: &[ActionTick], least_change: f64) -> Result<Counterfactual> {
    if ticks.is_empty() {
        return Err(Error::Empty { what: "ticks" });
    }
    if !(least_change.is_finite() && least_change >= 0.0) {
        let (what, expected) = ("least_change", "a finite change from 0 on");
        return Err(Error::OutOfRange { what, expected, got: least_change, index: 0 });
    }
    let (mut activated, mut harm, mut benefit) = (0usize, 0usize, 0usize);
    let (mut gain, mut raw_total, mut corrected_total) = (0.0, 0.0, 0.0);
    for (index, t) in ticks.iter().enumerate() {
        if ![t.raw, t.corrected, t.expert].iter().all(|v| is_finite(*v)) {
            return Err(Error::NotFinite { what: "ticks", index });
        }
        let (raw, corrected) = ((t.raw - t.expert).abs(), (t.corrected - t.expert).abs());
        raw_total += raw;
        corrected_total += corrected;
        if (t.corrected - t.raw).abs() > least_change {
            activated += 1;
            harm += usize::from(corrected > raw);
            benefit += usize::from(corrected < raw);
            gain += raw - corrected;
        }
    }
    let n = ticks.len() as f64;
    let of_activated = |v: f64| (activated > 0).then(|| v / activated as f64);
    Ok(Counterfactual {
        ticks: ticks.len(),
        activated,
        activation_rate: activated as f64 / n,
        harm_rate: of_activated(harm as f64),
        benefit_rate: of_activated(benefit as f64),
        mean_gain: of_activated(gain),
        raw_mae: raw_total / n,
        corrected_mae: corrected_total / n,
    })
}

/// How often the regime changed, per minute of drive.
///
/// * `regimes` – tick by tick
/// * `period_s` – of the ticks
///
/// # Errors
/// If there are fewer than two ticks or `period_s` is not above 0.
pub fn switches_per_minute<T: PartialEq>(regimes: &[T], period_s: f64) -> Result<f64> {
    positive("period_s", period_s)?;
    if regimes.len() < 2 {
        return Err(Error::TooFew { what: "regimes", expected: 2, got: regimes.len() });
    }
    let switches = regimes.iter().zip(regimes.iter().skip(1)).filter(|(a, b)| a != b).count();
    Ok(switches as f64 / ((regimes.len() - 1) as f64 * period_s / 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(raw: f64, corrected: f64, expert: f64) -> ActionTick {
        ActionTick { raw, corrected, expert }
    }

    #[test]
    fn rates_by_hand() {
        let ticks = [
            tick(0.0, 0.5, 1.0),
            tick(0.0, -0.25, 1.0),
            tick(0.0, 0.0, 1.0),
            // Changed, and exactly as far on the other side: neither harm nor benefit.
            tick(0.5, 1.5, 1.0),
        ];
        let c = counterfactual(&ticks, 0.0).unwrap();
        assert_eq!((c.ticks, c.activated, c.activation_rate), (4, 3, 0.75));
        assert_eq!((c.harm_rate, c.benefit_rate), (Some(1.0 / 3.0), Some(1.0 / 3.0)));
        assert_eq!(c.mean_gain, Some(0.25 / 3.0));
        assert_eq!((c.raw_mae, c.corrected_mae), (3.5 / 4.0, 3.25 / 4.0));
        assert_eq!(counterfactual(&ticks, 0.3).unwrap().activated, 2);
    }

    #[test]
    fn nothing_changed_has_no_rates() {
        let c = counterfactual(&[tick(0.1, 0.1, 0.0)], 0.0).unwrap();
        assert_eq!((c.harm_rate, c.benefit_rate, c.mean_gain), (None, None, None));
        assert!(matches!(counterfactual(&[], 0.0), Err(Error::Empty { .. })));
        let nan = counterfactual(&[tick(0.0, f64::NAN, 0.0)], 0.0);
        assert!(matches!(nan, Err(Error::NotFinite { .. })));
        let change = counterfactual(&[tick(0.0, 0.0, 0.0)], f64::NAN);
        assert!(matches!(change, Err(Error::OutOfRange { .. })));
    }

    #[test]
    fn switches() {
        // 61 ticks of 1 s, a change every 10.
        let regimes: Vec<u32> = (0..61).map(|i| i / 10 % 2).collect();
        assert_eq!(switches_per_minute(&regimes, 1.0), Ok(6.0));
        assert!(switches_per_minute(&regimes[..1], 1.0).is_err());
        assert!(switches_per_minute(&regimes, -1.0).is_err());
    }
}
