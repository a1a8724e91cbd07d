//! `caril-hil run`: plays the plant in real time, breaks what the schedule says, measures, judges.

mod budgets;
mod conductor;
mod figures;
mod incidents;
pub mod process;
mod recording;
mod report;
mod results;
mod viewers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use caril_core::{Pacing, World};
use caril_link::{Keyring, PlantSocket, SecretKey, Seen, ServeOptions, stays_here};
use caril_sim::{Scene, SimConfig};
use caril_view::{About, Shown, View};
use clap::Args;

use crate::exit::{Exit, usage};
use crate::fault::clock::Clock;
use crate::fault::netns::Network;
use crate::fault::relay::Relay;
use crate::fault::stranger::Door;
use crate::fault::{Expect, Kind, Planned, Where, read_schedule};
use crate::plant::course::{Course, Shared};
use crate::plant::film::Film;
use crate::plant::recorded::{Recorded, plant_of};
use crate::plant::{WorldArgs, find};
use budgets::Budgets;
use conductor::{Conductor, Staged};
use figures::{Figures, Watched};
use process::{Recipe, find_caril};
use results::{Counts, Results};
use viewers::Viewers;

/// Options of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril-hil run --loopback --duration 30m --out bench\n  caril-hil run --loopback --fault camera_black@20+1 --fault controller_killed@50\n  caril-hil run --loopback --faults hil/faults.toml --out bench\n  caril-hil run --loopback --lockstep --frames 1000000 --film 64 --runs 2\n  caril-hil run --loopback --recording drive.mcap --duration 10m\n  caril-hil run --target tcp://0.0.0.0:5555 --key plant.key --peers board.key.pub --duration 10m\n      and on the board: caril drive --plant tcp://rig:5555 --pacing free --key board.key --peers plant.key.pub\n\nIn our wire the plant listens and the controller connects, so --target names the endpoint at which\nthe two meet, on the rig. Exit code 3: over budget, or a fault had not the consequence it must have."
)]
pub struct RunArgs {
    /// Start the controller beside the rig, as a process of its own
    #[arg(long, required_unless_present = "endpoint", conflicts_with = "endpoint")]
    loopback: bool,
    /// Where the rig waits for the controller on its board: tcp://ADDRESS:PORT or ipc://PATH
    #[arg(long, alias = "target", value_name = "E")]
    endpoint: Option<String>,
    /// The rig's secret key, where the endpoint leaves this machine
    #[arg(long, value_name = "FILE", requires = "peers")]
    key: Option<PathBuf>,
    /// The controller's public key
    #[arg(long, value_name = "FILE", requires = "key")]
    peers: Option<PathBuf>,
    /// Speak with anyone, unencrypted, although the endpoint leaves this machine
    #[arg(long, conflicts_with = "key")]
    insecure: bool,
    /// With --loopback: over tcp with keys made for this run, instead of a local socket file
    #[arg(long, requires = "loopback")]
    secured: bool,
    /// With --loopback: give the controller a network of its own (root): packets are really lost
    #[arg(long, requires = "loopback")]
    netns: bool,
    /// With --loopback: the program [default: `caril` beside this one]
    #[arg(long, value_name = "PATH")]
    caril: Option<PathBuf>,
    /// With --loopback: let the controller record to OUT/drive.mcap
    #[arg(long, requires = "loopback")]
    record: bool,
    #[command(flatten)]
    world: WorldArgs,
    /// Play this recorded drive instead of the embedded world, over and over, whatever the controller
    /// answers
    #[arg(long, value_name = "F.mcap", conflicts_with_all = ["film", "map", "route", "weather"])]
    recording: Option<PathBuf>,
    /// Frames a second [default: 20, or the recording's]
    #[arg(long, value_name = "HZ")]
    rate: Option<f32>,
    /// How long: 90, 90s, 30m or 1h
    #[arg(long, default_value = "60s", value_name = "TIME")]
    duration: String,
    /// End after so many frames instead
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// The plant waits for each command: nothing is judged in real time, all runs must be equal
    #[arg(long, requires = "frames")]
    lockstep: bool,
    /// The plant shows N pictures of one drive over and over, whatever the controller does: as quick
    /// as the controller is
    #[arg(long, value_name = "N")]
    film: Option<usize>,
    /// Lockstep: drive so often and compare the hashes of all steps
    #[arg(long, default_value_t = 1, value_name = "N", requires = "lockstep")]
    runs: u32,
    /// Break something (repeatable; `--fault list` names all)
    #[arg(long = "fault", value_name = "NAME@SECONDS[+DURATION][:SEVERITY]")]
    fault: Vec<String>,
    /// A file of such faults
    #[arg(long, value_name = "F.toml")]
    faults: Option<PathBuf>,
    /// Show the run live as a web page at this address, or at this port of this machine (0: a free
    /// one): the controller's page with --loopback, else the plant's
    #[arg(long, value_name = "ADDRESS:PORT|PORT", value_parser = caril_view::address)]
    view: Option<SocketAddr>,
    /// With --view: so many look on, every other ten seconds, and what that costs is measured
    #[arg(long, value_name = "N", requires = "view", value_parser = 1..=32_i64)]
    viewers: Option<i64>,
    /// Limits [default: hil/budgets.toml]
    #[arg(long, value_name = "F.toml")]
    budgets: Option<PathBuf>,
    /// Folder for results.json, junit.xml and report.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// More options for `caril drive`, after `--`
    #[arg(last = true, value_name = "OPTIONS")]
    extra: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the run from starting.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    if args.fault.iter().any(|f| f == "list") {
        let names: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
        crate::say::text(&(names.join("\n") + "\n"))?;
        return Ok(Exit::Ok);
    }
    let recorded = args.recording.as_deref().map(plant_of).transpose()?;
    let rate_hz = args.rate.or(recorded.as_ref().map(|p| p.rate_hz)).unwrap_or(20.0);
    if !(10.0..=60.0).contains(&rate_hz) {
        return Err(usage(format!("--rate {rate_hz}: 10 to 60")));
    }
    let duration = match args.frames {
        Some(_) => None,
        None => Some(parse_duration(&args.duration)?),
    };
    let mut faults = match &args.faults {
        Some(path) => read_schedule(path)?,
        None => Vec::new(),
    };
    for text in &args.fault {
        faults.push(Planned::parse(text)?);
    }
    faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    if args.lockstep && !faults.is_empty() {
        return Err(usage("faults need real time: not with --lockstep"));
    }
    let obeyed = |f: &&Planned| {
        f.kind.place() == Where::World || matches!(f.kind.expect(), Expect::Slow | Expect::Stop)
    };
    if recorded.is_some()
        && let Some(f) = faults.iter().find(obeyed)
    {
        let name = f.kind.name();
        return Err(usage(format!("{name} needs a car that obeys: not with --recording")));
    }
    if args.endpoint.is_some()
        && let Some(f) = faults.iter().find(|f| f.kind.place().needs_loopback())
    {
        return Err(usage(format!("{} needs --loopback", f.kind.name())));
    }
    let budgets = match args.budgets.clone().or_else(|| find("hil/budgets.toml")) {
        Some(path) => Budgets::read(&path)?,
        None => return Err(usage("no hil/budgets.toml: give --budgets")),
    };
    let mut sim = args.world.sim()?;
    sim.rate_hz = rate_hz;
    if recorded.is_none() {
        sim.scene = Some(Arc::new(Scene::build(&sim.map, sim.appearance_seed)));
        // Planned once: a lap must not begin with planning.
        sim.route = caril_sim::RouteSpec::Given(sim.route.plan(&sim.map, sim.seed)?);
    }
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        asked.store(true, Ordering::Relaxed);
        crate::say::line("ending the run");
    })?;

    let mut results: Option<Results> = None;
    for _ in 0..args.runs.max(1) {
        let one = run_once(args, &sim, &faults, &budgets, duration, &stop)?;
        match &mut results {
            None => results = Some(one),
            Some(all) => {
                all.step_hashes.extend(one.step_hashes);
                all.wrong.extend(one.wrong);
                all.verdicts.extend(one.verdicts);
            }
        }
    }
    let Some(mut results) = results else { return Ok(Exit::Failed) };
    if results.step_hashes.windows(2).any(|pair| pair[0] != pair[1]) {
        results.wrong.push("the runs' step hashes differ".to_owned());
    }
    results.passed = results.wrong.is_empty()
        && results.verdicts.iter().all(|v| v.passed)
        && results.incidents.iter().all(|i| i.wrong.is_empty());
    if let Some(dir) = &args.out {
        report::write(&results, dir)?;
    }
    if args.json {
        crate::say::json(&results)?;
    } else {
        crate::say::text(&report::terminal(&results))?;
    }
    if let Some(dir) = &args.out {
        crate::say::line(&format!("report: {}", dir.join("report.html").display()));
    }
    Ok(if results.passed { Exit::Ok } else { Exit::Degraded })
}

/// `90`, `90s`, `30m`, `1h`.
fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, text.chars().last().unwrap_or('s')),
        None => (text, 's'),
    };
    let factor = match unit {
        'm' => 60.0,
        'h' => 3600.0,
        _ => 1.0,
    };
    let seconds = number.parse::<f64>().ok().map(|n| n * factor);
    match seconds.filter(|s| (1.0..=1e6).contains(s)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err(usage(format!("--duration {text}: expected 90, 90s, 30m or 1h"))),
    }
}

/// Keys of both ends for one run.
fn make_keys(folder: &std::path::Path) -> anyhow::Result<(Keyring, (PathBuf, PathBuf))> {
    let (plant, car) = (folder.join("plant.key"), folder.join("car.key"));
    let plant_public = SecretKey::generate()?.write(&plant)?;
    let car_public = SecretKey::generate()?.write(&car)?;
    Ok((Keyring::read(&plant, &car_public)?, (car, plant_public)))
}

fn run_once(
    args: &RunArgs,
    sim: &SimConfig,
    faults: &[Planned],
    budgets: &Budgets,
    duration: Option<Duration>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Results> {
    let folder = tempfile::Builder::new().prefix("caril-hil").tempdir()?;
    let wired =
        faults.iter().any(|f| f.kind.place() == Where::Wire || f.kind == Kind::WrongVersion);
    let network = match args.netns.then(Network::make) {
        None => None,
        Some(Ok(network)) => Some(network),
        Some(Err(why)) => return Err(usage(format!("--netns: {why}"))),
    };
    let wired = wired && network.is_none();
    let mut car_keys = None;
    let (endpoint, keys) = match &args.endpoint {
        Some(endpoint) => {
            let keys = match (&args.key, &args.peers) {
                (Some(key), Some(peers)) => Some(Keyring::read(key, peers)?),
                _ if args.insecure || stays_here(endpoint)? => None,
                _ => {
                    return Err(usage(format!(
                        "{endpoint} leaves this machine: give --key and --peers (see `caril keys new --help`), or --insecure"
                    )));
                }
            };
            (endpoint.clone(), keys)
        }
        None if args.secured || network.is_some() => {
            let (plant, car) = make_keys(folder.path())?;
            car_keys = Some(car);
            let address = network.as_ref().map_or(Ipv4Addr::LOCALHOST, |n| n.rig);
            (format!("tcp://{address}:*"), Some(plant))
        }
        None if wired => ("tcp://127.0.0.1:*".to_owned(), None),
        None => (format!("ipc://{}", folder.path().join("plant").display()), None),
    };
    let options = ServeOptions {
        pacing: if args.lockstep { Pacing::Lockstep } else { Pacing::Free },
        rate_hz: sim.rate_hz,
        keys: keys.clone(),
        ..ServeOptions::default()
    };
    let mut socket = PlantSocket::bind(&endpoint, options)?;
    let endpoint = socket.endpoint().to_owned();
    let mut watched = Watched::new(sim.rate_hz);
    watched.answers = (!faults.is_empty() || args.viewers.is_some()).then(Vec::new);
    let watched = Arc::new(Mutex::new(watched));
    let shared = Arc::new(Shared::default());
    socket.watch({
        let (watched, shared) = (Arc::clone(&watched), Arc::clone(&shared));
        Box::new(move |seen| {
            if seen == Seen::Braked {
                shared.own_brake.store(true, Ordering::Relaxed);
            }
            if let Ok(mut watched) = watched.lock() {
                watched.see(seen);
            }
        })
    });
    let share = || Arc::clone(&shared);
    let mut world: Box<dyn World + Send> = match (&args.recording, args.film) {
        (Some(file), _) => Box::new(Recorded::new(file, sim.rate_hz, args.frames, share())?),
        (None, Some(pictures)) => Box::new(Film::new(sim, pictures, args.frames, share())?),
        (None, None) => Box::new(Course::new(sim.clone(), faults, args.frames, share())?),
    };
    let map = world.info().map.clone();
    // A controller in a network of its own, or on a board, may be out of reach: then the plant shows
    // what it sends.
    let own_page = args.endpoint.is_none() && network.is_none();
    if let Some(address) = args.view
        && !own_page
    {
        let map_svg = match &args.recording {
            // Its map's file is not in it.
            Some(_) => String::new(),
            None => caril_road::draw_svg(&sim.map),
        };
        let view = View::start(
            address,
            &world.info().camera,
            &About::plant("plant", world.info(), map_svg),
        )?;
        crate::say::line(&format!("view: http://{}/", view.address()));
        shared.set_page(view.address());
        world = Box::new(Shown::new(world, Some(Arc::new(view))));
    }
    let halt = Arc::new(AtomicBool::new(false));
    let plant = {
        let (halt, shared, realtime) = (Arc::clone(&halt), share(), !args.lockstep);
        std::thread::Builder::new().name("plant".into()).spawn(move || {
            if realtime {
                let _ = shared.class.set(crate::realtime::enter());
            }
            socket.serve(&mut world, &halt)
        })?
    };
    let relay = if wired { Some(Relay::start(&endpoint, args.world.seed)?) } else { None };
    let has = |place: Where| faults.iter().any(|f| f.kind.place() == place);
    let clock = has(Where::Clock).then(|| Clock::make(folder.path()));
    let record = match (args.record, has(Where::Disk)) {
        (true, _) => Some(args.out.clone().unwrap_or_default().join("drive.mcap")),
        // A disk can only be broken under someone who writes.
        (false, true) => Some(folder.path().join("drive.mcap")),
        (false, false) => None,
    };
    let recipe = match args.endpoint {
        Some(_) => {
            crate::say::line(&format!("waiting for a controller at {endpoint}"));
            None
        }
        None => Some(Recipe {
            caril: find_caril(args.caril.as_deref())?,
            endpoint: relay.as_ref().map_or_else(|| endpoint.clone(), Relay::endpoint),
            keys: car_keys.clone(),
            record,
            extra: args.extra.clone(),
            folder: folder.path().to_owned(),
            namespace: network.as_ref().map(|n| n.namespace().to_owned()),
            view: args.view.filter(|_| own_page),
            clock: clock.as_ref().and_then(|c| c.clone().ok()),
            disk_may_fill: false,
        }),
    };
    let staged = Staged {
        faults,
        relay: relay.as_ref(),
        network: network.as_ref(),
        door: Door {
            endpoint: endpoint.clone(),
            other_version: relay.as_ref().map(Relay::endpoint_of_another_version),
            asks_for_keys: keys.is_some(),
            car_keys,
        },
        clock: match &clock {
            Some(clock) => clock.as_ref().map_err(String::clone),
            None => Err("no clock".to_owned()),
        },
        last_act: args.film.is_none()
            && args.recording.is_none()
            && !args.lockstep
            && args.endpoint.is_none(),
        duration,
    };
    let mut conductor = Conductor::new(staged, recipe, &shared, &watched);
    let viewers = args.viewers.map(|n| Viewers::come(n as usize, Arc::clone(&shared)));
    let conducted = conductor.conduct(stop, || plant.is_finished());
    shared.over.store(true, Ordering::Relaxed);
    // A plant whose controller is gone stands and waits for the next one: it need not.
    if conducted.is_err() || !conductor.controller_runs() {
        halt.store(true, Ordering::Relaxed);
    }
    let hash = conductor.finish(&plant);
    halt.store(true, Ordering::Relaxed);
    let report = plant.join().map_err(|_| anyhow::anyhow!("bug in the plant"))?;
    conducted?;

    let tape = shared.tape.lock().map_err(|_| anyhow::anyhow!("bug in the plant"))?;
    let watched = watched.lock().map_err(|_| anyhow::anyhow!("bug in the plant"))?;
    let mut figures = Figures::new(&watched, sim.rate_hz, args.lockstep);
    figures.fill(&tape, &conductor.samples, conductor.silenced_at_s);
    let answers = watched.answers.as_deref().unwrap_or_default();
    figures.looked_on = viewers.map(|viewers| viewers.leave(answers));
    if figures.looked_on.as_ref().is_some_and(|l| l.turns == 0 || l.messages == 0) {
        conductor.wrong.push("nobody could look on".to_owned());
    }
    let mut budgets = budgets.clone();
    if args.lockstep {
        // Nothing is in real time: the controller sets the pace.
        budgets = Budgets {
            collisions_max: budgets.collisions_max,
            memory_growth_mib_max: budgets.memory_growth_mib_max,
            ..Budgets::default()
        };
    } else if !faults.is_empty() {
        // What is broken on purpose is judged fault by fault; only what must hold all the same is
        // judged by the budgets.
        budgets = Budgets {
            collisions_max: budgets.collisions_max,
            memory_growth_mib_max: budgets.memory_growth_mib_max,
            time_to_safe_stop_s_max: budgets.time_to_safe_stop_s_max,
            distance_beyond_m_max: budgets.distance_beyond_m_max,
            ..Budgets::default()
        };
    }
    let end_s = conductor.silenced_at_s.or(tape.last().map(|t| t.time_s)).unwrap_or(0.0);
    let began = shared.began.get();
    let since_s = |at: &Instant| began.map_or(0.0, |b| at.duration_since(*b).as_secs_f64());
    let answers: Vec<_> =
        answers.iter().map(|(at, age)| (since_s(at), age.as_secs_f64() * 1e3)).collect();
    let incidents = conductor.incidents(&tape, &answers, 1e3 / f64::from(sim.rate_hz), end_s);
    let wrong = std::mem::take(&mut conductor.wrong);
    Ok(Results {
        command_line: std::env::args().collect(),
        target: args.endpoint.clone().unwrap_or_else(|| "loopback".to_owned()),
        map,
        plant_class: shared.class(),
        passed: false,
        verdicts: budgets.judge(&figures),
        incidents,
        wrong,
        step_hashes: hash.into_iter().collect(),
        controllers: conductor.started,
        link: Counts::from(&report),
        samples: std::mem::take(&mut conductor.samples),
        age_histogram: watched.histogram(),
        figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("30m", 1800), ("1h", 3600)] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for bad in ["", "m", "-1s", "0", "NaN", "1d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
