//! Drives of the expert without pictures, for checks.

use caril_core::EndReason;

use crate::{SimConfig, SimError, SimWorld};

/// What a drive of the expert came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub end: EndReason,
    /// Frames driven.
    pub frames: u64,
    /// Seconds of the world.
    pub seconds: f64,
    /// Length of the route, metres.
    pub route_length_m: f64,
    /// Share driven, 0–100.
    pub completion: f64,
    /// Mean |deviation| from the lane's centre, metres.
    pub deviation_mean_m: f64,
    /// 95 % of frames deviate less, metres.
    pub deviation_p95_m: f64,
    /// Largest |deviation|, metres.
    pub deviation_max_m: f64,
    /// Collisions.
    pub collisions: u32,
    /// Lane edges crossed.
    pub lane_invasions: u32,
    /// Driven off the road, metres.
    pub off_road_m: f64,
    /// Highest lateral acceleration (speed · yaw rate), m/s².
    pub lateral_max_mps2: f64,
    /// 99 % of frames ask for less lateral jerk (speed² · change of wheel curvature), m/s³.
    pub jerk_p99_mps3: f64,
    /// Highest |steer|, CARLA scale.
    pub steer_max: f64,
    /// Hash of all states on the way: equal for equal drives.
    pub state_hash: u64,
}

/// Lets the expert drive a whole episode; nothing is drawn.
///
/// # Errors
/// [`SimError`] if the world cannot be made.
pub fn drive_expert(mut config: SimConfig) -> Result<Summary, SimError> {
    config.draw = false;
    let dt_s = 1.0 / f64::from(config.rate_hz);
    let mut world = SimWorld::new(config)?;
    let mut deviations = Vec::new();
    let mut jerks = Vec::new();
    let mut curvature: Option<f64> = None;
    let (mut lateral_max, mut steer_max) = (0.0f64, 0.0f64);
    let end = loop {
        if let Some(end) = world.ended() {
            break end;
        }
        let truth = world.truth();
        deviations.push(f64::from(truth.lane_deviation_m).abs());
        let ego = world.ego();
        let v = f64::from(ego.speed_mps);
        lateral_max = lateral_max.max((v * f64::from(ego.yaw_rate_radps)).abs());
        let command = world.expert_command();
        steer_max = steer_max.max(f64::from(command.steer).abs());
        let wheel = f64::from(command.steer) * crate::vehicle::WHEEL_ANGLE_MAX_RAD;
        let k = libm::tan(wheel) / crate::vehicle::WHEELBASE_M;
        if let Some(last) = curvature.replace(k) {
            jerks.push((v * v * (k - last) / dt_s).abs());
        }
        world.tick(Some(&command));
    };
    let truth = world.truth();
    let mean = deviations.iter().sum::<f64>() / deviations.len().max(1) as f64;
    Ok(Summary {
        end,
        frames: world.frame_count(),
        seconds: world.frame_count() as f64 * dt_s,
        route_length_m: f64::from(truth.route_length_m),
        completion: f64::from(truth.route_completion),
        deviation_mean_m: mean,
        deviation_p95_m: quantile(&mut deviations, 0.95),
        deviation_max_m: quantile(&mut deviations, 1.0),
        collisions: truth.collisions,
        lane_invasions: truth.lane_invasions,
        off_road_m: f64::from(truth.off_road_m),
        lateral_max_mps2: lateral_max,
        jerk_p99_mps3: quantile(&mut jerks, 0.99),
        steer_max,
        state_hash: world.state_hash(),
    })
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let i = libm::ceil(share * values.len() as f64) as usize;
    values.get(i.saturating_sub(1)).copied().unwrap_or(0.0)
}
