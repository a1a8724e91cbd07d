//! Longitudinal control: a target speed, and throttle or brake towards it.

use caril_core::{LimitsConfig, LongitudinalConfig, LongitudinalMode, NavCommand};

use crate::{STANDSTILL_MPS, bounded};

/// Paper: throttle below the target speed.
const PAPER_THROTTLE: f32 = 0.5;
/// Paper: the target speed, m/s.
const PAPER_SPEED_MPS: f32 = 15.0;
/// Decelerations milder than this, m/s², are left to drag: no flutter between the pedals.
const BRAKE_DEAD_BAND_MPS2: f32 = 0.2;
/// Brake that holds the car at a standstill.
pub(crate) const HOLD_BRAKE: f32 = 1.0;

/// What the longitudinal control looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongitudinalInput {
    /// Present speed, m/s.
    pub speed_mps: f32,
    /// The steer about to be applied, CARLA scale.
    pub steer: f32,
    /// The navigation's advisory speed, m/s; not finite or negative is unknown.
    pub advisory_speed_mps: f32,
    /// Where the route goes.
    pub nav: NavCommand,
    /// Cap because of doubt and of the mode, m/s; infinite if there is none.
    pub speed_cap_mps: f32,
}

/// What it answers. Throttle and brake are never both positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Longitudinal {
    /// The speed that it aims at, m/s.
    pub target_speed_mps: f32,
    /// [0, 1].
    pub throttle: f32,
    /// [0, 1].
    pub brake: f32,
}

/// Throttle and brake for the present speed and steer.
///
/// Mode `paper` is the published one (throttle 0.5 below 15 m/s, no brake); a speed cap lowers
/// the 15 m/s. Mode `cruise` aims at the lowest of cruise speed, advisory speed, turn speed
/// (where the route turns left or right), the speed at which the steer gives `lateral_accel_mps2`,
/// and the cap.
pub fn longitudinal(
    config: &LongitudinalConfig,
    limits: &LimitsConfig,
    input: &LongitudinalInput,
) -> Longitudinal {
    match config.mode {
        LongitudinalMode::Paper => {
            let target_speed_mps = PAPER_SPEED_MPS.min(input.speed_cap_mps);
            let throttle = if input.speed_mps < target_speed_mps { PAPER_THROTTLE } else { 0.0 };
            Longitudinal { target_speed_mps, throttle, brake: 0.0 }
        }
        LongitudinalMode::Cruise => cruise(config, limits, input),
    }
}

fn cruise(
    config: &LongitudinalConfig,
    limits: &LimitsConfig,
    input: &LongitudinalInput,
) -> Longitudinal {
    let target_speed_mps = target_speed(config, limits, input);
    if target_speed_mps <= 0.0 && input.speed_mps.abs() < STANDSTILL_MPS {
        return Longitudinal { target_speed_mps, throttle: 0.0, brake: HOLD_BRAKE };
    }
    let wanted = config.gain_per_s * (target_speed_mps - input.speed_mps);
    let accel = bounded(wanted, -config.decel_mps2, config.accel_mps2);
    // Rolling backwards towards a stop asks for acceleration, but a stop never gives throttle.
    let (throttle, brake) = if target_speed_mps <= 0.0 {
        (0.0, accel.abs() / config.full_brake_mps2)
    } else if accel >= 0.0 {
        (accel / config.full_throttle_mps2, 0.0)
    } else if accel < -BRAKE_DEAD_BAND_MPS2 {
        (0.0, -accel / config.full_brake_mps2)
    } else {
        (0.0, 0.0)
    };
    Longitudinal {
        target_speed_mps,
        throttle: bounded(throttle, 0.0, 1.0),
        brake: bounded(brake, 0.0, 1.0),
    }
}

fn target_speed(
    config: &LongitudinalConfig,
    limits: &LimitsConfig,
    input: &LongitudinalInput,
) -> f32 {
    let advisory = input.advisory_speed_mps;
    let advisory = if advisory.is_finite() && advisory >= 0.0 { advisory } else { f32::INFINITY };
    let wheel_rad = input.steer * limits.wheel_angle_max_deg.to_radians();
    let curvature_1pm = libm::tanf(wheel_rad).abs() / limits.wheelbase_m;
    // Straight on is a division by zero, and infinity is the right answer.
    let bend = libm::sqrtf(config.lateral_accel_mps2 / curvature_1pm);
    let turn = match input.nav {
        NavCommand::Left | NavCommand::Right => config.turn_speed_mps,
        _ => f32::INFINITY,
    };
    config.cruise_speed_mps.min(advisory).min(turn).min(bend).min(input.speed_cap_mps).max(0.0)
}

#[cfg(test)]
mod tests;
