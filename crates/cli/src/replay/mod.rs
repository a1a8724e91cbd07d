//! `caril replay`: recorded drives through policy and controller again, and what came out otherwise.

mod ledger;
mod pack;
mod say;
mod show;
mod write;

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
use crate::output;
use crate::view::ViewArgs;
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
/// out otherwise. Exit code 0: equal; 3: it differs (if --diff is given or nothing was changed);
/// 1: failed.
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
    #[arg(long, value_name = "N")]
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

#[derive(Serialize)]
struct Output<'a> {
    replays: &'a [Run],
    equal: bool,
    /// Ctrl-C came before the end: what there is of it.
    stopped: bool,
    ledger: &'a [LedgerRow],
}

/// Runs the command.
///
/// # Errors
/// If a recording, pack or configuration cannot be used.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(usage(format!("--speed must be more than 0, not {}", args.speed)));
    }
    let stop = output::stop_on_ctrl_c_saying("writing what has been replayed")?;
    let out = args.out.as_deref().map(Out::create).transpose()?;
    let mut ledger = Ledger::default();
    let (mut runs, mut stopped) = (Vec::new(), false);
    'files: for path in &args.files {
        let recording =
            Recording::open(path).with_context(|| format!("cannot replay {}", path.display()))?;
        let header = recording.header();
        let config = config_of(args, header)?;
        let own = [None];
        let given: Vec<Option<&str>> = args.policy.iter().map(|p| Some(p.as_str())).collect();
        for name in if given.is_empty() { &own[..] } else { &given[..] } {
            if stop.asked() {
                stopped = true;
                break 'files;
            }
            let (card, policy) = open_pack(args, header, *name)?;
            let run =
                one(args, &recording, &card, policy, config, &stop, out.as_ref(), &mut ledger)?;
            if !args.json {
                say::run(&run);
            }
            stopped |= run.counts.stopped;
            runs.push(run);
        }
    }
    let ledger = ledger.rows()?;
    let equal = runs.iter().all(|r| r.equal != Some(false));
    let output = Output { replays: &runs, equal, stopped, ledger: &ledger };
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
    Ok(if differs || stopped { Exit::Degraded } else { Exit::Ok })
}

/// The pack to run, and its card as this recording's camera has it.
fn open_pack(
    args: &ReplayArgs,
    header: &RecordingHeader,
    name: Option<&str>,
) -> anyhow::Result<(PolicyCard, Option<Box<dyn Policy>>)> {
    if args.predictions == PredictionsArg::Recorded {
        // The network is not needed: nor need its weights be here.
        let card = match name {
            Some(name) => crate::scenario::load_card(name)?,
            None => pack::own_card(header)?.clone(),
        };
        return Ok((card, None));
    }
    let backend =
        args.backend.or_else(|| BackendArg::from_str(header.extra.get("backend")?, true).ok());
    let policy = pack::open(
        header,
        name,
        backend.unwrap_or(if cfg!(feature = "burn") { BackendArg::Flex } else { BackendArg::Cpu }),
    )?;
    Ok((policy.card().clone(), Some(policy)))
}

#[allow(clippy::too_many_arguments, reason = "private, called once")]
fn one(
    args: &ReplayArgs,
    recording: &Recording,
    card: &PolicyCard,
    mut policy: Option<Box<dyn Policy>>,
    config: Config,
    stop: &StopFlag,
    out: Option<&Out>,
    ledger: &mut Ledger,
) -> anyhow::Result<Run> {
    let header = recording.header();
    let mut comparison = header.card.is_some().then(Comparison::default);
    // The first configuration is the one asked for; the others are the ledger's.
    let configs: Vec<Config> = std::iter::once(config)
        .chain(ledger::MODES.map(|mode| {
            let mut other = config;
            other.correction.mode = mode;
            other
        }))
        .collect();
    let mut show = Show::start(args, header, card, &config)?;
    let mut file = out.map(|out| out.start(recording, card, &config)).transpose()?;
    let mut drive = ledger.drive(card);
    let policy_name = drive.policy();
    let (mut first_ns, mut last_ns) = (None, 0);
    let bar = output::progress(0, "{pos} steps  {per_sec}");
    let start = Instant::now();
    let counts = caril_runtime::replay(
        recording,
        card,
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
    .with_context(|| format!("cannot replay {}", recording.path().display()))?;
    let wall_seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    if let Some(file) = file {
        file.finish()?;
    }
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
