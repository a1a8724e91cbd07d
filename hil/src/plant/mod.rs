//! The plant that the rig plays: the embedded world as the options describe it, or a recording.

pub mod course;
pub mod film;
pub mod recorded;
pub mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use caril_core::{CameraSpec, Pacing};
use caril_road::RoadMap;
use caril_sim::{RouteSpec, SimConfig, Weather};
use clap::Args;

use crate::exit::usage;

/// Where the rig's car drives.
#[derive(Debug, Clone, Args)]
pub struct WorldArgs {
    /// Map: a name from maps/ or an OpenDRIVE file
    #[arg(long, default_value = "harbour_town", value_name = "NAME|FILE.xodr")]
    map: String,
    /// Route: `default`, `random`, or two points in metres
    #[arg(
        long,
        default_value = "default",
        value_name = "default|random|X,Y:X,Y",
        allow_hyphen_values = true
    )]
    route: String,
    /// Weather by CARLA's preset names
    #[arg(long, default_value = "ClearNoon", value_name = "NAME")]
    weather: String,
    /// Seed of routes and of everything drawn by lot
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

impl WorldArgs {
    /// The world that they describe.
    ///
    /// # Errors
    /// If an option names something that does not exist.
    pub fn sim(&self) -> anyhow::Result<SimConfig> {
        let map = Arc::new(load_map(&self.map)?);
        let route = RouteSpec::parse(&self.route).ok_or_else(|| {
            usage(format!("--route {}: expected default, random or X,Y:X,Y", self.route))
        })?;
        let weather = Weather::preset(&self.weather).ok_or_else(|| {
            let names = Weather::names().join(", ");
            usage(format!("no weather {}; there are: {names}", self.weather))
        })?;
        Ok(SimConfig {
            route,
            seed: self.seed,
            weather,
            camera: CameraSpec::PAPER,
            // Whatever the pacing on the wire, the endpoint keeps the time.
            pacing: Pacing::Lockstep,
            ..SimConfig::new(map)
        })
    }
}

/// Folders that may hold `maps/` and `hil/`: here, above the program, and the source tree.
fn roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(".")];
    if let Ok(program) = std::env::current_exe() {
        roots.extend(program.ancestors().skip(1).map(Path::to_path_buf));
    }
    roots.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    roots
}

/// A file of the source tree or of the installation.
pub fn find(name: &str) -> Option<PathBuf> {
    roots().into_iter().map(|r| r.join(name)).find(|p| p.exists())
}

fn load_map(name: &str) -> anyhow::Result<RoadMap> {
    let path = if name.ends_with(".xodr") || name.contains('/') {
        PathBuf::from(name)
    } else {
        find(&format!("maps/{name}.xodr")).ok_or_else(|| usage(format!("no map {name}")))?
    };
    RoadMap::load(&path).with_context(|| format!("cannot use the map {}", path.display()))
}
