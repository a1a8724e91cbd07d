//! The car: a bicycle model good from standstill to 40 m/s.
//!
//! Kinematic below 3 m/s (no slip at the rear axle), two-axle dynamic with saturating tyres
//! above 6 m/s, blended between. Origin: on the ground midway between the axles, as in CARLA.

use crate::math::{smoothstep, wrap_angle};

/// Length of a Tesla Model 3, metres.
pub const LENGTH_M: f64 = 4.69;
/// Width without mirrors, metres.
pub const WIDTH_M: f64 = 1.85;
/// Height, metres.
pub const HEIGHT_M: f64 = 1.44;
/// Between the axles, metres.
pub const WHEELBASE_M: f64 = 2.875;
/// Between the wheels of one axle, metres.
pub const TRACK_M: f64 = 1.58;
/// Mass, kg.
pub const MASS_KG: f64 = 1850.0;
/// Wheel angle at full steer, radians: 70° as CARLA's.
pub const WHEEL_ANGLE_MAX_RAD: f64 = 70.0 * core::f64::consts::PI / 180.0;
/// Time constant of the steering actuator, seconds.
pub const STEER_LAG_S: f64 = 0.08;
/// Fastest turn of the wheels, rad/s.
pub const STEER_RATE_MAX_RADPS: f64 = 3.5;
/// Cornering stiffness of one axle, N/rad.
pub const AXLE_STIFFNESS_NPRAD: f64 = 125_000.0;
/// Friction of a dry road.
pub const FRICTION_DRY: f64 = 0.95;
/// Deceleration at full brake, m/s².
pub const FULL_BRAKE_MPS2: f64 = 8.0;
/// Standard gravity, m/s².
pub const GRAVITY_MPS2: f64 = 9.81;

const YAW_INERTIA_KGM2: f64 = 2900.0;
const SUBSTEP_S: f64 = 0.005;
const HALF_BASE_M: f64 = WHEELBASE_M / 2.0;

/// What the pedals and the wheel are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pedals {
    /// [−1, 1], +1 is full right.
    pub steer: f64,
    /// [0, 1].
    pub throttle: f64,
    /// [0, 1].
    pub brake: f64,
}

/// What the road does to the car.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    /// Uphill is positive, radians.
    pub pitch_rad: f64,
    /// Friction coefficient.
    pub friction: f64,
}

/// The state of the car.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vehicle {
    /// East, metres.
    pub x_m: f64,
    /// South, metres.
    pub y_m: f64,
    /// Clockwise seen from above, in (−π, π].
    pub yaw_rad: f64,
    /// Along the body, m/s; never backwards: the brakes hold the car on a slope.
    pub speed_mps: f64,
    /// Across the body at the origin, to the right, m/s.
    pub lateral_mps: f64,
    /// Clockwise, rad/s.
    pub yaw_rate_radps: f64,
    /// Angle of the front wheels, right positive, radians.
    pub wheel_rad: f64,
    /// Along the body, m/s².
    pub accel_mps2: f64,
}

/// Acceleration of full throttle on the flat without drag, m/s².
pub fn full_throttle_mps2(speed_mps: f64) -> f64 {
    4.0 / (1.0 + (speed_mps / 20.0) * (speed_mps / 20.0))
}

/// Deceleration by rolling and air on the flat, m/s².
pub fn drag_mps2(speed_mps: f64) -> f64 {
    0.1 + 0.5 * 1.2 * 0.52 * speed_mps * speed_mps / MASS_KG
}

/// Deceleration by the motor, m/s²; gone at a tenth of the throttle.
pub fn engine_drag_mps2(throttle: f64) -> f64 {
    0.25 * (1.0 - 10.0 * throttle).max(0.0)
}

/// How much of the dynamic model counts, [0, 1]; the rest is kinematic, without slip.
pub(crate) fn slip_share(speed_mps: f64) -> f64 {
    smoothstep(3.0, 6.0, speed_mps)
}

impl Vehicle {
    /// Drives for `dt_s` seconds in internal steps of at most 5 ms.
    pub fn advance(&mut self, pedals: &Pedals, ground: &Ground, dt_s: f64) {
        let steps = libm::ceil(dt_s / SUBSTEP_S - 1e-9).max(1.0);
        let h = dt_s / steps;
        let before = self.speed_mps;
        for _ in 0..steps as u32 {
            self.substep(pedals, ground, h);
        }
        self.accel_mps2 = (self.speed_mps - before) / dt_s;
    }

    fn substep(&mut self, pedals: &Pedals, ground: &Ground, h: f64) {
        let target = pedals.steer.clamp(-1.0, 1.0) * WHEEL_ANGLE_MAX_RAD;
        let rate = (target - self.wheel_rad) / STEER_LAG_S;
        self.wheel_rad += rate.clamp(-STEER_RATE_MAX_RADPS, STEER_RATE_MAX_RADPS) * h;

        let u = self.speed_mps;
        let grip = ground.friction * GRAVITY_MPS2;
        let throttle = pedals.throttle.clamp(0.0, 1.0);
        let brake = pedals.brake.clamp(0.0, 1.0) * FULL_BRAKE_MPS2;
        let drive = throttle * full_throttle_mps2(u) - GRAVITY_MPS2 * libm::sin(ground.pitch_rad);
        let resist = brake + drag_mps2(u) + engine_drag_mps2(throttle);
        let along = (drive - resist).clamp(-grip, grip);

        let tan_wheel = libm::tan(self.wheel_rad);
        // Kinematic: the rear axle rolls without slip, within what friction can bend.
        let limit = grip / u.max(0.1);
        let yaw_rate_kin = (u * tan_wheel / WHEELBASE_M).clamp(-limit, limit);
        let lateral_kin = yaw_rate_kin * HALF_BASE_M;
        let blend = slip_share(u);
        let mut scrub = 0.0;
        if blend > 0.0 {
            // Friction circle: what brakes cannot steer.
            let share = (along / grip).clamp(-0.95, 0.95);
            let cap = grip * MASS_KG / 2.0 * (1.0 - share * share).sqrt();
            let tyre = |slip: f64| -cap * libm::tanh(AXLE_STIFFNESS_NPRAD * slip / cap);
            let r = self.yaw_rate_radps;
            let front = tyre(libm::atan2(self.lateral_mps + HALF_BASE_M * r, u) - self.wheel_rad);
            let rear = tyre(libm::atan2(self.lateral_mps - HALF_BASE_M * r, u));
            let (sin_w, cos_w) = (libm::sin(self.wheel_rad), libm::cos(self.wheel_rad));
            let lateral = self.lateral_mps + h * ((front * cos_w + rear) / MASS_KG - u * r);
            let yaw_rate = r + h * HALF_BASE_M * (front * cos_w - rear) / YAW_INERTIA_KGM2;
            self.lateral_mps = blend * lateral + (1.0 - blend) * lateral_kin;
            self.yaw_rate_radps = blend * yaw_rate + (1.0 - blend) * yaw_rate_kin;
            scrub = blend * (-front * sin_w / MASS_KG + self.lateral_mps * r);
        } else {
            self.lateral_mps = lateral_kin;
            self.yaw_rate_radps = yaw_rate_kin;
        }

        let mid = (u + 0.5 * h * (along + scrub)).max(0.0);
        self.speed_mps = (u + h * (along + scrub)).max(0.0);
        let yaw_mid = self.yaw_rad + 0.5 * h * self.yaw_rate_radps;
        let (sin_y, cos_y) = (libm::sin(yaw_mid), libm::cos(yaw_mid));
        self.x_m += h * (mid * cos_y - self.lateral_mps * sin_y);
        self.y_m += h * (mid * sin_y + self.lateral_mps * cos_y);
        self.yaw_rad = wrap_angle(self.yaw_rad + h * self.yaw_rate_radps);
    }

    /// x, y of a point `forward_m` ahead and `right_m` to the right of the origin.
    pub fn point(&self, forward_m: f64, right_m: f64) -> (f64, f64) {
        let (s, c) = (libm::sin(self.yaw_rad), libm::cos(self.yaw_rad));
        (self.x_m + forward_m * c - right_m * s, self.y_m + forward_m * s + right_m * c)
    }

    /// x, y of the wheels on the ground: front left, front right, rear left, rear right.
    pub fn wheels(&self) -> [(f64, f64); 4] {
        let half = TRACK_M / 2.0;
        [
            self.point(HALF_BASE_M, -half),
            self.point(HALF_BASE_M, half),
            self.point(-HALF_BASE_M, -half),
            self.point(-HALF_BASE_M, half),
        ]
    }

    /// The velocity's direction at the origin, radians.
    pub fn course_rad(&self) -> f64 {
        wrap_angle(self.yaw_rad + libm::atan2(self.lateral_mps, self.speed_mps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Ground = Ground { pitch_rad: 0.0, friction: FRICTION_DRY };

    fn drive(v: &mut Vehicle, p: Pedals, seconds: f64) {
        for _ in 0..(seconds / 0.05).round() as usize {
            v.advance(&p, &FLAT, 0.05);
        }
    }

    #[test]
    fn straight_stays_straight() {
        let mut v = Vehicle::default();
        drive(&mut v, Pedals { throttle: 1.0, ..Pedals::default() }, 5.0);
        assert!(v.y_m == 0.0 && v.yaw_rad == 0.0);
        assert!((15.0..20.0).contains(&v.speed_mps), "{}", v.speed_mps);
    }

    #[test]
    fn slow_turn_has_the_radius_of_wheelbase_over_tan() {
        let steer = 0.4;
        let mut v = Vehicle { speed_mps: 2.0, ..Vehicle::default() };
        let p = Pedals { steer, throttle: 0.03, brake: 0.0 };
        drive(&mut v, p, 2.0);
        let rear = v.speed_mps / v.yaw_rate_radps;
        let want = WHEELBASE_M / libm::tan(steer * WHEEL_ANGLE_MAX_RAD);
        assert!((rear / want - 1.0).abs() < 0.01, "{rear} {want}");
        assert!(v.yaw_rate_radps > 0.0, "steer to the right turns clockwise");
    }

    #[test]
    fn fast_turn_is_neutral_and_limited_by_friction() {
        let mut v = Vehicle { speed_mps: 20.0, ..Vehicle::default() };
        let steer = 0.01;
        drive(&mut v, Pedals { steer, throttle: 0.15, brake: 0.0 }, 2.0);
        let want = v.speed_mps * libm::tan(steer * WHEEL_ANGLE_MAX_RAD) / WHEELBASE_M;
        assert!((v.yaw_rate_radps / want - 1.0).abs() < 0.05, "{} {want}", v.yaw_rate_radps);
        let mut v = Vehicle { speed_mps: 30.0, ..Vehicle::default() };
        for _ in 0..40 {
            v.advance(&Pedals { steer: 1.0, ..Pedals::default() }, &FLAT, 0.05);
            let lateral = v.speed_mps * v.yaw_rate_radps;
            assert!(v.x_m.is_finite() && lateral.abs() < 40.0);
        }
    }

    #[test]
    fn full_brake_stops_in_the_distance_of_eight_mps2() {
        let mut v = Vehicle { speed_mps: 20.0, ..Vehicle::default() };
        drive(&mut v, Pedals { brake: 1.0, ..Pedals::default() }, 4.0);
        assert_eq!(v.speed_mps, 0.0);
        assert!((22.0..25.1).contains(&v.x_m), "{}", v.x_m);
        let wet = Ground { friction: 0.55, ..FLAT };
        let mut w = Vehicle { speed_mps: 20.0, ..Vehicle::default() };
        for _ in 0..100 {
            w.advance(&Pedals { brake: 1.0, ..Pedals::default() }, &wet, 0.05);
        }
        assert!(w.x_m > 1.3 * v.x_m, "a wet road brakes worse");
    }

    #[test]
    fn steering_lags_and_speed_tops_out_above_40() {
        let mut v = Vehicle { speed_mps: 1.0, ..Vehicle::default() };
        v.advance(&Pedals { steer: 0.1, ..Pedals::default() }, &FLAT, STEER_LAG_S);
        let share = v.wheel_rad / (0.1 * WHEEL_ANGLE_MAX_RAD);
        assert!((0.6..0.7).contains(&share), "{share}");
        drive(&mut v, Pedals { throttle: 1.0, ..Pedals::default() }, 60.0);
        assert!(v.speed_mps > 40.0 && v.speed_mps < 60.0, "{}", v.speed_mps);
    }
}
