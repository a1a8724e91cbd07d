//! A loaded road network.

use std::path::Path;

use caril_core::CounterRng;

use crate::{
    LaneKey, LanePose, LaneStrip, MapError, RoadInfo, Route, RouteError, Surface, Waypoint,
};

/// A loaded road network. All coordinates are CARLA's.
#[derive(Debug, Clone)]
pub struct RoadMap {
    name: String,
}

impl RoadMap {
    /// Reads the text of an OpenDRIVE file.
    ///
    /// # Errors
    /// [`MapError`] if the text is no usable OpenDRIVE 1.4–1.7 network.
    pub fn from_xodr(name: &str, xml: &str) -> Result<Self, MapError> {
        let _ = xml;
        Ok(Self { name: name.to_owned() })
    }

    /// Reads an OpenDRIVE file; the map is named after it.
    ///
    /// # Errors
    /// [`MapError`] if the file cannot be read or is no usable OpenDRIVE 1.4–1.7 network.
    pub fn load(path: &Path) -> Result<Self, MapError> {
        Self::from_xodr(&path.display().to_string(), "")
    }

    /// The map's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The roads, in the file's order.
    pub fn roads(&self) -> &[RoadInfo] {
        &[]
    }

    /// Smallest and largest x, y of all lanes, metres.
    pub fn bounds(&self) -> ([f64; 2], [f64; 2]) {
        ([0.0; 2], [0.0; 2])
    }

    /// Waypoints of all driving lanes as CARLA's `generate_waypoints`.
    pub fn waypoints(&self, spacing_m: f64) -> Vec<Waypoint> {
        let _ = spacing_m;
        Vec::new()
    }

    /// All lanes of every type as strips, sampled at most `step_m` apart.
    pub fn strips(&self, step_m: f64) -> Vec<LaneStrip> {
        let _ = step_m;
        Vec::new()
    }

    /// All driving lanes in order.
    pub fn driving_lanes(&self) -> &[LaneKey] {
        &[]
    }

    /// Length of a driving lane's centre, metres; 0 for what is no driving lane.
    pub fn lane_length_m(&self, lane: LaneKey) -> f64 {
        let _ = lane;
        0.0
    }

    /// Pose on a driving lane's centre, `along_m` from its start in driving direction (clamped).
    pub fn lane_pose(&self, lane: LaneKey, along_m: f64) -> LanePose {
        let _ = (lane, along_m);
        LanePose {
            x_m: 0.0,
            y_m: 0.0,
            z_m: 0.0,
            yaw_rad: 0.0,
            pitch_rad: 0.0,
            curvature_1pm: 0.0,
            width_m: 0.0,
        }
    }

    /// The lanes that follow in driving direction.
    pub fn successors(&self, lane: LaneKey) -> &[LaneKey] {
        let _ = lane;
        &[]
    }

    /// Whether the lane lies in a junction.
    pub fn is_junction(&self, lane: LaneKey) -> bool {
        let _ = lane;
        false
    }

    /// The driving lane beside, if it has the same direction.
    pub fn neighbour(&self, lane: LaneKey, right: bool) -> Option<LaneKey> {
        let _ = (lane, right);
        None
    }

    /// Speed limit, m/s: the lane's, else the road's, in junctions else that of the lane before,
    /// else 30 mph.
    pub fn speed_limit_mps(&self, lane: LaneKey, along_m: f64) -> f64 {
        let _ = (lane, along_m);
        13.4112
    }

    /// The nearest driving lane centre within 100 m: (lane, along_m, lateral_m right-positive).
    /// Lanes within 4 m of `z_hint_m` are preferred, which separates bridges.
    pub fn nearest_lane(&self, x_m: f64, y_m: f64, z_hint_m: f64) -> Option<(LaneKey, f64, f64)> {
        let _ = (x_m, y_m, z_hint_m);
        None
    }

    /// What lies under a point; of several lanes the one best to drive on.
    pub fn surface(&self, x_m: f64, y_m: f64, z_hint_m: f64) -> Option<Surface> {
        let _ = (x_m, y_m, z_hint_m);
        None
    }

    /// The shortest route between two places given as (lane, along_m).
    ///
    /// # Errors
    /// [`RouteError`] if a lane is unknown or there is no way.
    pub fn plan(&self, from: (LaneKey, f64), to: (LaneKey, f64)) -> Result<Route, RouteError> {
        Err(RouteError::Unreachable { from: from.0, to: to.0 })
    }

    /// The shortest route between the lanes nearest to two points (x, y in metres).
    ///
    /// # Errors
    /// [`RouteError`] if no lane is near a point or there is no way.
    pub fn plan_between(
        &self,
        from_xy: (f64, f64),
        to_xy: (f64, f64),
    ) -> Result<Route, RouteError> {
        let _ = to_xy;
        Err(RouteError::NoLaneNear { x_m: from_xy.0, y_m: from_xy.1 })
    }

    /// A random drive from a random place, without U-turns where another way exists.
    ///
    /// # Errors
    /// [`RouteError::NoRandomRoute`] if none of that length was found.
    pub fn random_route(
        &self,
        rng: &mut CounterRng,
        min_len_m: f64,
        max_len_m: f64,
    ) -> Result<Route, RouteError> {
        let _ = rng;
        Err(RouteError::NoRandomRoute { min_m: min_len_m, max_m: max_len_m })
    }
}
