//! The import: look at everything, then write.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use caril_core::{
    BIN_COUNT, CameraSpec, Command, Config, EgoState, FrameId, Mode, Mount, Pacing, PixelOrder,
    PlantInfo, PolicyCard, Pose, StepRecord, Truth, bin_of,
};
use caril_record::{RecordingHeader, RecordingWriter};
use serde::Serialize;

use crate::check::{self, Picture};
use crate::row::Row;
use crate::source::Source;
use crate::{BadRow, Columns, Format, ImportError, Side, SpeedUnit, TimeUnit, layout, times};

/// Steps between two reports.
const REPORT: usize = 64;
const RATES_HZ: RangeInclusive<f64> = 0.1..=1000.0;
const SPEEDS_MPS: RangeInclusive<f32> = -100.0..=100.0;

/// What to import and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// Folder, .tar file, table or manifest.
    pub source: PathBuf,
    /// Recording to write.
    pub out: PathBuf,
    /// The source's format; guessed from its files if `None`.
    pub format: Option<Format>,
    /// The table's columns, instead of those of the format or a guess. Not for a tub.
    pub columns: Option<Columns>,
    /// Which of Udacity's pictures.
    pub side: Side,
    /// CARLA steer of the recording's steer 1, instead of the format's; negative if left is
    /// positive there.
    pub steer_scale: Option<f64>,
    /// Unit of the speed, instead of the format's.
    pub speed_unit: Option<SpeedUnit>,
    /// Unit of the time of a table whose columns are given or guessed.
    pub time_unit: TimeUnit,
    /// Frames per second, where the recording does not tell the time.
    pub rate_hz: Option<f64>,
    /// The speed, where the recording does not tell it, m/s.
    pub speed_mps: f32,
    /// Horizontal field of view, degrees.
    pub fov_deg: Option<f32>,
    /// Where the camera sits.
    pub mount: Option<Mount>,
    /// Bad rows are an error.
    pub strict: bool,
    /// An existing output is replaced.
    pub force: bool,
}

impl ImportOptions {
    /// Everything else default.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            out: out.into(),
            format: None,
            columns: None,
            side: Side::Center,
            steer_scale: None,
            speed_unit: None,
            time_unit: TimeUnit::Seconds,
            rate_hz: None,
            speed_mps: 0.0,
            fov_deg: None,
            mount: None,
            strict: false,
            force: false,
        }
    }

    fn check(&self) -> Result<(), ImportError> {
        let wrong = |expected, got: String| Err(ImportError::Option { expected, got });
        if let Some(rate) = self.rate_hz.filter(|r| !RATES_HZ.contains(r)) {
            return wrong("a rate of 0.1 to 1000 Hz", rate.to_string());
        }
        if let Some(scale) = self.steer_scale.filter(|s| !s.is_finite() || *s == 0.0) {
            return wrong("a steer scale other than 0", scale.to_string());
        }
        if !SPEEDS_MPS.contains(&self.speed_mps) {
            return wrong("a speed of −100 to 100 m/s", self.speed_mps.to_string());
        }
        if self.columns.is_some() && self.format == Some(Format::Donkey) {
            return wrong("columns for a table", "a donkeycar tub, which has none".into());
        }
        let camera = self.camera(Format::Csv, (1, 1));
        if !camera.is_valid() {
            let expected = "a field of view of 1–170° and a mount within 100 m, ±90° and ±180°";
            return wrong(expected, format!("{}° at {:?}", camera.fov_deg, camera.mount));
        }
        if self.out.exists() && !self.force {
            return Err(ImportError::Exists(self.out.clone()));
        }
        Ok(())
    }

    fn camera(&self, format: Format, (width, height): (u32, u32)) -> CameraSpec {
        let known = format.camera();
        CameraSpec {
            width,
            height,
            fov_deg: self.fov_deg.unwrap_or(known.fov_deg),
            mount: self.mount.unwrap_or(known.mount),
            order: PixelOrder::Rgb,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Rows and their pictures have been looked at.
    Checked {
        /// So many.
        rows: u64,
        /// Of all.
        of: u64,
    },
    /// Frames have been written.
    Written {
        /// So many.
        frames: u64,
        /// Of all.
        of: u64,
    },
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportSummary {
    /// The recording.
    pub record: PathBuf,
    /// Name of the format.
    pub format: &'static str,
    /// The table, inside the source.
    pub table: String,
    /// Rows of the table, without those that their owner had deleted.
    pub rows: u64,
    /// Frames written.
    pub frames: u64,
    /// Rows that their owner had marked as deleted.
    pub deleted: u64,
    /// Bad rows by kind.
    pub bad: BTreeMap<&'static str, u64>,
    /// All bad rows in order.
    pub bad_rows: Vec<BadRow>,
    /// Drives: parts without a gap of more than a second.
    pub drives: u64,
    /// First frame to last, with the gaps, seconds.
    pub duration_s: f64,
    /// Frames per second, the median.
    pub rate_hz: f32,
    /// The camera as the header has it.
    pub camera: CameraSpec,
    /// Whether field of view and mount are the recording's own or given, not assumed.
    pub camera_known: bool,
    /// Whether the recording told the speed.
    pub speed_known: bool,
    /// Whether the recording told the time.
    pub time_known: bool,
    /// CARLA steer of the recording's steer 1.
    pub steer_scale: f64,
    /// Frames by steering class at the paper's scale of 1/4.
    pub steer_histogram: [u64; BIN_COUNT],
    /// Bytes of the recording.
    pub bytes: u64,
}

/// Imports a foreign recording.
///
/// Everything is looked at before anything is written, and it is written beside `options.out` and
/// renamed at the end: at that name there is a whole recording or what was there before. `stop`
/// may be set at any time from another thread.
///
/// # Errors
/// [`ImportError`]; then nothing is left behind.
pub fn import(
    options: &ImportOptions,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportSummary, ImportError> {
    options.check()?;
    let source = Source::open(&options.source)?;
    let (format, table) = layout::locate(&source, options.format)?;
    let read = layout::read(&source, format, &table, options)?;
    let rows = read.rows.len() as u64;
    let mut checked = check::pictures(&source, format, &table, read.rows, stop, progress)?;
    let size = check::one_size(&mut checked);
    check::rising(&mut checked);

    let period_s = 1.0 / options.rate_hz.unwrap_or(format.rate_hz());
    let mut good = Vec::with_capacity(checked.len());
    let mut bad_rows = Vec::new();
    for (n, row) in checked.into_iter().enumerate() {
        match row {
            // A bad row leaves a gap in time.
            Ok((row, picture)) => good.push((row, picture, (n as f64 * period_s * 1e9) as i64)),
            Err(bad) => bad_rows.push(bad),
        }
    }
    let path = || options.source.clone();
    if options.strict && !bad_rows.is_empty() {
        return Err(ImportError::Strict { bad: bad_rows, path: path() });
    }
    let (Some(size), Some((first, ..))) = (size, good.first()) else {
        return Err(ImportError::Nothing { bad: bad_rows, path: path() });
    };
    let (speed_known, time_known) = (first.speed_mps.is_some(), first.time_ns.is_some());
    let clock = times::clock(good.iter().map(|(row, _, by_rate)| (row, *by_rate)));
    let rate_hz = if time_known { clock.rate_hz } else { (1.0 / period_s) as f32 };
    let camera = options.camera(format, size);
    let mut summary = ImportSummary {
        record: options.out.clone(),
        format: format.name(),
        table,
        rows,
        frames: 0,
        deleted: read.deleted,
        bad: BTreeMap::new(),
        bad_rows: Vec::new(),
        drives: clock.drives,
        duration_s: clock.times_ns.last().map_or(0.0, |t| *t as f64 * 1e-9),
        rate_hz,
        camera,
        camera_known: format.knows_camera()
            || (options.fov_deg.is_some() && options.mount.is_some()),
        speed_known,
        time_known,
        steer_scale: options.steer_scale.unwrap_or(format.steer_scale()),
        steer_histogram: [0; BIN_COUNT],
        bytes: 0,
    };
    for row in &bad_rows {
        *summary.bad.entry(row.kind.name()).or_default() += 1;
    }
    summary.bad_rows = bad_rows;

    let header = header(options, &source, &summary)?;
    let part = Part::beside(&options.out);
    let mut writer = RecordingWriter::create(&part.path, &header)?;
    let of = good.len() as u64;
    for ((row, picture, _), time_ns) in good.iter().zip(clock.times_ns) {
        let image = load_again(&source, picture)?;
        writer.write(&record(row, time_ns, options.speed_mps), Some(&image))?;
        let class = bin_of(row.steer / PolicyCard::PAPER_STEER_SCALE);
        if let Some(n) = class.and_then(|k| summary.steer_histogram.get_mut(k)) {
            *n += 1;
        }
        summary.frames += 1;
        if stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        if summary.frames.is_multiple_of(REPORT as u64) || summary.frames == of {
            progress(Progress::Written { frames: summary.frames, of });
        }
    }
    summary.bytes = writer.finish()?.bytes;
    part.rename(&options.out)?;
    Ok(summary)
}

fn load_again(
    source: &Source,
    picture: &Picture,
) -> Result<caril_record::EncodedImage, ImportError> {
    let changed = || ImportError::Changed(picture.key.clone());
    let image = check::load(source, &picture.key).map_err(|_| changed())?;
    let same = (image.format, image.bytes.len()) == (picture.format, picture.bytes);
    if same { Ok(image) } else { Err(changed()) }
}

/// The frame as [`caril_core::StepRecord::labelled`] has it. What the recording does not know of
/// the truth is NaN, not 0: nobody should judge by it.
fn record(row: &Row, time_ns: u64, speed_mps: f32) -> StepRecord {
    let [x_m, y_m, z_m] = row.position.unwrap_or_default();
    let ego = EgoState {
        speed_mps: row.speed_mps.unwrap_or(speed_mps),
        pose: Pose { x_m, y_m, z_m, ..Pose::default() },
        ..EgoState::default()
    };
    let truth = Truth {
        expert_steer: row.steer,
        expert_speed_mps: row.speed_mps.unwrap_or(f32::NAN),
        lane_deviation_m: f32::NAN,
        heading_error_rad: f32::NAN,
        curvature_1pm: f32::NAN,
        route_length_m: f32::NAN,
        route_completion: f32::NAN,
        off_road_m: f32::NAN,
        collisions: 0,
        lane_invasions: 0,
    };
    let frame_id = FrameId(row.row);
    let command = Command {
        frame_id,
        steer: row.steer,
        throttle: row.throttle,
        brake: row.brake,
        mode: Mode::Nominal,
    };
    StepRecord::labelled(frame_id, time_ns, ego, row.nav, truth, command)
}

/// Only of what is in the source and the options, so that two imports give the same bytes.
fn header(
    options: &ImportOptions,
    source: &Source,
    summary: &ImportSummary,
) -> Result<RecordingHeader, ImportError> {
    let config = serde_json::to_value(Config::default())
        .map_err(|e| caril_record::RecordError::Header(e.to_string()))?;
    let name = source.name();
    let plant = PlantInfo {
        name: format!("{} recording", summary.format),
        map: "unknown".into(),
        weather: "unknown".into(),
        camera: summary.camera,
        rate_hz: summary.rate_hz,
        pacing: Pacing::default(),
        route: Vec::new(),
    };
    let mut extra: BTreeMap<String, String> = BTreeMap::new();
    let mut say = |key: &str, value: String| drop(extra.insert(key.to_owned(), value));
    say("import.source", name.clone());
    say("import.table", summary.table.clone());
    say("import.format", summary.format.into());
    say("import.steer_scale", summary.steer_scale.to_string());
    say("import.rows", summary.rows.to_string());
    say("import.bad_rows", summary.bad_rows.len().to_string());
    for (kind, n) in &summary.bad {
        say(&format!("import.bad.{kind}"), n.to_string());
    }
    let told = |known: bool, else_: String| if known { "recorded".into() } else { else_ };
    say("import.speed", told(summary.speed_known, format!("assumed {} m/s", options.speed_mps)));
    say("import.time", told(summary.time_known, format!("assumed {} Hz", summary.rate_hz)));
    say("import.camera", if summary.camera_known { "known" } else { "assumed" }.into());
    if let Some(columns) = &options.columns {
        say("import.columns", columns.to_string());
    }
    if options.side != Side::Center {
        say("import.side", format!("{:?}", options.side).to_lowercase());
    }
    let command_line = ["caril", "import", summary.format, &name].map(str::to_owned).into();
    Ok(RecordingHeader {
        kind: "import".into(),
        command_line,
        config,
        policy: "expert".into(),
        extra,
        ..RecordingHeader::new(plant)
    })
}

/// The unfinished file; removed unless it is renamed.
struct Part {
    path: PathBuf,
}

impl Part {
    fn beside(out: &Path) -> Self {
        let mut name = out.as_os_str().to_owned();
        name.push(".part");
        Self { path: name.into() }
    }

    fn rename(self, out: &Path) -> Result<(), ImportError> {
        fs::rename(&self.path, out).map_err(ImportError::io("renaming the recording", out))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
