//! Exit codes, and the one place where an error is printed.

use std::process::ExitCode;

use caril_runtime::DriveError;

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
        say!("error: {error}");
        // A library's message often contains its cause already; say nothing twice.
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            if !said.contains(&text) {
                say!("  because: {text}");
                said.push_str(&text);
            }
        }
        if error.downcast_ref::<UsageError>().is_some() {
            Self::Usage
        } else if matches!(error.downcast_ref(), Some(DriveError::Bug { .. })) {
            Self::Bug
        } else if matches!(error.downcast_ref(), Some(DriveError::TooSlow { .. })) {
            Self::Usage
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

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn errors_have_their_exit_codes_whatever_is_said_about_them() {
        let bug = || DriveError::Bug { message: "index out of bounds".into() };
        assert_eq!(Exit::report(&bug().into()), Exit::Bug);
        assert_eq!(
            Exit::report(&Err::<(), _>(bug()).context("while driving").unwrap_err()),
            Exit::Bug
        );
        assert_eq!(Exit::report(&usage("--map: no such map")), Exit::Usage);
        assert_eq!(Exit::report(&anyhow::anyhow!("no plant")), Exit::Failed);
        let config = caril_core::ConfigError { field: "limits.steer_max", expected: "at most 1" };
        assert_eq!(Exit::report(&DriveError::Config(config).into()), Exit::Failed);
    }

    #[test]
    fn exit_codes_are_those_of_the_readme() {
        let codes = [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Degraded, Exit::Bug];
        for (exit, code) in codes.into_iter().zip([0, 1, 2, 3, 70]) {
            assert_eq!(ExitCode::from(exit), ExitCode::from(code));
        }
    }
}
