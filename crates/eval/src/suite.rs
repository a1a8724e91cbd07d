//! Closed-loop suites: which drives are driven, what is measured of each, and what the arms' drives
//! say when they are compared pair by pair.
//!
//! A [`Suite`] is a data file; [`plan`] turns it into a list of [`Episode`]s that depends on
//! nothing else. Every arm drives the same episodes: same map, route, seed, weather, traffic,
//! faults and delays. What is measured of one drive are [`Measures`]; [`compare`] makes the tables.

mod arm;
mod data;
mod measures;
mod plan;
mod result;
mod table;

pub use arm::{Arm, ArmError, Driver, Mode};
pub use data::{Cells, Ends, RouteRule, Suite, SuiteError};
pub use measures::{Better, METRICS, Measures, Metric};
pub use plan::{Episode, Shard, plan};
pub use result::{EpisodeResult, PATH_STEP_M, PathPoint, Status};
pub use table::{Comparison, Effect, GroupTable, ROUTES_MIN, Row, Verdict, compare};
