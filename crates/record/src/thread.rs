//! The recorder's thread: takes what waits, encodes, writes, flushes, and begins the next part where
//! a recording has parts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::log::{self, Log};
use crate::recorder::{Item, Shared};
use crate::trigger::Clips;
use crate::{RecordError, RecorderStats};

/// How often the thread looks for work. The drive loop never wakes it: that is a system call.
const POLL: Duration = Duration::from_millis(3);
/// How often a chunk is ended and the file flushed to the disk, below one second.
const FLUSH: Duration = Duration::from_millis(800);

/// What comes after a file that has become long enough.
pub(crate) trait Rest<W: Write>: Send {
    /// Whether the file is long enough.
    fn is_full(&self) -> bool;
    /// A file is finished; `events` are its steps worth keeping.
    fn end(&mut self, events: u64);
    /// The next one.
    ///
    /// # Errors
    /// If it cannot be begun.
    fn begin(&mut self) -> Result<Log<W>, RecordError>;
}

/// What is written, part by part.
struct Writing<W: Write> {
    log: Log<W>,
    rest: Option<Box<dyn Rest<W>>>,
    /// Of the parts that are finished.
    before: RecorderStats,
}

impl<W: Write> Writing<W> {
    /// Begins the next part before a memory of the controller, if this one is long enough.
    fn turn(&mut self, shared: &Shared) -> Result<(), RecordError> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        if !rest.is_full() {
            return Ok(());
        }
        let facts = facts(&self.log, shared, &self.before);
        self.log.finish(facts)?;
        rest.end(self.log.events);
        let next = rest.begin()?;
        let done = std::mem::replace(&mut self.log, next);
        let frames = done.frames();
        self.before.steps += done.written.steps;
        self.before.images += done.written.images;
        self.before.left_out_steps += done.written.left_out;
        self.before.parts += 1;
        self.before.dropped_steps = shared.dropped_steps.load(Ordering::Relaxed);
        self.before.dropped_images = shared.dropped_images.load(Ordering::Relaxed);
        let (bytes, closed) = done.close();
        self.before.bytes += bytes;
        closed.map_err(RecordError::io("closing the part", Path::new("")))?;
        self.log.go_on(frames);
        Ok(())
    }
}

/// The last facts of a file. What was dropped `before` it is told in the parts before.
fn facts<W: Write>(
    log: &Log<W>,
    shared: &Shared,
    before: &RecorderStats,
) -> BTreeMap<String, String> {
    let since = |n: &AtomicU64, then: u64| n.load(Ordering::Relaxed).saturating_sub(then);
    [
        ("steps", log.written.steps),
        ("images", log.written.images),
        ("dropped_steps", since(&shared.dropped_steps, before.dropped_steps)),
        ("dropped_images", since(&shared.dropped_images, before.dropped_images)),
        ("left_out_steps", log.written.left_out),
    ]
    .map(|(key, n)| (key.to_owned(), n.to_string()))
    .into()
}

/// The thread's work: everything that waits, until the recorder closes.
pub(crate) fn write_all<W: Write>(
    log: Log<W>,
    shared: &Shared,
    mut clips: Option<Clips>,
    rest: Option<Box<dyn Rest<W>>>,
) -> RecorderStats {
    let mut writing = Writing { log, rest, before: RecorderStats::default() };
    let mut picture = Vec::new();
    let mut failure: Option<RecordError> = None;
    let mut last_flush = Instant::now();
    let mut unflushed = false;
    loop {
        // Read before the queue: what was pushed before closing is then seen below.
        let closing = shared.closing.load(Ordering::Acquire);
        while let Some(item) = shared.waiting.pop() {
            if failure.is_some() {
                shared.drop_item(item);
                continue;
            }
            let turned = if item.memory.is_some() { writing.turn(shared) } else { Ok(()) };
            let written =
                turned.and_then(|()| write(&mut writing.log, clips.as_mut(), &item, &mut picture));
            match written {
                Ok(picture_dropped) => {
                    unflushed = true;
                    shared.dropped_images.fetch_add(picture_dropped.into(), Ordering::Relaxed);
                    if let Some(image) = item.image {
                        shared.give_back(image);
                    }
                }
                Err(e) => {
                    failure = Some(e);
                    shared.drop_item(item);
                }
            }
            if last_flush.elapsed() >= FLUSH {
                break;
            }
        }
        if unflushed && failure.is_none() && last_flush.elapsed() >= FLUSH {
            failure = writing.log.flush().err();
            unflushed = false;
        }
        if last_flush.elapsed() >= FLUSH {
            last_flush = Instant::now();
        }
        if shared.waiting.is_empty() {
            if closing {
                break;
            }
            thread::park_timeout(POLL);
        }
    }
    let Writing { mut log, mut rest, before } = writing;
    if let Some(clips) = &mut clips {
        clips.finish(&mut log);
    }
    if failure.is_none() {
        failure = log.finish(facts(&log, shared, &before)).err();
    }
    if let Some(rest) = &mut rest {
        rest.end(log.events);
    }
    // Steps of a chunk that never reached the file are lost as well.
    let written = if failure.is_none() { log.written } else { log.safe };
    let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let dropped_steps = read(&shared.dropped_steps) + (log.written.steps - written.steps);
    let dropped_images = read(&shared.dropped_images) + (log.written.images - written.images);
    let left_out_steps = before.left_out_steps + log.written.left_out;
    let (bytes, closed) = log.close();
    let write_error = failure.map(|e| e.to_string()).or(closed.err().map(|e| e.to_string()));
    RecorderStats {
        steps: before.steps + written.steps,
        images: before.images + written.images,
        dropped_steps,
        dropped_images,
        left_out_steps,
        clips: clips.map_or(0, |clips| clips.clips),
        bytes: before.bytes + bytes,
        parts: before.parts + 1,
        write_error,
    }
}

/// Encodes and writes one step; whether its picture could not be encoded. One bad picture is no
/// reason to lose the drive.
fn write<W: Write>(
    log: &mut Log<W>,
    clips: Option<&mut Clips>,
    item: &Item,
    buffer: &mut Vec<u8>,
) -> Result<bool, RecordError> {
    if let Some(episode) = &item.episode {
        log.write_episode(episode.facts())?;
    }
    let format = match item.image.as_ref().map(|image| log.encode(image, buffer)) {
        None => None,
        Some(Ok(format)) => Some(format),
        Some(Err(RecordError::Picture { .. })) => None,
        Some(Err(e)) => return Err(e),
    };
    let Item { step, frame, memory, .. } = *item;
    let picture = format.map(|format| (format, Cow::Borrowed(buffer.as_slice())));
    let dropped = item.image.is_some() && picture.is_none();
    let ready = log::Item { step, frame, memory, picture };
    match clips {
        None => log.write(&ready, false)?,
        Some(clips) => clips.take(log, &ready)?,
    }
    Ok(dropped)
}

/// A file whose `flush` reaches the disk.
pub(crate) struct Disk(File);

impl Disk {
    /// Creates the file, with missing folders; an existing one is replaced.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        Self::open(path, File::options().write(true).create(true).truncate(true))
    }

    /// The same, but an existing file is an error.
    pub fn create_new(path: &Path) -> Result<Self, RecordError> {
        Self::open(path, File::options().write(true).create_new(true))
    }

    fn open(path: &Path, how: &OpenOptions) -> Result<Self, RecordError> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            std::fs::create_dir_all(folder)
                .map_err(RecordError::io("creating the folder", folder))?;
        }
        let file = how.open(path).map_err(RecordError::io("creating the recording", path))?;
        Ok(Self(file))
    }
}

impl Write for Disk {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.sync_data() {
            // A pipe or a device cannot be synchronised.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }
}
