//! What an interrupted `caril collect` left, so that the same command goes on after it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_record::{RecordError, Recording};

use crate::exit::usage;

/// More than a run ever makes.
const EPISODES_MAX: u64 = 1_000_000;

/// Recordings of earlier runs: `F.mcap`, `F.part2.mcap`, …; a finished recording cannot be
/// appended to.
#[derive(Debug, Default, PartialEq)]
pub struct Earlier {
    /// Pictures in all of them.
    pub pictures: u64,
    /// Number of the next episode: far from those of earlier runs, so that no drive is there
    /// twice.
    pub episode: u64,
    /// Highest frame id.
    pub last_id: u64,
    /// Latest time, nanoseconds.
    pub last_time_ns: u64,
    /// Where to go on.
    pub next: PathBuf,
}

/// Looks at what lies at `out`, if that is to be gone on with.
///
/// # Errors
/// If a recording there was made by another command or cannot be read.
pub fn find(out: &Path, resume: bool, command: &[String]) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier { next: out.to_path_buf(), ..Earlier::default() };
    if !resume {
        return Ok(earlier);
    }
    for part in 2.. {
        if !earlier.next.exists() {
            break;
        }
        let path = earlier.next.clone();
        let recording = match Recording::open(&path) {
            // Killed before anything was on the disk: that file can go.
            Err(RecordError::NoHeader { .. }) => break,
            other => other.with_context(|| format!("cannot go on after {}", path.display()))?,
        };
        let was = without_resume(&recording.header().command_line);
        if was != without_resume(command) {
            return Err(usage(format!(
                "{} was made by another command: {}",
                path.display(),
                was.join(" ")
            )));
        }
        for step in recording.steps() {
            let step = step?;
            earlier.pictures += 1;
            earlier.last_id = earlier.last_id.max(step.frame_id.0);
            earlier.last_time_ns = earlier.last_time_ns.max(step.sim_time_ns);
        }
        earlier.episode += EPISODES_MAX;
        earlier.next = out.with_extension(format!("part{part}.mcap"));
    }
    Ok(earlier)
}

/// The command's words; where the program lies does not matter.
fn without_resume(command: &[String]) -> Vec<&str> {
    command.iter().skip(1).map(String::as_str).filter(|a| *a != "--resume").collect()
}
