//! Exit codes: as those of `caril`.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Ok,
    /// Failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Finished, but over budget or not as the table says.
    Degraded,
}

/// An error that is the user's to mend on the command line.
#[derive(Debug)]
pub struct UsageError(String);

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
        crate::say::line(&format!("error: {error:#}"));
        if error.downcast_ref::<UsageError>().is_some() { Self::Usage } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Degraded => 3,
        })
    }
}
