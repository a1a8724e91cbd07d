//! Noise on the wheel while the expert drives, so that the recording shows how to come back.

use caril_core::CounterRng;

/// Triangular steering noise as in conditional imitation learning: now and then the wheel is
/// pulled aside, harder and then less, and the expert's clean label shows the way back. It is the
/// collector's and not a plant's: it works with every plant.
#[derive(Debug)]
pub(crate) struct TriangularNoise {
    strength: f64,
    rng: CounterRng,
    start_s: f64,
    half_s: f64,
    lateral_accel_mps2: f64,
}

impl TriangularNoise {
    /// Noise of a seed; `strength` in [0, 1], 0 for none.
    pub(crate) fn new(strength: f64, seed: u64) -> Self {
        let mut rng = CounterRng::new(seed, 0x6e6f_6973_6521);
        let start_s = rng.range(0.5, 3.0);
        Self { strength, rng, start_s, half_s: 0.4, lateral_accel_mps2: 0.0 }
    }

    /// Steer to add, CARLA scale. Time must not run backwards.
    pub(crate) fn at(&mut self, sim_time_ns: u64, speed_mps: f32) -> f32 {
        if self.strength <= 0.0 {
            return 0.0;
        }
        let t = sim_time_ns as f64 * 1e-9;
        if t >= self.start_s + 2.0 * self.half_s {
            self.start_s = t + self.rng.range(0.8, 3.5);
            self.half_s = self.rng.range(0.2, 0.7);
            let side = if self.rng.uniform() < 0.5 { -1.0 } else { 1.0 };
            self.lateral_accel_mps2 = side * self.strength * self.rng.range(0.6, 2.5);
        }
        let into = t - self.start_s;
        if into <= 0.0 {
            return 0.0;
        }
        let triangle = 1.0 - (into / self.half_s - 1.0).abs();
        let speed = f64::from(speed_mps).max(2.5);
        // The bicycle model's small-angle steer for that lateral acceleration; 70° at full steer.
        let wheel_rad = 2.875 * self.lateral_accel_mps2 / (speed * speed);
        ((wheel_rad * triangle / 70f64.to_radians()).clamp(-0.25, 0.25)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(strength: f64, seed: u64, speed_mps: f32) -> Vec<f32> {
        let mut noise = TriangularNoise::new(strength, seed);
        (0..4000).map(|i| noise.at(i * 50_000_000, speed_mps)).collect()
    }

    #[test]
    fn pulses_come_and_go_to_both_sides_within_their_bound() {
        let v = drive(1.0, 3, 2.0);
        let busy = v.iter().filter(|x| **x != 0.0).count();
        assert!((600..2000).contains(&busy), "about a third of the time: {busy}");
        assert!(v.iter().all(|x| x.abs() <= 0.25) && v.iter().any(|x| x.abs() > 0.2));
        assert!(v.iter().any(|x| *x > 0.1) && v.iter().any(|x| *x < -0.1));
        assert_eq!(v, drive(1.0, 3, 2.0));
        assert_ne!(v, drive(1.0, 4, 2.0));
    }

    #[test]
    fn faster_means_less_and_no_strength_none() {
        let peak = |v: Vec<f32>| v.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let slow = peak(drive(1.0, 3, 5.0));
        assert!((slow - 4.0 * peak(drive(1.0, 3, 10.0))).abs() < 1e-5 && slow > 0.1, "{slow}");
        assert_eq!(peak(drive(0.0, 3, 5.0)), 0.0);
    }
}
