//! What the expert knows of the route beforehand: speed profile, smoothed curvature, and the
//! wheel angle and heading with which the car's origin stays on the lane's centre.

use caril_road::Route;

use crate::math::wrap_angle;
use crate::vehicle::WHEELBASE_M;

/// Lateral acceleration that the speed profile allows in bends, m/s².
pub const PLAN_LATERAL_MPS2: f64 = 2.0;
/// Acceleration that it allows, m/s².
pub const PLAN_ACCEL_MPS2: f64 = 1.5;
/// Deceleration that it allows, m/s².
pub const PLAN_DECEL_MPS2: f64 = 2.0;

const STEP_M: f64 = Route::SPACING_M;
const HALF_BASE_M: f64 = WHEELBASE_M / 2.0;
/// The steer ramps over so many seconds into a bend: 2 m/s² in 0.65 s is a jerk of 3 m/s³.
const RAMP_S: f64 = 0.65;
const RAMP_MIN_M: f64 = 2.0;

/// One planned point.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PlanPoint {
    /// Speed to drive here, m/s.
    pub speed_mps: f64,
    /// Change of that speed along the route, 1/s.
    pub speed_slope_1ps: f64,
    /// Curvature averaged over 0.65 s of way, right positive, 1/m.
    pub curvature_1pm: f64,
    /// Wheel angle that keeps the origin on the centre, without slip, radians.
    pub wheel_rad: f64,
    /// Route's direction (unwrapped) less the angle by which the origin drifts across the body.
    pub heading_rad: f64,
}

/// The plan of one route, a point every [`Route::SPACING_M`].
#[derive(Debug, Clone, PartialEq)]
pub struct RoutePlan {
    points: Vec<PlanPoint>,
}

impl RoutePlan {
    /// Plans a whole route.
    pub fn new(route: &Route) -> Self {
        let pts = route.points();
        let speed = speed_profile(route);
        let mut yaw = Vec::with_capacity(pts.len());
        let mut last: Option<f64> = None;
        for p in pts {
            let y = last.map_or(p.yaw_rad, |l| l + wrap_angle(p.yaw_rad - l));
            last = Some(y);
            yaw.push(y);
        }
        let yaw_at = |s: f64| sample(&yaw, s / STEP_M);
        let mut points = Vec::with_capacity(pts.len());
        // β: angle between the body and the way of its origin. Exact tracking of the centre means
        // β' = κ − sin β / (L/2): front wheels follow a low-passed curvature, whatever its steps.
        let mut beta: Option<f64> = None;
        for (i, (&v, p)) in speed.iter().zip(pts).enumerate() {
            let s = i as f64 * STEP_M;
            let w = (RAMP_S * v).max(RAMP_MIN_M);
            let (ahead, behind) = (yaw_at(s + w / 2.0), yaw_at(s - w / 2.0));
            let curvature = (ahead - behind) / w;
            let steady = libm::asin((curvature * HALF_BASE_M).clamp(-0.95, 0.95));
            let mut b = beta.unwrap_or(steady);
            for _ in 0..4 {
                b += STEP_M / 4.0 * (curvature - libm::sin(b) / HALF_BASE_M);
            }
            let b = b.clamp(-1.2, 1.2);
            beta = Some(b);
            // Average direction over the same window (Simpson), so that heading and curvature
            // belong to the same smoothed way.
            let mid = yaw_at(s);
            let direction = (ahead + 4.0 * mid + behind) / 6.0;
            let next = speed.get(i + 1).copied().unwrap_or(v);
            let _ = p;
            points.push(PlanPoint {
                speed_mps: v,
                speed_slope_1ps: (next - v) / STEP_M,
                curvature_1pm: curvature,
                wheel_rad: libm::atan(2.0 * libm::tan(b)),
                heading_rad: direction - b,
            });
        }
        Self { points }
    }

    /// The plan at `s_m`, interpolated; beyond the ends the end.
    pub fn at(&self, s_m: f64) -> PlanPoint {
        let last = self.points.len().saturating_sub(1);
        let f = (s_m / STEP_M).clamp(0.0, last as f64);
        let i = f as usize;
        let t = f - i as f64;
        let Some(&a) = self.points.get(i) else { return PlanPoint::default() };
        let b = self.points.get(i + 1).copied().unwrap_or(a);
        let mix = |x: f64, y: f64| x + t * (y - x);
        PlanPoint {
            speed_mps: mix(a.speed_mps, b.speed_mps),
            speed_slope_1ps: a.speed_slope_1ps,
            curvature_1pm: mix(a.curvature_1pm, b.curvature_1pm),
            wheel_rad: mix(a.wheel_rad, b.wheel_rad),
            heading_rad: mix(a.heading_rad, b.heading_rad),
        }
    }
}

fn sample(values: &[f64], at: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    let f = at.clamp(0.0, last as f64);
    let i = f as usize;
    let a = values.get(i).copied().unwrap_or(0.0);
    let b = values.get(i + 1).copied().unwrap_or(a);
    a + (f - i as f64) * (b - a)
}

/// Speeds, m/s, one per point: the limit, lowered in junctions and for bends, then made drivable
/// with the planned acceleration and deceleration.
fn speed_profile(route: &Route) -> Vec<f64> {
    let mut v: Vec<f64> = route
        .points()
        .iter()
        .map(|p| {
            let limit = p.speed_limit_mps.clamp(2.0, 40.0);
            let crossing = if p.in_junction { limit.min((0.6 * limit).max(10.0)) } else { limit };
            let bend = (PLAN_LATERAL_MPS2 / p.curvature_1pm.abs().max(1e-6)).sqrt();
            crossing.min(bend).max(1.5)
        })
        .collect();
    let braking =
        |next: f64, here: f64| here.min((next * next + 2.0 * PLAN_DECEL_MPS2 * STEP_M).sqrt());
    let gaining =
        |prev: f64, here: f64| here.min((prev * prev + 2.0 * PLAN_ACCEL_MPS2 * STEP_M).sqrt());
    let mut next = f64::INFINITY;
    for here in v.iter_mut().rev() {
        *here = braking(next, *here);
        next = *here;
    }
    let mut prev = f64::INFINITY;
    for here in &mut v {
        *here = gaining(prev, *here);
        prev = *here;
    }
    v
}
