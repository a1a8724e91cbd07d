//! The folder of a run: `run.json` says what is driven, `episodes.jsonl` what came of it, one line
//! an episode, so that whatever happens only the episodes at work are lost.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_eval::suite::{Episode, EpisodeResult, Suite};
use serde::{Deserialize, Serialize};

use super::cast::Role;
use crate::exit::usage;
use crate::output::write_whole;

/// What a run drives. Results of another run must not get in among its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Version of the program.
    pub version: String,
    /// The suites.
    pub suites: Vec<Suite>,
    /// The arms, resolved.
    pub roles: Vec<Role>,
    /// Trials a cell, by suite; more may be driven later.
    pub trials: BTreeMap<String, u32>,
}

/// A run's folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    lines: File,
    /// The latest result of every episode.
    results: BTreeMap<String, EpisodeResult>,
}

impl Store {
    /// Opens a folder for `facts`, which may hold results already. A line that was cut off in the
    /// middle of being written is taken away.
    ///
    /// # Errors
    /// If the folder holds another run, or cannot be read or written.
    pub fn open(dir: &Path, facts: &mut RunFacts) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let run = dir.join("run.json");
        if run.exists() {
            join(&read_facts(dir)?, facts, dir)?;
        }
        let path = dir.join("episodes.jsonl");
        let lines = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // Freed by the system however this process ends. Before reading: what another run writes
        // in between would be cut off below.
        if let Err(std::fs::TryLockError::WouldBlock) = lines.try_lock() {
            anyhow::bail!("another run drives into this folder just now: {}", dir.display());
        }
        let (results, whole_bytes) = read_lines(&path)?;
        lines.set_len(whole_bytes)?;
        Ok(Self { dir: dir.to_owned(), lines, results })
    }

    /// Writes down what the run drives: when nothing speaks against driving it into this folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, facts: &RunFacts) -> anyhow::Result<()> {
        write_whole(&self.dir.join("run.json"), &serde_json::to_string_pretty(facts)?)
    }

    /// The result of this very episode, if there is one.
    pub fn get(&self, episode: &Episode) -> Option<&EpisodeResult> {
        self.results.get(&episode.id()).filter(|r| r.episode == *episode)
    }

    /// Whether this very episode has been driven.
    pub fn has(&self, episode: &Episode, retry_crashed: bool) -> bool {
        self.get(episode).is_some_and(|r| !(retry_crashed && r.measures().is_none()))
    }

    /// Adds a result: it is on its way to the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, result: EpisodeResult) -> anyhow::Result<()> {
        let line = serde_json::to_string(&result)? + "\n";
        self.lines
            .write_all(line.as_bytes())
            .with_context(|| format!("cannot write to {}", self.dir.display()))?;
        // The same digits whether resumed or not.
        let result = as_read(&result)?;
        self.results.insert(result.episode.id(), result);
        Ok(())
    }

    /// Results of these episodes, in their order.
    pub fn results(&self, plan: &[Episode]) -> Vec<EpisodeResult> {
        plan.iter().filter_map(|e| self.get(e).cloned()).collect()
    }
}

/// A result as the next run reads it.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn as_read(result: &EpisodeResult) -> anyhow::Result<EpisodeResult> {
    Ok(serde_json::from_str(&serde_json::to_string(result)?)?)
}

/// All results that lie in a folder, by name. Nothing there is changed: it may be another's.
///
/// # Errors
/// If they cannot be read.
pub fn read_results(dir: &Path) -> anyhow::Result<BTreeMap<String, EpisodeResult>> {
    Ok(read_lines(&dir.join("episodes.jsonl"))?.0)
}

/// What a folder's run drives.
///
/// # Errors
/// If there is no run or it cannot be read.
pub fn read_facts(dir: &Path) -> anyhow::Result<RunFacts> {
    let run = dir.join("run.json");
    let text =
        std::fs::read_to_string(&run).with_context(|| format!("no run in {}", dir.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("not the facts of a run: {}", run.display()))
}

/// Joins what a folder's run was with what it is to be: more trials, suites and arms are welcome,
/// others under the same name are not.
///
/// # Errors
/// If they contradict each other.
pub fn join(was: &RunFacts, facts: &mut RunFacts, dir: &Path) -> anyhow::Result<()> {
    let refuse =
        |what: String| usage(format!("{what}; give another folder than {}", dir.display()));
    if was.version != facts.version {
        return Err(refuse(format!("the results there are of version {}", was.version)));
    }
    for suite in &was.suites {
        match facts.suites.iter().find(|s| s.name == suite.name) {
            Some(now)
                if now.cells != suite.cells || now.seed != suite.seed || now.ends != suite.ends =>
            {
                return Err(refuse(format!("suite {} was another there", suite.name)));
            }
            Some(_) => {}
            None => facts.suites.push(suite.clone()),
        }
        let trials = was.trials.get(&suite.name).copied().unwrap_or(0);
        let now = facts.trials.entry(suite.name.clone()).or_default();
        *now = trials.max(*now);
    }
    for role in &was.roles {
        match facts.roles.iter().find(|r| r.arm.name == role.arm.name) {
            Some(now) if now != role => {
                return Err(refuse(format!(
                    "arm {} was another there (pack, calibration or configuration)",
                    role.arm.name
                )));
            }
            Some(_) => {}
            None => facts.roles.push(role.clone()),
        }
    }
    Ok(())
}

/// Results by name, and how many bytes of the file are whole lines. No file is no results.
fn read_lines(path: &Path) -> anyhow::Result<(BTreeMap<String, EpisodeResult>, u64)> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut results = BTreeMap::new();
    let mut whole_bytes = 0;
    for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        whole_bytes += line.len() as u64;
        let result: EpisodeResult = serde_json::from_slice(line)
            .with_context(|| format!("line {} of {}", number + 1, path.display()))?;
        results.insert(result.episode.id(), result);
    }
    Ok((results, whole_bytes))
}
