//! The MCAP file as it is written: channels, messages, flushing. Knows nothing of threads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use caril_core::{ControllerMemory, Fault, Image, Mode, RecordConfig, StepRecord};
use mcap::records::{MessageHeader, Metadata};
use mcap::{Compression, WriteOptions, Writer};

use crate::picture::{ImageFormat, encode};
use crate::step_json::{step_schema, step_to_json};
use crate::{RecordError, RecordedMemory, RecordingHeader, proto, topics};

/// Counts the bytes, and after an error refuses everything: what comes after a gap cannot be read.
struct Tail<W: Write> {
    inner: BufWriter<W>,
    bytes: u64,
    broken: bool,
}

impl<W: Write> Tail<W> {
    fn try_io<T>(&mut self, f: impl FnOnce(&mut BufWriter<W>) -> io::Result<T>) -> io::Result<T> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        let result = f(&mut self.inner);
        self.broken = result.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl<W: Write> Write for Tail<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.try_io(|w| w.write(buf))?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.try_io(BufWriter::flush)
    }
}

/// Only the question where it stands; the writer is told not to seek.
impl<W: Write> Seek for Tail<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.bytes),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// What has been written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub steps: u64,
    pub images: u64,
    /// Steps with a frame that nobody wanted.
    pub left_out: u64,
}

/// One step on its way into the file.
pub(crate) struct Item<'a> {
    pub step: StepRecord,
    /// Whether the step had a frame.
    pub frame: bool,
    /// What the controller remembered before it.
    pub memory: Option<ControllerMemory>,
    pub picture: Option<(ImageFormat, Cow<'a, [u8]>)>,
}

impl Item<'_> {
    /// With a picture of its own.
    pub fn to_owned(&self) -> Item<'static> {
        let Self { step, frame, memory, ref picture } = *self;
        let picture = picture.as_ref().map(|(f, bytes)| (*f, Cow::Owned(bytes.to_vec())));
        Item { step, frame, memory, picture }
    }
}

/// An open recording. Chunks are held in memory and written whole.
pub(crate) struct Log<W: Write> {
    writer: Writer<Tail<W>>,
    channels: [u16; 6],
    /// The header, until the first step tells the time.
    meta: Option<Vec<u8>>,
    format: ImageFormat,
    quality: u8,
    sequence: u32,
    last_time_ns: u64,
    pub written: Written,
    /// What of it has been flushed: all that is sure to be readable after an error.
    pub safe: Written,
    /// Steps with a fault, or with the safety core driving.
    pub events: u64,
    /// The first memory comes after steps that are in another file.
    goes_on: bool,
    json: String,
    message: Vec<u8>,
    rgb: Vec<u8>,
}

impl<W: Write> Log<W> {
    pub fn start(
        sink: W,
        header: &RecordingHeader,
        config: &RecordConfig,
    ) -> Result<Self, RecordError> {
        let meta = header.to_json()?;
        let tail = Tail { inner: BufWriter::new(sink), bytes: 0, broken: false };
        let mut writer = WriteOptions::new()
            .profile(topics::PROFILE)
            .library(concat!("caril ", env!("CARGO_PKG_VERSION")))
            .compression(Some(Compression::Lz4))
            .chunk_size(Some(1 << 20))
            .disable_seeking(true)
            .create(tail)?;
        let mut metadata = header.facts();
        // `/meta` waits for the first step, whose time it has: who dies before that leaves a
        // recording all the same.
        metadata.insert(topics::FACTS_HEADER.into(), String::from_utf8_lossy(&meta).into());
        writer.write_metadata(&Metadata { name: topics::FACTS.into(), metadata })?;
        let schemas: [(&str, &str, &str, &str, Vec<u8>); 6] = [
            (
                topics::META,
                "json",
                "caril.RecordingHeader",
                "jsonschema",
                topics::META_SCHEMA.into(),
            ),
            (topics::STEP, "json", "caril.StepRecord", "jsonschema", step_schema().into()),
            (topics::IMAGE, "protobuf", proto::IMAGE_SCHEMA, "protobuf", proto::image_descriptor()),
            (topics::POSE, "protobuf", proto::POSE_SCHEMA, "protobuf", proto::pose_descriptor()),
            (topics::NO_FRAME, "json", "caril.StepRecord", "jsonschema", step_schema().into()),
            (
                topics::MEMORY,
                "json",
                "caril.ControllerMemory",
                "jsonschema",
                topics::MEMORY_SCHEMA.into(),
            ),
        ];
        let mut channels = [0; 6];
        for (id, (topic, encoding, name, schema_encoding, schema)) in
            channels.iter_mut().zip(schemas)
        {
            let schema = writer.add_schema(name, schema_encoding, &schema)?;
            *id = writer.add_channel(schema, topic, encoding, &BTreeMap::new())?;
        }
        writer.flush()?;
        Ok(Self {
            writer,
            channels,
            meta: Some(meta),
            format: if config.lossless { ImageFormat::Png } else { ImageFormat::Jpeg },
            quality: config.jpeg_quality,
            sequence: 0,
            last_time_ns: 0,
            written: Written::default(),
            safe: Written::default(),
            events: 0,
            goes_on: false,
            json: String::with_capacity(4096),
            message: Vec::new(),
            rgb: Vec::new(),
        })
    }

    /// The picture as the recording holds pictures, into `out`.
    pub fn encode(&mut self, image: &Image, out: &mut Vec<u8>) -> Result<ImageFormat, RecordError> {
        encode(image, self.format, self.quality, &mut self.rgb, out)?;
        Ok(self.format)
    }

    /// Writes a step; its memory `resumes` where steps before it were left out.
    pub fn write(&mut self, item: &Item<'_>, resumes: bool) -> Result<(), RecordError> {
        if item.frame {
            self.last_time_ns = item.step.sim_time_ns;
        }
        // A stop that was asked for is none.
        let fault = item.step.faults.iter().any(|fault| fault != Fault::StopRequested);
        let asked = item.step.faults.contains(Fault::StopRequested);
        self.events += u64::from(fault || (item.step.mode != Mode::Nominal && !asked));
        if let Some(memory) = item.memory {
            let resumes = std::mem::take(&mut self.goes_on) || resumes;
            self.write_memory(&RecordedMemory { resumes, memory })?;
        }
        if item.frame {
            let picture = item.picture.as_ref().map(|(format, bytes)| (*format, bytes.as_ref()));
            self.write_encoded(&item.step, picture)
        } else {
            self.write_no_frame(&item.step)
        }
    }

    /// Steps with a frame up to here, in this file, before it and between.
    pub fn frames(&self) -> u64 {
        u64::from(self.sequence)
    }

    /// This file goes on where another ended: so many steps with a frame came before.
    pub fn go_on(&mut self, frames: u64) {
        self.sequence = frames as u32;
        self.goes_on = true;
    }

    /// Steps with a frame that are not written; the numbers of those that follow say so.
    pub fn leave_out(&mut self, steps: u64) {
        self.sequence = self.sequence.wrapping_add(steps as u32);
        self.written.left_out += steps;
    }

    pub fn write_memory(&mut self, memory: &RecordedMemory) -> Result<(), RecordError> {
        self.write_meta(self.last_time_ns)?;
        let [.., id] = self.channels;
        let stamp = stamp(id, self.sequence, self.last_time_ns);
        self.writer.write_to_known_channel(&stamp, &memory.json()?)?;
        Ok(())
    }

    /// The picture goes before its step, so that a reader has both when it sees the step.
    pub fn write_encoded(
        &mut self,
        step: &StepRecord,
        picture: Option<(ImageFormat, &[u8])>,
    ) -> Result<(), RecordError> {
        let time_ns = step.sim_time_ns;
        self.last_time_ns = time_ns;
        self.write_meta(time_ns)?;
        let [_, step_id, image_id, pose_id, ..] = self.channels;
        if let Some((format, bytes)) = picture {
            proto::compressed_image(&mut self.message, time_ns, format.name(), bytes);
            self.writer
                .write_to_known_channel(&stamp(image_id, self.sequence, time_ns), &self.message)?;
            self.written.images += 1;
        }
        proto::frame_transform(&mut self.message, time_ns, &step.ego.pose);
        self.writer
            .write_to_known_channel(&stamp(pose_id, self.sequence, time_ns), &self.message)?;
        step_to_json(step, &mut self.json);
        self.writer.write_to_known_channel(
            &stamp(step_id, self.sequence, time_ns),
            self.json.as_bytes(),
        )?;
        self.sequence = self.sequence.wrapping_add(1);
        self.written.steps += 1;
        Ok(())
    }

    /// A drive of its own begins. It ends the chunk, so it is for once in many steps.
    pub fn write_episode(&mut self, facts: BTreeMap<String, String>) -> Result<(), RecordError> {
        self.write_meta(self.last_time_ns)?;
        self.writer.write_metadata(&Metadata { name: topics::EPISODE.into(), metadata: facts })?;
        Ok(())
    }

    /// A step without a frame: the plant's time is that of the last frame.
    fn write_no_frame(&mut self, step: &StepRecord) -> Result<(), RecordError> {
        self.write_meta(self.last_time_ns)?;
        let [.., id, _] = self.channels;
        step_to_json(step, &mut self.json);
        let stamp = stamp(id, self.sequence, self.last_time_ns);
        self.writer.write_to_known_channel(&stamp, self.json.as_bytes())?;
        Ok(())
    }

    /// A message of another recording, as it was. Topics of nobody here are passed over.
    pub fn copy(
        &mut self,
        header: &MessageHeader,
        topic: &str,
        data: &[u8],
    ) -> Result<(), RecordError> {
        let [meta, step, image, pose, no_frame, memory] = self.channels;
        let (channel_id, count) = match topic {
            topics::META => (meta, None),
            topics::STEP => (step, Some(&mut self.written.steps)),
            topics::IMAGE => (image, Some(&mut self.written.images)),
            topics::POSE => (pose, None),
            topics::NO_FRAME => (no_frame, None),
            topics::MEMORY => (memory, None),
            _ => return Ok(()),
        };
        self.writer.write_to_known_channel(&MessageHeader { channel_id, ..*header }, data)?;
        count.into_iter().for_each(|n| *n += 1);
        if topic == topics::META {
            // It comes as a message of its own, with the time that it had, and before all else.
            self.meta = None;
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Ends the chunk and flushes the sink.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.writer.flush()?;
        self.safe = self.written;
        Ok(())
    }

    /// Writes the last facts and MCAP's summary.
    pub fn finish(&mut self, end: BTreeMap<String, String>) -> Result<(), RecordError> {
        self.write_meta(0)?;
        self.writer.write_metadata(&Metadata { name: topics::END.into(), metadata: end })?;
        self.writer.finish()?;
        Ok(())
    }

    /// Closes the file as it is; bytes written.
    pub fn close(self) -> (u64, io::Result<()>) {
        let mut tail = self.writer.into_inner();
        let flushed = tail.flush();
        (tail.bytes, flushed)
    }

    fn write_meta(&mut self, time_ns: u64) -> Result<(), RecordError> {
        if let Some(meta) = self.meta.take() {
            let [id, ..] = self.channels;
            self.writer.write_to_known_channel(&stamp(id, 0, time_ns), &meta)?;
            // Without its header a file cannot be read: it does not wait for the first chunk.
            self.writer.flush()?;
        }
        Ok(())
    }
}

fn stamp(channel_id: u16, sequence: u32, time_ns: u64) -> MessageHeader {
    MessageHeader { channel_id, sequence, log_time: time_ns, publish_time: time_ns }
}
