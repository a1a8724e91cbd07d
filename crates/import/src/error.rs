//! What can go wrong with an import.

use std::path::{Path, PathBuf};

use caril_record::RecordError;

use crate::BadRow;

/// Why nothing was imported. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
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
    /// The source is nothing that can be read.
    #[error("expected a folder, a .tar file, a .csv file or a donkeycar manifest.json, got {got}: {}", path.display())]
    Unsupported {
        /// What was found.
        got: &'static str,
        /// The source.
        path: PathBuf,
    },
    /// No table, or several of which one must be chosen.
    #[error("expected {expected}, found {got}: {}", path.display())]
    NoTable {
        /// What was looked for.
        expected: String,
        /// What is there.
        got: String,
        /// The source.
        path: PathBuf,
    },
    /// The table lacks a column, or its columns must be named.
    #[error("expected {expected}, got the columns {got}: {path}")]
    Column {
        /// What was looked for.
        expected: String,
        /// The columns that are there.
        got: String,
        /// The table, inside the source.
        path: String,
    },
    /// The table cannot be read at all.
    #[error("{why}: {path}")]
    Table {
        /// What is wrong with it.
        why: String,
        /// The table, inside the source.
        path: String,
    },
    /// An option makes no sense.
    #[error("expected {expected}, got {got}")]
    Option {
        /// What is possible.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// The output exists and must not be replaced.
    #[error("the output exists already: {}", .0.display())]
    Exists(PathBuf),
    /// Rows are bad, and that was to be an error.
    #[error("{} bad rows and --strict: {}", bad.len(), path.display())]
    Strict {
        /// All of them.
        bad: Vec<BadRow>,
        /// The source.
        path: PathBuf,
    },
    /// There is not one good row.
    #[error("no row can be imported ({} bad ones): {}", bad.len(), path.display())]
    Nothing {
        /// All of them.
        bad: Vec<BadRow>,
        /// The source.
        path: PathBuf,
    },
    /// Asked to stop.
    #[error("stopped; nothing was written")]
    Stopped,
    /// A picture is not what it was a moment ago.
    #[error("a picture changed while it was imported: {0}")]
    Changed(String),
    /// The recording cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ImportError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, source, path }
    }

    /// The rows that are to blame, if rows are.
    pub fn bad_rows(&self) -> &[BadRow] {
        match self {
            Self::Strict { bad, .. } | Self::Nothing { bad, .. } => bad,
            _ => &[],
        }
    }
}
