//! `caril bench infer`: the network on several backends, over simulated and random pictures. How
//! long does each take, and do they say the same?

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use caril_core::{
    Architecture, CameraSpec, CounterRng, Frame, FrameId, NavCommand, Observed, Policy as _,
    Prediction, World as _,
};
use caril_road::RoadMap;
use caril_sim::{RouteSpec, Scene, SimConfig, SimWorld, Weather};
use clap::Args;
use serde::Serialize;

use crate::args::BackendArg;
use crate::bench::Times;
use crate::bench_dump::Dump;
use crate::exit::{Exit, usage};
use crate::scenario::AnyPolicy;
use crate::{backend, output, scenario};

/// Options of `bench infer`.
#[derive(Debug, Args)]
#[command(
    after_help = "Frames go to every pack and backend in turn; the first backend is what the others are compared with. Beyond --tolerance the exit code is 1. For a comparison with other runtimes: benches/peers.\n\nExamples:\n  caril bench infer\n  caril bench infer --backend cpu flex --architecture pilotnet efficientnet-lite0 resnet50 --frames 1000 --random 1000 --tolerance 1e-4\n  caril bench infer --backend cpu wgpu --architecture pilotnet efficientnet-lite0 --tolerance 1e-3"
)]
pub struct InferArgs {
    /// Policy packs [default: default, unless there is an --architecture]
    #[arg(long, num_args = 1.., value_name = "NAME|DIR")]
    policy: Vec<String>,
    /// Also packs of these backbones with random weights: pilotnet, efficientnet-lite0, resnet50
    #[arg(long, num_args = 1.., value_name = "NAME")]
    architecture: Vec<String>,
    /// What runs the network, the reference first
    #[arg(long, value_enum, num_args = 1.., default_value = "cpu")]
    backend: Vec<BackendArg>,
    /// Threads of one prediction on cpu and int8
    #[arg(long, default_value_t = 1, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    threads: u8,
    /// Frames of the embedded world, driven by the expert in every weather
    #[arg(long, default_value_t = 100)]
    frames: usize,
    /// Pictures of noise
    #[arg(long, default_value_t = 100)]
    random: usize,
    /// Map of the frames
    #[arg(long, default_value = "town_blocks")]
    map: String,
    /// Seed of routes, pictures and weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Greatest difference of regression or probability that is accepted
    #[arg(long, value_name = "D")]
    tolerance: Option<f32>,
    /// Folder for what other runtimes need to do the same (benches/peers/parity.py): networks as
    /// ONNX, pictures, and what the first backend says
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// A pack on a backend, and what came of it.
struct Runner {
    policy: AnyPolicy,
    row: Row,
    ns: Vec<u64>,
}

#[derive(Serialize)]
struct Row {
    policy: String,
    architecture: String,
    backend: String,
    device: String,
    /// From opening the pack to its first prediction, in this process.
    start_ms: f64,
    #[serde(flatten)]
    times: Times,
    /// Frames that it refused and the reference did not, or the other way round.
    faults: usize,
    regression_difference_max: f32,
    probability_difference_max: f32,
    /// Least and greatest regression: pictures that all look alike to a network would show nothing.
    regression_range: [f32; 2],
}

impl Row {
    /// The pack's name; that of random weights is their backbone's.
    fn name(&self) -> &str {
        if self.policy == "random" { &self.architecture } else { &self.policy }
    }

    fn within(&self, tolerance: f32) -> bool {
        self.faults == 0
            && self.regression_difference_max <= tolerance
            && self.probability_difference_max <= tolerance
    }

    fn compare(&mut self, mine: Option<Prediction>, theirs: Option<Prediction>) {
        if let Some(p) = mine {
            let [low, high] = &mut self.regression_range;
            (*low, *high) = (low.min(p.regression()), high.max(p.regression()));
        }
        match (mine, theirs) {
            (Some(a), Some(b)) => {
                let off = (a.regression() - b.regression()).abs();
                self.regression_difference_max = self.regression_difference_max.max(off);
                for (a, b) in a.probs().iter().zip(b.probs()) {
                    let most = self.probability_difference_max.max((a - b).abs());
                    self.probability_difference_max = most;
                }
            }
            (a, b) => self.faults += usize::from(a.is_some() != b.is_some()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// If a pack, a backend or the map cannot be used.
pub fn run(args: &InferArgs) -> anyhow::Result<Exit> {
    if args.frames + args.random == 0 {
        return Err(usage("--frames 0 --random 0: expected at least one"));
    }
    let folder = tempfile::tempdir()?;
    let mut packs: Vec<PathBuf> = Vec::new();
    for name in &args.policy {
        packs.push(scenario::pack_dir(name)?);
    }
    for name in &args.architecture {
        packs.push(invent(folder.path(), name, args.seed)?);
    }
    if packs.is_empty() {
        packs.push(scenario::pack_dir("default")?);
    }
    let mut runners: Vec<Vec<Runner>> = Vec::new();
    for dir in &packs {
        // Burn's backends have threads of their own.
        let threads =
            |b| if matches!(b, BackendArg::Cpu | BackendArg::Int8) { args.threads } else { 1 };
        let all = args.backend.iter().map(|b| Runner::open(dir, *b, threads(*b)));
        runners.push(all.collect::<anyhow::Result<_>>()?);
    }
    let first = runners.iter().flatten().next().context("no pack")?;
    let camera = first.policy.card().camera;
    if runners.iter().flatten().any(|r| r.policy.card().camera != camera) {
        return Err(usage("the packs are for different cameras"));
    }
    let mut dumps = dumps(args, &packs, &runners)?;
    let bar = output::progress((args.frames + args.random) as u64, "{bar:32} {pos} of {len}");
    let mut show = |frame: &Frame| -> anyhow::Result<()> {
        for (number, of_pack) in runners.iter_mut().enumerate() {
            let mut reference = None;
            for (i, runner) in of_pack.iter_mut().enumerate() {
                let start = Instant::now();
                let said = runner.policy.infer(frame).ok();
                runner.ns.push(start.elapsed().as_nanos() as u64);
                if i == 0 {
                    reference = said;
                }
                runner.row.compare(said, reference);
            }
            if let (Some(dump), Some(said)) = (dumps.get_mut(number), &reference) {
                dump.add(frame, said)?;
            }
        }
        bar.inc(1);
        Ok(())
    };
    simulated(args, camera, &mut show)?;
    noise(args, camera, &mut show)?;
    bar.finish_and_clear();
    dumps.into_iter().try_for_each(Dump::finish)?;
    let rows: Vec<Row> =
        runners.into_iter().flatten().map(|r| Row { times: Times::of(r.ns), ..r.row }).collect();
    let ok = args.tolerance.is_none_or(|t| rows.iter().all(|r| r.within(t)));
    if args.json {
        output::print_json(&serde_json::json!({
            "frames": args.frames, "random": args.random, "tolerance": args.tolerance,
            "within": ok, "rows": rows,
        }))?;
    } else {
        output::print_text(&table(&rows))?;
    }
    if !ok {
        say!("more than {} apart", args.tolerance.unwrap_or_default());
        return Ok(Exit::Failed);
    }
    Ok(Exit::Ok)
}

/// What is done with a frame.
type Show<'a> = dyn FnMut(&Frame) -> anyhow::Result<()> + 'a;

/// One for every pack, or none at all.
fn dumps(
    args: &InferArgs,
    packs: &[PathBuf],
    runners: &[Vec<Runner>],
) -> anyhow::Result<Vec<Dump>> {
    let Some(folder) = &args.dump else { return Ok(Vec::new()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let first = runners.iter().filter_map(|r| r.first());
    let dump = |(pack, runner): (&PathBuf, &Runner)| {
        Dump::create(folder, runner.row.name(), pack, runner.policy.card())
    };
    packs.iter().zip(first).map(dump).collect()
}

/// A pack with random weights.
fn invent(folder: &Path, name: &str, seed: u64) -> anyhow::Result<PathBuf> {
    let architecture = Architecture::from_name(name).ok_or_else(|| {
        let names = Architecture::ALL.map(Architecture::name).join(", ");
        usage(format!("no architecture {name}; there are: {names}"))
    })?;
    let dir = folder.join(name);
    let input = architecture.default_input();
    caril_infer::invent_pack(&dir, architecture, &CameraSpec::PAPER, input, seed)?;
    Ok(dir)
}

impl Runner {
    fn open(dir: &Path, with: BackendArg, threads: u8) -> anyhow::Result<Self> {
        // The device is not counted: it is asked for once in a process.
        let device = backend::device_name(with)?;
        let start = Instant::now();
        let mut policy = backend::open(dir, with, threads, |_| {})?;
        let _ = policy.infer(&Frame::for_camera(&policy.card().camera));
        let start_ms = start.elapsed().as_secs_f64() * 1e3;
        let card = policy.card();
        let row = Row {
            policy: card.name.clone(),
            architecture: card.architecture.clone(),
            backend: with.name(),
            device,
            start_ms,
            times: Times::default(),
            faults: 0,
            regression_difference_max: 0.0,
            probability_difference_max: 0.0,
            regression_range: [f32::INFINITY, f32::NEG_INFINITY],
        };
        Ok(Self { policy, row, ns: Vec::new() })
    }
}

/// Shows frames of the embedded world: every fifth of drives over random routes, each in another
/// weather.
fn simulated(args: &InferArgs, camera: CameraSpec, show: &mut Show<'_>) -> anyhow::Result<()> {
    if args.frames == 0 {
        return Ok(());
    }
    let map: Arc<RoadMap> = Arc::new(scenario::load_map(&args.map)?);
    let scene = Arc::new(Scene::build(&map, args.seed));
    let weathers = Weather::names();
    let (mut shown, mut drive) = (0, 0);
    let mut frame = Frame::for_camera(&camera);
    while shown < args.frames {
        let weather = weathers.get(drive as usize % weathers.len().max(1)).copied();
        let config = SimConfig {
            scene: Some(Arc::clone(&scene)),
            route: RouteSpec::parse("random").unwrap_or_default(),
            seed: args.seed + drive,
            weather: scenario::weather(weather.unwrap_or("ClearNoon"))?,
            camera,
            ..SimConfig::new(Arc::clone(&map))
        };
        let mut world: SimWorld = scenario::sim_world(config)?;
        // A share of the frames for every weather, however long the drive.
        for i in 0..5 * args.frames.div_ceil(weathers.len().max(1)) {
            if world.observe(&mut frame, 0).observed != Observed::Fresh || shown == args.frames {
                break;
            }
            if i % 5 == 0 {
                show(&frame)?;
                shown += 1;
            }
            let command = world.expert_command();
            if world.actuate(&command).is_err() {
                break;
            }
        }
        drive += 1;
    }
    Ok(())
}

/// Shows pictures of noise, at any speed, with any command.
fn noise(args: &InferArgs, camera: CameraSpec, show: &mut Show<'_>) -> anyhow::Result<()> {
    let mut frame = Frame::for_camera(&camera);
    for i in 0..args.random as u64 {
        let mut rng = CounterRng::new(args.seed, i);
        frame.id = FrameId(i + 1);
        // From faint to the whole range, around any grey.
        let (low, span) = (rng.below(200), 1 + rng.below(255));
        for byte in &mut frame.image.data {
            *byte = (low + rng.below(span)).min(255) as u8;
        }
        frame.ego.speed_mps = rng.range(0.0, 20.0) as f32;
        frame.nav = NavCommand::ALL[rng.below(NavCommand::ALL.len() as u64) as usize];
        show(&frame)?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "pack                backend  start ms   p50 ms   p99 ms   max ms  |Δ regression|  |Δ probability|  faults  device\n",
    );
    for r in rows {
        text += &format!(
            "{:19} {:8} {:8.1} {:8.3} {:8.3} {:8.3}  {:14.1e}  {:15.1e}  {:6}  {}\n",
            r.name(),
            r.backend,
            r.start_ms,
            r.times.p50_ms,
            r.times.p99_ms,
            r.times.max_ms,
            r.regression_difference_max,
            r.probability_difference_max,
            r.faults,
            r.device
        );
    }
    text
}
