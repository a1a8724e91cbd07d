//! The controller's process beside the rig: started, watched, signalled.

use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::exit::usage;
use crate::fault::clock::Clock;

/// Ticks a second of /proc's processor times: fixed by Linux's user-space interface.
const TICKS_PER_S: f64 = 100.0;

/// How a controller is started.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The program `caril`.
    pub caril: PathBuf,
    /// Where the plant is, as the controller sees it.
    pub endpoint: String,
    /// Own key and the plant's public key, where the link is secured.
    pub keys: Option<(PathBuf, PathBuf)>,
    /// Recording, or none.
    pub record: Option<PathBuf>,
    /// More options for `caril drive`.
    pub extra: Vec<String>,
    /// Where its output goes.
    pub folder: PathBuf,
    /// Network namespace to start it in.
    pub namespace: Option<String>,
    /// Where it shows its live page, or nowhere.
    pub view: Option<SocketAddr>,
    /// A wall clock of its own.
    pub clock: Option<Clock>,
    /// Its recording may find no room: then writing has to fail, as it does on a full disk, and not
    /// the program.
    pub disk_may_fill: bool,
}

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    /// Its process.
    pub pid: u32,
}

/// `caril` beside this program, or what was asked for.
///
/// # Errors
/// A usage error if there is none.
pub fn find_caril(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = asked {
        return if path.exists() {
            Ok(path.to_owned())
        } else {
            Err(usage(format!("--caril {}: no such program", path.display())))
        };
    }
    let own = std::env::current_exe().context("path of this program")?;
    // Tests lie one folder deeper than programs.
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("caril"));
    beside.into_iter().find(|p| p.is_file()).ok_or_else(|| {
        usage(
            "no program `caril` beside this one: build it (cargo build --release) or give --caril",
        )
    })
}

impl Recipe {
    /// Starts a controller; `number` tells its output from others'.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, number: u32) -> anyhow::Result<Controller> {
        let out = self.folder.join(format!("controller{number}.json"));
        let err = self.folder.join(format!("controller{number}.log"));
        // `ip` and the shell become the program: the process stays the same.
        let mut line: Vec<&OsStr> = Vec::new();
        if let Some(name) = &self.namespace {
            line.extend(["ip", "netns", "exec", name].map(OsStr::new));
        }
        if self.disk_may_fill {
            line.extend(["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""].map(OsStr::new));
        }
        line.push(self.caril.as_os_str());
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        command.args(["drive", "--json", "--no-report", "--plant", &self.endpoint]);
        if let Some((key, peers)) = &self.keys {
            command.arg("--key").arg(key).arg("--peers").arg(peers);
        }
        match &self.record {
            None => command.args(["--record", "none"]),
            Some(path) => command.arg("--record").arg(path),
        };
        if let Some(at) = &self.view {
            command.arg("--view").arg(at.to_string());
        }
        command.args(&self.extra);
        let file = |path: &Path| {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(file(&out)?)
            .stderr(file(&err)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.caril.display()))?;
        let pid = child.id();
        Ok(Controller { child, out, err, pid })
    }
}

impl Controller {
    /// Sends it a signal by name (`STOP`, `CONT`, `TERM`, `KILL`).
    pub fn signal(&self, name: &str) {
        // A shell's builtin: no unsafe code, and no dependency for four signals.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("kill -{name} {}", self.pid)]).stderr(Stdio::null());
        let _ = shell.status();
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; `None` if it took too long.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status.code().unwrap_or(-1)),
                Ok(None) if start.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => return None,
            }
        }
    }

    /// The object that `drive --json` printed, once it has ended well.
    pub fn summary(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&std::fs::read_to_string(&self.out).ok()?).ok()
    }

    /// Where it shows its live page.
    pub fn page(&self) -> Option<SocketAddr> {
        let said = self.said();
        let at = said.lines().find_map(|l| l.strip_prefix("view: http://"))?;
        at.trim_end_matches('/').parse().ok()
    }

    /// What it said on stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
    }
}

/// Steps that `caril inspect` reads, and whether the file was closed.
///
/// # Errors
/// If it reads none, in its words.
pub fn inspect(caril: &Path, recording: &Path) -> Result<(u64, bool), String> {
    let output = Command::new(caril)
        .args(["inspect", "--json"])
        .arg(recording)
        .output()
        .map_err(|e| format!("inspect did not run: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("inspect: {}", said.lines().next().unwrap_or("no word")))?;
    let steps = summary["frames"].as_u64().ok_or("inspect tells no number of frames")?;
    Ok((steps, summary["complete"] == true))
}

/// Processor time so far, s, and resident memory, MiB, of a process.
pub fn usage_of(pid: u32) -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, blanks and brackets too: what counts comes after the last one.
    let rest = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((ticks / TICKS_PER_S, kib / 1024.0))
}

/// One look at the controller's process.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Sample {
    /// Seconds since the first frame.
    pub time_s: f64,
    /// Processor time so far, s.
    pub cpu_s: f64,
    /// Resident memory, MiB.
    pub memory_mib: f64,
}

/// Share of one core, memory when warm and its growth until the end. Warm is after a fifth of the
/// run, at most half a minute.
pub fn judge_samples(samples: &[Sample]) -> Option<(f64, f64, f64)> {
    let last = samples.last()?;
    let warm_s = (last.time_s / 5.0).min(30.0);
    let warm: Vec<&Sample> = samples.iter().filter(|s| s.time_s >= warm_s).collect();
    let first = *warm.first()?;
    let seconds = last.time_s - first.time_s;
    if seconds <= 0.0 {
        return None;
    }
    let tenth = (warm.len() / 10).max(1);
    let median = |part: &[&Sample]| {
        let mut values: Vec<f64> = part.iter().map(|s| s.memory_mib).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let start = median(&warm[..tenth]);
    let end = median(&warm[warm.len() - tenth..]);
    Some(((last.cpu_s - first.cpu_s) / seconds, start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_has_memory_and_time() {
        let (cpu_s, memory_mib) = usage_of(std::process::id()).expect("linux");
        assert!(cpu_s >= 0.0 && memory_mib > 0.5, "{cpu_s} s, {memory_mib} MiB");
        assert!(usage_of(u32::MAX).is_none());
    }

    #[test]
    fn growth_counts_from_the_warm_state() {
        let sample = |i: u32, memory_mib| Sample {
            time_s: f64::from(i),
            cpu_s: f64::from(i) * 0.25,
            memory_mib,
        };
        // Grows while it warms up, then not.
        let flat: Vec<_> = (0..100).map(|i| sample(i, 10.0 + f64::from(i.min(15)))).collect();
        let (cpu, warm, growth) = judge_samples(&flat).unwrap();
        assert!((cpu - 0.25).abs() < 1e-9 && warm == 25.0 && growth == 0.0, "{warm} {growth}");
        let leak: Vec<_> = (0..100).map(|i| sample(i, 10.0 + f64::from(i) * 0.1)).collect();
        assert!(judge_samples(&leak).unwrap().2 > 6.0);
        assert!(judge_samples(&[]).is_none());
    }
}
