//! A process that drives episodes: roles on its first line, then one episode a line on stdin, one
//! result a line on stdout.

use std::io::{BufRead as _, Write as _};

use anyhow::Context as _;
use caril_eval::suite::{Episode, EpisodeResult, Status};

use super::cast::Role;
use super::episode::Stage;
use crate::exit::Exit;

/// Drives what stdin says until it ends.
///
/// # Errors
/// If stdin makes no sense or stdout is closed; what goes wrong in an episode is its result.
pub fn run() -> anyhow::Result<Exit> {
    // Ctrl-C in a terminal reaches all its processes: the parent decides what happens to us.
    ctrlc::set_handler(|| {})?;
    let mut lines = std::io::stdin().lock().lines();
    let roles = lines.next().context("no roles on stdin")??;
    let roles: Vec<Role> = serde_json::from_str(&roles).context("the roles on stdin")?;
    let mut stage = Stage::new(roles);
    let mut out = std::io::stdout().lock();
    for line in lines {
        let episode: Episode = serde_json::from_str(&line?).context("an episode on stdin")?;
        let result = stage.play(&episode).unwrap_or_else(|e| EpisodeResult {
            episode: episode.clone(),
            wall_s: 0.0,
            status: Status::Crashed { message: format!("{e:#}") },
        });
        serde_json::to_writer(&mut out, &result)?;
        writeln!(out)?;
        out.flush()?;
    }
    Ok(Exit::Ok)
}
