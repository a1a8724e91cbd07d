//! What goes to stdout.

use std::io::Write as _;

/// Exactly one JSON object on stdout.
///
/// # Errors
/// If stdout is closed or full.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
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
