//! Why a map or a route cannot be had.

use std::path::PathBuf;

/// Why a file is no road network that this crate can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The file cannot be read.
    #[error("cannot read the map: {source}: {}", path.display())]
    Io {
        /// What the system said.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// Larger than this crate reads.
    #[error("the map is too large: expected at most {limit} {what}, got {got}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many at most.
        limit: u64,
        /// How many there are.
        got: u64,
    },
    /// Not XML, or cut off.
    #[error("the map is no well-formed XML: {0}")]
    Xml(String),
    /// XML, but no OpenDRIVE.
    #[error("expected the root element OpenDRIVE, got {0}")]
    NotOpenDrive(String),
    /// No road in it.
    #[error("the map has no road with a lane to drive on")]
    NoRoads,
    /// Something within a road makes no sense.
    #[error("road {road}: {what}: expected {expected}, got {got}")]
    Road {
        /// The file's id of the road.
        road: String,
        /// Which element or attribute.
        what: String,
        /// What would make sense.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// Something within a junction makes no sense.
    #[error("junction {junction}: {what}: expected {expected}, got {got}")]
    Junction {
        /// The file's id of the junction.
        junction: String,
        /// Which element or attribute.
        what: String,
        /// What would make sense.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// The error of a file, with its path.
    #[error("{error}: {}", path.display())]
    File {
        /// What is wrong.
        error: Box<MapError>,
        /// The file.
        path: PathBuf,
    },
}

/// Why there is no route.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The lane is no driving lane of this map.
    #[error("expected a driving lane of the map, got {0:?}")]
    NotADrivingLane(crate::LaneKey),
    /// No lane near the point.
    #[error("no driving lane within 100 m of ({x_m:.1}, {y_m:.1})")]
    NoLaneNear {
        /// East, metres.
        x_m: f64,
        /// South, metres.
        y_m: f64,
    },
    /// The target cannot be reached.
    #[error("no way from {from:?} to {to:?}")]
    Unreachable {
        /// Start lane.
        from: crate::LaneKey,
        /// Target lane.
        to: crate::LaneKey,
    },
    /// No random route of that length was found.
    #[error("no route of {min_m:.0} to {max_m:.0} m found")]
    NoRandomRoute {
        /// Least length asked for, metres.
        min_m: f64,
        /// Greatest length asked for, metres.
        max_m: f64,
    },
    /// Start and target are the same place, or a number is not finite.
    #[error("expected a route of positive finite length")]
    Degenerate,
}
