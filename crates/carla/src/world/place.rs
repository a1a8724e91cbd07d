//! A map and everything that is built from it.

use std::path::PathBuf;
use std::sync::Arc;

use caril_core::Pose;
use caril_road::RoadMap;
use caril_sim::Scene;
use caril_sim::contact::{Footprint, Obstacles};

/// Where maps come from: a name and the file that holds it.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Maps that `load_world` can name.
    pub maps: Vec<(String, PathBuf)>,
}

impl Library {
    /// The text of a map. The client may name it in full (`/Game/Carla/Maps/Town02`,
    /// `Carla/Maps/Town02`).
    ///
    /// # Errors
    /// If there is none of that name or its file cannot be read.
    pub fn read(&self, name: &str) -> Result<(String, String), String> {
        let short = name.rsplit('/').next().unwrap_or(name);
        let Some((name, path)) = self.maps.iter().find(|m| m.0 == short) else {
            return Err(format!("map '{name}' not found"));
        };
        let bytes = std::fs::metadata(path).map_err(|e| format!("map '{name}': {e}"))?.len();
        if bytes > crate::wire::MAX_MESSAGE as u64 {
            return Err(format!("map '{name}' is too large"));
        }
        let text = std::fs::read_to_string(path).map_err(|e| format!("map '{name}': {e}"))?;
        Ok((name.clone(), text))
    }
}

/// A map as the server needs it.
pub struct Place {
    /// Its short name.
    pub name: String,
    /// The OpenDRIVE text.
    pub xodr: String,
    /// The road network.
    pub map: RoadMap,
    /// What cameras see.
    pub scene: Arc<Scene>,
    /// What cars hit.
    pub obstacles: Obstacles,
    /// Recommended places for vehicles.
    pub spawn_points: Vec<Pose>,
    /// Latitude and longitude of the origin, degrees; without one in the file those that the
    /// client assumes.
    pub origin: (f64, f64),
}

impl Place {
    /// Builds it.
    ///
    /// # Errors
    /// If the text is no usable OpenDRIVE network.
    pub fn build(name: &str, xodr: String, appearance_seed: u64) -> Result<Self, String> {
        let map = RoadMap::from_xodr(name, &xodr).map_err(|e| e.to_string())?;
        let scene = Arc::new(Scene::build(&map, appearance_seed));
        let boxes = scene.obstacles().iter().map(|o| Footprint {
            x_m: o.x_m,
            y_m: o.y_m,
            z_m: f64::NAN,
            yaw_rad: o.yaw_rad,
            half_length_m: o.half_length_m,
            half_width_m: o.half_width_m,
        });
        let obstacles = Obstacles::new(boxes.collect());
        let spawn_points = spawn_points(&map);
        let number = |key: &str| -> Option<f64> {
            let rest = xodr.split(key).nth(1)?;
            rest.split(|c: char| c.is_whitespace() || c == '<' || c == ']').next()?.parse().ok()
        };
        let origin = (number("+lat_0=").unwrap_or(42.0), number("+lon_0=").unwrap_or(2.0));
        let name = name.to_owned();
        Ok(Self { name, map, scene, obstacles, spawn_points, origin, xodr })
    }
}

/// Between two spawn points of a lane, metres.
const SPACING_M: f64 = 20.0;
/// Least length of a lane with one, metres.
const LANE_MIN_M: f64 = 14.0;
const MAX_POINTS: usize = 500;
/// Height above the road, as CARLA's towns have it, metres.
const ABOVE_M: f64 = 0.3;

fn spawn_points(map: &RoadMap) -> Vec<Pose> {
    let mut points = Vec::new();
    for lane in map.driving_lanes() {
        let length = map.lane_length_m(*lane);
        if map.is_junction(*lane) || length < LANE_MIN_M {
            continue;
        }
        let mut along = 7.0;
        while along < length - 6.0 && points.len() < MAX_POINTS {
            let p = map.lane_pose(*lane, along);
            points.push(Pose {
                x_m: p.x_m,
                y_m: p.y_m,
                z_m: p.z_m + ABOVE_M,
                yaw_rad: p.yaw_rad,
                ..Pose::default()
            });
            along += SPACING_M;
        }
    }
    points
}
