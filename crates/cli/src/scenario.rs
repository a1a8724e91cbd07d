//! From names on the command line to things: maps, packs, the embedded world.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use caril_core::{CameraSpec, Config, Pacing, Policy, PolicyCard};
use caril_eval::suite::Suite;
use caril_road::RoadMap;
use caril_sim::{FaultSpec, RouteSpec, SimConfig, SimWorld, Weather};

use crate::args::{BackendArg, ScenarioArgs};
use crate::backend;
use crate::exit::usage;
use crate::output;

/// Folders that may hold `maps/`, `suites/` and `weights/`: here, beside and above the program, where
/// packages put them, and the source tree that it was built from.
fn roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(".")];
    if let Ok(program) = std::env::current_exe() {
        let above = || program.ancestors().skip(1);
        roots.extend(above().map(Path::to_path_buf));
        roots.extend(above().map(|folder| folder.join("share/caril")));
    }
    roots.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")));
    roots
}

fn find(folder: &str, name: &str) -> Option<PathBuf> {
    roots().into_iter().map(|r| r.join(folder).join(name)).find(|p| p.exists())
}

/// Names of what lies in `maps/`, `suites/` or `weights/`, for error messages.
fn known(folder: &str) -> String {
    names(folder).join(", ")
}

/// Names of what lies in `maps/`, `suites/` or `weights/`, in order.
pub fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = roots()
        .iter()
        .find_map(|r| std::fs::read_dir(r.join(folder)).ok())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|e| e.path())
        // Packs are folders; beside them lie what made them and what is to be read about them.
        .filter(|p| p.is_dir() || p.extension().is_some_and(|e| e == "xodr" || e == "toml"))
        .filter_map(|p| {
            let name = if p.is_dir() { p.file_name() } else { p.file_stem() };
            Some(name?.to_str()?.to_owned())
        })
        .filter(|n| !n.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Loads a map by name or file.
///
/// # Errors
/// If there is no such map or it cannot be read.
pub fn load_map(name: &str) -> anyhow::Result<RoadMap> {
    let path = if name.ends_with(".xodr") || name.contains('/') {
        PathBuf::from(name)
    } else {
        find("maps", &format!("{name}.xodr"))
            .ok_or_else(|| usage(format!("no map {name}; there are: {}", known("maps"))))?
    };
    Ok(RoadMap::load(&path)?)
}

/// Reads a configuration file: any part of config/default.toml. It is not validated.
///
/// # Errors
/// If the file cannot be read or is no configuration.
pub fn load_config(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text).map_err(|e| usage(format!("configuration {}:\n{e}", path.display())))
}

/// Reads a suite by name (from suites/) or file.
///
/// # Errors
/// If there is no such suite or it makes no sense.
pub fn load_suite(name: &str) -> anyhow::Result<Suite> {
    let path = if name.ends_with(".toml") || name.contains('/') {
        PathBuf::from(name)
    } else {
        find("suites", &format!("{name}.toml"))
            .ok_or_else(|| usage(format!("no suite {name}; there are: {}", known("suites"))))?
    };
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read the suite {}", path.display()))?;
    let suite: Suite =
        toml::from_str(&text).map_err(|e| usage(format!("suite {}:\n{e}", path.display())))?;
    suite.validate().map_err(|e| usage(format!("{}: {e}", path.display())))?;
    Ok(suite)
}

/// Every map of the first `maps/` folder that there is, by name.
pub fn all_maps() -> Vec<(String, PathBuf)> {
    let mut maps: Vec<(String, PathBuf)> = roots()
        .iter()
        .find_map(|r| std::fs::read_dir(r.join("maps")).ok())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "xodr"))
        .map(|p| (map_name(&p), p))
        .collect();
    maps.sort();
    maps
}

/// What a map's file is called.
pub fn map_name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

/// Folder of a pack by name or path.
///
/// # Errors
/// If there is no such pack.
pub fn pack_dir(name: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') || Path::new(name).join("card.toml").exists() {
        return Ok(PathBuf::from(name));
    }
    find("weights", name)
        .ok_or_else(|| usage(format!("no policy pack {name}; there are: {}", known("weights"))))
}

/// Loads a pack's card only.
///
/// # Errors
/// If there is no such pack or its card cannot be used.
pub fn load_card(name: &str) -> anyhow::Result<PolicyCard> {
    Ok(caril_pack::load_card(&pack_dir(name)?)?.0)
}

/// A pack ready to drive, whatever runs it.
pub type AnyPolicy = Box<dyn Policy>;

/// Loads a pack ready to drive.
///
/// # Errors
/// If there is no such pack, it cannot be used or the backend is not in this build.
pub fn load_policy(name: &str, backend: BackendArg, threads: u8) -> anyhow::Result<AnyPolicy> {
    backend::open(&pack_dir(name)?, backend, threads, |_| {})
}

/// Its folder as a replay finds it again, wherever it is started.
///
/// # Errors
/// If there is no such pack.
pub fn full_dir(name: &str) -> anyhow::Result<String> {
    let dir = pack_dir(name)?;
    Ok(dir.canonicalize().unwrap_or(dir).display().to_string())
}

/// What a recording says of a pack that took part without driving alone: its header has no card.
///
/// # Errors
/// If there is no such pack, or the build or the machine does not have the backend.
pub fn pack_facts(
    name: &str,
    backend: BackendArg,
    card: &PolicyCard,
) -> anyhow::Result<[(String, String); 4]> {
    let facts = [
        ("weights_sha256", card.weights_sha256.clone()),
        ("policy_dir", full_dir(name)?),
        ("backend", backend.name()),
        ("device", backend::device_name(backend)?),
    ];
    Ok(facts.map(|(key, value)| (key.to_owned(), value)))
}

/// Folders of all packs in `weights/`.
pub fn packs() -> Vec<PathBuf> {
    let mut packs: Vec<PathBuf> = roots()
        .iter()
        .filter_map(|r| std::fs::read_dir(r.join("weights")).ok())
        .flatten()
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.join("card.toml").exists())
        .collect();
    packs.sort();
    packs
}

/// Weather by name.
///
/// # Errors
/// If there is no such weather; the message names all.
pub fn weather(name: &str) -> anyhow::Result<Weather> {
    Weather::preset(name).ok_or_else(|| {
        usage(format!("no weather {name}; there are: {}", Weather::names().join(", ")))
    })
}

/// A fault of the camera by name and severity.
///
/// # Errors
/// If there is no such fault; the message names all.
pub fn fault(text: &str) -> anyhow::Result<FaultSpec> {
    caril_sim::parse_fault(text).map_err(|e| usage(format!("fault {text}: {e}")))
}

/// Prints the names that `--weather list` or `--fault list` ask for. Whether they were asked for.
///
/// # Errors
/// If stdout is full.
pub fn lists(args: &ScenarioArgs) -> anyhow::Result<bool> {
    let names = match args {
        _ if args.weather == "list" => Weather::names(),
        _ if args.faults.iter().any(|f| f == "list") => caril_sim::fault_names(),
        _ => return Ok(false),
    };
    output::print_text(&(names.join("\n") + "\n"))?;
    Ok(true)
}

/// The embedded world that the options describe.
///
/// # Errors
/// If an option names something that does not exist.
pub fn sim_config(
    args: &ScenarioArgs,
    config: &Config,
    camera: CameraSpec,
) -> anyhow::Result<SimConfig> {
    let map = Arc::new(load_map(&args.map)?);
    let route = RouteSpec::parse(&args.route).ok_or_else(|| {
        usage(format!("--route {}: expected default, random or X,Y:X,Y", args.route))
    })?;
    let faults = args.faults.iter().map(|text| fault(text)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(SimConfig {
        route,
        seed: config.drive_loop.seed,
        weather: weather(&args.weather)?,
        faults,
        camera,
        rate_hz: config.drive_loop.rate_hz,
        pacing: config.drive_loop.pacing,
        traffic: args.traffic,
        appearance_seed: args.appearance,
        frame_limit: args.frames,
        carla_floats: args.carla_floats,
        ..SimConfig::new(map)
    })
}

/// Builds it.
///
/// # Errors
/// If the route cannot be planned.
pub fn sim_world(config: SimConfig) -> anyhow::Result<SimWorld> {
    let name = config.map.name().to_owned();
    SimWorld::new(config).with_context(|| format!("cannot build the world of map {name}"))
}

/// Builds it for an endpoint. Whatever the pacing on the wire, the endpoint keeps the time: each
/// command that it hands on drives the world by one period.
///
/// # Errors
/// If the route cannot be planned.
pub fn served_world(config: SimConfig) -> anyhow::Result<SimWorld> {
    sim_world(SimConfig { pacing: Pacing::Lockstep, ..config })
}
