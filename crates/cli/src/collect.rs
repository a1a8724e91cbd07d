//! `caril collect`: labelled drives for learning.

use std::path::PathBuf;
use std::sync::Arc;

use caril_core::{BIN_COUNT, CameraSpec, CounterRng, PolicyCard, World};
use caril_link::{ConnectOptions, RemoteWorld};
use caril_record::{Recorder, RecordingHeader};
use caril_runtime::{CollectOptions, CollectSummary, Driver, Pipeline, collect};
use caril_sim::{Disturbance, RouteSpec, SimConfig, SimWorld, Weather};
use clap::Args;

use crate::args::{BackendArg, ControlArgs, CorrectionArg, ScenarioArgs};
use crate::exit::{Exit, usage};
use crate::scenario::AnyPolicy;
use crate::{output, scenario};

/// Drive with the expert and record labelled frames. Every episode is a random route with a
/// disturbed start and surroundings of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril collect --map town_blocks --frames 8000 --out town.mcap --weather random\n  caril collect --map town_blocks --frames 4000 --out dagger.mcap --dagger weights/mine"
)]
pub struct CollectArgs {
    /// Map: a name from maps/ or an OpenDRIVE file
    #[arg(long, default_value = "town_blocks", value_name = "NAME|FILE.xodr")]
    map: String,
    /// Pictures to record
    #[arg(long, default_value_t = 5000, value_name = "N")]
    frames: u64,
    /// Recording to write
    #[arg(long, value_name = "F.mcap")]
    out: PathBuf,
    /// Weather by CARLA's preset names, several separated by commas (taken in turn), or `random`
    #[arg(long, default_value = "ClearNoon", value_name = "NAME,…|random")]
    weather: String,
    /// Strength of the triangular steering noise, 0–1
    #[arg(long, default_value_t = 0.7)]
    noise: f64,
    /// Let the expert drive beside its lane now and then, as far as into the oncoming one
    #[arg(long)]
    wander: bool,
    /// Let this policy drive; the expert labels, and takes over where the policy gets lost
    #[arg(long, value_name = "NAME|DIR")]
    dagger: Option<String>,
    /// Every n-th frame is recorded
    #[arg(long, default_value_t = 3, value_name = "N")]
    every: u64,
    /// Pictures of one episode
    #[arg(long, default_value_t = 250, value_name = "N")]
    episode: u64,
    /// Other cars
    #[arg(long, default_value_t = 0, value_name = "N")]
    traffic: u32,
    /// Seed of routes, starts, noise, weather and surroundings
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Record any plant that gives the expert's steer instead of the embedded world
    #[arg(long, value_name = "E")]
    plant: Option<String>,
    /// Applied steer = normalised steer · this; only for the printed histogram
    #[arg(long, default_value_t = PolicyCard::PAPER_STEER_SCALE)]
    steer_scale: f32,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the map, the policy or the output cannot be used.
pub fn run(args: &CollectArgs) -> anyhow::Result<Exit> {
    if !(0.0..=1.0).contains(&args.noise) || args.every == 0 || args.episode == 0 {
        return Err(usage("--noise must be 0 to 1, --every and --episode at least 1"));
    }
    let stop = output::stop_on_ctrl_c()?;
    let mut source = Source::open(args)?;
    let control = ControlArgs {
        policy: String::new(),
        backend: BackendArg::Flex,
        correction: Some(CorrectionArg::Off),
        longitudinal: None,
        pacing: None,
        config: None,
    };
    let scenario_args = ScenarioArgs {
        map: args.map.clone(),
        route: "random".into(),
        weather: "ClearNoon".into(),
        faults: Vec::new(),
        traffic: args.traffic,
        appearance: 0,
        seed: Some(args.seed),
        rate: None,
        frames: None,
    };
    let mut config = control.config(&scenario_args)?;
    config.record.image_every = 1;
    let mut recorder: Option<Recorder> = None;
    let mut total = CollectSummary::default();
    let mut episodes = 0;
    let bar = output::progress(args.frames, "{bar:32} {pos}/{len} pictures  {per_sec}  {msg}");
    while total.pictures < args.frames && !stop.asked() {
        let seed = CounterRng::new(args.seed, episodes).next_u64() >> 1;
        let mut world = source.episode(seed, episodes)?;
        let recorder = match &mut recorder {
            Some(recorder) => recorder,
            None => {
                let header = RecordingHeader {
                    kind: "collect".into(),
                    command_line: std::env::args().collect(),
                    seed: args.seed,
                    config: serde_json::to_value(config)?,
                    policy: args.dagger.clone().unwrap_or_else(|| "expert".into()),
                    ..RecordingHeader::new(world.info().clone())
                };
                recorder.insert(Recorder::start(&args.out, &header, &config.record)?)
            }
        };
        let mut driver: Driver<AnyPolicy> = match &args.dagger {
            None => Driver::Expert,
            Some(name) => {
                let policy = scenario::load_policy(name, BackendArg::Flex)?;
                Driver::Policy(Box::new(Pipeline::new(policy, &config)?))
            }
        };
        let options = CollectOptions {
            pictures: args.episode.min(args.frames - total.pictures),
            every: args.every,
            noise: if args.dagger.is_some() { 0.0 } else { args.noise },
            wander: args.wander,
            seed,
            id_offset: total.last_id + 1000,
            // More than a second apart: a new drive.
            time_offset_ns: total.last_time_ns + 10_000_000_000,
            steer_scale: args.steer_scale,
        };
        let done = collect(&mut world, &mut driver, &config, recorder, &stop, &options);
        episodes += 1;
        total.pictures += done.pictures;
        total.frames += done.frames;
        total.takeover_frames += done.takeover_frames;
        total.last_id = total.last_id.max(done.last_id);
        total.last_time_ns = total.last_time_ns.max(done.last_time_ns);
        total.histogram.iter_mut().zip(done.histogram).for_each(|(t, n)| *t += n);
        bar.set_position(total.pictures);
        bar.set_message(sparkline(&total.histogram));
        if done.pictures == 0 && done.end.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    let stats = recorder.map(Recorder::finish);
    eprintln!(
        "{}: {} pictures of {} frames in {episodes} episodes; expert steer {}{}",
        args.out.display(),
        total.pictures,
        total.frames,
        sparkline(&total.histogram),
        if args.dagger.is_some() {
            format!(
                "; expert took over in {:.1} % of frames",
                100.0 * total.takeover_frames as f64 / total.frames.max(1) as f64
            )
        } else {
            String::new()
        }
    );
    if args.json {
        output::print_json(&serde_json::json!({
            "record": args.out,
            "pictures": total.pictures,
            "frames": total.frames,
            "episodes": episodes,
            "takeover_frames": total.takeover_frames,
            "steer_histogram": total.histogram,
        }))?;
    }
    if let Some(error) = stats.and_then(|s| s.write_error) {
        anyhow::bail!("the recording is not whole: {error}: {}", args.out.display());
    }
    Ok(if total.pictures < args.frames { Exit::Degraded } else { Exit::Ok })
}

/// Where episodes come from.
enum Source<'a> {
    Sim { args: &'a CollectArgs, base: Box<SimConfig>, weathers: Vec<&'a str> },
    Plant(String),
}

impl<'a> Source<'a> {
    fn open(args: &'a CollectArgs) -> anyhow::Result<Self> {
        if let Some(endpoint) = &args.plant {
            return Ok(Self::Plant(endpoint.clone()));
        }
        let weathers: Vec<&str> =
            if args.weather == "random" { Vec::new() } else { args.weather.split(',').collect() };
        for name in &weathers {
            scenario::weather(name)?;
        }
        let base = Box::new(SimConfig::new(Arc::new(scenario::load_map(&args.map)?)));
        Ok(Self::Sim { args, base, weathers })
    }

    fn episode(&mut self, seed: u64, number: u64) -> anyhow::Result<Box<dyn World>> {
        match self {
            Self::Plant(endpoint) => {
                let options = ConnectOptions {
                    controller: "caril collect".into(),
                    ..ConnectOptions::default()
                };
                Ok(Box::new(RemoteWorld::connect(endpoint, options)?))
            }
            Self::Sim { args, base, weathers } => {
                let mut rng = CounterRng::new(seed, 0x636f_6c6c);
                let weather = match weathers.get(number as usize % weathers.len().max(1)) {
                    Some(name) => scenario::weather(name)?,
                    None => Weather::random(&mut rng),
                };
                let config = SimConfig {
                    route: RouteSpec::Random { min_m: 200.0, max_m: 700.0 },
                    seed,
                    weather,
                    camera: CameraSpec::PAPER,
                    traffic: args.traffic,
                    draw_every: if args.dagger.is_some() { 1 } else { args.every },
                    appearance_seed: rng.next_u64() >> 1,
                    disturbance: Some(Disturbance::default()),
                    ..SimConfig::clone(base)
                };
                Ok(Box::new(SimWorld::new(config)?))
            }
        }
    }
}

/// The histogram as little bars.
pub fn sparkline(histogram: &[u64; BIN_COUNT]) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = (*histogram.iter().max().unwrap_or(&1)).max(1) as f64;
    // By square root: the turns are few and should be seen.
    histogram.iter().map(|n| BARS[((*n as f64 / top).sqrt() * 8.0).round() as usize]).collect()
}
