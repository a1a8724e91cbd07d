//! `drive --record-trigger` and `--record-limit`: what of a drive is recorded, and kept.

use caril_control::PAPER_UNSURE;
use caril_core::{Calibration, CorrectionMode, RecordConfig};
use caril_record::{Recorder, RecordingHeader, Rotation, Trigger};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

use crate::exit::usage;

/// What counts as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventArg {
    /// The confidence that decides is below --record-confidence
    Confidence,
    /// The action was corrected; of second looks those that do not agree with the first
    Correction,
    /// Any fault
    Fault,
    /// The safety core has taken over: any mode but nominal
    Takeover,
}

/// Options of the event recorder.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Record only what happens around events [default if given: all four]
    #[arg(
        long,
        value_enum,
        value_name = "EVENTS",
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_values = ["confidence", "correction", "fault", "takeover"]
    )]
    record_trigger: Option<Vec<EventArg>>,
    /// Seconds kept before an event
    #[arg(long, default_value_t = 3.0, value_name = "S")]
    record_before: f64,
    /// Seconds kept after an event
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    record_after: f64,
    /// Confidence below which a step is an event [default: the card's mass_floor, where doubt slows
    /// the car down most; 0.5 where another correction than `calibrated` decides]
    #[arg(long, value_name = "P")]
    record_confidence: Option<f32>,
    /// Record in parts that together, with those of earlier drives, stay below this: the oldest go
    /// first, those with a fault or a takeover last
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    record_limit: Option<u64>,
}

/// `2GiB`, `500MB`, or bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(number.len()..).unwrap_or("") {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        unit => return Err(format!("{unit} is none of kB, KiB, MB, MiB, GB, GiB")),
    };
    let number: u64 = number.trim().parse().map_err(|_| "expected a size like 2GiB".to_owned())?;
    let bytes = number.checked_mul(unit).ok_or("that is more than there is")?;
    if bytes < LEAST {
        return Err("at least 16MiB, or there is nothing to choose from".into());
    }
    Ok(bytes)
}

/// Least that all parts together may have.
const LEAST: u64 = 16 << 20;

impl TriggerArgs {
    /// The parts of the recording at `path`, if there is a limit. Those of other drives count too,
    /// where each drive has a folder of its own.
    pub fn rotation(&self, path: &Path, own_folder: bool) -> Option<Rotation> {
        let limit_bytes = self.record_limit?;
        let parent = |path: &Path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let folder = parent(path);
        let folder = if own_folder { parent(&folder) } else { folder };
        Some(Rotation { path: path.to_path_buf(), folder, limit_bytes })
    }

    /// The trigger, if one was asked for; `doubt` is the confidence that counts as low where none
    /// was given: see [`doubt`].
    ///
    /// # Errors
    /// If a number makes no sense.
    pub fn trigger(&self, doubt: f32) -> anyhow::Result<Option<Trigger>> {
        let Some(events) = &self.record_trigger else { return Ok(None) };
        let ns = |name: &str, seconds: f64| match seconds {
            0.0..=3600.0 => Ok((seconds * 1e9) as u64),
            _ => Err(usage(format!("--{name} {seconds}: expected 0 to 3600 seconds"))),
        };
        let below = self.record_confidence.unwrap_or(doubt);
        if !(0.0..=1.0).contains(&below) {
            return Err(usage(format!("--record-confidence {below}: expected 0 to 1")));
        }
        let has = |event| events.contains(&event);
        Ok(Some(Trigger {
            before_ns: ns("record-before", self.record_before)?,
            after_ns: ns("record-after", self.record_after)?,
            confidence_below: has(EventArg::Confidence).then_some(below),
            corrections: has(EventArg::Correction),
            faults: has(EventArg::Fault),
            takeovers: has(EventArg::Takeover),
        }))
    }
}

/// The confidence below which a step is an event, if the user gives none. What decides is another
/// quantity with each correction: a pack that is sure has a neighbour mass of more than 0.99 nearly
/// always, and its card says where that is little.
pub fn doubt(mode: CorrectionMode, calibration: &Calibration) -> f32 {
    match mode {
        CorrectionMode::Calibrated => calibration.mass_floor,
        CorrectionMode::Off | CorrectionMode::Paper => PAPER_UNSURE,
    }
}

/// Starts the recorder: with a trigger or without, in parts or whole.
///
/// # Errors
/// As [`Recorder::start`].
pub fn start(
    path: &Path,
    header: &RecordingHeader,
    config: &RecordConfig,
    args: &TriggerArgs,
    doubt: f32,
    rotation: Option<&Rotation>,
) -> anyhow::Result<Recorder> {
    let trigger = args.trigger(doubt)?;
    Ok(match (rotation, trigger) {
        (Some(rotation), trigger) => {
            Recorder::start_rotating(rotation.clone(), header, config, trigger)?
        }
        (None, None) => Recorder::start(path, header, config)?,
        (None, Some(trigger)) => Recorder::start_triggered(path, header, config, trigger)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_doubt_is_the_cards_unless_it_is_said() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: TriggerArgs,
        }
        let below = |more: &[&str], mode| {
            let line = [&["drive", "--record-trigger=confidence"], more].concat();
            let args = <Line as clap::Parser>::parse_from(line).args;
            let card = Calibration { mass_floor: 0.9, ..Calibration::default() };
            args.trigger(doubt(mode, &card)).unwrap().unwrap().confidence_below
        };
        assert_eq!(below(&[], CorrectionMode::Calibrated), Some(0.9));
        assert_eq!(below(&[], CorrectionMode::Off), Some(0.5), "the highest class decides");
        let given = ["--record-confidence", "0.2"];
        assert_eq!(below(&given, CorrectionMode::Calibrated), Some(0.2));
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("2GiB", 2 << 30),
            ("500MB", 500_000_000),
            ("64 MiB", 64 << 20),
            ("20000000", 20_000_000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "GiB", "2TB", "-1GiB", "1MiB", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
