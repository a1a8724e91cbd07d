//! A recording as a replay walks it: nothing is passed over, and what is wrong is an event too.

use caril_core::StepRecord;

use crate::reader::{Entry, Stream};
use crate::{EncodedImage, Episode, RecordError, RecordedMemory, topics};

/// One thing in a recording.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // One at a time is alive, and a box per step costs more.
pub enum Event {
    /// A step and its picture, if there is one.
    Step(StepRecord, Option<Result<EncodedImage, RecordError>>),
    /// A step for which no frame had come.
    NoFrame(StepRecord),
    /// What the controller remembered here, and how many steps with a frame there were before,
    /// those left out of the recording included.
    Memory(RecordedMemory, u64),
    /// A drive of its own begins.
    Episode(Episode),
    /// A step or memory that cannot be read.
    Unreadable(RecordError),
    /// The recorder's own count of steps that it had to drop; not in a file that was cut off.
    Dropped(u64),
}

/// See [`crate::Recording::events`]. Ends where the file is cut off or damaged.
pub struct Events {
    stream: Stream,
    image: Option<(u64, Result<EncodedImage, RecordError>)>,
    /// What comes before the first memory is passed over.
    to_memory: bool,
    jumped: bool,
}

impl Events {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, image: None, to_memory: false, jumped: false }
    }

    /// Of a stream that begins in the middle.
    pub(crate) fn jumped(stream: Stream) -> Self {
        Self { stream, image: None, to_memory: true, jumped: true }
    }

    /// Whether the steps before the first event were passed over, and it is a memory.
    pub const fn has_jumped(&self) -> bool {
        self.jumped
    }

    /// Whether it ended at a damaged place.
    pub const fn damaged(&self) -> bool {
        self.stream.damaged
    }
}

impl Iterator for Events {
    type Item = Result<Event, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.stream.next() {
                Err(e) => return Some(Err(e)),
                Ok(None) => return None,
                Ok(Some(entry)) => entry,
            };
            if self.to_memory && !matches!(entry, Entry::Memory(_, Ok(_))) {
                continue;
            }
            return Some(Ok(match entry {
                Entry::Image(time_ns, image) => {
                    self.image = Some((time_ns, image));
                    continue;
                }
                Entry::Step(Ok(step)) => {
                    let image = self.image.take().filter(|(t, _)| *t == step.sim_time_ns);
                    Event::Step(step, image.map(|(_, image)| image))
                }
                Entry::Step(Err(e)) => {
                    self.image = None;
                    Event::Unreadable(e)
                }
                Entry::NoFrame(Ok(step)) => Event::NoFrame(step),
                Entry::Memory(before, Ok(memory)) => {
                    self.to_memory = false;
                    Event::Memory(memory, before)
                }
                Entry::NoFrame(Err(e)) | Entry::Memory(_, Err(e)) => Event::Unreadable(e),
                Entry::Metadata(m) if m.name == topics::END => {
                    match m.metadata.get("dropped_steps").and_then(|n| n.parse().ok()) {
                        Some(n) => Event::Dropped(n),
                        None => continue,
                    }
                }
                Entry::Metadata(m) if m.name == topics::EPISODE => {
                    Event::Episode(Episode::from_facts(&m.metadata))
                }
                Entry::Meta(_) | Entry::Metadata(_) | Entry::Raw(..) => continue,
            }));
        }
    }
}
