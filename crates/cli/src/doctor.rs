//! `caril doctor`: what this machine is, and whether it would hold a rate.

mod machine;
mod measure;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::args::BackendArg;
use crate::bench::Row;
use crate::exit::{Exit, usage};
use crate::{output, scenario};
use measure::{Disk, Paced};

/// Share of the period that the worst of a hundred frames may take: the rest is for what a short
/// measurement does not see.
const SHARE: f64 = 0.5;
/// What a recording with JPEGs of 448×448 needs, bytes a frame (docs/log.md).
const BYTES_PER_FRAME: f64 = 64e3;
/// Pictures that wait for the recorder before one is dropped.
const PICTURES_WAITING: f64 = 48.0;

/// Look at this machine: processor, memory, disk, clock, time per stage, and whether it would hold
/// a rate, with two looks at every frame if the configuration has second looks. Exit code 3 if it
/// would not.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril doctor\n  caril doctor --rate 60 --policy default --json\n  caril doctor --config car.toml"
)]
pub struct DoctorArgs {
    /// Frames per second that it should hold
    #[arg(long, default_value_t = 20.0, value_name = "HZ")]
    rate: f64,
    /// Policy pack: a name from weights/ or a folder
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    policy: String,
    /// What runs the network
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Threads of one prediction on cpu and int8
    #[arg(long, default_value_t = 1, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    threads: u8,
    /// Configuration that it would drive with; any part of config/default.toml
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// How long frames are stepped at the rate, seconds
    #[arg(long, default_value_t = 5.0, value_name = "S")]
    seconds: f64,
    /// Folder of the disk to measure, where recordings would go
    #[arg(long, default_value = ".", value_name = "DIR")]
    disk: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Findings {
    cpu: machine::Cpu,
    /// Cores that this process may use.
    cores_allowed: usize,
    /// Vector instructions that are there and for which there are kernels.
    features: Vec<&'static str>,
    /// The kernels that run.
    kernels: String,
    memory: Option<machine::Memory>,
    gpus: Vec<machine::Gpu>,
    /// What Vulkan sees; `None`: there is no vulkaninfo.
    vulkan: Option<Vec<String>>,
    disk: Option<Disk>,
    clock: machine::Clock,
    preemption: String,
    /// Highest real-time priority that this user may ask for; `None`: any.
    priority_limit: Option<u64>,
    /// Memory that this user may lock, MiB; `None`: any.
    lock_limit_mib: Option<u64>,
    policy: String,
    backend: String,
    stages: Vec<Row>,
    /// Looks at every frame while they came at the rate: 2 with second looks, as in the dark.
    looks: u8,
    paced: Paced,
    verdict: Verdict,
    advice: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Verdict {
    rate_hz: f64,
    period_ms: f64,
    /// Period over the time that the worst of a hundred frames takes from when it is due.
    margin: f64,
    holds: bool,
    /// What is in the way.
    because: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// If the pack cannot be loaded.
pub fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    if !(1.0..=240.0).contains(&args.rate) {
        return Err(usage(format!("--rate must be 1 to 240, not {}", args.rate)));
    }
    if !(0.5..=3600.0).contains(&args.seconds) {
        return Err(usage(format!("--seconds must be 0.5 to 3600, not {}", args.seconds)));
    }
    let root = Path::new("/");
    let policy = scenario::load_policy(&args.policy, args.backend, args.threads)?;
    let name = policy.card().name.clone();
    let config = args.config.as_deref().map(scenario::load_config).transpose()?;
    let config = config.unwrap_or_default();
    config.validate().map_err(|e| usage(e.to_string()))?;
    let twice = config.correction.looks_again();
    let (stages, mut pipeline) = crate::bench::step_rows(policy, &config, 200)?;
    let paced = measure::paced(&mut pipeline, twice, args.rate, args.seconds);
    let disk = measure::disk(&args.disk)
        .inspect_err(|e| say!("warning: {} cannot be written: {e}", args.disk.display()))
        .ok();
    let verdict = judge(args.rate, &paced, disk.as_ref());
    let limits = measure::limits();
    let mut found = Findings {
        cpu: machine::cpu(root),
        cores_allowed: std::thread::available_parallelism().map_or(1, usize::from),
        features: measure::features(),
        kernels: format!("{:?}", caril_infer::Isa::best()).to_lowercase(),
        memory: machine::memory(root),
        gpus: machine::gpus(root),
        vulkan: measure::vulkan(),
        disk,
        clock: machine::clock(root),
        preemption: machine::preemption(root),
        priority_limit: limits.0,
        lock_limit_mib: limits.1,
        policy: name,
        backend: args.backend.name(),
        stages,
        looks: if twice { 2 } else { 1 },
        paced,
        verdict,
        advice: Vec::new(),
    };
    found.advice = advice(&found);
    let exit = if found.verdict.holds { Exit::Ok } else { Exit::Degraded };
    if args.json {
        output::print_json(&found)?;
    } else {
        output::print_text(&said(&found))?;
    }
    Ok(exit)
}

/// Whether the rate holds, and what is in the way.
fn judge(rate_hz: f64, paced: &Paced, disk: Option<&Disk>) -> Verdict {
    let period_ms = 1e3 / rate_hz;
    let mut because = Vec::new();
    let margin = period_ms / paced.p99_ms.max(1e-6);
    if paced.p99_ms > SHARE * period_ms {
        because.push(format!(
            "of a hundred frames the slowest takes {:.2} ms from when it is due; {:.2} ms, half a period, is allowed",
            paced.p99_ms,
            SHARE * period_ms
        ));
    }
    if paced.misses > 0 {
        because.push(format!(
            "{} of {} frames were not done when the next was due",
            paced.misses, paced.frames
        ));
    }
    if let Some(disk) = disk {
        let need = rate_hz * BYTES_PER_FRAME * 1e-6;
        if disk.write_mb_per_s < need {
            because.push(format!(
                "the disk takes {:.1} MB/s, a recording needs {need:.1}",
                disk.write_mb_per_s
            ));
        }
        let bridged_ms = 1e3 * PICTURES_WAITING / rate_hz;
        if disk.sync_max_ms > bridged_ms {
            because.push(format!(
                "the disk needed {:.0} ms once, the recorder bridges {bridged_ms:.0}",
                disk.sync_max_ms
            ));
        }
    }
    Verdict { rate_hz, period_ms, margin, holds: because.is_empty(), because }
}

/// What would make it better.
fn advice(found: &Findings) -> Vec<String> {
    let mut advice = Vec::new();
    let mut say = |wanted: bool, text: String| {
        if wanted {
            advice.push(text);
        }
    };
    let slow = |g: &&String| *g != "performance";
    say(
        found.cpu.governors.iter().any(|g| slow(&g)),
        format!(
            "the frequency governor is {}: performance keeps the pace even",
            found.cpu.governors.join(", ")
        ),
    );
    say(found.cores_allowed < 2, "one core alone: recorder and loop share it".into());
    say(found.kernels == "portable", "no vector instructions that there are kernels for".into());
    let swap = found.memory.as_ref().is_some_and(|m| m.swap_mib > 0);
    say(
        swap && found.lock_limit_mib.is_some(),
        "there is swap, and memory cannot be locked: `ulimit -l unlimited` for --realtime".into(),
    );
    say(
        found.priority_limit == Some(0),
        "no real-time priority is allowed: `ulimit -r 50` or the systemd unit for --realtime"
            .into(),
    );
    say(
        found.clock.synchronised == Some(false),
        "the clock is not synchronised: recordings carry a wrong date".into(),
    );
    let little = found.memory.as_ref().is_some_and(|m| m.available_mib < 512);
    say(little, "less than 512 MiB of memory is free".into());
    advice
}

/// For people.
fn said(f: &Findings) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| text.push_str(&format!("{key:10} {value}\n"));
    let or = |list: &[String], none: &str| match list {
        [] => none.to_owned(),
        list => list.join(", "),
    };
    line(
        "processor",
        format!("{}, {} cores, {} allowed", f.cpu.model, f.cpu.cores, f.cores_allowed),
    );
    let features: Vec<String> = f.features.iter().map(|f| (*f).to_owned()).collect();
    line(
        "vectors",
        format!("{}; the CPU executor runs {}", or(&features, "none known"), f.kernels),
    );
    line("governor", or(&f.cpu.governors, "not told"));
    line(
        "preemption",
        if f.preemption.is_empty() { "not told".into() } else { f.preemption.clone() },
    );
    if let Some(m) = &f.memory {
        line(
            "memory",
            format!("{} MiB, {} free, swap {}", m.total_mib, m.available_mib, m.swap_mib),
        );
    }
    let limit = |l: Option<u64>| l.map_or_else(|| "any".to_owned(), |l| l.to_string());
    line(
        "limits",
        format!(
            "real-time priority {}, locked memory {} MiB",
            limit(f.priority_limit),
            limit(f.lock_limit_mib)
        ),
    );
    let gpus: Vec<String> = f.gpus.iter().map(|g| format!("{} ({})", g.name, g.driver)).collect();
    line("GPU", or(&gpus, "none"));
    line(
        "Vulkan",
        f.vulkan.as_ref().map_or_else(|| "no vulkaninfo here".into(), |v| or(v, "no device")),
    );
    if let Some(d) = &f.disk {
        line(
            "disk",
            format!(
                "{:.0} MB/s, sync p50 {:.1} ms, max {:.1} ms, {:.1} GB free",
                d.write_mb_per_s, d.sync_p50_ms, d.sync_max_ms, d.free_gb
            ),
        );
    }
    let sync = match f.clock.synchronised {
        Some(true) => "synchronised",
        Some(false) => "not synchronised",
        None => "not told whether synchronised",
    };
    line("clock", format!("{}, {sync}", f.clock.source));
    text.push_str(&format!("\npolicy {} on {}\n", f.policy, f.backend));
    text.push_str(&crate::bench::table(&f.stages));
    let (p, v) = (&f.paced, &f.verdict);
    text.push_str(&format!(
        "at {} Hz for {} frames{}, due to done: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms\n\n",
        v.rate_hz,
        p.frames,
        if f.looks == 2 { " looked at twice, as in the dark" } else { "" },
        p.p50_ms,
        p.p99_ms,
        p.max_ms
    ));
    for advice in &f.advice {
        text.push_str(&format!("advice: {advice}\n"));
    }
    let verdict = if v.holds { "holds" } else { "does not hold" };
    text.push_str(&format!(
        "verdict: {verdict} {} Hz; a period is {:.1} times what a frame takes (p99)\n",
        v.rate_hz, v.margin
    ));
    for reason in &v.because {
        text.push_str(&format!("  {reason}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(p99_ms: f64, misses: u64) -> Paced {
        Paced { frames: 100, p50_ms: 1.0, p99_ms, max_ms: p99_ms, misses }
    }

    #[test]
    fn a_rate_holds_with_room_to_spare_or_not_at_all() {
        let verdict = judge(20.0, &paced(5.0, 0), None);
        assert!(verdict.holds && verdict.because.is_empty());
        assert!((verdict.margin - 10.0).abs() < 1e-9 && (verdict.period_ms - 50.0).abs() < 1e-9);
        assert!(!judge(20.0, &paced(26.0, 0), None).holds, "more than half a period");
        assert!(judge(20.0, &paced(24.0, 0), None).holds);
        assert!(!judge(20.0, &paced(5.0, 1), None).holds, "a frame was late");
    }

    #[test]
    fn a_disk_that_is_too_slow_is_in_the_way() {
        let disk = |write_mb_per_s, sync_max_ms| Disk {
            write_mb_per_s,
            sync_p50_ms: 1.0,
            sync_max_ms,
            free_gb: 1.0,
        };
        assert!(judge(20.0, &paced(5.0, 0), Some(&disk(100.0, 20.0))).holds);
        assert!(!judge(20.0, &paced(5.0, 0), Some(&disk(1.0, 20.0))).holds);
        assert!(!judge(20.0, &paced(5.0, 0), Some(&disk(100.0, 5000.0))).holds);
    }
}
