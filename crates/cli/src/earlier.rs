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
    /// Parts of an earlier run that is replaced: beside the new one they would count as its own.
    pub stale: Vec<PathBuf>,
}

/// What to do about recordings that lie there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Leave them alone, and do nothing
    Refuse,
    /// Go on after them
    Resume,
    /// Replace them
    Replace,
}

/// `F.mcap`, `F.part2.mcap`, …
fn part(out: &Path, number: u64) -> PathBuf {
    if number == 1 { out.to_owned() } else { out.with_extension(format!("part{number}.mcap")) }
}

/// Looks at what lies at `out`. Nothing is changed.
///
/// # Errors
/// If something lies there that is neither to be gone on with nor to be replaced; if it is to be
/// gone on with, and was made by another command or cannot be read.
pub fn find(out: &Path, then: Then, command: &[String]) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier { next: out.to_path_buf(), ..Earlier::default() };
    if then != Then::Resume {
        let parts = (2..).map(|n| part(out, n)).take_while(|p| p.exists());
        earlier.stale = parts.collect();
        // A device or a pipe holds nothing that could be lost.
        let there = out.is_file().then_some(out).or(earlier.stale.first().map(PathBuf::as_path));
        return match there.filter(|_| then == Then::Refuse) {
            None => Ok(earlier),
            Some(path) => Err(usage(format!(
                "{} exists (--resume goes on after it, --force replaces it)",
                path.display()
            ))),
        };
    }
    for number in 2.. {
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
        earlier.next = part(out, number);
    }
    Ok(earlier)
}

/// The command's words; where the program lies does not matter.
fn without_resume(command: &[String]) -> Vec<&str> {
    let words = command.iter().skip(1).map(String::as_str);
    // Neither changes what is collected.
    words.filter(|a| !matches!(*a, "--resume" | "--force")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_collected_is_replaced_only_if_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("town.mcap");
        let parts = [2, 3].map(|n| folder.path().join(format!("town.part{n}.mcap")));
        let find = |then| find(&out, then, &[]);
        let new = Earlier { next: out.clone(), ..Earlier::default() };
        assert_eq!(find(Then::Refuse).unwrap(), new);
        // A part alone is somebody's work as well.
        for path in [&parts[0], &out, &parts[1]] {
            std::fs::write(path, "pictures").unwrap();
            let error = find(Then::Refuse).unwrap_err().to_string();
            assert!(error.contains("exists") && error.contains("--force"), "{error}");
        }
        let replaced = find(Then::Replace).unwrap();
        assert_eq!(replaced, Earlier { stale: parts.to_vec(), ..new });
        for path in [&out, &parts[0], &parts[1]] {
            assert_eq!(std::fs::read(path).unwrap(), b"pictures", "looking changes nothing");
        }
        let null = Path::new("/dev/null");
        if null.exists() {
            assert!(super::find(null, Then::Refuse, &[]).is_ok());
        }
    }
}
