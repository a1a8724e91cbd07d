//! Small arithmetic that several modules share.

use core::f64::consts::{PI, TAU};

/// The angle in (−π, π].
pub(crate) fn wrap_angle(a: f64) -> f64 {
    if a > -PI && a <= PI {
        return a;
    }
    let r = a - TAU * libm::floor((a + PI) / TAU);
    if r <= -PI { r + TAU } else { r }
}

/// 0 below `lo`, 1 above `hi`, smooth between.
pub(crate) fn smoothstep(lo: f64, hi: f64, x: f64) -> f64 {
    let t = ((x - lo) / (hi - lo)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_wrap() {
        assert!((wrap_angle(3.0 * PI + 0.1) - (0.1 - PI)).abs() < 1e-12);
        assert!((wrap_angle(-PI - 0.1) - (PI - 0.1)).abs() < 1e-12);
        assert_eq!(wrap_angle(0.5), 0.5);
    }
}
