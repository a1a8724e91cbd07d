//! The expert: drives any route with what only the map's owner can know.
//!
//! Its steer is a smooth, memoryless function of the car's state and the road nearby, because a
//! camera network imitates it: feed-forward of the planned wheel angle plus moderate feedback.

use crate::math::wrap_angle;
use crate::plan::RoutePlan;
use crate::vehicle::{
    AXLE_STIFFNESS_NPRAD, FULL_BRAKE_MPS2, GRAVITY_MPS2, MASS_KG, Pedals, STEER_LAG_S, Vehicle,
    WHEEL_ANGLE_MAX_RAD, WHEELBASE_M, drag_mps2, engine_drag_mps2, full_throttle_mps2, slip_share,
};

/// Lateral acceleration that the expert's steer may ask for, m/s².
const LATERAL_MAX_MPS2: f64 = 3.0;
/// Damping of the way back to the centre.
const DAMPING: f64 = 0.9;
/// Steepest approach to the centre, radians.
const APPROACH_MAX_RAD: f64 = 0.4;

/// What the expert would do.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExpertAction {
    /// CARLA scale [−1, 1].
    pub steer: f64,
    /// Speed it wants here, m/s.
    pub speed_mps: f64,
    /// Acceleration it asks for, m/s².
    pub accel_mps2: f64,
}

/// The car's place on its route.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Place {
    /// Along the route, metres.
    pub s_m: f64,
    /// Right of the lane's centre, metres.
    pub lateral_m: f64,
}

/// The car ahead on the route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leader {
    /// Free way between the bumpers, metres.
    pub gap_m: f64,
    /// Its speed along the route, m/s.
    pub speed_mps: f64,
}

/// The expert's action. `period_s` is the time for which the command will be held.
pub fn act(
    plan: &RoutePlan,
    car: &Vehicle,
    place: Place,
    leader: Option<Leader>,
    period_s: f64,
) -> ExpertAction {
    let v = car.speed_mps;
    let here = plan.at(place.s_m);
    // What is asked now acts after half a period, the actuator's lag and, at speed, the tyres'.
    let ahead = plan.at(place.s_m + v * (STEER_LAG_S + 0.5 * period_s + 0.002 * v));

    // Slip of the axles in the bend turns the body inwards, where the model has slip.
    let slip = slip_share(v) * MASS_KG * v * v * here.curvature_1pm / (2.0 * AXLE_STIFFNESS_NPRAD);
    let heading = wrap_angle(car.yaw_rad - here.heading_rad - slip);
    let reach = 3.0 + 0.55 * v;
    let approach = -APPROACH_MAX_RAD
        * libm::tanh(place.lateral_m / (2.0 * DAMPING * reach * APPROACH_MAX_RAD));
    let bend_back = -2.0 * DAMPING / reach * (heading - approach);
    let tan_wheel = libm::tan(ahead.wheel_rad) + WHEELBASE_M * bend_back;
    let limit = LATERAL_MAX_MPS2 * WHEELBASE_M / (v * v).max(1.0);
    let wheel = libm::atan(tan_wheel.clamp(-limit, limit));

    let profile = plan.at(place.s_m + 0.2 * v);
    let mut speed = profile.speed_mps;
    let slope = profile.speed_slope_1ps * v;
    let mut accel = (1.5 * (speed - v) + slope.clamp(-2.5, 1.5)).clamp(-4.0, 1.8);
    if let Some(l) = leader {
        let follow = follow_accel(v, speed, l);
        if follow < accel {
            accel = follow;
            speed = speed.min((v + follow).max(0.0));
        }
    }
    ExpertAction {
        steer: (wheel / WHEEL_ANGLE_MAX_RAD).clamp(-1.0, 1.0),
        speed_mps: speed,
        accel_mps2: accel,
    }
}

/// Intelligent driver model (Treiber 2000): acceleration behind a leader, m/s².
pub fn follow_accel(speed_mps: f64, wish_mps: f64, leader: Leader) -> f64 {
    const ACCEL: f64 = 1.5;
    const BRAKE: f64 = 2.0;
    const HEADWAY_S: f64 = 1.4;
    const STAND_M: f64 = 3.0;
    let v = speed_mps;
    let closing = v - leader.speed_mps;
    let want = STAND_M + (v * HEADWAY_S + v * closing / (2.0 * (ACCEL * BRAKE).sqrt())).max(0.0);
    let r = v / wish_mps.max(0.1);
    let ratio = want / leader.gap_m.max(0.1);
    (ACCEL * (1.0 - r * r * r * r - ratio * ratio)).clamp(-FULL_BRAKE_MPS2, ACCEL)
}

/// Pedals that give an acceleration on a slope.
pub fn pedals(action: &ExpertAction, speed_mps: f64, pitch_rad: f64) -> Pedals {
    let needed = action.accel_mps2 + drag_mps2(speed_mps) + GRAVITY_MPS2 * libm::sin(pitch_rad);
    let (throttle, brake) = if needed >= 0.0 {
        ((needed / full_throttle_mps2(speed_mps)).min(1.0), 0.0)
    } else {
        (0.0, ((-needed - engine_drag_mps2(0.0)).max(0.0) / FULL_BRAKE_MPS2).min(1.0))
    };
    Pedals { steer: action.steer, throttle, brake }
}
