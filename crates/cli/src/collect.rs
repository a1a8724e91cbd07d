//! `caril collect`: labelled drives for learning.

mod conditions;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use caril_core::{BIN_COUNT, CameraSpec, CounterRng, PlantInfo, PolicyCard, World};
use caril_link::{ConnectOptions, Keyring, RemoteWorld};
use caril_record::{Episode as Facts, Recorder, RecordingHeader};
use caril_runtime::{CollectOptions, CollectSummary, Driver, Pipeline, collect};
use caril_sim::{Disturbance, FaultSpec, RouteSpec, SimConfig, SimWorld, Weather};
use clap::Args;
use conditions::{Conditions, Episode};

use crate::args::{BackendArg, ControlArgs, CorrectionArg, ScenarioArgs};
use crate::earlier::{self, Then};
use crate::exit::{Exit, usage};
use crate::keys::LinkArgs;
use crate::scenario::AnyPolicy;
use crate::{output, scenario};

/// Drive with the expert and record labelled frames. Every episode is a random route with a
/// disturbed start and surroundings of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril collect --map town_blocks --frames 8000 --out town.mcap --weather random\n  caril collect --map town_blocks --frames 4000 --out dagger.mcap --dagger weights/mine\n  caril collect --map town_blocks --frames 8000 --out town.mcap --resume   # after an interruption\n  caril collect --map harbour_town --out shifted.mcap --weather FoggyNoon,HardRainNoon --fault blur:0.3,blur:0.6,blur:1"
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
    /// Faults of the camera, as for `drive`, several separated by commas (taken in turn, with every
    /// weather; `none` is one too). Given more than once, all lists at the same time
    #[arg(long = "fault", value_name = "NAME[:SEVERITY],…")]
    faults: Vec<String>,
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
    /// Surroundings: `random` (others in every episode), or seeds separated by commas (taken in
    /// turn, with every weather and fault)
    #[arg(long, default_value = "random", value_name = "random|N,…")]
    appearance: String,
    /// Go on after what an interrupted run of the same command left, into F.part2.mcap and so on
    #[arg(long)]
    resume: bool,
    /// Replace what an earlier run left at F.mcap, F.part2.mcap and so on
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// Seed of routes, starts, noise, weather and surroundings
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Record any plant that gives the expert's steer instead of the embedded world (`sim`)
    #[arg(long, value_name = "sim|tcp://…|ipc://…")]
    plant: Option<String>,
    #[command(flatten)]
    link: LinkArgs,
    /// Applied steer = normalised steer · this; only for the printed histogram
    #[arg(long, default_value_t = PolicyCard::PAPER_STEER_SCALE)]
    steer_scale: f32,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What runs the policy that --dagger names.
const DAGGER_BACKEND: BackendArg = BackendArg::Cpu;

/// Runs the command.
///
/// # Errors
/// If the map, the policy or the output cannot be used.
pub fn run(args: &CollectArgs) -> anyhow::Result<Exit> {
    let counts = [args.frames, args.every, args.episode];
    if !(0.0..=1.0).contains(&args.noise) || counts.contains(&0) {
        return Err(usage("--noise must be 0 to 1, --frames, --every and --episode at least 1"));
    }
    let command: Vec<String> = std::env::args().collect();
    let then = match (args.resume, args.force) {
        (true, _) => Then::Resume,
        (_, true) => Then::Replace,
        _ => Then::Refuse,
    };
    let earlier = earlier::find(&args.out, then, &command)?;
    let out = &earlier.next;
    let stop = output::stop_on_ctrl_c_saying("closing the recording")?;
    let mut source = Source::open(args)?;
    let control = ControlArgs {
        threads: 1,
        policy: String::new(),
        backend: BackendArg::Cpu,
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
        carla_floats: false,
    };
    let mut config = control.config(&scenario_args)?;
    config.record.image_every = 1;
    let mut recorder: Option<Recorder> = None;
    let mut total = CollectSummary {
        pictures: earlier.pictures,
        last_id: earlier.last_id,
        last_time_ns: earlier.last_time_ns,
        ..CollectSummary::default()
    };
    let mut episodes = earlier.episode;
    let (mut idle, mut given_up) = (Idle::default(), None);
    let bar = output::progress(args.frames, "{bar:32} {pos}/{len} pictures  {per_sec}  {msg}");
    while total.pictures < args.frames && !stop.asked() {
        let seed = CounterRng::new(args.seed, episodes).next_u64() >> 1;
        let (mut world, facts) = source.episode(seed, episodes)?;
        let mut extra: BTreeMap<String, String> =
            [("link".to_owned(), source.link().to_owned())].into();
        let mut driver: Driver<AnyPolicy> = match &args.dagger {
            None => Driver::Expert,
            Some(name) => {
                let policy = scenario::load_policy(name, DAGGER_BACKEND, 1)?;
                extra.extend(scenario::pack_facts(name, DAGGER_BACKEND, policy.card())?);
                Driver::Policy(Box::new(Pipeline::new(policy, &config)?))
            }
        };
        let recorder = match &mut recorder {
            Some(recorder) => recorder,
            None => {
                let header = RecordingHeader {
                    kind: "collect".into(),
                    command_line: command.clone(),
                    seed: args.seed,
                    config: serde_json::to_value(config)?,
                    policy: args.dagger.clone().unwrap_or_else(|| "expert".into()),
                    extra,
                    ..RecordingHeader::new(world.info().clone())
                };
                for path in &earlier.stale {
                    std::fs::remove_file(path)
                        .with_context(|| format!("cannot replace {}", path.display()))?;
                }
                recorder.insert(Recorder::start(out, &header, &config.record)?)
            }
        };
        recorder.push_episode(facts);
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
        given_up = idle.after(&done);
        if given_up.is_some() {
            break;
        }
    }
    bar.finish_and_clear();
    let stats = recorder.map(|r| r.finish_unless(&|| stop.insisted()));
    say!(
        "{}: {} pictures of {} frames in {} episodes{}; expert steer {}{}",
        out.display(),
        total.pictures - earlier.pictures,
        total.frames,
        episodes - earlier.episode,
        if earlier.pictures > 0 {
            format!(", after {} pictures that were there", earlier.pictures)
        } else {
            String::new()
        },
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
    let reason = given_up.filter(|_| !stop.asked());
    if let Some(reason) = reason {
        say!("warning: stopped early: {reason}");
    }
    if args.json {
        output::print_json(&serde_json::json!({
            "stopped_early": reason,
            "record": out,
            "earlier_pictures": earlier.pictures,
            "pictures": total.pictures,
            "frames": total.frames,
            "episodes": episodes,
            "takeover_frames": total.takeover_frames,
            "steer_histogram": total.histogram,
        }))?;
    }
    if let Some(error) = stats.and_then(|s| s.write_error) {
        anyhow::bail!("the recording is not whole: {error}: {}", out.display());
    }
    Ok(if total.pictures < args.frames { Exit::Degraded } else { Exit::Ok })
}

/// Episodes in a row that gave no picture.
#[derive(Debug, Default)]
struct Idle(u32);

impl Idle {
    /// So many may end at once: a start behind another car, a plant that resets.
    const MOST: u32 = 20;

    /// Why it is of no use to go on after this episode, if it is not.
    fn after(&mut self, done: &CollectSummary) -> Option<&'static str> {
        self.0 = if done.pictures == 0 { self.0 + 1 } else { 0 };
        if done.no_truth {
            Some("the plant does not tell the expert's steer: there is nothing to learn from")
        } else if done.pictures == 0 && done.end.is_none() {
            Some("the plant went away or sent no frame")
        } else if self.0 >= Self::MOST {
            Some("every episode ends before its first picture")
        } else {
            None
        }
    }
}

/// Where episodes come from.
enum Source<'a> {
    Sim { args: &'a CollectArgs, base: Box<SimConfig>, conditions: Conditions },
    Plant { endpoint: String, keys: Option<Keyring>, link: &'static str },
}

impl<'a> Source<'a> {
    fn open(args: &'a CollectArgs) -> anyhow::Result<Self> {
        if let Some(endpoint) = args.plant.as_ref().filter(|plant| *plant != "sim") {
            let (keys, link) = args.link.keys(endpoint)?;
            return Ok(Self::Plant { endpoint: endpoint.clone(), keys, link });
        }
        let conditions = Conditions::of(args)?;
        let base = Box::new(SimConfig::new(Arc::new(scenario::load_map(&args.map)?)));
        Ok(Self::Sim { args, base, conditions })
    }

    /// How the recording names the link: `local`, `secured` or `insecure`.
    fn link(&self) -> &'static str {
        match self {
            Self::Sim { .. } => "local",
            Self::Plant { link, .. } => link,
        }
    }

    /// A world, and what the recording says of the episode in it.
    fn episode(&mut self, seed: u64, number: u64) -> anyhow::Result<(Box<dyn World>, Facts)> {
        match self {
            Self::Plant { endpoint, keys, .. } => {
                let options = ConnectOptions {
                    controller: "caril collect".into(),
                    keys: keys.clone(),
                    ..ConnectOptions::default()
                };
                let world = RemoteWorld::connect(endpoint, options)?;
                let PlantInfo { map, weather, .. } = world.info().clone();
                let facts = Facts { number, map, weather, seed, ..Facts::default() };
                Ok((Box::new(world), facts))
            }
            Self::Sim { args, base, conditions } => {
                let mut rng = CounterRng::new(seed, 0x636f_6c6c);
                let Episode { weather, faults, appearance } = conditions.episode(number);
                let weather = weather.unwrap_or_else(|| Weather::random(&mut rng));
                let appearance = appearance.unwrap_or(rng.next_u64() >> 1);
                let said = |f: &FaultSpec| format!("{}:{}", f.fault.name(), f.severity);
                let facts = Facts {
                    number,
                    map: base.map.name().to_owned(),
                    weather: weather.name.to_owned(),
                    faults: faults.iter().map(said).collect(),
                    appearance: Some(appearance),
                    seed,
                };
                let config = SimConfig {
                    route: RouteSpec::Random { min_m: 200.0, max_m: 700.0 },
                    seed,
                    weather,
                    faults,
                    camera: CameraSpec::PAPER,
                    traffic: args.traffic,
                    draw_every: if args.dagger.is_some() { 1 } else { args.every },
                    appearance_seed: appearance,
                    disturbance: Some(Disturbance::default()),
                    ..SimConfig::clone(base)
                };
                Ok((Box::new(SimWorld::new(config)?), facts))
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

#[cfg(test)]
mod tests {
    use caril_core::EndReason;

    use super::*;

    #[test]
    fn a_plant_that_gives_no_pictures_is_not_asked_for_ever() {
        let ended = CollectSummary { end: Some(EndReason::GoalReached), ..Default::default() };
        let good = CollectSummary { pictures: 1, ..ended };
        let mut idle = Idle::default();
        for _ in 0..3 {
            assert_eq!(idle.after(&good), None);
            let bad: Vec<_> = (1..=Idle::MOST).map(|_| idle.after(&ended)).collect();
            let (last, before) = bad.split_last().unwrap();
            assert!(before.iter().all(Option::is_none));
            assert!(last.is_some_and(|why| why.contains("before its first picture")));
        }
        let blind = CollectSummary { no_truth: true, ..Default::default() };
        assert!(Idle::default().after(&blind).is_some_and(|why| why.contains("expert's steer")));
        let gone = Idle::default().after(&CollectSummary::default());
        assert!(gone.is_some_and(|why| why.contains("went away")));
    }
}
