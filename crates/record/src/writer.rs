//! Writing a recording at leisure: no thread, no clock, the same bytes every time.

use std::collections::BTreeMap;
use std::path::Path;

use caril_core::{ControllerMemory, RecordConfig, StepRecord};

use crate::log::Log;
use crate::thread::Disk;
use crate::{EncodedImage, RecordError, RecordedMemory, RecorderStats, RecordingHeader};

/// Writes steps with pictures that are encoded already, for recordings that are made from files.
/// Unlike [`crate::Recorder`], which ends its chunks by the clock, it writes the same bytes for
/// the same steps. Until [`RecordingWriter::finish`] the file reads as one that was cut off.
pub struct RecordingWriter {
    log: Log<Disk>,
}

impl RecordingWriter {
    /// Creates the file, with missing folders. An existing file is replaced.
    ///
    /// # Errors
    /// [`RecordError::Io`] or [`RecordError::Mcap`] if the file cannot be created or written,
    /// [`RecordError::Header`] if the header could not be read back (a number that is not finite, a camera that cannot be).
    pub fn create(path: &Path, header: &RecordingHeader) -> Result<Self, RecordError> {
        let log = Log::start(Disk::create(path)?, header, &RecordConfig::default())
            .map_err(|e| e.at(path))?;
        Ok(Self { log })
    }

    /// Writes a step and, byte for byte, its picture.
    ///
    /// # Errors
    /// [`RecordError::Mcap`] if the file cannot be written.
    pub fn write(
        &mut self,
        step: &StepRecord,
        picture: Option<&EncodedImage>,
    ) -> Result<(), RecordError> {
        self.log.write_encoded(step, picture.map(|p| (p.format, p.bytes.as_slice())))
    }

    /// Writes what the controller remembers before the next step.
    ///
    /// # Errors
    /// [`RecordError::Mcap`] if the file cannot be written.
    pub fn write_memory(&mut self, memory: &ControllerMemory) -> Result<(), RecordError> {
        self.log.write_memory(&RecordedMemory { resumes: false, memory: *memory })
    }

    /// Closes the file; what it holds.
    ///
    /// # Errors
    /// [`RecordError::Mcap`] if the file cannot be written to its end.
    pub fn finish(mut self) -> Result<RecorderStats, RecordError> {
        let (steps, images) = (self.log.written.steps, self.log.written.images);
        let end: BTreeMap<String, String> =
            [("steps", steps), ("images", images), ("dropped_steps", 0), ("dropped_images", 0)]
                .map(|(key, n)| (key.to_owned(), n.to_string()))
                .into();
        self.log.finish(end)?;
        let (bytes, closed) = self.log.close();
        closed.map_err(|e| RecordError::Mcap(e.into()))?;
        Ok(RecorderStats { steps, images, bytes, ..RecorderStats::default() })
    }
}
