//! Everything that one run came to.

use caril_link::ServeReport;
use serde::Serialize;

use super::budgets::Verdict;
use super::figures::Figures;
use super::incidents::Incident;
use super::process::Sample;

/// Everything that one run came to.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The command line.
    pub command_line: Vec<String>,
    /// `loopback` or the endpoint.
    pub target: String,
    /// Where it drove.
    pub map: String,
    /// The scheduling class of the plant's thread, or why it has none of real time.
    pub plant_class: String,
    /// Faults broken into it or not, all that counts kept and as expected.
    pub passed: bool,
    /// Figures against budgets.
    pub verdicts: Vec<Verdict>,
    /// The figures.
    pub figures: Figures,
    /// The faults.
    pub incidents: Vec<Incident>,
    /// What did not go as it should and is none of these.
    pub wrong: Vec<String>,
    /// Step hashes of the controller, one a run.
    pub step_hashes: Vec<String>,
    /// Controllers started, the first included.
    pub controllers: u32,
    /// Counted by the plant's end of the link.
    pub link: Counts,
    /// The controller's process, once a second.
    pub samples: Vec<Sample>,
    /// Ages: upper bound in ms, and how many.
    pub age_histogram: Vec<(f64, u64)>,
}

/// Counters of the plant's end.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counts {
    /// Frames sent.
    pub frames: u64,
    /// Answers that were obeyed.
    pub commands: u64,
    /// Frames never sent.
    pub dropped: u64,
    /// Messages that were none.
    pub malformed: u64,
    /// Answers too late to be obeyed.
    pub stale: u64,
    /// Controllers turned away.
    pub refused: u64,
    /// Messages of those without a key.
    pub strangers: u64,
    /// Controllers let in.
    pub sessions: u64,
}

impl From<&ServeReport> for Counts {
    fn from(r: &ServeReport) -> Self {
        let s = &r.stats;
        Self {
            frames: s.frames,
            commands: s.commands,
            dropped: s.dropped,
            malformed: s.malformed,
            stale: s.stale,
            refused: s.refused,
            strangers: s.strangers,
            sessions: s.sessions,
        }
    }
}
