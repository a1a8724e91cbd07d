//! A route: what to follow, point by point.

use caril_core::NavCommand;

use crate::LaneKey;

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
        let _ = s_m;
        self.points[0]
    }

    /// Projects a position onto the route, searching within 30 m of `hint_s_m` along it:
    /// (s, lateral offset, right positive), metres.
    pub fn project(&self, x_m: f64, y_m: f64, hint_s_m: f64) -> (f64, f64) {
        let _ = (x_m, y_m, hint_s_m);
        (0.0, 0.0)
    }
}
