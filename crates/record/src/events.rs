//! A recording as a replay walks it: nothing is passed over, and what is wrong is an event too.

use caril_core::StepRecord;

use crate::reader::{Entry, Stream};
use crate::{EncodedImage, RecordError, topics};

/// One thing in a recording.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // One at a time is alive, and a box per step costs more.
pub enum Event {
    /// A step and its picture, if there is one.
    Step(StepRecord, Option<Result<EncodedImage, RecordError>>),
    /// A step for which no frame had come.
    NoFrame(StepRecord),
    /// A step that cannot be read.
    Unreadable(RecordError),
    /// The recorder's own count of steps that it had to drop; not in a file that was cut off.
    Dropped(u64),
}

/// See [`crate::Recording::events`]. Ends where the file is cut off or damaged.
pub struct Events {
    stream: Stream,
    image: Option<(u64, Result<EncodedImage, RecordError>)>,
}

impl Events {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, image: None }
    }
}

impl Iterator for Events {
    type Item = Result<Event, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return Some(Ok(match self.stream.next() {
                Err(e) => return Some(Err(e)),
                Ok(None) => return None,
                Ok(Some(Entry::Image(time_ns, image))) => {
                    self.image = Some((time_ns, image));
                    continue;
                }
                Ok(Some(Entry::Step(Ok(step)))) => {
                    let image = self.image.take().filter(|(t, _)| *t == step.sim_time_ns);
                    Event::Step(step, image.map(|(_, image)| image))
                }
                Ok(Some(Entry::Step(Err(e)))) => {
                    self.image = None;
                    Event::Unreadable(e)
                }
                Ok(Some(Entry::NoFrame(Ok(step)))) => Event::NoFrame(step),
                Ok(Some(Entry::NoFrame(Err(e)))) => Event::Unreadable(e),
                Ok(Some(Entry::Metadata(m))) if m.name == topics::END => {
                    match m.metadata.get("dropped_steps").and_then(|n| n.parse().ok()) {
                        Some(n) => Event::Dropped(n),
                        None => continue,
                    }
                }
                Ok(Some(Entry::Meta(_) | Entry::Metadata(_) | Entry::Raw(..))) => continue,
            }));
        }
    }
}
