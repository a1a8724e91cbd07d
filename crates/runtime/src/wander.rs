//! Wandering: now and then the collector's expert is made to drive beside its lane for some
//! seconds, up to the far side of the oncoming lane, while its label stays the way back.
//!
//! Short pulls at the wheel never lead that far, and a network that has never seen its car in the
//! wrong lane drives on there as calmly as in its own.

use caril_core::{CounterRng, Frame, Truth};

/// Furthest to the left, metres: the middle of a wide oncoming lane and a little more.
const LEFT_MAX_M: f64 = 4.3;
/// Furthest to the right, metres: on the edge.
const RIGHT_MAX_M: f64 = 1.3;
const WHEELBASE_M: f64 = 2.875;
const LATERAL_MAX_MPS2: f64 = 2.5;

/// Makes the expert wander.
#[derive(Debug)]
pub struct Wander {
    rng: CounterRng,
    start_s: f64,
    end_s: f64,
    target_m: f64,
    on: bool,
}

impl Wander {
    /// `seed` decides when and where to; not `on`: never.
    pub fn new(on: bool, seed: u64) -> Self {
        let mut rng = CounterRng::new(seed, 0x7761_6e64);
        let start_s = rng.range(1.0, 5.0);
        Self { rng, start_s, end_s: start_s, target_m: 0.0, on }
    }

    /// The steer to drive with instead of the expert's, CARLA scale.
    pub fn steer(&mut self, frame: &Frame, truth: &Truth) -> f32 {
        let t = frame.sim_time_ns as f64 * 1e-9;
        if !self.on || t < self.start_s {
            return truth.expert_steer;
        }
        if t >= self.end_s {
            if self.target_m != 0.0 {
                self.target_m = 0.0;
                self.start_s = t + self.rng.range(2.0, 6.0);
                return truth.expert_steer;
            }
            self.target_m = if self.rng.uniform() < 0.8 {
                -self.rng.range(0.8, LEFT_MAX_M)
            } else {
                self.rng.range(0.5, RIGHT_MAX_M)
            };
            self.end_s = t + self.rng.range(2.0, 6.0);
        }
        beside(self.target_m, frame, truth)
    }
}

/// The expert's steer, with the embedded expert's way back to the lane's centre bent into a way to
/// `target_m` right of it.
fn beside(target_m: f64, frame: &Frame, truth: &Truth) -> f32 {
    let v = f64::from(frame.ego.speed_mps).max(1.0);
    let reach = 3.0 + 0.55 * v;
    let approach = |lateral: f64| -0.4 * libm::tanh(lateral / (0.72 * reach));
    let lateral = f64::from(truth.lane_deviation_m);
    let bend = 1.8 / reach * (approach(lateral - target_m) - approach(lateral));
    let full = 70f64.to_radians();
    let limit = LATERAL_MAX_MPS2 * WHEELBASE_M / (v * v);
    let expert = libm::tan(f64::from(truth.expert_steer) * full);
    // Where the road itself asks for more than the limit, the expert knows better.
    let tan =
        (expert + WHEELBASE_M * bend).clamp(-limit.max(expert.abs()), limit.max(expert.abs()));
    (libm::atan(tan) / full) as f32
}
