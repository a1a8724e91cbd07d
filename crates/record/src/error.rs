//! What can go wrong with a recording.

use std::path::{Path, PathBuf};

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system refused.
    #[error("{doing} failed: {source}: {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The MCAP writer refused.
    #[error("writing MCAP failed: {}", cause(.0))]
    Mcap(#[from] mcap::McapError),
    /// No MCAP file at all, or one that something else wrote.
    #[error("not a recording of caril: expected {expected}, got {got}: {}", path.display())]
    Foreign {
        /// What a recording has there.
        expected: &'static str,
        /// What was found.
        got: String,
        /// The file.
        path: PathBuf,
    },
    /// The file ends, or is damaged, before its header is complete.
    #[error("the recording ends or is damaged before its header is complete: {}", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// The header cannot be written so that it reads back the same.
    #[error("the recording's header {0}")]
    Header(String),
    /// A step's JSON is not what this version wrote.
    #[error("a step's record is malformed: {0}")]
    Step(String),
    /// A picture cannot be encoded or decoded.
    #[error("a picture cannot be {doing}: {why}")]
    Picture {
        /// `encoded` or `decoded`.
        doing: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl RecordError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, source, path }
    }

    /// With the file's name, where MCAP's writer only passes on what the system said.
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::Mcap(mcap::McapError::Io(source)) => {
                Self::io("writing the recording", path)(source)
            }
            other => other,
        }
    }
}

/// The system's own words where there are any: mcap's do not say that the disk is full.
fn cause(error: &mcap::McapError) -> String {
    match error {
        mcap::McapError::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}
