//! `caril replay`: recorded drives through policy and controller again, and what came out otherwise.

mod ledger;
mod pack;
mod say;
mod show;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use caril_core::{Config, CorrectionMode, FrameId, Policy, PolicyCard};
use caril_record::{Recording, RecordingHeader};
use caril_runtime::{Comparison, ReplayCounts, ReplayOptions, StopFlag};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{BackendArg, CorrectionArg};
use crate::exit::{Exit, usage};
use crate::view::ViewArgs;
use crate::{backend, output, scenario};
use ledger::{Ledger, LedgerRow};
use show::Show;
use write::Out;

/// Where predictions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionsArg {
    /// The network looks at the pictures again
    Network,
    /// The recorded ones: the controller alone runs again, exactly, without pictures
    Recorded,
}

/// Run recorded drives again, with their own pack and configuration or others, and say what came
/// out otherwise. Exit code 0: equal; 3: it differs (if --diff is given or nothing was changed), or
/// a recording was cut off or could not be replayed; 1: none could.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril drive --record-images lossless --record a.mcap\n  caril replay a.mcap                                  # equal to the bit\n  caril replay a.mcap --correction paper --diff\n  caril replay runs/*/drive.mcap --policy weights/new --json\n  caril replay a.mcap --from 400 --config stricter.toml --out replayed"
)]
pub struct ReplayArgs {
    /// Recordings
    #[arg(required = true, value_name = "F.mcap")]
    files: Vec<PathBuf>,
    /// Policy pack to run instead of the recording's own (repeatable)
    #[arg(long, value_name = "NAME|DIR")]
    policy: Vec<String>,
    /// What runs the network [default: the recording's]
    #[arg(long, value_enum)]
    backend: Option<BackendArg>,
    /// Correction [default: the recording's]
    #[arg(long, value_enum)]
    correction: Option<CorrectionArg>,
    /// Configuration file; what it gives replaces the recording's values, the rest stays
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// First frame; the controller goes on from what it remembered there
    #[arg(long, value_name = "FRAME")]
    from: Option<u64>,
    /// End after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Where predictions come from
    #[arg(long, value_enum, default_value_t = PredictionsArg::Network)]
    predictions: PredictionsArg,
    /// A difference is exit code 3, whatever was changed
    #[arg(long)]
    diff: bool,
    /// Folder for the new steps, a table of those that differ, the ledger and the summary
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    view: ViewArgs,
    /// With --view: how fast the recording runs, 1 being its own speed
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "view")]
    speed: f64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// One recording with one pack.
#[derive(Serialize)]
struct Run {
    recording: PathBuf,
    policy: String,
    weights_sha256: String,
    correction: CorrectionMode,
    predictions: PredictionsArg,
    #[serde(flatten)]
    counts: ReplayCounts,
    /// None where no pack drove: there is nothing to compare with.
    equal: Option<bool>,
    comparison: Option<Comparison>,
    sim_seconds: f64,
    wall_seconds: f64,
}

/// A recording that could not be replayed, and why.
#[derive(Serialize)]
struct Failed {
    recording: PathBuf,
    error: String,
}

#[derive(Serialize)]
struct Output<'a> {
    replays: &'a [Run],
    failed: &'a [&'a Failed],
    equal: bool,
    /// Ctrl-C came before the end: what there is of it.
    stopped: bool,
    ledger: &'a [LedgerRow],
}

/// Runs the command. A recording that cannot be replayed is no reason to lose the others.
///
/// # Errors
/// If the options make no sense or a result cannot be written.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(usage(format!("--speed must be more than 0, not {}", args.speed)));
    }
    let stop = output::stop_on_ctrl_c_saying("writing what has been replayed")?;
    let out = args.out.as_deref().map(Out::create).transpose()?;
    let mut ledger = Ledger::default();
    let set = all(args, &stop, out.as_ref(), &mut ledger);
    if let (true, Some((_, exit))) = (set.runs.is_empty(), set.failed.first()) {
        return Ok(*exit);
    }
    let ledger = ledger.rows()?;
    let equal = set.runs.iter().all(|r| r.equal != Some(false));
    let failed: Vec<&Failed> = set.failed.iter().map(|(failed, _)| failed).collect();
    let output = Output {
        replays: &set.runs,
        failed: &failed,
        equal,
        stopped: set.stopped,
        ledger: &ledger,
    };
    if let Some(out) = &out {
        out.finish(&output, &ledger)?;
    }
    if args.json {
        output::print_json(&output)?;
    } else {
        say::ledger(&ledger);
    }
    let changed = !args.policy.is_empty() || args.correction.is_some() || args.config.is_some();
    let differs = !equal && (args.diff || !changed);
    // As `inspect` has it: a recording that was cut off is less than there was.
    let cut = set.runs.iter().any(|run| !run.counts.complete);
    let degraded = differs || cut || set.stopped || !failed.is_empty();
    Ok(if degraded { Exit::Degraded } else { Exit::Ok })
}

/// What came of all recordings.
#[derive(Default)]
struct Set {
    runs: Vec<Run>,
    /// With how the program ends if no recording could be replayed.
    failed: Vec<(Failed, Exit)>,
    stopped: bool,
}

/// Every recording with every pack, until a stop is asked.
fn all(args: &ReplayArgs, stop: &StopFlag, out: Option<&Out>, ledger: &mut Ledger) -> Set {
    let own = [None];
    let given: Vec<Option<&str>> = args.policy.iter().map(|p| Some(p.as_str())).collect();
    let names = if given.is_empty() { &own[..] } else { &given[..] };
    let mut set = Set::default();
    for path in &args.files {
        let opened =
            Recording::open(path).with_context(|| format!("cannot replay {}", path.display()));
        let mut fail = |error: &anyhow::Error| {
            let recording = path.clone();
            set.failed
                .push((Failed { recording, error: format!("{error:#}") }, Exit::report(error)));
        };
        let recording = match opened {
            Ok(recording) => recording,
            Err(error) => {
                fail(&error);
                continue;
            }
        };
        for name in names {
            if stop.asked() {
                set.stopped = true;
                return set;
            }
            match one(args, &recording, *name, stop, out, ledger) {
                Err(error) => fail(&error),
                Ok(run) => {
                    if !args.json {
                        say::run(&run);
                    }
                    set.stopped |= run.counts.stopped;
                    set.runs.push(run);
                }
            }
        }
    }
    set
}

/// What is run.
struct Ran {
    card: PolicyCard,
    policy: Option<Box<dyn Policy>>,
    /// What the new recording says of it; nothing else of the drive's holds for it.
    facts: BTreeMap<String, String>,
}

/// The pack to run, and its card as this recording's camera has it.
fn open_pack(
    args: &ReplayArgs,
    header: &RecordingHeader,
    name: Option<&str>,
) -> anyhow::Result<Ran> {
    let mut facts = header.extra.clone();
    let mut put = |key: &str, value: String| facts.insert(key.to_owned(), value);
    if args.predictions == PredictionsArg::Recorded {
        put("predictions", "recorded".into());
        // The network is not needed: nor need its weights be here.
        let card = match name {
            Some(name) => {
                put("policy_dir", scenario::full_dir(name)?);
                scenario::load_card(name)?
            }
            None => pack::own_card(header)?.clone(),
        };
        return Ok(Ran { card, policy: None, facts });
    }
    let backend =
        args.backend.or_else(|| BackendArg::from_str(header.extra.get("backend")?, true).ok());
    let backend =
        backend.unwrap_or(if cfg!(feature = "burn") { BackendArg::Flex } else { BackendArg::Cpu });
    let (dir, policy) = pack::open(header, name, backend)?;
    put("policy_dir", dir.canonicalize().unwrap_or(dir).display().to_string());
    put("backend", backend.name());
    put("device", backend::device_name(backend)?);
    Ok(Ran { card: policy.card().clone(), policy: Some(policy), facts })
}

/// One recording with the pack of that name or, without one, with its own.
fn one(
    args: &ReplayArgs,
    recording: &Recording,
    name: Option<&str>,
    stop: &StopFlag,
    out: Option<&Out>,
    ledger: &mut Ledger,
) -> anyhow::Result<Run> {
    let header = recording.header();
    let config = config_of(args, header)?;
    let Ran { card, mut policy, facts } = open_pack(args, header, name)?;
    let mut comparison = header.card.is_some().then(Comparison::default);
    // The first configuration is the one asked for; the others are the ledger's.
    let configs: Vec<Config> = std::iter::once(config)
        .chain(ledger::MODES.map(|mode| {
            let mut other = config;
            other.correction.mode = mode;
            other
        }))
        .collect();
    let mut show = Show::start(args, header, &card, &config)?;
    let mut file = out.map(|out| out.start(recording, &card, &config, facts)).transpose()?;
    let mut drive = ledger.drive(&card);
    let policy_name = drive.policy();
    let (mut first_ns, mut last_ns) = (None, 0);
    let bar = output::progress(0, "{pos} steps  {per_sec}");
    let start = Instant::now();
    let counts = caril_runtime::replay(
        recording,
        &card,
        policy.as_deref_mut(),
        &configs,
        ReplayOptions { from: args.from.map(FrameId), frames: args.frames },
        stop,
        &mut |tick| {
            let Some((now, others)) = tick.now.split_first() else { return };
            bar.inc(1);
            if tick.before {
                return;
            }
            first_ns.get_or_insert(tick.then.sim_time_ns);
            last_ns = tick.then.sim_time_ns;
            let stage = comparison.as_mut().and_then(|c| c.add(tick.then, now));
            if let Some(file) = &mut file {
                file.add(tick, now, stage);
            }
            if let Some(show) = &mut show {
                show.add(tick, now, stop);
            }
            if tick.frame {
                // Of several episodes each has its own.
                let weather = tick.episode.map_or(&header.plant.weather, |e| &e.weather);
                drive.add(others, weather);
            }
        },
    )
    .with_context(|| format!("cannot replay {}", recording.path().display()))
    .and_then(|counts| something(args, recording, counts));
    let wall_seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let counts = match (counts, file) {
        (Ok(counts), Some(file)) => file.finish().map(|()| counts)?,
        (Err(error), Some(file)) => return Err(file.discard(error)),
        (counts, None) => counts?,
    };
    Ok(Run {
        recording: recording.path().to_path_buf(),
        policy: policy_name,
        weights_sha256: card.weights_sha256.clone(),
        correction: config.correction.mode,
        predictions: args.predictions,
        counts,
        equal: comparison.as_ref().map(|c| c.is_equal() && counts.unreadable == 0),
        comparison,
        sim_seconds: first_ns.map_or(0.0, |t: u64| last_ns.saturating_sub(t) as f64 * 1e-9),
        wall_seconds,
    })
}

/// The counts, unless nothing was there to replay.
fn something(
    args: &ReplayArgs,
    recording: &Recording,
    counts: ReplayCounts,
) -> anyhow::Result<ReplayCounts> {
    if counts.frames == 0 && !counts.stopped {
        anyhow::bail!("the recording has no frame to replay: {}", recording.path().display());
    }
    if let Some(from) = args.from
        && counts.frames == counts.before
        && !counts.stopped
    {
        return Err(usage(format!(
            "--from {from}: no such frame, the recording has {}: {}",
            counts.frames,
            recording.path().display()
        )));
    }
    Ok(counts)
}

/// The recording's configuration, with what file and options replace.
fn config_of(args: &ReplayArgs, header: &RecordingHeader) -> anyhow::Result<Config> {
    let mut values = header.config.clone();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let given: serde_json::Value = toml::from_str(&text)
            .map_err(|e| usage(format!("configuration {}:\n{e}", path.display())))?;
        replace(&mut values, given);
    }
    let mut config: Config = match values {
        serde_json::Value::Null => Config::default(),
        values => serde_json::from_value(values)
            .map_err(|e| usage(format!("the configuration makes no sense: {e}")))?,
    };
    if let Some(mode) = args.correction {
        config.correction.mode = mode.into();
    }
    config.validate().map_err(|e| usage(e.to_string()))?;
    Ok(config)
}

fn replace(values: &mut serde_json::Value, given: serde_json::Value) {
    match (values, given) {
        (serde_json::Value::Object(values), serde_json::Value::Object(given)) => {
            for (key, value) in given {
                replace(values.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (value, given) => *value = given,
    }
}
