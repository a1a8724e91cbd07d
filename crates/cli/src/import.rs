//! `caril import`: recorded drives of others into our recording.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_core::Mount;
use caril_import::{
    BadRow, Columns, Format, ImportError, ImportOptions, ImportSummary, Progress, Side, SpeedUnit,
    TimeUnit, import,
};
use clap::{Args, ValueEnum};

use crate::collect::sparkline;
use crate::exit::{Exit, usage};
use crate::output;

/// Bad rows that people are shown; all of them are in the JSON.
const SHOWN: usize = 20;

/// Foreign formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// The paper's: control_commands.csv and front_rgb/
    Caril,
    /// Udacity's simulator: driving_log.csv and IMG/
    Udacity,
    /// donkeycar's tub v2: manifest.json, catalogs, images/
    Donkey,
    /// Any table with a picture and a steer in each row
    Csv,
}

/// Udacity's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    #[allow(missing_docs)]
    Left,
    #[allow(missing_docs)]
    Center,
    #[allow(missing_docs)]
    Right,
}

/// Units of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpeedArg {
    /// m/s
    Mps,
    /// km/h
    Kmh,
    /// Miles per hour
    Mph,
}

/// Units of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeArg {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// Turn recorded drives of others into our recording, for training, evaluation and replay. Bad
/// rows are counted, listed and left out; then the exit code is 3.
#[derive(Debug, Args)]
#[command(
    override_usage = "caril import [OPTIONS] --out <F.mcap> [caril|udacity|donkey|csv] <SRC>",
    after_help = "Examples:\n  caril import udacity my_track/ --out track.mcap\n  caril import tub.tar --out tub.mcap            # the format is guessed\n  caril import csv run7/ --out run7.mcap --columns image=frame,steer=angle,speed=v,time=t --steer-scale -0.5\n\ndocs/import.md says what is believed of each format."
)]
pub struct ImportArgs {
    /// caril, udacity, donkey or csv [default: guessed], then the folder, .tar, .csv or manifest.json
    #[arg(required = true, num_args = 1..=2, value_names = ["FORMAT", "SRC"])]
    what: Vec<PathBuf>,
    /// Recording to write
    #[arg(long, value_name = "F.mcap")]
    out: PathBuf,
    /// The format, as in front of SRC
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Columns by name or number: image and steer, and if there are any throttle, brake, speed,
    /// time, command, x, y, z
    #[arg(long, value_name = "image=…,steer=…")]
    columns: Option<Columns>,
    /// Which of Udacity's pictures; the steer is the driver's for all three
    #[arg(long, value_enum, default_value_t = SideArg::Center)]
    camera: SideArg,
    /// CARLA steer (1 is 70° at the wheels, to the right) of the recording's steer 1
    /// [default: caril 1, udacity and donkey 25/70, csv 1]
    #[arg(long, value_name = "K", allow_hyphen_values = true)]
    steer_scale: Option<f64>,
    /// Unit of the speed [default: caril kmh, udacity mph, csv mps]
    #[arg(long, value_enum)]
    speed_unit: Option<SpeedArg>,
    /// Unit of the time column
    #[arg(long, value_enum, default_value_t = TimeArg::S)]
    time_unit: TimeArg,
    /// Frames per second of a recording that does not tell the time [default: 10]
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// Speed of a recording that does not tell it, m/s
    #[arg(long, value_name = "MPS", default_value_t = 0.0, allow_hyphen_values = true)]
    speed: f32,
    /// Horizontal field of view of the camera [default: the paper's 110]
    #[arg(long, value_name = "DEG")]
    fov: Option<f32>,
    /// Where the camera sits: metres forward, right and up, degrees nose up
    /// [default: the paper's 1.5,0,2.4,0]
    #[arg(long, value_name = "X,Y,Z,PITCH", allow_hyphen_values = true)]
    mount: Option<String>,
    /// Bad rows are an error and nothing is written
    #[arg(long)]
    strict: bool,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    /// One JSON object on stdout, with all bad rows
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    fn options(&self) -> anyhow::Result<ImportOptions> {
        let named = self.format.map(|format| match format {
            FormatArg::Caril => Format::Caril,
            FormatArg::Udacity => Format::Udacity,
            FormatArg::Donkey => Format::Donkey,
            FormatArg::Csv => Format::Csv,
        });
        let (format, source) = match self.what.as_slice() {
            [format, source] => {
                let name = format.to_string_lossy();
                let first = Format::from_name(&name).ok_or_else(|| {
                    usage(format!("no format {name}; there are: caril, udacity, donkey, csv"))
                })?;
                if named.is_some_and(|named| named != first) {
                    return Err(usage(format!("the format is given twice: {name} and --format")));
                }
                (Some(first), source)
            }
            [source] => (named, source),
            _ => return Err(usage("SRC is missing")),
        };
        Ok(ImportOptions {
            format,
            columns: self.columns.clone(),
            side: match self.camera {
                SideArg::Left => Side::Left,
                SideArg::Center => Side::Center,
                SideArg::Right => Side::Right,
            },
            steer_scale: self.steer_scale,
            speed_unit: self.speed_unit.map(|unit| match unit {
                SpeedArg::Mps => SpeedUnit::Mps,
                SpeedArg::Kmh => SpeedUnit::Kmh,
                SpeedArg::Mph => SpeedUnit::Mph,
            }),
            time_unit: match self.time_unit {
                TimeArg::S => TimeUnit::Seconds,
                TimeArg::Ms => TimeUnit::Milliseconds,
                TimeArg::Us => TimeUnit::Microseconds,
                TimeArg::Ns => TimeUnit::Nanoseconds,
            },
            rate_hz: self.rate,
            speed_mps: self.speed,
            fov_deg: self.fov,
            mount: self.mount.as_deref().map(mount).transpose()?,
            strict: self.strict,
            force: self.force,
            ..ImportOptions::new(source, &self.out)
        })
    }
}

fn mount(text: &str) -> anyhow::Result<Mount> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|t| t.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[x_m, y_m, z_m, pitch_deg]) => Ok(Mount { x_m, y_m, z_m, pitch_deg, yaw_deg: 0.0 }),
        _ => Err(usage(format!("--mount is X,Y,Z,PITCH, got {text}"))),
    }
}

/// Runs the command. Rows left out are degraded: exit code 3.
///
/// # Errors
/// If the source cannot be used, or has bad rows and `--strict`; then nothing is written.
pub fn run(args: &ImportArgs) -> anyhow::Result<Exit> {
    let options = args.options()?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            // A second time: at once. The unfinished file stays, never under the final name.
            std::process::exit(130);
        }
        say!("stopping (again: at once)");
    })?;
    let bar = output::progress(0, "{bar:32} {pos}/{len}  {msg}  {eta} left");
    let result = import(&options, &stop, &mut |progress| {
        let (done, of, doing) = match progress {
            Progress::Checked { rows, of } => (rows, of, "pictures looked at"),
            Progress::Written { frames, of } => (frames, of, "frames written"),
        };
        bar.set_length(of);
        bar.set_position(done);
        bar.set_message(doing);
    });
    bar.finish_and_clear();
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            show_bad(error.bad_rows());
            if args.json && !error.bad_rows().is_empty() {
                let (error, bad_rows) = (error.to_string(), error.bad_rows());
                output::print_json(&serde_json::json!({"error": error, "bad_rows": bad_rows}))?;
            }
            return Err(match error {
                ImportError::Exists(_) => usage(format!("{error} (--force replaces it)")),
                ImportError::Option { .. } => usage(error.to_string()),
                other => other.into(),
            });
        }
    };
    show(&summary);
    if args.json {
        output::print_json(&summary)?;
    }
    Ok(if summary.bad_rows.is_empty() { Exit::Ok } else { Exit::Degraded })
}

fn show(s: &ImportSummary) {
    say!(
        "{} ({}): {} of {} rows, {}×{}, {} drive{}, {:.1} s, {:.1} Hz; steer {}",
        s.table,
        s.format,
        s.frames,
        s.rows,
        s.camera.width,
        s.camera.height,
        s.drives,
        if s.drives == 1 { "" } else { "s" },
        s.duration_s,
        s.rate_hz,
        sparkline(&s.steer_histogram)
    );
    if s.deleted > 0 {
        say!("{} rows marked as deleted were left out", s.deleted);
    }
    show_bad(&s.bad_rows);
    let mut assumed = vec![format!("steer 1 is {:.4} of CARLA's (--steer-scale)", s.steer_scale)];
    if !s.camera_known {
        let m = s.camera.mount;
        assumed.push(format!(
            "the camera has {}° and sits at {},{},{},{} (--fov, --mount)",
            s.camera.fov_deg, m.x_m, m.y_m, m.z_m, m.pitch_deg
        ));
    }
    if !s.time_known {
        assumed.push(format!("{} frames per second (--rate)", s.rate_hz));
    }
    if !s.speed_known {
        assumed.push("the speed of --speed in every frame".into());
    }
    say!("assumed: {}", assumed.join("; "));
    say!("{}: {:.1} MB", s.record.display(), s.bytes as f64 / 1e6);
}

/// How many of each kind, and the first of them.
fn show_bad(rows: &[BadRow]) {
    if rows.is_empty() {
        return;
    }
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        match kinds.iter_mut().find(|(kind, _)| *kind == row.kind.name()) {
            Some((_, n)) => *n += 1,
            None => kinds.push((row.kind.name(), 1)),
        }
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    say!("{} bad rows: {}", rows.len(), kinds.join(", "));
    for row in rows.iter().take(SHOWN) {
        say!("  row {}: {}: {} {}", row.row, row.kind.name(), row.why, row.picture);
    }
    if rows.len() > SHOWN {
        say!("  … and {} more (--json lists all)", rows.len() - SHOWN);
    }
}
