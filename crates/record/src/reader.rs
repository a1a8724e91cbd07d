//! Reading a recording from front to back, whole or cut off, in bounded memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use caril_core::StepRecord;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use crate::parse::parse;
use crate::step_json::step_from_json;
use crate::{
    EncodedImage, ImageFormat, RecordError, RecordedMemory, RecordingHeader, proto, topics,
};

/// No record or chunk that caril writes is larger: a picture has at most 4096² · 3 bytes.
const RECORD_LIMIT: usize = 256 << 20;
const READ_SIZE: usize = 256 << 10;

/// What the file holds, one after the other.
#[allow(clippy::large_enum_variant)] // One at a time is alive, and a box per step costs more.
pub(crate) enum Entry {
    Meta(Vec<u8>),
    Step(Result<StepRecord, RecordError>),
    NoFrame(Result<StepRecord, RecordError>),
    Image(u64, Result<EncodedImage, RecordError>),
    /// With the number of steps driven before it.
    Memory(u64, Result<RecordedMemory, RecordError>),
    Metadata(mcap::records::Metadata),
    /// A message as it lies in the file, if the stream was asked for those.
    Raw(mcap::records::MessageHeader, String, Vec<u8>),
}

/// The records of a file up to the last whole chunk.
pub(crate) struct Stream {
    file: File,
    reader: LinearReader,
    path: PathBuf,
    /// Pictures are passed over if not.
    images: bool,
    /// Messages are given as they are, and not read.
    pub raw: bool,
    topics: BTreeMap<u16, String>,
    /// Messages by topic, so far.
    pub counts: BTreeMap<String, u64>,
    /// Whether the stream ended early.
    pub damaged: bool,
    ended: bool,
}

impl Stream {
    pub fn open(path: &Path, images: bool) -> Result<Self, RecordError> {
        Self::open_at(path, images, 0, BTreeMap::new())
    }

    /// From a chunk in the middle on, whose topics are known already.
    pub fn open_at(
        path: &Path,
        images: bool,
        offset: u64,
        topics: BTreeMap<u16, String>,
    ) -> Result<Self, RecordError> {
        let mut file = File::open(path).map_err(RecordError::io("opening the recording", path))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(RecordError::io("reading the recording", path))?;
        // Chunks are checked before their first record is believed.
        let options = LinearReaderOptions::default()
            .with_prevalidate_chunk_crcs(true)
            .with_skip_start_magic(offset > 0)
            .with_record_length_limit(RECORD_LIMIT);
        Ok(Self {
            file,
            reader: LinearReader::new_with_options(options),
            path: path.to_path_buf(),
            images,
            raw: false,
            topics,
            counts: BTreeMap::new(),
            damaged: false,
            ended: false,
        })
    }

    fn foreign(&self, expected: &'static str, got: impl Into<String>) -> RecordError {
        RecordError::Foreign { expected, got: got.into(), path: self.path.clone() }
    }

    /// `None` at the end, also if that is a cut or damaged place.
    pub fn next(&mut self) -> Result<Option<Entry>, RecordError> {
        while !self.ended {
            let (opcode, data) = match self.reader.next_event() {
                None => {
                    self.ended = true;
                    break;
                }
                Some(Err(mcap::McapError::BadMagic)) if self.topics.is_empty() => {
                    self.ended = true;
                    return Err(self.foreign("MCAP's magic", "other bytes"));
                }
                Some(Err(_)) => {
                    (self.ended, self.damaged) = (true, true);
                    break;
                }
                Some(Ok(LinearReadEvent::ReadRequest(n))) => {
                    // A length out of a damaged file must not decide how much memory is taken.
                    let into = self.reader.insert(n.clamp(1, READ_SIZE));
                    let n = loop {
                        match self.file.read(into) {
                            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                            other => break other,
                        }
                    };
                    let n = n.map_err(|e| {
                        self.ended = true;
                        RecordError::io("reading the recording", &self.path)(e)
                    })?;
                    self.reader.notify_read(n);
                    continue;
                }
                Some(Ok(LinearReadEvent::Record { data, opcode })) => (opcode, data),
            };
            // Nothing else says anything of a drive.
            if !matches!(opcode, op::HEADER | op::CHANNEL | op::MESSAGE | op::METADATA) {
                continue;
            }
            let Some(record) = parse(opcode, data) else {
                (self.ended, self.damaged) = (true, true);
                break;
            };
            match record {
                Record::Header(header) if header.profile != topics::PROFILE => {
                    self.ended = true;
                    let got = format!("profile {:?}", header.profile);
                    return Err(self.foreign("profile \"caril\"", got));
                }
                Record::Channel(channel) => {
                    self.topics.insert(channel.id, channel.topic);
                }
                Record::Metadata(metadata) => return Ok(Some(Entry::Metadata(metadata))),
                Record::Message { header, data } => {
                    let Some(topic) = self.topics.get(&header.channel_id) else { continue };
                    match self.counts.get_mut(topic) {
                        Some(n) => *n += 1,
                        None => drop(self.counts.insert(topic.clone(), 1)),
                    }
                    if self.raw {
                        let entry = Entry::Raw(header, topic.clone(), data.into_owned());
                        return Ok(Some(entry));
                    }
                    match topic.as_str() {
                        topics::META => return Ok(Some(Entry::Meta(data.into_owned()))),
                        topics::STEP => return Ok(Some(Entry::Step(step(&data)))),
                        topics::NO_FRAME => return Ok(Some(Entry::NoFrame(step(&data)))),
                        topics::MEMORY => {
                            let memory = RecordedMemory::from_json(&data);
                            return Ok(Some(Entry::Memory(header.sequence.into(), memory)));
                        }
                        topics::IMAGE if self.images => {
                            return Ok(Some(Entry::Image(header.log_time, picture(&data))));
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

fn step(data: &[u8]) -> Result<StepRecord, RecordError> {
    let json = std::str::from_utf8(data).map_err(|_| RecordError::Step("not UTF-8".into()))?;
    step_from_json(json)
}

fn picture(message: &[u8]) -> Result<EncodedImage, RecordError> {
    let wrong = |why: &str| RecordError::Picture { doing: "decoded", why: why.into() };
    let (format, bytes) = proto::read_compressed_image(message)
        .ok_or_else(|| wrong("the message is no foxglove.CompressedImage"))?;
    let format = ImageFormat::from_name(format)
        .ok_or_else(|| wrong("its format is neither jpeg nor png"))?;
    Ok(EncodedImage { format, bytes: bytes.to_vec() })
}

/// A recording on disk. Each walk opens the file anew.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    header: RecordingHeader,
    complete: bool,
}

impl Recording {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`RecordError::Io`]; [`RecordError::Foreign`] if caril did not write it;
    /// [`RecordError::NoHeader`] if it is cut off or damaged within its first records.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let mut stream = Stream::open(path, false)?;
        let mut early = None;
        let json = loop {
            match stream.next()? {
                None => match early {
                    Some(json) => break json,
                    None => return Err(RecordError::NoHeader { path: path.to_path_buf() }),
                },
                Some(Entry::Meta(json)) => break json,
                Some(Entry::Metadata(mut facts)) if facts.name == topics::FACTS => {
                    early = facts.metadata.remove(topics::FACTS_HEADER).map(String::into_bytes);
                }
                Some(_) => {}
            }
        };
        let header = RecordingHeader::from_json(&json)
            .map_err(|e| stream.foreign("a header of this version", e.to_string()))?;
        let complete =
            has_end(&mut stream.file).map_err(RecordError::io("reading the recording", path))?;
        Ok(Self { path: path.to_path_buf(), header, complete })
    }

    /// What the recording says of itself.
    pub fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the recorder finished it. If not, all whole chunks can be read nevertheless.
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// All steps in order, without pictures.
    pub fn steps(&self) -> Steps {
        Steps(Frames::open(&self.path, false))
    }

    /// All steps in order with their pictures, of which one at a time is in memory.
    pub fn frames(&self) -> Frames {
        Frames::open(&self.path, true)
    }
}

/// Whether the file ends with MCAP's footer record and magic.
fn has_end(file: &mut File) -> std::io::Result<bool> {
    Ok(footer(file)?.is_some())
}

/// Bytes of footer and magic.
pub(crate) const END: usize = 1 + 8 + 20 + mcap::MAGIC.len();

/// MCAP's footer record with the magic after it, if the file ends with them.
pub(crate) fn footer(file: &mut File) -> std::io::Result<Option<[u8; END]>> {
    let len = file.metadata()?.len();
    let Some(start) = len.checked_sub(END as u64) else { return Ok(None) };
    let mut end = [0; END];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut end)?;
    Ok((end.first() == Some(&op::FOOTER) && end.ends_with(mcap::MAGIC)).then_some(end))
}

/// See [`Recording::frames`]. An unreadable step is an error and the walk goes on; it ends where
/// the file is cut off.
pub struct Frames {
    stream: Result<Stream, Option<RecordError>>,
    image: Option<(u64, EncodedImage)>,
}

impl Frames {
    fn open(path: &Path, images: bool) -> Self {
        Self { stream: Stream::open(path, images).map_err(Some), image: None }
    }
}

impl Iterator for Frames {
    type Item = Result<(StepRecord, Option<EncodedImage>), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let stream = match &mut self.stream {
            Ok(stream) => stream,
            Err(e) => return e.take().map(Err),
        };
        loop {
            match stream.next() {
                Err(e) => return Some(Err(e)),
                Ok(None) => return None,
                Ok(Some(Entry::Image(time_ns, Ok(image)))) => self.image = Some((time_ns, image)),
                Ok(Some(Entry::Image(_, Err(e)))) => return Some(Err(e)),
                Ok(Some(Entry::Step(Err(e)))) => {
                    self.image = None;
                    return Some(Err(e));
                }
                Ok(Some(Entry::Step(Ok(step)))) => {
                    let image = self.image.take().filter(|(t, _)| *t == step.sim_time_ns);
                    return Some(Ok((step, image.map(|(_, image)| image))));
                }
                Ok(Some(
                    Entry::NoFrame(_)
                    | Entry::Meta(_)
                    | Entry::Metadata(_)
                    | Entry::Memory(..)
                    | Entry::Raw(..),
                )) => {}
            }
        }
    }
}

/// See [`Recording::steps`].
pub struct Steps(Frames);

impl Iterator for Steps {
    type Item = Result<StepRecord, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|frame| frame.map(|(step, _)| step))
    }
}
