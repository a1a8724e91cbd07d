//! What the controller records onto, how that disk is broken, and what must be left of the recording.

use std::path::{Path, PathBuf};

use super::process::{Controller, inspect};
use crate::fault::disk::{self, Pipe};
use crate::fault::{Kind, Planned};

/// How a program ends that finished, but not as well as it should have: docs of `caril`.
const DEGRADED: i32 = 3;
/// How it ends that lost its plant.
const FAILED: i32 = 1;

/// The recording of one controller.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    pipe: Option<Pipe>,
    /// The fault that befell its disk: place in the schedule, and which.
    broken: Option<(usize, Kind)>,
}

impl Recording {
    /// Onto a disk that can become what `next`, the next fault of a disk in the schedule, wants. A
    /// pipe in its place lies at `pipe`.
    ///
    /// # Errors
    /// If there can be no such disk.
    pub fn new(file: PathBuf, pipe: PathBuf, next: Option<Kind>) -> Result<Self, String> {
        let pipe = match next {
            Some(Kind::DiskSlow) => Some(Pipe::make(pipe, file.clone())?),
            _ => None,
        };
        Ok(Self { file, pipe, broken: None })
    }

    /// What the controller is told to write to.
    pub fn target(&self) -> &Path {
        self.pipe.as_ref().map_or(&self.file, |pipe| &pipe.path)
    }

    /// Breaks the disk under the process `pid`; what was done.
    ///
    /// # Errors
    /// Why it cannot be done to this disk.
    pub fn begin(&mut self, index: usize, planned: &Planned, pid: u32) -> Result<String, String> {
        let done = match (&self.pipe, planned.kind) {
            (Some(pipe), Kind::DiskSlow) => {
                let bytes_per_s = pipe.slow_down(planned.severity);
                format!("the disk takes {} KiB a second", bytes_per_s / 1024)
            }
            (None, Kind::DiskFull) => {
                if !self.file.exists() {
                    return Err("the controller does not record yet".to_owned());
                }
                let bytes = disk::fill(pid, &self.file)?;
                format!("the disk is full after {} KiB of recording", bytes / 1024)
            }
            _ => {
                let why = "one controller's disk is either slow or full: let another controller start in between";
                return Err(why.to_owned());
            }
        };
        self.broken = Some((index, planned.kind));
        Ok(done)
    }

    /// The disk is as it was.
    pub fn end(&self, pid: u32) {
        match &self.pipe {
            Some(pipe) => pipe.speed_up(),
            None => disk::clear(pid),
        }
    }

    /// What must be true of it once its controller has ended with `code`; -1 if it was killed. The
    /// fault that befell it, and notes, of which those that begin with `✗` are wrong.
    pub fn judge(
        self,
        caril: &Path,
        controller: &Controller,
        code: i32,
    ) -> Option<(usize, Vec<String>)> {
        let (index, kind) = self.broken?;
        let mut notes = Vec::new();
        if self.pipe.is_some_and(|pipe| !pipe.emptied()) {
            notes.push("✗ what was written has not reached the disk".to_owned());
        }
        let said = controller.said();
        let summary = controller.summary().unwrap_or_default();
        let none = |key: &str| summary[key].as_u64() == Some(0);
        if code < 0 {
            notes
                .push("the controller was killed before it could tell of its recording".to_owned());
        } else if kind == Kind::DiskSlow
            && none("recorder_dropped_steps")
            && none("recorder_dropped_images")
        {
            notes.push("it wrote so little that all of it found room".to_owned());
        } else {
            match said.lines().find(|l| l.contains("the recording is not whole")) {
                Some(line) => notes.push(line.to_owned()),
                None => notes.push("✗ it did not say that its recording is not whole".to_owned()),
            }
            let lost_plant = summary["end"].is_null();
            let fits = code == DEGRADED || (lost_plant && code == FAILED);
            notes.push(format!("{}exit code {code}", if fits { "" } else { "✗ " }));
        }
        match inspect(caril, &self.file) {
            Ok((0, _)) => notes.push("✗ no step of the recording can be read".to_owned()),
            // Only a slow disk has room for what is written last.
            Ok((_, true)) if kind == Kind::DiskFull => {
                notes.push("✗ the recording was closed although the disk was full".to_owned());
            }
            Ok((_, false)) if kind == Kind::DiskSlow && code >= 0 => {
                notes.push("✗ the recording was not closed".to_owned());
            }
            Ok((steps, closed)) => {
                let until = if closed { "and closed" } else { "up to the cut" };
                notes.push(format!("recording readable, {steps} steps {until}"));
            }
            Err(why) => notes.push(format!("✗ {why}")),
        }
        Some((index, notes))
    }
}
