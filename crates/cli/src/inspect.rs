//! `caril inspect`: what is in a recording or a policy pack.

use std::path::PathBuf;

use anyhow::Context as _;
use caril_core::Policy as _;
use caril_infer::{CpuPolicy, Options};
use caril_record::Recording;
use clap::Args;

use crate::exit::{Exit, usage};
use crate::{mine, output};

/// Say what is in a recording (F.mcap) or a policy pack (DIR), or which moments of a folder of
/// recordings are worth a look.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril inspect runs/2026-11-23T10-00-00Z/drive.mcap\n  caril inspect weights/default --json\n  caril inspect cut.mcap --repair whole.mcap\n  caril inspect runs --mine 10                          # what is worth a label"
)]
pub struct InspectArgs {
    /// Recording, pack or, with --mine, a folder of recordings
    path: PathBuf,
    /// Write what can be read of a recording that was cut off to this file, whole again
    #[arg(long, value_name = "OUT.mcap")]
    repair: Option<PathBuf>,
    /// With --repair: replace an existing file
    #[arg(long, requires = "repair")]
    force: bool,
    /// The N most informative moments of all recordings below this folder
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "20",
        conflicts_with = "repair"
    )]
    mine: Option<usize>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command. A recording that was cut is degraded: exit code 3, unless it is repaired.
///
/// # Errors
/// If the path is neither or cannot be read.
pub fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    if let Some(most) = args.mine {
        let stop = output::stop_on_ctrl_c_saying("listing what has been found")?;
        let mined = mine::mine(&args.path, most, &stop)?;
        if args.json {
            output::print_json(&mined)?;
        } else {
            output::print_text(&mine::text(&mined))?;
        }
        return Ok(if mined.stopped() { Exit::Degraded } else { Exit::Ok });
    }
    let (value, exit) = if let Some(to) = &args.repair {
        // A device or a pipe holds nothing that could be lost.
        if to.is_file() && !args.force {
            return Err(usage(format!("{} exists (--force replaces it)", to.display())));
        }
        let repaired = caril_record::repair(&args.path, to)
            .with_context(|| format!("cannot repair {}", args.path.display()))?;
        (serde_json::to_value(repaired)?, Exit::Ok)
    } else if args.path.is_dir() {
        let pack = CpuPolicy::load(&args.path, Options::default())?;
        (serde_json::to_value(pack.card())?, Exit::Ok)
    } else {
        let recording = Recording::open(&args.path)
            .with_context(|| format!("cannot inspect {}", args.path.display()))?;
        let summary = recording.summary()?;
        let exit = if summary.complete { Exit::Ok } else { Exit::Degraded };
        (serde_json::to_value(&summary)?, exit)
    };
    if args.json {
        output::print_json(&value)?;
    } else {
        let mut text = String::new();
        outline(&value, 0, &mut text);
        output::print_text(&text)?;
    }
    Ok(exit)
}

/// A JSON value as an indented outline.
fn outline(value: &serde_json::Value, depth: usize, text: &mut String) {
    let serde_json::Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let indent = "  ".repeat(depth);
        match value {
            serde_json::Value::Object(_) => {
                text.push_str(&format!("{indent}{name}:\n"));
                outline(value, depth + 1, text);
            }
            serde_json::Value::String(s) => text.push_str(&format!("{indent}{name}: {s}\n")),
            other => text.push_str(&format!("{indent}{name}: {other}\n")),
        }
    }
}
