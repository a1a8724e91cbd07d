//! OpenDRIVE road networks: reading, geometry, lanes, routes.
//!
//! All coordinates that leave this crate are CARLA's: left-handed, x east, y south (flipped
//! against OpenDRIVE), z up, yaw clockwise seen from above, metres and radians.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod curve;
mod draw;
mod error;
mod graph;
mod grid;
mod lanes;
mod lay;
mod locate;
mod map;
mod model;
mod plan;
mod poly;
mod reader;
mod route;
mod strips;
mod types;

pub use draw::draw_svg;
pub use error::{MapError, RouteError};
pub use map::RoadMap;
pub use route::{Route, RoutePoint};
pub use types::{
    LaneKey, LanePose, LaneStrip, LaneType, Mark, MarkColor, MarkKind, RoadInfo, Surface, Waypoint,
};
