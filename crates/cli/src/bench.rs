//! `caril bench`: percentiles and throughput of a stage, on this machine, now.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use caril_core::{
    CameraSpec, Command, Config, Fault, FaultSet, Frame, Image, Lift, Observation, Observed,
    Pacing, PlantInfo, Policy as _, World,
};
use caril_link::{ConnectOptions, PlantSocket, RemoteWorld, ServeOptions};
use caril_runtime::{MonotonicClock, Pipeline};
use caril_sim::{RouteSpec, Scene, SimConfig};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::args::BackendArg;
use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// Measure a stage.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The network on one or several backends: how long, and do they say the same?
    Infer(crate::bench_infer::InferArgs),
    /// Camera frame to command: checks, network, correction, gate; a second look beside it
    Step(StepArgs),
    /// Start of the program to its first command, and memory
    Start(crate::bench_start::StartArgs),
    /// Drawing the embedded world, without anything else
    Sim(SimArgs),
    /// Frame out, command back, over ZeroMQ
    Link(LinkArgs),
    #[cfg(feature = "burn")]
    /// Training PilotNet, beside Burn's bare step
    Train(crate::bench_train::BenchTrainArgs),
}

/// Options of `bench step`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril bench step --json")]
pub struct StepArgs {
    /// Policy pack
    #[arg(long, default_value = "default")]
    policy: String,
    /// What runs the network
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Threads of one prediction on cpu and int8
    #[arg(long, default_value_t = 1, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    threads: u8,
    /// Frames
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Options of `bench sim`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril bench sim --map town_blocks --json")]
pub struct SimArgs {
    /// Map
    #[arg(long, default_value = "harbour_town")]
    map: String,
    /// Weather
    #[arg(long, default_value = "ClearNoon")]
    weather: String,
    /// Frames
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Options of `bench link`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril bench link --endpoint tcp://127.0.0.1:*")]
pub struct LinkArgs {
    /// Endpoint; a local socket file by default
    #[arg(long)]
    endpoint: Option<String>,
    /// Frames
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Percentiles of one stage.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Times {
    /// How often it was measured.
    pub n: usize,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Longest.
    pub max_ms: f64,
    /// Of these alone, one after the other.
    pub per_second: f64,
}

impl Times {
    /// From nanoseconds.
    pub fn of(mut ns: Vec<u64>) -> Self {
        ns.sort_unstable();
        let total: u64 = ns.iter().sum();
        let at = |q: f64| {
            let last = ns.len().saturating_sub(1);
            ns.get((q * last as f64).round() as usize).copied().unwrap_or(0) as f64 * 1e-6
        };
        Self {
            n: ns.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            per_second: ns.len() as f64 / (total as f64 * 1e-9).max(1e-12),
        }
    }
}

/// How long a stage took.
#[derive(Serialize)]
pub struct Row {
    stage: &'static str,
    #[serde(flatten)]
    times: Times,
}

impl Row {
    fn of(stage: &'static str, ns: Vec<u64>) -> Self {
        Self { stage, times: Times::of(ns) }
    }
}

/// Rows as a table.
pub fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("stage              n     p50 ms   p90 ms   p99 ms   max ms    per s\n");
    for Row { stage, times: t } in rows {
        text += &format!(
            "{stage:14} {:5}   {:8.4} {:8.4} {:8.4} {:8.4} {:8.0}\n",
            t.n, t.p50_ms, t.p90_ms, t.p99_ms, t.max_ms, t.per_second
        );
    }
    text
}

fn print(rows: &[Row], json: bool) -> anyhow::Result<Exit> {
    if json {
        output::print_json(&serde_json::json!({ "stages": rows }))?;
    } else {
        output::print_text(&table(rows))?;
    }
    Ok(Exit::Ok)
}

/// Runs the command.
///
/// # Errors
/// If what is to be measured cannot be set up.
pub fn run(command: &BenchCommand) -> anyhow::Result<Exit> {
    match command {
        BenchCommand::Infer(args) => crate::bench_infer::run(args),
        BenchCommand::Start(args) => crate::bench_start::run(args),
        BenchCommand::Step(args) => step(args),
        BenchCommand::Sim(args) => sim(args),
        BenchCommand::Link(args) => link(args),
        #[cfg(feature = "burn")]
        BenchCommand::Train(args) => crate::bench_train::run(args),
    }
}

/// Frames with pictures that differ from each other, or the gate would call the camera frozen.
pub struct Scribble(Frame);

impl Scribble {
    /// Noise of the camera's size.
    pub fn new(camera: &CameraSpec) -> Self {
        let mut frame = Frame::for_camera(camera);
        for (i, byte) in frame.image.data.iter_mut().enumerate() {
            *byte = (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        }
        Self(frame)
    }

    /// The next frame, of a camera with this rate in Hz.
    pub fn next(&mut self, rate_hz: f64) -> &mut Frame {
        let frame = &mut self.0;
        let n = frame.id.0;
        frame.id.0 = n + 1;
        frame.sim_time_ns = (n as f64 / rate_hz * 1e9) as u64;
        let bytes = frame.image.data.len().max(1);
        if let Some(byte) = frame.image.data.get_mut((n as usize).wrapping_mul(7919) % bytes) {
            *byte = byte.wrapping_add(97);
        }
        frame
    }
}

/// Mean brightness of a dark picture, of which there is a second look.
pub const DARK: f32 = 20.0;

/// Steps so many frames, after some that are not counted; the pipeline is warm then. A step looks
/// once; what a second look takes, which comes on top in the dark, is a row of its own.
///
/// # Errors
/// If the configuration makes no sense.
pub fn step_rows(
    policy: scenario::AnyPolicy,
    config: &Config,
    frames: u64,
) -> anyhow::Result<(Vec<Row>, Pipeline<scenario::AnyPolicy>)> {
    let mut scribble = Scribble::new(&policy.card().camera);
    let mut pipeline = Pipeline::new(policy, config)?;
    let clock = MonotonicClock::start();
    let (mut total, mut check, mut infer, mut decide) = (vec![], vec![], vec![], vec![]);
    let mut again = vec![];
    for i in 0..frames + 20 {
        let frame = scribble.next(20.0);
        let start = Instant::now();
        let record = pipeline.step(&clock, frame, 0, FaultSet::EMPTY);
        let ns = start.elapsed().as_nanos() as u64;
        let start = Instant::now();
        // Of noise it may be a fault; it took its time all the same.
        let _ = pipeline.policy_mut().look_again(frame, &Lift::of(DARK));
        let again_ns = start.elapsed().as_nanos() as u64;
        if i >= 20 {
            total.push(ns);
            let [_, c, n, d, ..] = record.times.ns;
            check.push(c);
            infer.push(n);
            decide.push(d);
            again.push(again_ns);
        }
    }
    let rows = vec![
        Row::of("check image", check),
        Row::of("infer", infer),
        Row::of("decide", decide),
        Row::of("step", total),
        Row::of("second look", again),
    ];
    Ok((rows, pipeline))
}

fn step(args: &StepArgs) -> anyhow::Result<Exit> {
    let policy = scenario::load_policy(&args.policy, args.backend, args.threads)?;
    let (rows, _) = step_rows(policy, &Config::default(), args.frames)?;
    print(&rows, args.json)
}

fn sim(args: &SimArgs) -> anyhow::Result<Exit> {
    let map = Arc::new(scenario::load_map(&args.map)?);
    let start = Instant::now();
    let scene = Arc::new(Scene::build(&map, 0));
    let build_ns = start.elapsed().as_nanos() as u64;
    let config = SimConfig {
        scene: Some(scene),
        route: RouteSpec::default(),
        weather: scenario::weather(&args.weather)?,
        ..SimConfig::new(map)
    };
    let mut world = scenario::sim_world(config)?;
    let mut frame = Frame::for_camera(&CameraSpec::PAPER);
    let (mut draw, mut tick) = (vec![], vec![]);
    while (draw.len() as u64) < args.frames {
        let start = Instant::now();
        if world.observe(&mut frame, 0).observed != Observed::Fresh {
            break;
        }
        draw.push(start.elapsed().as_nanos() as u64);
        let command = world.expert_command();
        let start = Instant::now();
        if world.actuate(&command).is_err() {
            break;
        }
        tick.push(start.elapsed().as_nanos() as u64);
    }
    print(
        &[Row::of("build scene", vec![build_ns]), Row::of("draw", draw), Row::of("tick", tick)],
        args.json,
    )
}

/// A plant that only counts: what remains is the link.
struct Blank {
    info: PlantInfo,
    sent: u64,
    image: Image,
}

impl World for Blank {
    fn info(&self) -> &PlantInfo {
        &self.info
    }
    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        self.sent += 1;
        frame.id.0 = self.sent;
        frame.sim_time_ns = self.sent * 50_000_000;
        frame.image.data.copy_from_slice(&self.image.data);
        Observation::plain(Observed::Fresh)
    }
    fn actuate(&mut self, _command: &Command) -> Result<(), Fault> {
        Ok(())
    }
}

fn link(args: &LinkArgs) -> anyhow::Result<Exit> {
    let folder = tempfile::tempdir()?;
    let endpoint = match &args.endpoint {
        Some(e) => e.clone(),
        None => format!("ipc://{}", folder.path().join("bench").display()),
    };
    let camera = CameraSpec::PAPER;
    let info = PlantInfo {
        name: "caril bench".into(),
        map: "none".into(),
        weather: "none".into(),
        camera,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    };
    let options = ServeOptions {
        pacing: Pacing::Lockstep,
        rate_hz: 20.0,
        once: true,
        ..ServeOptions::default()
    };
    if !caril_link::stays_here(&endpoint).map_err(|e| usage(e.to_string()))? {
        return Err(usage(format!("--endpoint {endpoint}: both ends are on this machine")));
    }
    let mut socket = PlantSocket::bind(&endpoint, options)?;
    let endpoint = socket.endpoint().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let halt = Arc::clone(&stop);
    let plant = std::thread::spawn(move || {
        let mut world = Blank { info, sent: 0, image: Image::for_camera(&camera) };
        socket.serve(&mut world, &halt);
    });
    let mut world = RemoteWorld::connect(&endpoint, ConnectOptions::default())?;
    let mut frame = Frame::for_camera(&camera);
    let mut round = vec![];
    let mut last = Instant::now();
    while (round.len() as u64) < args.frames {
        if world.observe(&mut frame, 1_000_000_000).observed != Observed::Fresh {
            break;
        }
        let command = Command { frame_id: frame.id, ..Command::default() };
        if world.actuate(&command).is_err() {
            break;
        }
        round.push(last.elapsed().as_nanos() as u64);
        last = Instant::now();
    }
    drop(world);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let _ = plant.join();
    print(&[Row::of("round trip", round)], args.json)
}
