//! `caril-hil plant`: the rig's plant as a process of its own, which tells every tick. `kills` kills
//! it; whoever writes a controller of their own may look at their car through it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caril_core::Pacing;
use caril_link::{PlantSocket, Seen, ServeOptions, stays_here};
use caril_sim::Scene;
use clap::Args;

use super::WorldArgs;
use super::course::{Course, Shared};
use crate::exit::{Exit, usage};

/// Options of `plant`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril-hil plant --endpoint ipc:///tmp/plant &\n  caril drive --plant ipc:///tmp/plant"
)]
pub struct PlantArgs {
    /// Where: tcp://127.0.0.1:PORT or ipc://PATH
    #[arg(long, value_name = "E")]
    pub endpoint: String,
    #[command(flatten)]
    pub world: WorldArgs,
    /// Frames a second
    #[arg(long, default_value_t = 20.0, value_name = "HZ")]
    rate: f32,
}

/// Serves controllers one after the other, free-running, until it is stopped; prints a JSON Line for
/// every tick, and before the first one for being bound.
///
/// # Errors
/// If the endpoint or the world cannot be used.
pub fn run(args: &PlantArgs) -> anyhow::Result<Exit> {
    if !stays_here(&args.endpoint)? {
        return Err(usage("this plant stays on its machine: `run --endpoint` has keys"));
    }
    let mut sim = args.world.sim()?;
    sim.rate_hz = args.rate;
    sim.scene = Some(Arc::new(Scene::build(&sim.map, sim.appearance_seed)));
    sim.route = caril_sim::RouteSpec::Given(sim.route.plan(&sim.map, sim.seed)?);
    let shared = Arc::new(Shared::default());
    let mut world = Course::new(sim, &[], None, Arc::clone(&shared))?;
    let options =
        ServeOptions { pacing: Pacing::Free, rate_hz: args.rate, ..ServeOptions::default() };
    let mut socket = PlantSocket::bind(&args.endpoint, options)?;
    let own = Arc::clone(&shared);
    socket.watch(Box::new(move |seen| {
        if seen == Seen::Braked {
            own.own_brake.store(true, Ordering::Relaxed);
        }
    }));
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{{\"endpoint\":{}}}", serde_json::to_string(socket.endpoint())?)?;
    out.flush()?;
    std::thread::scope(|scope| {
        let plant = scope.spawn(|| socket.serve(&mut world, &stop));
        while !plant.is_finished() {
            std::thread::sleep(Duration::from_millis(10));
            let ticks = match shared.tape.lock() {
                Ok(mut tape) => std::mem::take(&mut *tape),
                Err(_) => break,
            };
            for tick in ticks {
                // Whoever listened is gone: so is the reason to go on.
                if serde_json::to_writer(&mut out, &tick).is_err() || writeln!(out).is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let _ = out.flush();
        }
    });
    Ok(Exit::Ok)
}
