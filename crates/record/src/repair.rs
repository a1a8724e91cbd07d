//! A recording that was cut off, made whole again: everything up to the cut, with MCAP's index and
//! end, so that every program reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use caril_core::RecordConfig;

use crate::log::Log;
use crate::reader::{Entry, Stream};
use crate::{RecordError, Recording, topics};

/// What a repair found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Repaired {
    /// Steps in the new file.
    pub steps: u64,
    /// Pictures in the new file.
    pub images: u64,
    /// Bytes of the new file.
    pub bytes: u64,
    /// Whether the old file was whole already.
    pub was_complete: bool,
}

/// Copies every message of `from` that can be read to `to`, as it is; an existing file there is
/// replaced. Of a file that was cut off, at most its last chunk is lost (about a megabyte, or what
/// was driven within 0.8 s).
///
/// # Errors
/// As [`Recording::open`] and [`crate::Recorder::start`]; [`RecordError::Foreign`] if `to` is
/// `from`.
pub fn repair(from: &Path, to: &Path) -> Result<Repaired, RecordError> {
    let recording = Recording::open(from)?;
    let same = |a: &Path, b: &Path| {
        a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
    };
    if same(from, to) {
        let (expected, got) = ("another file to write to", "the same".to_owned());
        return Err(RecordError::Foreign { expected, got, path: to.to_path_buf() });
    }
    let file = File::create(to).map_err(RecordError::io("creating the recording", to))?;
    let mut log = Log::start(file, recording.header(), &RecordConfig::default())?;
    let mut stream = Stream::open(from, true)?;
    stream.raw = true;
    let mut end: BTreeMap<String, String> = BTreeMap::new();
    while let Some(entry) = stream.next()? {
        match entry {
            Entry::Raw(header, topic, data) => log.copy(&header, &topic, &data)?,
            Entry::Metadata(metadata) if metadata.name == topics::END => end = metadata.metadata,
            Entry::Metadata(metadata) if metadata.name == topics::EPISODE => {
                log.write_episode(metadata.metadata)?;
            }
            _ => {}
        }
    }
    let (steps, images) = (log.written.steps, log.written.images);
    // What the recorder had dropped is known only if it came to its end.
    end.insert("steps".into(), steps.to_string());
    end.insert("images".into(), images.to_string());
    end.insert("repaired".into(), "true".into());
    log.finish(end)?;
    let (bytes, flushed) = log.close();
    flushed.map_err(RecordError::io("writing the recording", to))?;
    Ok(Repaired { steps, images, bytes, was_complete: recording.complete() && !stream.damaged })
}
