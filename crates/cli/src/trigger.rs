//! `drive --record-trigger`: what the event recorder keeps.

use caril_core::RecordConfig;
use caril_record::{Recorder, RecordingHeader, Trigger};
use clap::{Args, ValueEnum};
use std::path::Path;

use crate::exit::usage;

/// What counts as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventArg {
    /// The confidence that decides is below --record-confidence
    Confidence,
    /// The action was corrected
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
    /// Confidence below which a step is an event
    #[arg(long, default_value_t = 0.5, value_name = "P")]
    record_confidence: f32,
}

impl TriggerArgs {
    /// The trigger, if one was asked for.
    ///
    /// # Errors
    /// If a number makes no sense.
    pub fn trigger(&self) -> anyhow::Result<Option<Trigger>> {
        let Some(events) = &self.record_trigger else { return Ok(None) };
        let ns = |name: &str, seconds: f64| match seconds {
            0.0..=3600.0 => Ok((seconds * 1e9) as u64),
            _ => Err(usage(format!("--{name} {seconds}: expected 0 to 3600 seconds"))),
        };
        if !(0.0..=1.0).contains(&self.record_confidence) {
            return Err(usage(format!(
                "--record-confidence {}: expected 0 to 1",
                self.record_confidence
            )));
        }
        let has = |event| events.contains(&event);
        Ok(Some(Trigger {
            before_ns: ns("record-before", self.record_before)?,
            after_ns: ns("record-after", self.record_after)?,
            confidence_below: has(EventArg::Confidence).then_some(self.record_confidence),
            corrections: has(EventArg::Correction),
            faults: has(EventArg::Fault),
            takeovers: has(EventArg::Takeover),
        }))
    }
}

/// Starts the recorder, with a trigger or without.
///
/// # Errors
/// As [`Recorder::start`].
pub fn start(
    path: &Path,
    header: &RecordingHeader,
    config: &RecordConfig,
    trigger: Option<Trigger>,
) -> anyhow::Result<Recorder> {
    Ok(match trigger {
        None => Recorder::start(path, header, config)?,
        Some(trigger) => Recorder::start_triggered(path, header, config, trigger)?,
    })
}
