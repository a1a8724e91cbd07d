//! Where a replay begins: at the start, or by MCAP's index in the middle, at a memory of the
//! controller.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use caril_core::{ControllerMemory, FrameId};
use mcap::records::{ChunkIndex, Record, op};

use crate::events::Events;
use crate::parse::parse;
use crate::reader::{END, Entry, Stream, footer};
use crate::{RecordError, RecordedMemory, Recording, topics};

/// A summary is no larger: some 100 bytes per chunk, of which an hour has thousands.
const SUMMARY_LIMIT: u64 = 64 << 20;

impl Recording {
    /// Everything that a replay needs, in order.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be opened.
    pub fn events(&self, pictures: bool) -> Result<Events, RecordError> {
        Ok(Events::new(Stream::open(self.path(), pictures)?))
    }

    /// Like [`Recording::events`], but from the last memory that is older than the first frame
    /// with id `from` or a higher one: that is the first event then, however long the recording.
    /// From the start if there is no such memory, no index, or `accepts` refuses it.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be opened.
    pub fn events_from(
        &self,
        pictures: bool,
        from: FrameId,
        accepts: &dyn Fn(&ControllerMemory) -> bool,
    ) -> Result<Events, RecordError> {
        match Index::read(self.path()).and_then(|index| index.find(self.path(), from)) {
            Some((offset, memory, topics)) if accepts(&memory.memory) => {
                let stream = Stream::open_at(self.path(), pictures, offset, topics)?;
                Ok(Events::jumped(stream))
            }
            _ => self.events(pictures),
        }
    }
}

/// The chunks that hold a memory, in the file's order.
struct Index {
    chunks: Vec<u64>,
    topics: BTreeMap<u16, String>,
}

impl Index {
    /// `None` if there is none that can be read: what is lost is time.
    fn read(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let end = footer(&mut file).ok()??;
        let start = u64::from_le_bytes(*end.get(9..)?.first_chunk()?);
        let len = file.metadata().ok()?.len().checked_sub(END as u64)?.checked_sub(start)?;
        if start == 0 || len > SUMMARY_LIMIT {
            return None;
        }
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut summary = vec![0; usize::try_from(len).ok()?];
        file.read_exact(&mut summary).ok()?;

        let (mut all, mut topics) = (Vec::new(), BTreeMap::new());
        let mut rest = summary.as_slice();
        while let Some((opcode, after)) = rest.split_first() {
            let (len, after) = after.split_first_chunk()?;
            let (body, after) = after.split_at_checked(u64::from_le_bytes(*len) as usize)?;
            rest = after;
            if !matches!(*opcode, op::CHANNEL | op::CHUNK_INDEX) {
                continue;
            }
            match parse(*opcode, body)? {
                Record::Channel(channel) => {
                    topics.insert(channel.id, channel.topic);
                }
                Record::ChunkIndex(chunk) => all.push(chunk),
                _ => {}
            }
        }
        let id = *topics.iter().find(|(_, topic)| *topic == topics::MEMORY)?.0;
        let has = |chunk: &ChunkIndex| chunk.message_index_offsets.contains_key(&id);
        let mut chunks: Vec<u64> =
            all.iter().filter(|chunk| has(chunk)).map(|chunk| chunk.chunk_start_offset).collect();
        chunks.sort_unstable();
        Some(Self { chunks, topics })
    }

    /// The last chunk whose first memory is of before frame `from`. Ids of frames may jump about,
    /// but the newest seen so far never falls.
    fn find(
        self,
        path: &Path,
        from: FrameId,
    ) -> Option<(u64, RecordedMemory, BTreeMap<u16, String>)> {
        let (mut low, mut high) = (0, self.chunks.len());
        let mut best = None;
        while low < high {
            let middle = low.midpoint(high);
            let offset = *self.chunks.get(middle)?;
            let memory = self.first_memory(path, offset)?;
            if memory.memory.newest_frame_id < from {
                best = Some((offset, memory));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        best.map(|(offset, memory)| (offset, memory, self.topics))
    }

    fn first_memory(&self, path: &Path, offset: u64) -> Option<RecordedMemory> {
        let mut stream = Stream::open_at(path, false, offset, self.topics.clone()).ok()?;
        while let Some(entry) = stream.next().ok()? {
            if let Entry::Memory(_, memory) = entry {
                return memory.ok();
            }
        }
        None
    }
}
