//! A route: what to follow, point by point.

use caril_core::{NavCommand, Pose};

use crate::lanes::{Sample, wrap};
use crate::locate::{project, segment_distance2};
use crate::plan::Leg;
use crate::{LaneKey, RoadMap, RouteError, lay};

/// One point of a route, CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoutePoint {
    /// Distance from the route's start, metres.
    pub s_m: f64,
    /// East, metres.
    pub x_m: f64,
    /// South, metres.
    pub y_m: f64,
    /// Up, metres.
    pub z_m: f64,
    /// Driving direction, clockwise seen from above.
    pub yaw_rad: f64,
    /// Uphill is positive.
    pub pitch_rad: f64,
    /// Mean curvature of the 2 m around the point, right turn positive, 1/m.
    pub curvature_1pm: f64,
    /// Width of the lane, metres.
    pub lane_width_m: f64,
    /// What the navigation says here.
    pub nav: NavCommand,
    /// Whether the point lies within a junction.
    pub in_junction: bool,
    /// Speed limit, m/s.
    pub speed_limit_mps: f64,
    /// The lane.
    pub lane: LaneKey,
}

impl RoutePoint {
    /// Pose of a body that stands here, without roll.
    pub const fn pose(&self) -> Pose {
        let Self { x_m, y_m, z_m, yaw_rad, pitch_rad, .. } = *self;
        Pose { x_m, y_m, z_m, yaw_rad, pitch_rad, roll_rad: 0.0 }
    }
}

/// Points every [`Route::SPACING_M`] of arc length; at least two.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    points: Vec<RoutePoint>,
}

impl Route {
    /// Distance between points, metres.
    pub const SPACING_M: f64 = 0.5;

    /// The points.
    pub fn points(&self) -> &[RoutePoint] {
        &self.points
    }

    /// Length of the route, metres.
    pub fn length_m(&self) -> f64 {
        self.points.last().map_or(0.0, |p| p.s_m)
    }

    /// The point at `s_m`, interpolated; beyond the ends the end.
    pub fn at(&self, s_m: f64) -> RoutePoint {
        let n = self.points.len();
        let f = (s_m / Self::SPACING_M).clamp(0.0, (n.max(2) - 1) as f64);
        // NaN is the start.
        let i = (f as usize).min(n.saturating_sub(2));
        let (Some(a), Some(b)) = (self.points.get(i), self.points.get(i + 1)) else {
            return self.points.first().copied().unwrap_or(NOWHERE);
        };
        let length = b.s_m - a.s_m;
        let u = ((s_m - a.s_m) / length).clamp(0.0, 1.0);
        let u = if u.is_finite() { u } else { 0.0 };
        let p = Sample::between(&sample_of(a), &sample_of(b), u);
        let near = if u < 0.5 { a } else { b };
        RoutePoint {
            s_m: p.along,
            x_m: p.x,
            y_m: p.y,
            z_m: p.z,
            yaw_rad: wrap(p.yaw),
            pitch_rad: p.pitch,
            curvature_1pm: p.curvature,
            lane_width_m: p.width,
            ..*near
        }
    }

    /// Projects a position onto the route, searching within 30 m of `hint_s_m` along it:
    /// (s, lateral offset, right positive), metres.
    pub fn project(&self, x_m: f64, y_m: f64, hint_s_m: f64) -> (f64, f64) {
        let n = self.points.len();
        let index = |s: f64| ((s / Self::SPACING_M).max(0.0) as usize).min(n.saturating_sub(2));
        let (lo, hi) = (index(hint_s_m - 30.0), index(hint_s_m + 30.0));
        let p = [x_m, y_m];
        let mut best = (f64::INFINITY, lo);
        for i in lo..=hi {
            let (Some(a), Some(b)) = (self.points.get(i), self.points.get(i + 1)) else { break };
            let d = segment_distance2([a.x_m, a.y_m], [b.x_m, b.y_m], p);
            if d < best.0 {
                best = (d, i);
            }
        }
        match (self.points.get(best.1), self.points.get(best.1 + 1)) {
            (Some(a), Some(b)) => {
                let (u, lateral) = project(&sample_of(a), &sample_of(b), p);
                (a.s_m + u * (b.s_m - a.s_m), lateral)
            }
            _ => (0.0, 0.0),
        }
    }

    /// Lays points along the legs.
    pub(crate) fn build(map: &RoadMap, legs: &[Leg]) -> Result<Self, RouteError> {
        let raw = lay::lay(map, legs);
        let length = raw.last().map_or(0.0, |r| r.at.along);
        if length < Self::SPACING_M {
            return Err(RouteError::Degenerate);
        }
        let mut points: Vec<RoutePoint> = Vec::new();
        let mut i = 1;
        // The last point is left out rather than put nearer than the spacing.
        let count = (length / Self::SPACING_M + 1e-6) as usize;
        for k in 0..=count {
            let s = (k as f64 * Self::SPACING_M).min(length);
            while raw.get(i).is_some_and(|r| r.at.along < s) && i + 1 < raw.len() {
                i += 1;
            }
            let (Some(a), Some(b)) = (raw.get(i - 1), raw.get(i)) else { break };
            let u = ((s - a.at.along) / (b.at.along - a.at.along).max(1e-9)).clamp(0.0, 1.0);
            let p = Sample::between(&a.at, &b.at, u);
            let lane = map.tables.get(b.lane).map(|t| t.key);
            let Some(lane) = lane else { break };
            points.push(RoutePoint {
                s_m: s,
                x_m: p.x,
                y_m: p.y,
                z_m: p.z,
                yaw_rad: p.yaw,
                pitch_rad: p.pitch,
                curvature_1pm: 0.0,
                lane_width_m: p.width,
                nav: NavCommand::Follow,
                in_junction: map.is_junction(lane),
                speed_limit_mps: map.speed_limit_mps(lane, b.lane_along),
                lane,
            });
        }
        let yaws: Vec<f64> = points.iter().map(|p| p.yaw_rad).collect();
        let last = points.len() - 1;
        for (i, p) in points.iter_mut().enumerate() {
            let (a, b) = (i.saturating_sub(2), (i + 2).min(last));
            if let (Some(ya), Some(yb)) = (yaws.get(a), yaws.get(b)) {
                p.curvature_1pm = (yb - ya) / ((b - a) as f64 * Self::SPACING_M);
            }
            p.yaw_rad = wrap(p.yaw_rad);
        }
        lay::navigate(map, legs, &mut points);
        Ok(Self { points })
    }
}

/// Stands for a point of an empty route, which cannot be built.
const NOWHERE: RoutePoint = RoutePoint {
    s_m: 0.0,
    x_m: 0.0,
    y_m: 0.0,
    z_m: 0.0,
    yaw_rad: 0.0,
    pitch_rad: 0.0,
    curvature_1pm: 0.0,
    lane_width_m: 0.0,
    nav: NavCommand::Follow,
    in_junction: false,
    speed_limit_mps: 0.0,
    lane: LaneKey { road: 0, section: 0, lane: 0 },
};

fn sample_of(p: &RoutePoint) -> Sample {
    Sample {
        s: p.s_m,
        along: p.s_m,
        x: p.x_m,
        y: p.y_m,
        z: p.z_m,
        yaw: p.yaw_rad,
        pitch: p.pitch_rad,
        curvature: p.curvature_1pm,
        width: p.lane_width_m,
    }
}
