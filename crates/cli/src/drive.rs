//! `caril drive`: the closed loop, its recording, its report.

mod say;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use caril_core::{Config, FrameId, Image, Pacing, Policy, PolicyCard, StepRecord, World};
use caril_link::{ConnectOptions, Keyring, PlantSocket, RemoteWorld, ServeOptions, stays_here};
use caril_record::{RecorderStats, Recording, RecordingHeader, Rotation};
use caril_runtime::{DriveOptions, DriveStats, DriveSummary, StopFlag, Thinned};
use caril_sim::SimConfig;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::alive::Alive;
use crate::args::{ControlArgs, ScenarioArgs};
use crate::backend;
use crate::exit::{Exit, usage};
use crate::keys::LinkArgs;
use crate::realtime::RealtimeArgs;
use crate::scenario::AnyPolicy;
use crate::trigger::{self, TriggerArgs};
use crate::view::{self, ViewArgs};
use crate::{output, report, scenario};

/// How frames and commands cross between the embedded world and the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// ZeroMQ over a local socket file
    Ipc,
    /// ZeroMQ over loopback TCP
    Tcp,
    /// No ZeroMQ: function calls
    Direct,
}

/// Pictures in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RecordImages {
    /// JPEG of every frame
    Every,
    /// PNG of every frame: a replay is then equal to the bit. In lockstep the loop waits for the
    /// recorder, so that none is missing
    Lossless,
    /// No pictures
    None,
}

/// Drive in a closed loop. Without options: embedded world, shipped policy, default map and
/// route, frames and commands over ZeroMQ, a recording and a report in runs/.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril drive\n  caril drive --map valley_road --route random --seed 7 --weather FoggyNoon\n  caril drive --record-trigger=correction,fault --record clips.mcap\n  caril drive --record-limit 2GiB            # the oldest recordings in runs/ make room\n  caril drive --pacing free --view 8080      # and look at http://127.0.0.1:8080/\n  caril drive --plant tcp://127.0.0.1:5555 --json"
)]
pub struct DriveArgs {
    /// The plant: `sim`, or the endpoint of one that waits there
    #[arg(long, default_value = "sim", value_name = "sim|tcp://…|ipc://…")]
    plant: String,
    #[command(flatten)]
    link: LinkArgs,
    /// With `--plant sim`: how frames cross
    #[arg(long, value_enum, default_value_t = Transport::Ipc)]
    transport: Transport,
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    control: ControlArgs,
    /// Folder for recording and report [default: runs/TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Recording, or `none`
    #[arg(long, value_name = "F.mcap|none")]
    record: Option<String>,
    /// Pictures of the recording [default: the configuration's, JPEG of every frame]
    #[arg(long, value_enum)]
    record_images: Option<RecordImages>,
    #[command(flatten)]
    trigger: TriggerArgs,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    realtime: RealtimeArgs,
    /// Write no report
    #[arg(long)]
    no_report: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    summary: &'a DriveSummary,
    map: &'a str,
    weather: &'a str,
    policy: &'a str,
    backend: String,
    /// What the backend runs on.
    device: &'a str,
    record: Option<&'a Path>,
    report: Option<&'a Path>,
    recorder_dropped_steps: u64,
    recorder_dropped_images: u64,
    /// Of an event recorder: clips kept, and steps of which nothing was.
    clips: u64,
    left_out_steps: u64,
    /// Files of the recording, those that made room for others included.
    parts: u64,
    /// What --realtime set and what it could not.
    realtime: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the drive from starting, and bugs caught in the loop.
pub fn run(args: &DriveArgs) -> anyhow::Result<Exit> {
    if scenario::lists(&args.scenario)? {
        return Ok(Exit::Ok);
    }
    args.trigger.trigger(0.0)?;
    let mut config = args.control.config(&args.scenario)?;
    if let Some(images) = args.record_images {
        config.record.image_every = u32::from(images != RecordImages::None);
        config.record.lossless = images == RecordImages::Lossless;
    }
    let mut policy =
        scenario::load_policy(&args.control.policy, args.control.backend, args.control.threads)?;
    let stop = output::stop_on_ctrl_c()?;
    if args.plant == "sim" {
        let sim = scenario::sim_config(&args.scenario, &config, policy.card().camera)?;
        match args.transport {
            Transport::Direct => {
                let mut world = scenario::sim_world(SimConfig { pacing: Pacing::Lockstep, ..sim })?;
                config.drive_loop.pacing = Pacing::Lockstep;
                drive(args, &config, &mut world, policy, &stop)
            }
            Transport::Ipc | Transport::Tcp => over_zeromq(args, &config, sim, policy, &stop),
        }
    } else {
        if !(args.plant.starts_with("tcp://") || args.plant.starts_with("ipc://")) {
            return Err(usage(format!("--plant {}: expected sim, tcp://… or ipc://…", args.plant)));
        }
        let (keys, _) = args.link.keys(&args.plant)?;
        let mut world = connect_while(&args.plant, &policy, keys, &stop, || false)?;
        config.drive_loop.pacing = world.info().pacing;
        warm_up(&mut policy);
        drive(args, &config, &mut world, policy, &stop)
    }
}

/// Plays the plant in a thread of its own and drives it through ZeroMQ.
fn over_zeromq(
    args: &DriveArgs,
    config: &Config,
    sim: SimConfig,
    mut policy: AnyPolicy,
    stop: &Arc<StopFlag>,
) -> anyhow::Result<Exit> {
    // An ipc path must be short (107 bytes): a folder of our own in the system's place for them.
    let folder =
        tempfile::Builder::new().prefix("caril").tempdir().context("no folder for the socket")?;
    let endpoint = match args.transport {
        Transport::Tcp => "tcp://127.0.0.1:*".to_owned(),
        _ => format!("ipc://{}", folder.path().join("plant").display()),
    };
    let options = ServeOptions {
        pacing: sim.pacing,
        rate_hz: sim.rate_hz,
        once: true,
        ..ServeOptions::default()
    };
    let mut socket = PlantSocket::bind(&endpoint, options)?;
    let endpoint = socket.endpoint().to_owned();
    let plant_stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let plant = {
            let plant_stop = Arc::clone(&plant_stop);
            std::thread::Builder::new().name("plant".into()).spawn_scoped(scope, move || {
                let mut world = scenario::served_world(sim)?;
                socket.serve(&mut world, &plant_stop);
                anyhow::Ok(())
            })?
        };
        warm_up(&mut policy);
        let driven = connect_while(&endpoint, &policy, None, stop, || !plant.is_finished())
            .and_then(|mut world| drive(args, config, &mut world, policy, stop));
        plant_stop.store(true, Ordering::Relaxed);
        // What went wrong in the plant is the cause of whatever the controller says.
        plant.join().map_err(|_| anyhow::anyhow!("bug in the embedded world"))??;
        driven
    })
}

fn connect_while(
    endpoint: &str,
    policy: &dyn Policy,
    keys: Option<Keyring>,
    stop: &StopFlag,
    own_plant_runs: impl Fn() -> bool,
) -> anyhow::Result<RemoteWorld> {
    let mut tries = 0;
    loop {
        let options = ConnectOptions {
            controller: format!("caril {}", env!("CARGO_PKG_VERSION")),
            camera: Some(policy.card().camera),
            timeout: Duration::from_secs(5),
            keys: keys.clone(),
            ..ConnectOptions::default()
        };
        match RemoteWorld::connect_unless(endpoint, options, &|| stop.asked()) {
            Ok(world) => return Ok(world),
            // Our own plant may still be building its scenery.
            Err(e) if tries < 12 && own_plant_runs() && !stop.asked() => {
                tries += 1;
                tracing::debug!("connect: {e}");
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// How the recording names the link: `local`, `secured` or `insecure`.
fn link_kind(args: &DriveArgs) -> anyhow::Result<String> {
    let insecure = args.link.insecure && args.plant != "sim" && !stays_here(&args.plant)?;
    let kind = match &args.link.key {
        _ if insecure => "insecure",
        Some(_) if args.plant != "sim" => "secured",
        _ => "local",
    };
    Ok(kind.to_owned())
}

/// Steps of a drive that its report draws, a quarter of an hour at 20 Hz; of longer ones every
/// second, fourth, and so on.
const REPORT_STEPS: usize = 1 << 14;

/// The first inference allocates and loads code: not while the car moves.
fn warm_up(policy: &mut dyn Policy) {
    let frame = caril_core::Frame::for_camera(&policy.card().camera);
    for _ in 0..3 {
        let _ = policy.infer(&frame);
    }
}

fn drive<W: World>(
    args: &DriveArgs,
    config: &Config,
    world: &mut W,
    policy: AnyPolicy,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let info = world.info().clone();
    let card = policy.card().clone();
    // What acts: the card with the configuration's thresholds, for the report.
    let calibration =
        config.correction.over(&card.calibration).map_err(|e| usage(e.to_string()))?;
    let acting = PolicyCard { calibration, ..card.clone() };
    let device = backend::device_name(args.control.backend)?;
    let (record_path, report_path) = output_paths(args)?;
    let own_folder = args.record.is_none() && args.out.is_none();
    let rotation = record_path.as_deref().and_then(|p| args.trigger.rotation(p, own_folder));
    let backend = args.control.backend.name();
    let view = match args.view.view {
        None => None,
        Some(_) => {
            let about = view::about_controller("drive", &info, config, &card, &backend);
            args.view.start(&info.camera, &about)?
        }
    };
    let realtime = args.realtime.prepare();
    realtime.warn();
    let mut header = RecordingHeader {
        command_line: std::env::args().collect(),
        created_unix_s: unix_seconds(),
        seed: config.drive_loop.seed,
        config: serde_json::to_value(config)?,
        policy: card.name.clone(),
        card: Some(card.clone()),
        extra: [
            ("backend".to_owned(), backend.clone()),
            ("device".to_owned(), device.clone()),
            ("policy_dir".to_owned(), scenario::full_dir(&args.control.policy)?),
            ("link".to_owned(), link_kind(args)?),
        ]
        .into(),
        ..RecordingHeader::new(info.clone())
    };
    if args.view.is_open() {
        header.extra.insert("view".into(), "open".into());
    }
    if realtime.asked() {
        header.extra.insert("realtime".into(), realtime.text());
    }
    // Of a recording in parts, the first is told; it may be gone by the end.
    let first_path = rotation.as_ref().map(Rotation::next_part).or_else(|| record_path.clone());
    let doubt = trigger::doubt(config.correction.mode, &card.calibration);
    let mut recorder = record_path
        .as_deref()
        .map(|path| {
            trigger::start(path, &header, &config.record, &args.trigger, doubt, rotation.as_ref())
        })
        .transpose()?;
    let record_path = first_path;
    let bar = output::progress(100, "{bar:32} {pos:>3} % of the route  {msg}");
    let mut kept = Thinned::new(if report_path.is_some() { REPORT_STEPS } else { 0 });
    let watched = !bar.is_hidden();
    let mut on_step = |record: &StepRecord, stats: &DriveStats| {
        kept.push(record);
        // A bar allocates and writes: only where somebody sits at a terminal and looks.
        if watched && stats.frames().is_multiple_of(20) {
            let truth = stats.truth().copied().unwrap_or_default();
            bar.set_position(truth.route_completion as u64);
            bar.set_message(format!(
                "{:4.1} m/s  confidence {:.2}  {:?}",
                record.ego.speed_mps, record.correction.confidence, record.mode
            ));
        }
    };
    let options = DriveOptions { frame_limit: args.scenario.frames };
    let alive = Alive::start();
    // The threads beside the loop are there: from here on the class is the loop's alone.
    args.realtime.enter();
    let mut watch = |record: &StepRecord, image: Option<&Image>| {
        alive.step();
        match (&view, image) {
            (Some(view), Some(_)) => view.push(record, image),
            (Some(view), None) => view.push_no_frame(record),
            (None, _) => {}
        }
    };
    let driven = caril_runtime::drive_watched(
        world,
        policy,
        config,
        recorder.as_mut(),
        stop,
        options,
        &mut watch,
        &mut on_step,
    );
    bar.finish_and_clear();
    drop((view, alive));
    let recorded = recorder.map(|r| r.finish_unless(&|| stop.insisted()));
    let end = driven?;
    let RecorderStats { dropped_steps, dropped_images, clips, left_out_steps, parts, .. } =
        recorded.clone().unwrap_or_default();
    let out = Output {
        summary: &end.summary,
        map: &info.map,
        weather: &info.weather,
        policy: &card.name,
        backend,
        device: &device,
        record: record_path.as_deref(),
        report: report_path.as_deref(),
        recorder_dropped_steps: dropped_steps,
        recorder_dropped_images: dropped_images,
        clips,
        left_out_steps,
        parts,
        realtime: realtime.asked().then(|| realtime.text()),
    };
    let mut report_error = None;
    if let Some(path) = &report_path {
        let map = scenario::load_map(&info.map).ok();
        let pictures =
            record_path.as_deref().map_or_else(Vec::new, |p| doubtful_pictures(p, kept.steps()));
        report_error = report::write_report(
            &report::ReportInput {
                title: &format!("{} in {}", info.map, info.weather),
                command_line: &header.command_line.join(" "),
                plant: &info,
                card: Some(&acting),
                map: map.as_ref(),
                steps: kept.steps(),
                summary: &serde_json::to_value(&out)?,
                pictures: &pictures,
            },
            path,
        )
        .err();
    }
    if args.json {
        output::print_json(&out)?;
    } else {
        say::print_summary(&out, &end);
    }
    let mut degraded = false;
    // The drive's figures are told before anything is said of a full disk.
    if let Some(error) = report_error {
        say!("warning: no report: {error:#}");
        degraded = true;
    }
    let path = record_path.unwrap_or_default();
    if let Some(error) = recorded.and_then(|r| r.write_error) {
        say!("warning: the recording is not whole: {error}: {}", path.display());
        degraded = true;
    } else if dropped_steps + dropped_images > 0 {
        say!(
            "warning: the recording is not whole: no room for {dropped_steps} steps and {dropped_images} pictures: {}",
            path.display()
        );
    }
    let exit = say::exit_of(&end, config.drive_loop.pacing, dropped_steps + dropped_images);
    Ok(if degraded && exit == Exit::Ok { Exit::Degraded } else { exit })
}

/// The pictures of the least confident moments, from the recording.
fn doubtful_pictures(recording: &Path, steps: &[StepRecord]) -> Vec<(FrameId, Vec<u8>)> {
    let wanted = report::least_confident(steps, 6);
    let recording = match Recording::open(recording) {
        Ok(recording) => recording,
        // The drive is over and its figures are known: a report without pictures beats none.
        Err(e) => {
            tracing::warn!("no pictures for the report: {e}");
            return Vec::new();
        }
    };
    recording
        .frames()
        .filter_map(Result::ok)
        .filter_map(|(step, image)| Some((step.frame_id, image?.bytes)))
        .filter(|(id, _)| wanted.contains(id))
        .collect()
}

fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A folder `runs/<stamp>` that was not there: a second drive within the second, or a clock that
/// begins anew with every start of a board, must not write over what is kept.
fn own_folder(runs: &Path, stamp: &str) -> anyhow::Result<PathBuf> {
    let context = || format!("cannot make a folder in {}", runs.display());
    std::fs::create_dir_all(runs).with_context(context)?;
    let mut number = 1;
    loop {
        let name = if number == 1 { stamp.to_owned() } else { format!("{stamp}-{number}") };
        let folder = runs.join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e).with_context(context),
        }
    }
}

/// Where recording and report go. With `--record none` and no `--out` nothing is written.
fn output_paths(args: &DriveArgs) -> anyhow::Result<(Option<PathBuf>, Option<PathBuf>)> {
    let no_record = args.record.as_deref() == Some("none");
    if no_record && args.out.is_none() {
        return Ok((None, None));
    }
    let folder = match (&args.out, args.record.as_deref()) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) if file != "none" => {
            Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default()
        }
        _ => {
            let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
            own_folder(Path::new("runs"), &stamp)?
        }
    };
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let record = match args.record.as_deref() {
        Some("none") => None,
        Some(file) => Some(PathBuf::from(file)),
        None => Some(folder.join("drive.mcap")),
    };
    let report = (!args.no_report).then(|| match args.record.as_deref() {
        Some(file) if file != "none" && args.out.is_none() => {
            Path::new(file).with_extension("html")
        }
        _ => folder.join("report.html"),
    });
    Ok((record, report))
}
