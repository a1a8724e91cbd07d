//! Tests of the longitudinal control.

use super::*;
use proptest::prelude::*;

const FREE: LongitudinalInput = LongitudinalInput {
    speed_mps: 0.0,
    steer: 0.0,
    advisory_speed_mps: f32::NAN,
    nav: NavCommand::Follow,
    speed_cap_mps: f32::INFINITY,
};

fn cruise_of(input: LongitudinalInput) -> Longitudinal {
    longitudinal(&LongitudinalConfig::default(), &LimitsConfig::default(), &input)
}

fn paper_of(speed_mps: f32, speed_cap_mps: f32) -> Longitudinal {
    let c = LongitudinalConfig { mode: LongitudinalMode::Paper, ..LongitudinalConfig::default() };
    longitudinal(
        &c,
        &LimitsConfig::default(),
        &LongitudinalInput { speed_mps, speed_cap_mps, ..FREE },
    )
}

#[test]
fn paper_is_half_throttle_below_15_and_the_cap_lowers_that() {
    let inf = f32::INFINITY;
    for (speed, cap, throttle, target) in [
        (0.0, inf, 0.5, 15.0),
        (14.99, inf, 0.5, 15.0),
        (15.0, inf, 0.0, 15.0),
        (4.0, 5.0, 0.5, 5.0),
        (5.0, 5.0, 0.0, 5.0),
    ] {
        let expected = Longitudinal { target_speed_mps: target, throttle, brake: 0.0 };
        assert_eq!(paper_of(speed, cap), expected, "{speed} {cap}");
    }
}

#[test]
fn target_is_the_lowest_of_all() {
    let target = |input| cruise_of(input).target_speed_mps;
    assert_eq!(target(FREE), 12.0);
    assert_eq!(target(LongitudinalInput { advisory_speed_mps: 7.0, ..FREE }), 7.0);
    assert_eq!(target(LongitudinalInput { advisory_speed_mps: 20.0, ..FREE }), 12.0);
    assert_eq!(target(LongitudinalInput { advisory_speed_mps: 0.0, ..FREE }), 0.0);
    for unknown in [-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(target(LongitudinalInput { advisory_speed_mps: unknown, ..FREE }), 12.0);
    }
    for (nav, speed_mps) in
        [(NavCommand::Left, 4.5), (NavCommand::Right, 4.5), (NavCommand::Straight, 12.0)]
    {
        assert_eq!(target(LongitudinalInput { nav, ..FREE }), speed_mps);
    }
    assert_eq!(target(LongitudinalInput { speed_cap_mps: 3.5, ..FREE }), 3.5);
    assert_eq!(target(LongitudinalInput { speed_cap_mps: -1.0, ..FREE }), 0.0);
    // 0.2 of 70° is 14°: κ = tan 14° / 2.875 = 0.08672; √(2 / 0.08672) = 4.802.
    for steer in [0.2, -0.2] {
        let got = target(LongitudinalInput { steer, ..FREE });
        assert!((got - 4.802).abs() < 1e-3, "{got}");
    }
}

#[test]
fn pedals_follow_the_error_within_comfort() {
    let pedals = |speed_mps, target| {
        let p = cruise_of(LongitudinalInput { speed_mps, advisory_speed_mps: target, ..FREE });
        (p.throttle, p.brake)
    };
    let near = |got: (f32, f32), throttle: f32, brake: f32, what: &str| {
        assert!((got.0 - throttle).abs() < 1e-5 && (got.1 - brake).abs() < 1e-5, "{what}: {got:?}");
    };
    near(pedals(0.0, 10.0), 1.8 / 4.0, 0.0, "full comfort");
    near(pedals(9.0, 10.0), 1.2 / 4.0, 0.0, "in proportion");
    near(pedals(10.0, 10.0), 0.0, 0.0, "there");
    near(pedals(10.1, 10.0), 0.0, 0.0, "dead band");
    near(pedals(11.0, 10.0), 0.0, 1.2 / 8.0, "in proportion");
    near(pedals(20.0, 5.0), 0.0, 2.5 / 8.0, "full comfort");
    near(pedals(0.1, 0.0), 0.0, 1.0, "held");
    near(pedals(-0.1, 0.0), 0.0, 1.0, "held");
    near(pedals(0.2, 0.0), 0.0, 0.24 / 8.0, "almost there");
    near(pedals(-1.0, 0.0), 0.0, 1.2 / 8.0, "rolling backwards, braked");
    near(pedals(-1.0, 1.0), 1.8 / 4.0, 0.0, "rolling backwards, driven");
    near(pedals(0.1, 5.0), 1.8 / 4.0, 0.0, "standing is no reason to hold");
}

#[test]
fn the_dead_band_ends_where_it_says() {
    // Error · 1.2 = 0.2 at 0.16667 m/s above the target.
    let brake = |over: f32| {
        let input = LongitudinalInput { speed_mps: 1.0 + over, advisory_speed_mps: 1.0, ..FREE };
        cruise_of(input).brake
    };
    assert_eq!(brake(0.166), 0.0);
    assert!(brake(0.168) > 0.02);
    let exact = LongitudinalConfig { gain_per_s: 0.2, ..LongitudinalConfig::default() };
    let input = LongitudinalInput { speed_mps: 2.0, advisory_speed_mps: 1.0, ..FREE };
    assert_eq!(longitudinal(&exact, &LimitsConfig::default(), &input).brake, 0.0);
}

#[test]
fn weak_pedals_are_used_to_the_full_and_no_further() {
    let weak = LongitudinalConfig {
        full_throttle_mps2: 1.0,
        full_brake_mps2: 1.0,
        ..LongitudinalConfig::default()
    };
    let pedals = |speed_mps| {
        longitudinal(&weak, &LimitsConfig::default(), &LongitudinalInput { speed_mps, ..FREE })
    };
    assert_eq!((pedals(0.0).throttle, pedals(30.0).brake), (1.0, 1.0));
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn pedals_are_in_range_and_never_both(
        speed in -100.0_f32..100.0, steer in -1.0_f32..=1.0, advisory: u32, cap: u32,
        nav in 0_u8..7, paper: bool,
    ) {
        let mode = if paper { LongitudinalMode::Paper } else { LongitudinalMode::Cruise };
        let c = LongitudinalConfig { mode, ..LongitudinalConfig::default() };
        let input = LongitudinalInput {
            speed_mps: speed,
            steer,
            advisory_speed_mps: f32::from_bits(advisory),
            nav: NavCommand::from_code(nav).unwrap_or_default(),
            speed_cap_mps: f32::from_bits(cap),
        };
        let out = longitudinal(&c, &LimitsConfig::default(), &input);
        prop_assert!((0.0..=1.0).contains(&out.throttle) && (0.0..=1.0).contains(&out.brake));
        prop_assert!(out.throttle == 0.0 || out.brake == 0.0);
        prop_assert!(!out.target_speed_mps.is_nan());
        prop_assert!(paper || out.target_speed_mps >= 0.0 && out.target_speed_mps <= 12.0);
    }
}
