//! What a world is made from.

use std::sync::Arc;

use caril_core::{CameraSpec, CounterRng, NavCommand, Pacing};
use caril_road::{RoadMap, Route, RouteError};

use crate::camera::Scene;
use crate::fault::FaultSpec;
use crate::weather::Weather;

/// Everything that decides an episode, to the bit.
#[derive(Clone)]
pub struct SimConfig {
    /// The road network.
    pub map: Arc<RoadMap>,
    /// What the camera sees of it; built from `map` and `appearance_seed` if absent and `draw`.
    pub scene: Option<Arc<Scene>>,
    /// The way to drive.
    pub route: RouteSpec,
    /// Seed of routes, traffic, disturbance and faults.
    pub seed: u64,
    /// Light and air.
    pub weather: Weather,
    /// Faults of the camera and its stream (see [`crate::parse_fault`]).
    pub faults: Vec<FaultSpec>,
    /// The camera.
    pub camera: CameraSpec,
    /// Frames per second.
    pub rate_hz: f32,
    /// Whether the world waits for the command of each frame. With [`Pacing::Free`] only
    /// [`crate::SimWorld::tick`] moves the car.
    pub pacing: Pacing,
    /// Other cars.
    pub traffic: u32,
    /// Seed of colours, textures and surroundings.
    pub appearance_seed: u64,
    /// Disturbed start, for collecting data.
    pub disturbance: Option<Disturbance>,
    /// Frames after which the episode ends.
    pub frame_limit: Option<u64>,
    /// Seconds after which it ends; by default the route at 5 km/h and 20 s.
    pub time_limit_s: Option<f64>,
    /// Whether frames hold a picture; without, nothing is drawn and images stay as they are.
    pub draw: bool,
    /// Rows of the picture that anybody looks at (one truth value each); what the others hold is
    /// not said, and they cost little. `None`: all of them.
    pub seen_rows: Option<Arc<[bool]>>,
    /// Only every n-th picture is drawn, the first included; the others keep what was there. For
    /// collecting, where the frames between are driven but not kept.
    pub draw_every: u64,
    /// Whether the start, and the place that frames tell and that navigation goes by, are rounded
    /// to what CARLA's transforms carry (see [`crate::carried`]). The same drive through CARLA's
    /// protocol is then the same, and not one that parts from it in the last bits.
    pub carla_floats: bool,
}

impl SimConfig {
    /// A world with every default: the map's default route, ClearNoon, the paper's camera, 20 Hz,
    /// no traffic, no faults.
    pub fn new(map: Arc<RoadMap>) -> Self {
        Self {
            map,
            scene: None,
            route: RouteSpec::default(),
            seed: 1,
            weather: Weather::default(),
            faults: Vec::new(),
            camera: CameraSpec::PAPER,
            rate_hz: 20.0,
            pacing: Pacing::Lockstep,
            traffic: 0,
            appearance_seed: 0,
            disturbance: None,
            frame_limit: None,
            time_limit_s: None,
            draw: true,
            seen_rows: None,
            draw_every: 1,
            carla_floats: false,
        }
    }
}

/// How a start is disturbed so that the recording shows how to come back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disturbance {
    /// The start lies at most so far beside the lane's centre, metres.
    pub start_lateral_m: f64,
    /// The start's heading is at most so far off, degrees.
    pub start_yaw_deg: f64,
    /// The start's speed is drawn from 0 to this, m/s (and at most the planned speed).
    pub start_speed_mps: f64,
}

impl Default for Disturbance {
    fn default() -> Self {
        Self { start_lateral_m: 1.0, start_yaw_deg: 15.0, start_speed_mps: 10.0 }
    }
}

/// Which way to drive.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteSpec {
    /// A random route of the config's seed.
    Random {
        /// Least length, metres.
        min_m: f64,
        /// Greatest length, metres.
        max_m: f64,
    },
    /// From the lane nearest to one point to that nearest to another; x, y in metres.
    Points {
        /// Start.
        from: (f64, f64),
        /// End.
        to: (f64, f64),
    },
    /// `default`: a fixed route of about 600–900 m with many turns, whatever the seed;
    /// `random`: 300–800 m.
    Named(String),
    /// A route that was planned elsewhere.
    Given(Arc<Route>),
}

impl Default for RouteSpec {
    fn default() -> Self {
        Self::Named("default".to_owned())
    }
}

impl RouteSpec {
    /// From the command line: `default`, `random` or `X,Y:X,Y`. `None` if it is no such thing.
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "default" | "random") {
            return Some(Self::Named(text.to_owned()));
        }
        let point = |t: &str| -> Option<(f64, f64)> {
            let (x, y) = t.split_once(',')?;
            let p = (x.trim().parse::<f64>().ok()?, y.trim().parse::<f64>().ok()?);
            (p.0.is_finite() && p.1.is_finite()).then_some(p)
        };
        let (from, to) = text.split_once(':')?;
        Some(Self::Points { from: point(from)?, to: point(to)? })
    }

    /// Plans it.
    ///
    /// # Errors
    /// [`SimError`] if the name is unknown or the map has no such way.
    pub fn plan(&self, map: &RoadMap, seed: u64) -> Result<Arc<Route>, SimError> {
        let random =
            |seed, stream, lo, hi| map.random_route(&mut CounterRng::new(seed, stream), lo, hi);
        Ok(match self {
            Self::Random { min_m, max_m } => Arc::new(random(seed, ROUTE_STREAM, *min_m, *max_m)?),
            Self::Points { from, to } => Arc::new(map.plan_between(*from, *to)?),
            Self::Given(route) => route.clone(),
            Self::Named(name) => match name.as_str() {
                "random" => Arc::new(random(seed, ROUTE_STREAM, 300.0, 800.0)?),
                "default" => Arc::new(default_route(map)?),
                _ => return Err(SimError::UnknownRoute { name: name.clone() }),
            },
        })
    }
}

const ROUTE_STREAM: u64 = 0x0520_07E5;

/// The best of some random routes: the one with the most turns at junctions.
fn default_route(map: &RoadMap) -> Result<Route, SimError> {
    let mut best: Option<(usize, Route)> = None;
    let mut last = None;
    for stream in 0..12 {
        let mut rng = CounterRng::new(0, stream);
        let route = map.random_route(&mut rng, 600.0, 900.0);
        let route = route.or_else(|_| map.random_route(&mut rng, 150.0, 900.0));
        match route {
            Ok(route) => {
                let turns = turns(&route);
                if best.as_ref().is_none_or(|(n, _)| turns > *n) {
                    best = Some((turns, route));
                }
            }
            Err(e) => last = Some(e),
        }
    }
    match (best, last) {
        (Some((_, route)), _) => Ok(route),
        (None, Some(e)) => Err(e.into()),
        (None, None) => Err(RouteError::Degenerate.into()),
    }
}

/// How many turns to the left or right the route takes at junctions.
pub fn turns(route: &Route) -> usize {
    let is_turn = |n: NavCommand| matches!(n, NavCommand::Left | NavCommand::Right);
    let pairs = route.points().windows(2);
    pairs.filter(|w| is_turn(w[1].nav) && w[0].nav != w[1].nav).count()
}

/// Why a world cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// No route.
    #[error("no route: {0}")]
    Route(#[from] RouteError),
    /// A name that no map has.
    #[error("unknown route: expected default, random or X,Y:X,Y, got {name}")]
    UnknownRoute {
        /// What was asked for.
        name: String,
    },
    /// A number that makes no sense.
    #[error("{field}: expected {expected}, got {got}")]
    Value {
        /// Which.
        field: &'static str,
        /// What would make sense.
        expected: &'static str,
        /// What came.
        got: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_parsed() {
        assert_eq!(RouteSpec::parse("default"), Some(RouteSpec::default()));
        let points = RouteSpec::Points { from: (1.0, -2.5), to: (3.0, 4.0) };
        assert_eq!(RouteSpec::parse("1,-2.5:3,4"), Some(points));
        for bad in ["", "foo", "1,2", "1,2:3", "a,b:c,d", "1,NaN:2,3"] {
            assert_eq!(RouteSpec::parse(bad), None, "{bad}");
        }
    }
}
