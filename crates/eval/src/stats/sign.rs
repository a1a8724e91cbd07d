//! The sign test: on how many pairs is one arm better?

use crate::error::{Result, finite};

/// Result of a sign test.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SignTest {
    /// Differences above 0.
    pub positive: usize,
    /// Differences below 0.
    pub negative: usize,
    /// Differences of 0, which say nothing and are left out.
    pub ties: usize,
    /// Two-sided p value, (0, 1]; 1 if all are ties.
    pub p_value: f64,
}

/// Two-sided exact sign test of paired `differences` (binomial with p = ½, ties left out).
///
/// # Errors
/// If `differences` is empty or not finite.
pub fn sign_test(differences: &[f64]) -> Result<SignTest> {
    finite("differences", differences)?;
    let positive = differences.iter().filter(|d| **d > 0.0).count();
    let negative = differences.iter().filter(|d| **d < 0.0).count();
    let ties = differences.len() - positive - negative;
    let p_value = two_sided(positive.min(negative), positive + negative);
    Ok(SignTest { positive, negative, ties, p_value })
}

/// 2·P(X ≤ k) of a fair coin thrown n times, at most 1.
fn two_sided(k: usize, n: usize) -> f64 {
    // In logarithms, since 2⁻ⁿ is nothing for large n.
    let (mut log_ways, mut sum) = (0.0, 0.0);
    for i in 0..=k {
        if i > 0 {
            log_ways += libm::log((n - i + 1) as f64) - libm::log(i as f64);
        }
        sum += libm::exp(log_ways - n as f64 * core::f64::consts::LN_2);
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn exact_small_cases() {
        let p = |d: &[f64]| sign_test(d).unwrap().p_value;
        assert!((p(&[1.0; 6]) - 2.0 / 64.0).abs() < 1e-15);
        assert!((p(&[1.0, 1.0, 1.0, 1.0, 1.0, -1.0]) - 2.0 * 7.0 / 64.0).abs() < 1e-15);
        assert_eq!(p(&[1.0, -1.0]), 1.0);
        assert_eq!(p(&[0.0, 0.0]), 1.0);
        let t = sign_test(&[0.0, 2.0, -0.0, -1.0, 3.0]).unwrap();
        assert_eq!((t.positive, t.negative, t.ties), (2, 1, 2));
    }

    #[test]
    fn bad_input_is_told() {
        assert!(matches!(sign_test(&[]), Err(Error::Empty { .. })));
        assert!(matches!(sign_test(&[f64::NAN]), Err(Error::NotFinite { .. })));
    }
}
