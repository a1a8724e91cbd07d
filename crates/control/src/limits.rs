//! Limits of the steer: range, rate, lateral acceleration and lateral jerk at the present speed.

use caril_core::LimitsConfig;

use crate::bounded;
use crate::memory::Words;

/// A step of time longer than this, in seconds, counts as this: after a pause the wheel must not
/// jump.
pub const MAX_DT_S: f32 = 0.1;

/// Slower than about 3 cm/s is standing, where lateral acceleration limits nothing; the floor
/// keeps the quotients finite.
const MIN_SPEED_SQUARED: f32 = 1e-3;

/// Turns a wanted steer into an allowed one. Holds the last allowed steer and its time.
///
/// In order of priority, highest first:
/// 1. range: |steer| ≤ `steer_max`;
/// 2. rate: the change since the last steer is at most `steer_rate_max_per_s` · dt;
/// 3. lateral acceleration v²·tan(δ)/L ≤ `lateral_accel_max_mps2`;
/// 4. lateral jerk: the change of v²·tan(δ)/L at the present speed is at most
///    `lateral_jerk_max_mps3` · dt.
///
/// If the car has sped up so that the last steer lies beyond bound 3, the steer moves towards the
/// bound at the rate of 2, without regard to 4: too much lateral acceleration for longer is
/// worse than leaving it quickly.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    steer: f32,
    time_ns: Option<u64>,
}

impl Limits {
    pub(crate) fn walk(&mut self, w: &mut Words) {
        let Self { steer, time_ns } = self;
        w.finite(steer);
        w.option(time_ns);
    }

    /// The last allowed steer, CARLA scale.
    pub const fn steer(&self) -> f32 {
        self.steer
    }

    /// The allowed steer nearest to `wanted` (CARLA scale) at `speed_mps` and plant time
    /// `time_ns`. A steer or speed that is not finite holds the last steer. The first call, and a
    /// time that does not rise, allow no change: dt is 0.
    pub fn apply(
        &mut self,
        config: &LimitsConfig,
        wanted: f32,
        speed_mps: f32,
        time_ns: u64,
    ) -> f32 {
        let since = self.time_ns.map_or(0, |last| time_ns.saturating_sub(last));
        self.time_ns = Some(time_ns);
        // Before any comparison: `min`, `max` and `clamp` would turn a NaN into a steer.
        if !(wanted.is_finite() && speed_mps.is_finite()) {
            return self.steer;
        }
        let dt_s = (since as f32 * 1e-9).min(MAX_DT_S);
        let wheel_rad = config.wheel_angle_max_deg.to_radians();
        let steer_at = |tan: f32| libm::atanf(tan) / wheel_rad;
        // Lateral acceleration per tan(δ) is v²/L.
        let per_accel = config.wheelbase_m / (speed_mps * speed_mps).max(MIN_SPEED_SQUARED);

        let last = self.steer;
        let last_tan = libm::tanf(last * wheel_rad);
        let jerk_tan = config.lateral_jerk_max_mps3 * dt_s * per_accel;
        let jerked = bounded(wanted, steer_at(last_tan - jerk_tan), steer_at(last_tan + jerk_tan));

        let accel = steer_at(config.lateral_accel_max_mps2 * per_accel);
        let held = bounded(jerked, -accel, accel);

        let rate = config.steer_rate_max_per_s * dt_s;
        let turned = bounded(held, last - rate, last + rate);

        self.steer = bounded(turned, -config.steer_max, config.steer_max);
        self.steer
    }
}

#[cfg(test)]
mod tests;
