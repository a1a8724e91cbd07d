//! How long it will take, and how far it is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use caril_eval::suite::{Driver, Episode, EpisodeResult};
use indicatif::ProgressBar;

use super::cast::Role;
use super::episode::Stage;
use crate::output;

/// Frames of the trial drive.
const PROBE_FRAMES: u64 = 60;
/// Mean speed on the shipped maps, m/s.
const SPEED_MPS: f64 = 6.5;
/// Without a terminal, so often a line says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// What will be driven and roughly how long that takes, for people.
///
/// # Errors
/// As [`seconds`].
pub fn sentence(episodes: &[Episode], roles: &[Role], jobs: usize) -> anyhow::Result<String> {
    let pairs: BTreeSet<String> = episodes.iter().map(Episode::pair).collect();
    Ok(format!(
        "{} episodes ({} pairs) in {jobs} processes: about {}",
        episodes.len(),
        pairs.len(),
        human(seconds(episodes, roles, jobs)?)
    ))
}

/// Roughly how long it takes, from some frames of a drive in this process. Other work on the
/// machine makes it longer.
///
/// # Errors
/// If the trial drive is impossible: then all would be.
pub fn seconds(episodes: &[Episode], roles: &[Role], jobs: usize) -> anyhow::Result<f64> {
    let networks: Vec<&Role> = roles.iter().filter(|r| r.arm.driver != Driver::Expert).collect();
    let driven: Vec<(&Episode, &Role)> = episodes
        .iter()
        .filter_map(|e| Some((e, *networks.iter().find(|r| r.arm.name == e.arm)?)))
        .collect();
    let mut seconds = 0.0;
    if let Some((episode, role)) = driven.first() {
        let mut stage = Stage::new(roles.to_vec());
        // The first drive builds the scene; the second is like all others.
        let mut frame_s = 0.0;
        for _ in 0..2 {
            let start = Instant::now();
            let drive = stage.drive(episode, role, BTreeSet::new(), Some(PROBE_FRAMES))?;
            frame_s = start.elapsed().as_secs_f64() / drive.steps.len().max(1) as f64;
        }
        let rate_hz = f64::from(role.config.drive_loop.rate_hz);
        let frames: f64 = driven
            .iter()
            .map(|(e, _)| 0.5 * (e.route.length_m.0 + e.route.length_m.1) / SPEED_MPS * rate_hz)
            .sum();
        seconds = frames * frame_s / jobs as f64;
    }
    Ok(seconds)
}

/// A duration as people say it.
fn human(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A bar on a terminal, else a line now and then.
pub struct Progress {
    bar: ProgressBar,
    total: usize,
    done: usize,
    crashed: usize,
    start: Instant,
    said: Instant,
}

impl Progress {
    /// Nothing done yet.
    pub fn start(total: usize) -> Self {
        let bar = output::progress(
            total as u64,
            "{bar:32} {pos}/{len} episodes, {elapsed}, {eta} to go  {msg}",
        );
        Self { bar, total, done: 0, crashed: 0, start: Instant::now(), said: Instant::now() }
    }

    /// One more.
    pub fn add(&mut self, result: &EpisodeResult) {
        self.done += 1;
        self.crashed += usize::from(result.measures().is_none());
        self.bar.inc(1);
        self.bar.set_message(result.episode.id());
        if self.bar.is_hidden() && self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            let spent = self.start.elapsed().as_secs_f64();
            let left = spent / self.done as f64 * (self.total - self.done.min(self.total)) as f64;
            let crashed = match self.crashed {
                0 => String::new(),
                n => format!(", {n} crashed"),
            };
            let (done, total) = (self.done, self.total);
            say!("{done}/{total} episodes{crashed}, about {} to go", human(left));
        }
    }

    /// Over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        say!("{} episodes in {}", self.done, human(self.start.elapsed().as_secs_f64()));
    }
}
