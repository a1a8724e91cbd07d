//! What people see: logging, progress bars, the one JSON object of `--json`, whole files, Ctrl-C.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use caril_runtime::StopFlag;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// A line for people on stderr. `eprintln!` panics if nobody reads it (`2>&1 | head`), and a drive is
/// not to end with that.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::say_line(format_args!($($text)*))
    };
}

/// What `say!` calls.
pub fn say_line(text: std::fmt::Arguments<'_>) {
    // Nobody is there to be told of the error.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Human text goes to stderr; `RUST_LOG` says how much of it (`debug`, `caril=trace`).
pub fn init_logging() {
    let asked = std::env::var("RUST_LOG").ok().and_then(|s| s.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .compact()
        .with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
}

/// A progress bar on stderr if that is a terminal, else an invisible one.
pub fn progress(total: u64, template: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// Prints exactly one JSON object on stdout. A closed pipe (`| head`) is not an error.
///
/// # Errors
/// If stdout is full.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_text(&(serde_json::to_string(value)? + "\n"))
}

/// Prints text on stdout. A closed pipe (`| head`) is not an error.
///
/// # Errors
/// If stdout is full.
pub fn print_text(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A flag that Ctrl-C (or SIGTERM) asks: once to stop well, twice to stop at once.
///
/// # Errors
/// If the signal handler cannot be set.
pub fn stop_on_ctrl_c() -> anyhow::Result<Arc<StopFlag>> {
    stop_on_ctrl_c_saying("braking to a stand, then closing the recording")
}

/// The same, saying what will be done before the end.
///
/// # Errors
/// If the signal handler cannot be set.
pub fn stop_on_ctrl_c_saying(last: &'static str) -> anyhow::Result<Arc<StopFlag>> {
    let flag = Arc::new(StopFlag::new());
    let asked = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        let again = asked.asked();
        asked.ask();
        if again {
            say!("stopping at once");
        } else {
            say!("stopping: {last} (again: at once)");
        }
    })?;
    Ok(flag)
}

/// Writes a file so that there is never half of it.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
