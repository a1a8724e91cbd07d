//! The recorder: bounded queues between the drive loop and one thread that writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use caril_core::{Image, RecordConfig, StepRecord};
use crossbeam::queue::ArrayQueue;

use crate::log::Log;
use crate::{RecordError, RecordingHeader};

/// Steps that wait at most.
const STEP_QUEUE: usize = 1024;
/// How often the thread looks for work. The drive loop never wakes it: that is a system call.
const POLL: Duration = Duration::from_millis(3);
/// How often a chunk is ended and the file flushed to the disk, below one second.
const FLUSH: Duration = Duration::from_millis(800);

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
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            std::fs::create_dir_all(folder)
                .map_err(RecordError::io("creating the folder", folder))?;
        }
        let file = File::create(path).map_err(RecordError::io("creating the recording", path))?;
        Self::start_with(Disk(file), header, config).map_err(|e| match e {
            RecordError::Mcap(mcap::McapError::Io(source)) => {
                RecordError::io("writing the recording", path)(source)
            }
            other => other,
        })
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
            .spawn(move || write_all(log, &its))
            .map_err(RecordError::io("starting the recorder's thread", Path::new("")))?;
        let image_every = u64::from(config.image_every);
        Ok(Self { shared, thread: Some(thread), image_every, images_seen: 0 })
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
        if let Err(item) = self.shared.waiting.push(Item { step: *step, image: copy, frame: true })
        {
            self.shared.drop_item(item);
        }
    }

    /// Hands a step without a frame over, as [`Recorder::push`] does.
    pub fn push_no_frame(&mut self, step: &StepRecord) {
        if let Err(item) = self.shared.waiting.push(Item { step: *step, image: None, frame: false })
        {
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
        let mut item = Item { step: *step, image: copy, frame: true };
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
fn write_all<W: Write>(mut log: Log<W>, shared: &Shared) -> RecorderStats {
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
            let written = if item.frame {
                log.write(&item.step, item.image.as_ref())
            } else {
                log.write_no_frame(&item.step)
            };
            match written {
                Ok(()) => {
                    unflushed = true;
                    if let Some(image) = item.image {
                        shared.give_back(image);
                    }
                }
                // One bad picture is no reason to lose the drive.
                Err(RecordError::Picture { .. }) if item.image.is_some() => {
                    shared.dropped_images.fetch_add(1, Ordering::Relaxed);
                    failure = log.write(&item.step, None).err();
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
    let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let (dropped_steps, dropped_images) =
        (read(&shared.dropped_steps), read(&shared.dropped_images));
    if failure.is_none() {
        let end: BTreeMap<String, String> = [
            ("steps", log.written.steps),
            ("images", log.written.images),
            ("dropped_steps", dropped_steps),
            ("dropped_images", dropped_images),
        ]
        .map(|(key, n)| (key.to_owned(), n.to_string()))
        .into();
        failure = log.finish(end).err();
    }
    // Steps of a chunk that never reached the file are lost as well.
    let written = if failure.is_none() { log.written } else { log.safe };
    let dropped_steps = dropped_steps + (log.written.steps - written.steps);
    let dropped_images = dropped_images + (log.written.images - written.images);
    let (bytes, closed) = log.close();
    let write_error = failure.map(|e| e.to_string()).or(closed.err().map(|e| e.to_string()));
    RecorderStats {
        steps: written.steps,
        images: written.images,
        dropped_steps,
        dropped_images,
        bytes,
        write_error,
    }
}

/// A file whose `flush` reaches the disk.
struct Disk(File);

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
