//! Exit codes, and the one place where an error is printed.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Ok,
    /// Failed.
    Failed,
    /// The command line or a file that it names makes no sense.
    Usage,
    /// Finished, but not as it should be: overruns, drops, a stop, a route not completed.
    Degraded,
    /// A bug was caught; the car was told to brake.
    Bug,
}

/// An error that is the user's to mend on the command line: exit code 2.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A usage error as anyhow's.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

impl Exit {
    /// Prints an error with its causes on stderr and says how to end.
    pub fn report(error: &anyhow::Error) -> Self {
        eprintln!("error: {error}");
        // A library's message often contains its cause already; say nothing twice.
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            if !said.contains(&text) {
                eprintln!("  because: {text}");
                said.push_str(&text);
            }
        }
        if error.downcast_ref::<UsageError>().is_some() {
            Self::Usage
        } else if matches!(error.downcast_ref(), Some(caril_runtime::DriveError::Bug { .. })) {
            Self::Bug
        } else {
            Self::Failed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Degraded => 3,
            Exit::Bug => 70,
        })
    }
}
