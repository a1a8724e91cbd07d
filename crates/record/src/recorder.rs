//! The recorder: bounded queues between the drive loop and one thread that writes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use caril_core::{ControllerMemory, Image, RecordConfig, StepRecord};
use crossbeam::queue::ArrayQueue;

use crate::log::{self, Log};
use crate::trigger::{Clips, Trigger};
use crate::{RecordError, RecordingHeader};

/// Steps that wait at most.
const STEP_QUEUE: usize = 1024;
/// How often the thread looks for work. The drive loop never wakes it: that is a system call.
const POLL: Duration = Duration::from_millis(3);
/// How often a chunk is ended and the file flushed to the disk, below one second.
const FLUSH: Duration = Duration::from_millis(800);

/// Steps from one memory of the controller to the next: about a second. A replay begins at one.
const MEMORY_EVERY: u32 = 20;

/// What became of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecorderStats {
    /// Steps written.
    pub steps: u64,
    /// Pictures written.
    pub images: u64,
    /// Steps lost: the queue was full or writing had failed.
    pub dropped_steps: u64,
    /// Pictures lost: no buffer was free, the picture did not fit, or writing had failed.
    pub dropped_images: u64,
    /// Steps that a [`Trigger`] found nothing about.
    pub left_out_steps: u64,
    /// Clips that a [`Trigger`] kept.
    pub clips: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The first error of writing; nothing was written after it.
    pub write_error: Option<String>,
}

struct Item {
    step: StepRecord,
    image: Option<Image>,
    /// Whether the step had a frame.
    frame: bool,
    /// What the controller remembered before it.
    memory: Option<ControllerMemory>,
}

struct Shared {
    waiting: ArrayQueue<Item>,
    free: ArrayQueue<Image>,
    closing: AtomicBool,
    dropped_steps: AtomicU64,
    dropped_images: AtomicU64,
}

impl Shared {
    fn drop_item(&self, item: Item) {
        self.dropped_steps.fetch_add(1, Ordering::Relaxed);
        if let Some(image) = item.image {
            self.dropped_images.fetch_add(1, Ordering::Relaxed);
            self.give_back(image);
        }
    }

    fn give_back(&self, image: Image) {
        // There is room for all buffers that exist.
        let _ = self.free.push(image);
    }
}

/// A recording that is being written. See the crate's documentation.
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<RecorderStats>>,
    image_every: u64,
    images_seen: u64,
    memory: Option<ControllerMemory>,
    since_memory: u32,
}

impl Recorder {
    /// Creates the file, with missing folders, and the thread. An existing file is replaced.
    ///
    /// # Errors
    /// [`RecordError::Io`] or [`RecordError::Mcap`] if the file cannot be created or written,
    /// [`RecordError::Header`] if the header holds a number that is not finite.
    pub fn start(
        path: &Path,
        header: &RecordingHeader,
        config: &RecordConfig,
    ) -> Result<Self, RecordError> {
        Self::start_into(Disk::create(path)?, header, config, None).map_err(|e| e.at(path))
    }

    /// Like [`Recorder::start`], but keeps only what happened around events. Its thread holds the
    /// encoded steps of the time before; they reach the disk when something happens.
    ///
    /// # Errors
    /// As [`Recorder::start`].
    pub fn start_triggered(
        path: &Path,
        header: &RecordingHeader,
        config: &RecordConfig,
        trigger: Trigger,
    ) -> Result<Self, RecordError> {
        Self::start_into(Disk::create(path)?, header, config, Some(trigger)).map_err(|e| e.at(path))
    }

    /// Like [`Recorder::start`] into any sink. `flush` of the sink is called about once a second.
    ///
    /// # Errors
    /// As [`Recorder::start`].
    pub fn start_with<W: Write + Send + 'static>(
        sink: W,
        header: &RecordingHeader,
        config: &RecordConfig,
    ) -> Result<Self, RecordError> {
        Self::start_into(sink, header, config, None)
    }

    fn start_into<W: Write + Send + 'static>(
        sink: W,
        header: &RecordingHeader,
        config: &RecordConfig,
        trigger: Option<Trigger>,
    ) -> Result<Self, RecordError> {
        let log = Log::start(sink, header, config)?;
        let images = if config.image_every == 0 { 0 } else { config.image_queue.max(1) as usize };
        let free = ArrayQueue::new(images.max(1));
        for _ in 0..images {
            // Written once, so that the pages are there when the loop needs them.
            let mut image = Image::for_camera(&header.camera);
            image.data.fill(1);
            let _ = free.push(image);
        }
        let shared = Arc::new(Shared {
            waiting: ArrayQueue::new(STEP_QUEUE),
            free,
            closing: AtomicBool::new(false),
            dropped_steps: AtomicU64::new(0),
            dropped_images: AtomicU64::new(0),
        });
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("caril-record".into())
            .spawn(move || write_all(log, &its, trigger.map(Clips::new)))
            .map_err(RecordError::io("starting the recorder's thread", Path::new("")))?;
        let image_every = u64::from(config.image_every);
        let (thread, images_seen, memory, since_memory) = (Some(thread), 0, None, 0);
        Ok(Self { shared, thread, image_every, images_seen, memory, since_memory })
    }

    /// Hands a step over, with its picture if it is an `image_every`-th one. Never waits, never
    /// allocates, makes no system call; what finds no room is dropped and counted.
    pub fn push(&mut self, step: &StepRecord, image: Option<&Image>) {
        let mut copy = None;
        if let Some(image) = image {
            // `checked_rem` is `None` for 0: no pictures at all.
            let wanted = self.images_seen.checked_rem(self.image_every) == Some(0);
            self.images_seen += 1;
            if wanted {
                copy = self.shared.free.pop();
                copy = match copy {
                    Some(mut buffer) if image.data.len() <= buffer.data.capacity() => {
                        fill(&mut buffer, image);
                        Some(buffer)
                    }
                    other => {
                        self.shared.dropped_images.fetch_add(1, Ordering::Relaxed);
                        if let Some(buffer) = other {
                            self.shared.give_back(buffer);
                        }
                        None
                    }
                };
            }
        }
        let item = self.item(step, copy, true);
        if let Err(item) = self.shared.waiting.push(item) {
            self.shared.drop_item(item);
        }
    }

    /// Whether it is time to tell what the controller remembers.
    pub const fn wants_memory(&self) -> bool {
        self.since_memory >= MEMORY_EVERY
    }

    /// Hands over what the controller remembers before the step that is pushed next.
    pub const fn push_memory(&mut self, memory: &ControllerMemory) {
        self.memory = Some(*memory);
        self.since_memory = 0;
    }

    fn item(&mut self, step: &StepRecord, image: Option<Image>, frame: bool) -> Item {
        self.since_memory = self.since_memory.saturating_add(1);
        Item { step: *step, image, frame, memory: self.memory.take() }
    }

    /// Hands a step without a frame over, as [`Recorder::push`] does.
    pub fn push_no_frame(&mut self, step: &StepRecord) {
        let item = self.item(step, None, false);
        if let Err(item) = self.shared.waiting.push(item) {
            self.shared.drop_item(item);
        }
    }

    /// Hands a step over with its picture, whatever `image_every` says, and waits for room.
    pub fn push_blocking(&mut self, step: &StepRecord, image: Option<&Image>) {
        let copy = match image {
            None => None,
            Some(image) if self.image_every == 0 => Some(image.clone()),
            Some(image) => loop {
                if let Some(mut buffer) = self.shared.free.pop() {
                    fill(&mut buffer, image);
                    break Some(buffer);
                }
                if !self.wait() {
                    break None;
                }
            },
        };
        let mut item = self.item(step, copy, true);
        while let Err(back) = self.shared.waiting.push(item) {
            item = back;
            if !self.wait() {
                self.shared.drop_item(item);
                return;
            }
        }
    }

    /// Wakes the thread and gives it time; whether it is there at all.
    fn wait(&self) -> bool {
        let Some(thread) = self.thread.as_ref().filter(|t| !t.is_finished()) else { return false };
        thread.thread().unpark();
        thread::sleep(Duration::from_micros(200));
        true
    }

    /// Steps and pictures dropped so far.
    pub fn dropped(&self) -> (u64, u64) {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (read(&self.shared.dropped_steps), read(&self.shared.dropped_images))
    }

    /// Writes what waits and closes the file.
    pub fn finish(mut self) -> RecorderStats {
        self.end()
    }

    fn end(&mut self) -> RecorderStats {
        let Some(thread) = self.thread.take() else { return RecorderStats::default() };
        self.shared.closing.store(true, Ordering::Release);
        thread.thread().unpark();
        thread.join().unwrap_or_else(|_| RecorderStats {
            write_error: Some("the recorder's thread panicked".into()),
            ..RecorderStats::default()
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

fn fill(buffer: &mut Image, image: &Image) {
    buffer.width = image.width;
    buffer.height = image.height;
    buffer.order = image.order;
    buffer.data.clear();
    buffer.data.extend_from_slice(&image.data);
}

/// The thread's work: everything that waits, until the recorder closes.
fn write_all<W: Write>(
    mut log: Log<W>,
    shared: &Shared,
    mut clips: Option<Clips>,
) -> RecorderStats {
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
            let written = write(&mut log, clips.as_mut(), &item, &mut picture);
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
            failure = log.flush().err();
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
    if let Some(clips) = &mut clips {
        clips.finish(&mut log);
    }
    let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (dropped_steps, dropped_images) =
        (read(&shared.dropped_steps), read(&shared.dropped_images));
    if failure.is_none() {
        let end: BTreeMap<String, String> = [
            ("steps", log.written.steps),
            ("images", log.written.images),
            ("dropped_steps", dropped_steps),
            ("dropped_images", dropped_images),
            ("left_out_steps", log.written.left_out),
        ]
        .map(|(key, n)| (key.to_owned(), n.to_string()))
        .into();
        failure = log.finish(end).err();
    }
    // Steps of a chunk that never reached the file are lost as well.
    let written = if failure.is_none() { log.written } else { log.safe };
    let dropped_steps = dropped_steps + (log.written.steps - written.steps);
    let dropped_images = dropped_images + (log.written.images - written.images);
    let left_out_steps = log.written.left_out;
    let (bytes, closed) = log.close();
    let write_error = failure.map(|e| e.to_string()).or(closed.err().map(|e| e.to_string()));
    RecorderStats {
        steps: written.steps,
        images: written.images,
        dropped_steps,
        dropped_images,
        left_out_steps,
        clips: clips.map_or(0, |clips| clips.clips),
        bytes,
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
    /// Creates the file, with missing folders.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            std::fs::create_dir_all(folder)
                .map_err(RecordError::io("creating the folder", folder))?;
        }
        let file = File::create(path).map_err(RecordError::io("creating the recording", path))?;
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
