//! `caril carla-server`: the CARLA client protocol over the embedded world.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_carla::{FAULTS, Faults, Library, Server, ServerOptions};
use clap::Args;

use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// Options of `carla-server`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril carla-server --port 2000 --map town_blocks &\n  python -c 'import carla; print(carla.Client(\"localhost\", 2000).get_world().get_map().name)'"
)]
pub struct CarlaServerArgs {
    /// Port of requests; streams take the next one. 0 takes a free pair
    #[arg(long, default_value_t = 2000)]
    port: u16,
    /// First map: a name from maps/ or an OpenDRIVE file
    #[arg(long, default_value = "harbour_town", value_name = "NAME|FILE.xodr")]
    map: String,
    /// More OpenDRIVE files that load_world may name (repeatable)
    #[arg(long = "also", value_name = "FILE.xodr")]
    also: Vec<PathBuf>,
    /// Address to listen at. Whoever reaches it may do everything: no password
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    listen: IpAddr,
    /// Seed of textures, colours and surroundings
    #[arg(long, default_value_t = 0, value_name = "N")]
    appearance: u64,
    /// Something that goes wrong on purpose (repeatable; `--fault list` names all)
    #[arg(long = "fault", value_name = "NAME:NUMBER")]
    faults: Vec<String>,
}

/// Runs the command until Ctrl-C.
///
/// # Errors
/// If the map or the ports cannot be used.
pub fn run(args: &CarlaServerArgs) -> anyhow::Result<Exit> {
    if args.faults.iter().any(|f| f == "list") {
        output::print_text(&format!("{FAULTS}\n"))?;
        return Ok(Exit::Ok);
    }
    let mut faults = Faults::default();
    for f in &args.faults {
        faults.add(f).map_err(|e| usage(format!("--fault: {e}")))?;
    }
    if args.port == u16::MAX {
        return Err(usage("--port 65535: streams take the next port, and there is none"));
    }
    let mut maps = scenario::all_maps();
    let mut add = |path: PathBuf| {
        let name = scenario::map_name(&path);
        maps.retain(|m| m.0 != name);
        maps.push((name.clone(), path));
        name
    };
    for path in &args.also {
        // A client that loads it would be told much later.
        caril_road::RoadMap::load(path).map_err(|e| usage(format!("--also: {e}")))?;
        add(path.clone());
    }
    let is_file = args.map.ends_with(".xodr") || args.map.contains('/');
    let map = if is_file { add(PathBuf::from(&args.map)) } else { args.map.clone() };
    if !maps.iter().any(|m| m.0 == map) {
        let names: Vec<&str> = maps.iter().map(|m| m.0.as_str()).collect();
        return Err(usage(format!("no map {map}; there are: {}", names.join(", "))));
    }
    let options = ServerOptions {
        address: args.listen,
        port: args.port,
        appearance_seed: args.appearance,
        faults,
        ..ServerOptions::new(Library { maps }, &map)
    };
    let server = Server::bind(&options)?;
    say!(
        "CARLA client protocol {} at {}:{} and {}: {map} in caril's embedded world, not CARLA",
        caril_carla::wire::VERSION,
        args.listen,
        server.port(),
        server.port() + 1
    );
    let asked = output::stop_on_ctrl_c_saying("closing the ports")?;
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !asked.asked() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        server.run(&stop);
    });
    Ok(Exit::Ok)
}
