//! What has to be tried to be known: frames at their rate, the disk, what this user may do.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caril_core::{FaultSet, Lift, Policy};
use caril_runtime::{MonotonicClock, Pipeline};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde::Serialize;

use crate::bench::{DARK, Scribble};

/// Frames stepped at their rate.
#[derive(Debug, PartialEq, Serialize)]
pub struct Paced {
    /// How many.
    pub frames: u64,
    /// From when a frame is due to when its command is decided: waking up included, ms.
    pub p50_ms: f64,
    /// The worst of a hundred.
    pub p99_ms: f64,
    /// The worst.
    pub max_ms: f64,
    /// Frames that were not done when the next was due.
    pub misses: u64,
}

/// Steps frames at a rate, as a camera would bring them; `twice`: and looks at each once more, as
/// in the dark.
pub fn paced<P: Policy>(
    pipeline: &mut Pipeline<P>,
    twice: bool,
    rate_hz: f64,
    seconds: f64,
) -> Paced {
    let clock = MonotonicClock::start();
    let period = Duration::from_secs_f64(1.0 / rate_hz);
    let frames = (seconds * rate_hz).ceil() as u32;
    let mut scribble = Scribble::new(&pipeline.policy().card().camera);
    let mut took = Vec::with_capacity(frames as usize);
    let start = Instant::now();
    for k in 1..=frames {
        let frame = scribble.next(rate_hz);
        let due = period * k;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        pipeline.step(&clock, frame, 0, FaultSet::EMPTY);
        if twice {
            // Noise may be a fault; it took its time all the same.
            let _ = pipeline.policy_mut().look_again(frame, &Lift::of(DARK));
        }
        took.push(start.elapsed().saturating_sub(due));
    }
    let misses = took.iter().filter(|t| **t > period).count() as u64;
    took.sort_unstable();
    let at = |q: f64| {
        let last = took.len().saturating_sub(1) as f64;
        took.get((q * last).ceil() as usize).map_or(0.0, |t| t.as_secs_f64() * 1e3)
    };
    Paced { frames: frames.into(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0), misses }
}

/// Where recordings go.
#[derive(Debug, PartialEq, Serialize)]
pub struct Disk {
    /// Written and on the disk, MB/s.
    pub write_mb_per_s: f64,
    /// Half of the syncs were quicker, ms.
    pub sync_p50_ms: f64,
    /// The slowest sync of a MiB, ms.
    pub sync_max_ms: f64,
    /// Free, GB.
    pub free_gb: f64,
}

/// Writes 32 MiB a MiB at a time, each synchronised, as the recorder's chunks are.
///
/// # Errors
/// If nothing can be written there.
pub fn disk(folder: &Path) -> std::io::Result<Disk> {
    let mut file = tempfile::tempfile_in(folder)?;
    // Not zeros: some disks and file systems know those.
    let chunk: Vec<u8> =
        (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut syncs = Vec::new();
    let start = Instant::now();
    for _ in 0..32 {
        file.write_all(&chunk)?;
        let before = Instant::now();
        file.sync_data()?;
        syncs.push(before.elapsed().as_secs_f64() * 1e3);
    }
    let seconds = start.elapsed().as_secs_f64();
    syncs.sort_by(f64::total_cmp);
    let at = |k: usize| syncs.get(k).copied().unwrap_or(0.0);
    let free = nix::sys::statvfs::statvfs(folder)
        .map_or(0.0, |s| s.blocks_available() as f64 * s.fragment_size() as f64);
    Ok(Disk {
        write_mb_per_s: 32.0 * 1.048_576 / seconds,
        sync_p50_ms: at(syncs.len() / 2),
        sync_max_ms: at(syncs.len().saturating_sub(1)),
        free_gb: free * 1e-9,
    })
}

/// Highest real-time priority and memory to lock, MiB, that this user may have; `None`: any.
pub fn limits() -> (Option<u64>, Option<u64>) {
    if nix::unistd::geteuid().is_root() {
        return (None, None);
    }
    let soft =
        |resource| getrlimit(resource).map_or(Some(0), |l| (l.0 != RLIM_INFINITY).then_some(l.0));
    (soft(Resource::RLIMIT_RTPRIO), soft(Resource::RLIMIT_MEMLOCK).map(|b| b >> 20))
}

/// Vector instructions that kernels ask for, of those that are there.
pub fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let all = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
            ("avx512vl", is_x86_feature_detected!("avx512vl")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ];
        all.into_iter().filter(|f| f.1).map(|f| f.0).collect()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let dot = std::arch::is_aarch64_feature_detected!("dotprod");
        if dot { vec!["neon", "dotprod"] } else { vec!["neon"] }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    Vec::new()
}

/// What Vulkan sees, if vulkaninfo is there and answers within ten seconds.
pub fn vulkan() -> Option<Vec<String>> {
    let mut child = Command::new("vulkaninfo")
        .arg("--summary")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > Duration::from_secs(10) {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // A summary is shorter than a pipe's buffer.
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    let name = |line: &str| {
        Some(
            line.trim()
                .strip_prefix("deviceName")?
                .trim()
                .trim_start_matches('=')
                .trim()
                .to_owned(),
        )
    };
    Some(text.lines().filter_map(name).collect())
}
