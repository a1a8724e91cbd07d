//! The recording: MCAP topics, bounded hand-off, writer thread, reader.
//!
//! [`Recorder`] takes [`caril_core::StepRecord`]s and pictures from the drive loop without
//! blocking, allocating or failing, and a thread of its own writes them as MCAP. [`Recording`]
//! reads such a file again, whole or cut off anywhere. docs/log.md describes the file.
//!
//! The one invariant: a step that was read equals the step that was pushed, bit for bit.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod bytes;
mod difference;
mod episode;
mod error;
mod events;
mod header;
mod log;
mod memory;
mod parse;
mod parts;
mod picture;
mod proto;
mod reader;
mod recorder;
mod repair;
mod seek;
mod step_fields;
mod step_json;
mod summary;
mod thread;
mod topics;
mod trigger;
mod writer;

pub use difference::{FieldDifference, differences};
pub use episode::Episode;
pub use error::RecordError;
pub use events::{Event, Events};
pub use header::RecordingHeader;
pub use memory::RecordedMemory;
pub use parts::Rotation;
pub use picture::{EncodedImage, ImageFormat, decode_jpeg, encode_jpeg};
pub use reader::{Frames, Recording, Steps};
pub use recorder::{Recorder, RecorderStats};
pub use repair::{Repaired, repair};
pub use step_fields::Part;
pub use step_json::{step_from_json, step_to_json};
pub use summary::{Quantiles, RecordingSummary};
pub use trigger::Trigger;
pub use writer::RecordingWriter;
