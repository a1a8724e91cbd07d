//! What people see: logging, progress bars, the one JSON object of `--json`, Ctrl-C.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use caril_runtime::StopFlag;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

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

/// Prints exactly one JSON object on stdout.
///
/// # Errors
/// If stdout is closed or full.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
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
        if asked.asked() {
            eprintln!("stopping at once");
        } else {
            eprintln!("stopping: {last} (again: at once)");
        }
        asked.ask();
    })?;
    Ok(flag)
}
