//! The disk that the controller records onto. Slow: a pipe lies in the file's place, and the rig takes
//! out of it no more than the disk is to bear. Full: the process may write no file longer than its
//! recording is by then, and the system says EFBIG as it says ENOSPC of a full disk. Neither needs
//! root, and neither troubles anyone else's disk.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A slow disk takes so many bytes a second at severity 0, and none at severity 1. A recording with
/// pictures writes some hundred thousand.
const SLOW_BYTES_PER_S: f64 = 65_536.0;
/// What is taken at once while the disk is slow.
const PIECE: usize = 4096;
/// A disk that takes nothing is asked so often whether it still does.
const LOOK: Duration = Duration::from_millis(20);

/// A pipe in a file's place. The file behind it gets all that was written into the pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where to write.
    pub path: PathBuf,
    bytes_per_s: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<()>>,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output =
        Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or(program).to_owned())
}

impl Pipe {
    /// A pipe at `path` before the file `into`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn make(path: PathBuf, into: PathBuf) -> Result<Self, String> {
        run("mkfifo", &[&path.to_string_lossy()])?;
        let bytes_per_s = Arc::new(AtomicU64::new(u64::MAX));
        let thread = {
            let (path, rate) = (path.clone(), Arc::clone(&bytes_per_s));
            // Ends with whoever writes; one that nobody ever wrote to, with the program.
            std::thread::spawn(move || pass(&path, &into, &rate))
        };
        Ok(Self { path, bytes_per_s, thread })
    }

    /// From here on it takes little; how much, bytes a second.
    pub fn slow_down(&self, severity: f64) -> u64 {
        let rate = ((1.0 - severity) * SLOW_BYTES_PER_S) as u64;
        self.bytes_per_s.store(rate, Ordering::Relaxed);
        rate
    }

    /// From here on it takes all.
    pub fn speed_up(&self) {
        self.bytes_per_s.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether everything has reached the file. Its writer must have ended.
    pub fn emptied(self) -> bool {
        self.speed_up();
        let start = Instant::now();
        while !self.thread.is_finished() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(LOOK);
        }
        self.thread.is_finished() && matches!(self.thread.join(), Ok(Ok(())))
    }
}

fn pass(pipe: &Path, into: &Path, bytes_per_s: &AtomicU64) -> std::io::Result<()> {
    let mut pipe = File::open(pipe)?;
    let mut file = File::create(into)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let rate = bytes_per_s.load(Ordering::Relaxed);
        if rate == 0 {
            std::thread::sleep(LOOK);
            continue;
        }
        let most = if rate == u64::MAX { buffer.len() } else { PIECE };
        let n = pipe.read(&mut buffer[..most])?;
        if n == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..n])?;
        if rate != u64::MAX {
            std::thread::sleep(Duration::from_secs_f64(n as f64 / rate as f64));
        }
    }
}

/// From here on the disk of process `pid` has no room for more of this file; how long it is, bytes.
///
/// # Errors
/// If the limit cannot be set.
pub fn fill(pid: u32, file: &Path) -> Result<u64, String> {
    let bytes = std::fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?.len();
    limit(pid, &bytes.to_string())?;
    Ok(bytes)
}

/// It has room again.
pub fn clear(pid: u32) {
    // A process that is gone needs none.
    let _ = limit(pid, "unlimited");
}

fn limit(pid: u32, bytes: &str) -> Result<(), String> {
    // The soft limit alone: the hard one could not be raised again.
    run("prlimit", &["--pid", &pid.to_string(), &format!("--fsize={bytes}:")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pipe_takes_little_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, into) = (folder.path().join("pipe"), folder.path().join("file"));
        let pipe = Pipe::make(path.clone(), into.clone()).unwrap();
        pipe.slow_down(1.0);
        let writer = std::thread::spawn(move || {
            let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all(&vec![7; 1 << 20]).unwrap();
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(!writer.is_finished(), "whoever writes waits");
        pipe.speed_up();
        writer.join().unwrap();
        assert!(pipe.emptied());
        assert_eq!(std::fs::read(into).unwrap(), vec![7; 1 << 20]);
    }
}
