//! `caril bench start`: from the start of the program to its first command, and the memory that it
//! takes until then. Every run is a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use caril_core::{Config, FaultSet, Frame, Policy as _};
use caril_runtime::{MonotonicClock, Pipeline};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::BackendArg;
use crate::bench::Times;
use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// Options of `bench start`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first frame waits already: neither plant nor link is in the time. Memory is the whole process's, its code included.\n\nExample:\n  caril bench start --policy default --runs 20 --json"
)]
pub struct StartArgs {
    /// Policy pack
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    policy: String,
    /// What runs the network
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Processes, one after the other
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Be one of these processes
    #[arg(long, hide = true)]
    once: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What one process says of itself, MB.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    before_mb: f64,
    after_mb: f64,
    peak_mb: f64,
}

impl Memory {
    /// The greatest, value by value.
    fn max(self, other: &Self) -> Self {
        Self {
            before_mb: self.before_mb.max(other.before_mb),
            after_mb: self.after_mb.max(other.after_mb),
            peak_mb: self.peak_mb.max(other.peak_mb),
        }
    }
}

#[derive(Serialize)]
struct Output {
    policy: String,
    backend: String,
    runs: usize,
    start_to_first_command_ms: Times,
    /// Resident: before the pack is loaded, after the first command, and at most; the greatest of
    /// all runs.
    memory: Memory,
}

/// Runs the command.
///
/// # Errors
/// If the pack or the backend cannot be used.
pub fn run(args: &StartArgs) -> anyhow::Result<Exit> {
    if args.once {
        return once(args);
    }
    if args.runs == 0 {
        return Err(usage("--runs 0: expected at least one"));
    }
    scenario::load_card(&args.policy)?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut ns = Vec::new();
    let mut memory = Memory { before_mb: 0.0, after_mb: 0.0, peak_mb: 0.0 };
    for _ in 0..args.runs {
        let backend = args.backend.name();
        let mut command = Command::new(&program);
        command.args(["bench", "start", "--once", "--policy", &args.policy, "--backend", &backend]);
        let start = Instant::now();
        let out = command.output().context("cannot start this program")?;
        ns.push(start.elapsed().as_nanos() as u64);
        if !out.status.success() {
            anyhow::bail!("{}", String::from_utf8_lossy(&out.stderr).trim_end());
        }
        let said: Memory = serde_json::from_slice(&out.stdout).context("cannot read the answer")?;
        memory = said.max(&memory);
    }
    let out = Output {
        policy: args.policy.clone(),
        backend: args.backend.name(),
        runs: args.runs,
        start_to_first_command_ms: Times::of(ns),
        memory,
    };
    if args.json {
        output::print_json(&out)?;
    } else {
        let (t, m) = (&out.start_to_first_command_ms, &out.memory);
        output::print_text(&format!(
            "start to first command: p50 {:.1} ms, max {:.1} ms ({} processes)\n\
             resident memory: {:.1} MB before the pack, {:.1} MB after the first command, peak {:.1} MB\n",
            t.p50_ms, t.max_ms, out.runs, m.before_mb, m.after_mb, m.peak_mb
        ))?;
    }
    Ok(Exit::Ok)
}

/// Loads, commands once and ends.
fn once(args: &StartArgs) -> anyhow::Result<Exit> {
    let before_mb = resident("VmRSS:")?;
    let policy = scenario::load_policy(&args.policy, args.backend, 1)?;
    let mut frame = Frame::for_camera(&policy.card().camera);
    for (i, byte) in frame.image.data.iter_mut().enumerate() {
        *byte = (i.wrapping_mul(2_654_435_761) >> 13) as u8;
    }
    frame.id.0 = 1;
    let mut pipeline = Pipeline::new(policy, &Config::default())?;
    let record = pipeline.step(&MonotonicClock::start(), &mut frame, 0, FaultSet::EMPTY);
    if record.command.frame_id != frame.id {
        anyhow::bail!("no command for the first frame");
    }
    let memory = Memory { before_mb, after_mb: resident("VmRSS:")?, peak_mb: resident("VmHWM:")? };
    output::print_json(&memory)?;
    Ok(Exit::Ok)
}

/// A line of /proc/self/status in MB; 0 where there is no such file.
fn resident(line: &str) -> anyhow::Result<f64> {
    let path = Path::new("/proc/self/status");
    if !path.exists() {
        return Ok(0.0);
    }
    let status = std::fs::read_to_string(path)?;
    let found = status.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB"));
    Ok(found.and_then(|kb| kb.trim().parse::<f64>().ok()).unwrap_or(0.0) * 1024e-6)
}
