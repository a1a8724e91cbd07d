//! Disturbance for collecting data: pulses on the steer, and starts beside the lane.

use caril_core::CounterRng;

use crate::vehicle::{WHEEL_ANGLE_MAX_RAD, WHEELBASE_M};

/// How a drive is disturbed so that the recording shows how to come back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disturbance {
    /// Highest amplitude of the steering pulses, CARLA scale; 0 for none.
    pub steer_max: f64,
    /// The start lies at most so far beside the lane's centre, metres.
    pub start_lateral_m: f64,
    /// The start's heading is at most so far off, degrees.
    pub start_yaw_deg: f64,
    /// The start's speed is drawn from 0 to this, m/s (and at most the planned speed).
    pub start_speed_mps: f64,
}

impl Default for Disturbance {
    fn default() -> Self {
        Self { steer_max: 0.25, start_lateral_m: 1.0, start_yaw_deg: 15.0, start_speed_mps: 10.0 }
    }
}

/// Lateral acceleration that a pulse may add: without this, what is a nudge at 3 m/s throws the
/// car off the road at 12.
const PULSE_LATERAL_MPS2: f64 = 2.0;

/// Triangular pulses on the steer: 0.3–1.5 s long, 1.5–5 s apart.
#[derive(Debug, Clone)]
pub struct SteerNoise {
    rng: CounterRng,
    steer_max: f64,
    start_s: f64,
    length_s: f64,
    amplitude: f64,
}

impl SteerNoise {
    /// The pulses of a seed.
    pub fn new(seed: u64, steer_max: f64) -> Self {
        let mut noise = Self {
            rng: CounterRng::new(seed, 0xD157),
            steer_max,
            start_s: 0.0,
            length_s: 0.0,
            amplitude: 0.0,
        };
        noise.draw(0.0);
        noise
    }

    fn draw(&mut self, now_s: f64) {
        self.start_s = now_s + self.rng.range(1.5, 5.0);
        self.length_s = self.rng.range(0.3, 1.5);
        let sign = if self.rng.uniform() < 0.5 { -1.0 } else { 1.0 };
        self.amplitude = sign * self.rng.range(0.2, 1.0) * self.steer_max;
    }

    /// What is added to the steer now. Time must not run backwards.
    pub fn at(&mut self, now_s: f64, speed_mps: f64) -> f64 {
        if now_s >= self.start_s + self.length_s {
            self.draw(now_s);
        }
        if now_s < self.start_s {
            return 0.0;
        }
        let t = (now_s - self.start_s) / self.length_s;
        let shape = 1.0 - (2.0 * t - 1.0).abs();
        let v2 = (speed_mps * speed_mps).max(1.0);
        let cap = libm::atan(PULSE_LATERAL_MPS2 * WHEELBASE_M / v2) / WHEEL_ANGLE_MAX_RAD;
        shape * self.amplitude.clamp(-cap, cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulses_come_and_go_within_their_amplitude() {
        let mut noise = SteerNoise::new(3, 0.25);
        let v: Vec<f64> = (0..4000).map(|i| noise.at(f64::from(i) * 0.05, 2.0)).collect();
        let busy = v.iter().filter(|x| **x != 0.0).count();
        assert!((300..2000).contains(&busy), "{busy}");
        assert!(v.iter().all(|x| x.abs() <= 0.25) && v.iter().any(|x| x.abs() > 0.15));
        assert!(v.iter().any(|x| *x > 0.05) && v.iter().any(|x| *x < -0.05));
        let mut again = SteerNoise::new(3, 0.25);
        assert!(v.iter().enumerate().all(|(i, x)| again.at(i as f64 * 0.05, 2.0) == *x));
    }
}
