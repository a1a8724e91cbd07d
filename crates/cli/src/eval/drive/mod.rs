//! `caril eval drive`: the closed-loop benchmark. Every arm drives the same episodes; what comes of
//! them is compared pair by pair.

mod cast;
mod episode;
mod estimate;
mod files;
mod page;
mod pool;
mod same;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caril_core::Config;
use caril_eval::stats::Bootstrap;
use caril_eval::suite::{Arm, Episode, EpisodeResult, Shard, Suite, compare, plan};
use clap::{Args, Subcommand};

use crate::args::BackendArg;
use crate::exit::{Exit, usage};
use crate::{output, scenario};
use episode::Stage;
use store::{RunFacts, Store};

/// Drive a suite of routes with several arms and compare them pair by pair. Can be killed and run
/// again: what was driven is kept.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  caril eval drive --suite paper\n  caril eval drive --suite shift --arms off,paper,calibrated --trials 30 --jobs 8 --out runs/shift\n  caril eval drive --suite shift --shard 3/20 --out runs/shard3   # one of a job array\n  caril eval drive merge runs/shard* --out runs/shift\n\nArms: expert, off, classification, paper, calibrated, oracle, a pack; [NAME=]MODE[:PACK][@CONFIG.toml]"
)]
pub struct DriveArgs {
    #[command(subcommand)]
    command: Option<DriveCommand>,
    /// Suite: a name from suites/ or a file; several by comma, `all` for all that are shipped
    #[arg(long, value_delimiter = ',', default_value = "paper", value_name = "S,…")]
    suite: Vec<String>,
    /// Arms instead of the suite's
    #[arg(long, value_delimiter = ',', value_name = "ARM,…")]
    arms: Vec<String>,
    /// Trials a cell instead of the suite's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    trials: Option<u32>,
    /// Processes that drive [default: one a core]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// Folder of the run [default: runs/eval-SUITE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Part I of N only, to be merged later
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Policy pack of the arms that name none
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    policy: String,
    /// What runs the networks
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Configuration of the arms that name none; any part of config/default.toml
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// Drive episodes again whose program crashed
    #[arg(long)]
    retry_crashed: bool,
    /// Print what would be driven, and how long that takes, and drive nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    show: ShowArgs,
}

/// What is made of the results.
#[derive(Debug, Args)]
struct ShowArgs {
    /// Write no report.html, for whose pictures the worst drives are driven once more
    #[arg(long)]
    no_report: bool,
    /// One JSON object on stdout instead of the tables
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DriveCommand {
    /// Put the folders of shards together and write their tables
    Merge(MergeArgs),
    /// Drive what stdin says (used by the command itself)
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// Folders of shards
    #[arg(required = true, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// Folder of the whole
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    show: ShowArgs,
}

/// Runs the command.
///
/// # Errors
/// Usage errors, unreadable files, a folder that holds another run. A crashed episode is no error.
pub fn run(args: &DriveArgs) -> anyhow::Result<Exit> {
    match &args.command {
        Some(DriveCommand::Worker) => return worker::run(),
        Some(DriveCommand::Merge(args)) => return merge(args),
        None => {}
    }
    let shard = match &args.shard {
        None => Shard::WHOLE,
        Some(text) => Shard::parse(text)
            .ok_or_else(|| usage(format!("--shard {text}: expected I/N with I from 1 to N")))?,
    };
    let mut facts = facts(args)?;
    let arms = arms_of(&facts);
    let mut wanted = Vec::new();
    for suite in &facts.suites {
        let trials = facts.trials.get(&suite.name).copied().unwrap_or(suite.trials);
        wanted.extend(plan(suite, &arms, trials, shard).map_err(|e| usage(e.to_string()))?);
    }
    let jobs = args.jobs.map_or_else(cores, |j| j as usize);
    if args.plan && args.show.json {
        let seconds = estimate::seconds(&wanted, &facts.roles, jobs)?;
        output::print_json(
            &serde_json::json!({ "episodes": wanted, "jobs": jobs, "seconds": seconds }),
        )?;
        return Ok(Exit::Ok);
    }
    if args.plan {
        for episode in &wanted {
            output::print_text(&format!(
                "{}  {} seed {}\n",
                episode.id(),
                episode.map,
                episode.seed
            ))?;
        }
        say!("{}", estimate::sentence(&wanted, &facts.roles, jobs)?);
        return Ok(Exit::Ok);
    }
    let dir = args.out.clone().unwrap_or_else(|| {
        let names: Vec<&str> = facts.suites.iter().map(|s| s.name.as_str()).collect();
        PathBuf::from("runs").join(format!("eval-{}", names.join("-")))
    });
    let mut store = Store::open(&dir, &mut facts)?;
    let whole = whole_plan(&facts)?;
    let open: Vec<Episode> =
        wanted.iter().filter(|e| !store.has(e, args.retry_crashed)).cloned().collect();
    let stop = output::stop_on_ctrl_c_saying(
        "giving up the episodes at work, keeping those that are done",
    )?;
    if open.len() < wanted.len() {
        say!("{} of {} episodes are driven already", wanted.len() - open.len(), wanted.len());
    }
    if !open.is_empty() {
        same_drives(&store.results(&whole), &facts, &dir)?;
    }
    // A shard without an episode is a part of the whole as well.
    store.begin(&facts)?;
    if !open.is_empty() {
        say!("{}", estimate::sentence(&open, &facts.roles, jobs)?);
        let mut progress = estimate::Progress::start(open.len());
        pool::drive_all(pairs(open), &facts.roles, jobs, &stop, &mut |result| {
            progress.add(&result);
            store.add(result)
        })?;
        progress.finish();
    }
    let results = store.results(&whole);
    let here = store.results(&wanted).len();
    let missing = (here < wanted.len()).then(|| {
        format!("{here} of {} episodes are driven; the same command goes on", wanted.len())
    });
    conclude(&dir, &facts, &results, &args.show, missing, &|| stop.asked())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Drives the shortest drive of every arm in every suite again: results of a build (or of a processor,
/// whose vectors decide a network's last digits) that drives or measures otherwise must not be mixed
/// with this one's. The version does not tell, for it is not raised with every change.
fn same_drives(results: &[EpisodeResult], facts: &RunFacts, dir: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::new(facts.roles.clone());
    let mut shortest: BTreeMap<(&str, &str), (u64, &EpisodeResult)> = BTreeMap::new();
    for r in results {
        let Some(frames) = r.measures().map(|m| m.frames) else { continue };
        let of = (r.episode.suite.as_str(), r.episode.arm.as_str());
        let best = shortest.entry(of).or_insert((frames, r));
        if frames < best.0 {
            *best = (frames, r);
        }
    }
    for (_, was) in shortest.into_values() {
        let now = store::as_read(&stage.play(&was.episode)?)?;
        let differs = match now.step_hash() == was.step_hash() {
            false => "drives",
            true if now.measures() != was.measures() => "measures",
            true => continue,
        };
        return Err(usage(format!(
            "this build {differs} {} otherwise, on this machine, than the one whose results are \
             there; give another folder than {}",
            was.episode.id(),
            dir.display()
        )));
    }
    Ok(())
}

/// What the command line asks for.
fn facts(args: &DriveArgs) -> anyhow::Result<RunFacts> {
    let mut suites = Vec::new();
    for name in &args.suite {
        let names = if name == "all" { scenario::names("suites") } else { vec![name.clone()] };
        for name in names {
            let suite = scenario::load_suite(&name)?;
            if suites.iter().any(|s: &Suite| s.name == suite.name) {
                return Err(usage(format!("--suite: two are called {}", suite.name)));
            }
            known_to_the_world(&suite)?;
            suites.push(suite);
        }
    }
    let mut arms = args.arms.clone();
    if arms.is_empty() {
        for arm in suites.iter().flat_map(|s| &s.arms) {
            if !arms.contains(arm) {
                arms.push(arm.clone());
            }
        }
    }
    let config = match &args.config {
        Some(path) => scenario::load_config(path)?,
        None => Config::default(),
    };
    let trials = suites.iter().map(|s| (s.name.clone(), args.trials.unwrap_or(s.trials)));
    Ok(RunFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trials: trials.collect(),
        roles: cast::roles(&arms, &args.policy, args.backend, &config)?,
        suites,
    })
}

/// Names in a suite's cells that the embedded world does not have would be crashes of their drives.
fn known_to_the_world(suite: &Suite) -> anyhow::Result<()> {
    for cells in &suite.cells {
        let here =
            |e: anyhow::Error| usage(format!("suite {}, cells {}: {e:#}", suite.name, cells.name));
        for map in &cells.maps {
            scenario::load_map(map).map_err(here)?;
        }
        for weather in &cells.weather {
            scenario::weather(weather).map_err(here)?;
        }
        let faults =
            cells.faults.iter().flat_map(|f| f.split('+')).map(str::trim).filter(|f| *f != "none");
        for fault in faults {
            scenario::fault(fault).map_err(here)?;
        }
    }
    Ok(())
}

fn arms_of(facts: &RunFacts) -> Vec<Arm> {
    facts.roles.iter().map(|r| r.arm.clone()).collect()
}

/// All episodes of a run, whatever shard of them is here.
fn whole_plan(facts: &RunFacts) -> anyhow::Result<Vec<Episode>> {
    let arms = arms_of(facts);
    let mut episodes = Vec::new();
    for suite in &facts.suites {
        let trials = facts.trials.get(&suite.name).copied().unwrap_or(suite.trials);
        episodes.extend(plan(suite, &arms, trials, Shard::WHOLE)?);
    }
    Ok(episodes)
}

/// Episodes that follow each other and differ in their arm only: one worker drives them, so that
/// the expert's drive is needed once.
fn pairs(episodes: Vec<Episode>) -> Vec<Vec<Episode>> {
    let mut pairs: Vec<Vec<Episode>> = Vec::new();
    for episode in episodes {
        match pairs.last_mut() {
            Some(pair) if pair.first().is_some_and(|e| e.pair() == episode.pair()) => {
                pair.push(episode);
            }
            _ => pairs.push(vec![episode]),
        }
    }
    pairs
}

fn merge(args: &MergeArgs) -> anyhow::Result<Exit> {
    let Some((first, rest)) = args.from.split_first() else { return Ok(Exit::Usage) };
    let mut facts = store::read_facts(first)?;
    for dir in rest {
        store::join(&store::read_facts(dir)?, &mut facts, dir)?;
    }
    let mut whole = Store::open(&args.out, &mut facts)?;
    whole.begin(&facts)?;
    let plan = whole_plan(&facts)?;
    for dir in &args.from {
        for result in store::read_results(dir)?.into_values() {
            let there = whole.get(&result.episode).map(EpisodeResult::step_hash);
            let other = there.flatten().is_some_and(|hash| Some(hash) != result.step_hash());
            if other && result.measures().is_some() {
                return Err(usage(format!(
                    "{} was driven otherwise in {} than in the folders before it: their builds or \
                     processors differ",
                    result.episode.id(),
                    dir.display()
                )));
            }
            if !whole.has(&result.episode, result.measures().is_some()) {
                whole.add(result)?;
            }
        }
    }
    let results = whole.results(&plan);
    let missing = (results.len() < plan.len()).then(|| {
        format!("{} of {} episodes are driven: shards are missing", results.len(), plan.len())
    });
    conclude(&args.out, &facts, &results, &args.show, missing, &|| false)
}

/// Tables, files and the exit code.
fn conclude(
    dir: &Path,
    facts: &RunFacts,
    results: &[EpisodeResult],
    show: &ShowArgs,
    missing: Option<String>,
    stopped: &dyn Fn() -> bool,
) -> anyhow::Result<Exit> {
    let bootstrap = Bootstrap::new(BOOTSTRAP_SEED);
    let tables = compare(results, &arms_of(facts), &bootstrap);
    let summary = files::write(dir, facts, results, &tables)?;
    if show.json {
        output::print_json(&summary)?;
    } else {
        output::print_text(&text::tables(&tables))?;
    }
    if !show.no_report && !stopped() {
        page::write(dir, facts, results, &tables)?;
    }
    let crashed = results.iter().filter(|r| r.measures().is_none()).count();
    if crashed > 0 {
        say!(
            "{crashed} episodes crashed (see episodes.csv); `eval drive --retry-crashed` drives them again"
        );
    }
    if let Some(missing) = &missing {
        say!("{missing}");
    }
    say!("results: {}", dir.display());
    let whole = crashed == 0 && !stopped() && missing.is_none();
    Ok(if whole { Exit::Ok } else { Exit::Degraded })
}

/// Seed of the resamples.
const BOOTSTRAP_SEED: u64 = 1;
