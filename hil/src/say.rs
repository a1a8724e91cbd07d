//! What goes to stdout and stderr.

use std::io::Write as _;

/// Exactly one JSON object on stdout.
///
/// # Errors
/// As [`text`].
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    text(&(serde_json::to_string(value)? + "\n"))
}

/// Text on stdout. A closed pipe (`| head`) is no error.
///
/// # Errors
/// If stdout is full.
pub fn text(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A line for people on stderr, whether or not anybody reads it: `eprintln!` would panic.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
