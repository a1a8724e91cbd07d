//! Tests of the limits: each bound alone, their priority, and properties over any input.

use super::*;
use proptest::prelude::*;

const FRAME_NS: u64 = 50_000_000;

fn at(steer: f32) -> Limits {
    Limits { steer, time_ns: Some(0) }
}

fn lateral_mps2(c: &LimitsConfig, steer: f32, speed: f32) -> f32 {
    speed * speed * (steer * c.wheel_angle_max_deg.to_radians()).tan() / c.wheelbase_m
}

#[test]
fn standing_only_range_and_rate_bind() {
    let c = LimitsConfig::default();
    assert!((at(0.0).apply(&c, 1.0, 0.0, FRAME_NS) - 1.5 * 0.05).abs() < 1e-6);
    assert!((at(0.0).apply(&c, -1.0, 0.0, FRAME_NS) + 1.5 * 0.05).abs() < 1e-6);
    assert!((at(0.1).apply(&c, 0.12, 0.0, FRAME_NS) - 0.12).abs() < 1e-6, "free within");
    assert_eq!(at(0.69).apply(&c, 1.0, 0.0, FRAME_NS), c.steer_max);
    assert_eq!(at(-0.69).apply(&c, -1.0, 0.0, FRAME_NS), -c.steer_max);
}

#[test]
fn jerk_binds_at_speed() {
    let c = LimitsConfig::default();
    for wanted in [1.0_f32, -1.0] {
        let steer = at(0.0).apply(&c, wanted, 10.0, FRAME_NS);
        let jerk = lateral_mps2(&c, steer, 10.0) / 0.05;
        assert!((jerk - 5.0 * wanted).abs() < 1e-3, "{jerk}");
    }
}

#[test]
fn lateral_acceleration_binds_at_speed() {
    let c = LimitsConfig::default();
    let mut limits = at(0.0);
    for i in 1..=100 {
        limits.apply(&c, 0.5, 10.0, i * FRAME_NS);
    }
    assert!((lateral_mps2(&c, limits.steer(), 10.0) - 3.0).abs() < 1e-3);
    for i in 101..=300 {
        limits.apply(&c, -0.5, 10.0, i * FRAME_NS);
    }
    assert!((lateral_mps2(&c, limits.steer(), 10.0) + 3.0).abs() < 1e-3, "to the left as well");
}

#[test]
fn beyond_the_bound_the_steer_comes_back_at_the_rate_without_regard_to_jerk() {
    let c = LimitsConfig::default();
    let mut limits = at(0.4);
    let steer = limits.apply(&c, 0.4, 10.0, FRAME_NS);
    assert!((steer - (0.4 - 0.075)).abs() < 1e-6, "{steer}");
    assert!(lateral_mps2(&c, steer, 10.0) > 3.0, "not reachable in one step");
    for i in 2..=10 {
        limits.apply(&c, 0.4, 10.0, i * FRAME_NS);
    }
    assert!((lateral_mps2(&c, limits.steer(), 10.0) - 3.0).abs() < 1e-3);
}

#[test]
fn time_that_does_not_rise_allows_no_change_and_a_pause_counts_as_little() {
    let c = LimitsConfig::default();
    let mut limits = Limits::default();
    assert_eq!(limits.apply(&c, 0.5, 0.0, 9 * FRAME_NS), 0.0, "the first call");
    assert_eq!(limits.apply(&c, 0.5, 0.0, 9 * FRAME_NS), 0.0, "no time has passed");
    assert_eq!(limits.apply(&c, 0.5, 0.0, FRAME_NS), 0.0, "time went back");
    let steer = limits.apply(&c, 0.5, 0.0, 2 * FRAME_NS);
    assert!((steer - 0.075).abs() < 1e-6, "measured from the last call");
    let steer = limits.apply(&c, 0.7, 0.0, u64::MAX) - steer;
    assert!((steer - 1.5 * MAX_DT_S).abs() < 1e-6, "a long pause: {steer}");
}

#[test]
fn what_is_not_finite_holds_the_steer() {
    let c = LimitsConfig::default();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(at(0.3).apply(&c, bad, 0.0, FRAME_NS), 0.3);
        assert_eq!(at(0.3).apply(&c, 0.0, bad, FRAME_NS), 0.3);
    }
    let mut limits = at(0.3);
    limits.apply(&c, f32::NAN, 0.0, FRAME_NS);
    let steer = limits.apply(&c, 0.0, 0.0, 2 * FRAME_NS);
    assert!((steer - 0.225).abs() < 1e-6, "the time of the bad step is used up: {steer}");
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn bounds_hold_for_any_bits(
        steps in prop::collection::vec((any::<u32>(), 0.0_f32..60.0, any::<u32>(), 0..200_000_000_u64), 1..40),
        weird in 0..8_u8,
    ) {
        let c = LimitsConfig::default();
        let mut limits = Limits::default();
        let mut now = 0;
        for (wanted, plain, bits, dt_ns) in steps {
            let last = limits.steer();
            let first = limits.time_ns.is_none();
            now += dt_ns;
            let wanted = if weird & 1 == 0 { f32::from_bits(wanted) } else { (wanted as f32 / 2e9) - 1.0 };
            let speed = if weird & 6 == 6 { f32::from_bits(bits) } else { plain };
            let steer = limits.apply(&c, wanted, speed, now);
            prop_assert!(steer.is_finite() && steer.abs() <= c.steer_max);
            let dt = if first { 0.0 } else { (dt_ns as f32 * 1e-9).min(MAX_DT_S) };
            let moved = c.steer_rate_max_per_s * dt;
            prop_assert!((steer - last).abs() <= moved + 1e-6, "rate");
            if !(speed.is_finite() && wanted.is_finite()) {
                prop_assert_eq!(steer, last);
                continue;
            }
            let (was, is) = (lateral_mps2(&c, last, speed), lateral_mps2(&c, steer, speed));
            // One part in a million of steer, as lateral acceleration.
            let tol = 1e-4 + speed * speed * 1e-4;
            if was.abs() <= c.lateral_accel_max_mps2 {
                prop_assert!(is.abs() <= c.lateral_accel_max_mps2 + tol, "{was} {is} at {speed}");
                prop_assert!((is - was).abs() <= c.lateral_jerk_max_mps3 * dt + tol);
            } else {
                let bound = (c.lateral_accel_max_mps2 * c.wheelbase_m / (speed * speed)).atan()
                    / c.wheel_angle_max_deg.to_radians();
                let nearest = bound.max(last.abs() - moved);
                prop_assert!(steer.abs() <= nearest + 1e-5, "to the bound at the rate");
            }
        }
    }
}
