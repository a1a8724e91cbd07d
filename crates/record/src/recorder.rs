//! The recorder: bounded queues between the drive loop and one thread that writes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use caril_core::{ControllerMemory, Image, RecordConfig, StepRecord};
use crossbeam::queue::ArrayQueue;

use crate::log::Log;
use crate::parts::{Parts, Rotation};
use crate::thread::{Disk, Rest, write_all};
use crate::trigger::{Clips, Trigger};
use crate::{Episode, RecordError, RecordingHeader};

/// Steps that wait at most.
const STEP_QUEUE: usize = 1024;
/// Steps from one memory of the controller to the next: about a second. A replay begins at one.
const MEMORY_EVERY: u32 = 20;

/// A disk that takes nothing for so long stands still.
const STILL: Duration = Duration::from_secs(1);

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
    /// Bytes of the file, or of all its parts.
    pub bytes: u64,
    /// Files that were begun.
    pub parts: u64,
    /// The first error of writing; nothing was written after it.
    pub write_error: Option<String>,
}

pub(crate) struct Item {
    pub step: StepRecord,
    pub image: Option<Image>,
    /// Whether the step had a frame.
    pub frame: bool,
    /// What the controller remembered before it.
    pub memory: Option<ControllerMemory>,
    /// The episode that begins with it.
    pub episode: Option<Box<Episode>>,
}

pub(crate) struct Shared {
    pub waiting: ArrayQueue<Item>,
    free: ArrayQueue<Image>,
    pub closing: AtomicBool,
    pub dropped_steps: AtomicU64,
    pub dropped_images: AtomicU64,
}

impl Shared {
    pub fn drop_item(&self, item: Item) {
        self.dropped_steps.fetch_add(1, Ordering::Relaxed);
        if let Some(image) = item.image {
            self.dropped_images.fetch_add(1, Ordering::Relaxed);
            self.give_back(image);
        }
    }

    pub fn give_back(&self, image: Image) {
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
    episode: Option<Box<Episode>>,
}

impl Recorder {
    /// Creates the file, with missing folders, and the thread. An existing file is replaced.
    ///
    /// # Errors
    /// [`RecordError::Io`] or [`RecordError::Mcap`] if the file cannot be created or written,
    /// [`RecordError::Header`] if the header could not be read back (a number that is not finite, a camera that cannot be).
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

    /// Like the others, but writes parts that together stay below a limit: the oldest go first,
    /// those with an event last. A replay of a part goes on from what the controller remembered.
    ///
    /// # Errors
    /// As [`Recorder::start`].
    pub fn start_rotating(
        rotation: Rotation,
        header: &RecordingHeader,
        config: &RecordConfig,
        trigger: Option<Trigger>,
    ) -> Result<Self, RecordError> {
        let mut parts = Parts::new(rotation, header, config);
        let first = parts.next_path();
        let log = parts.begin().map_err(|e| e.at(&first))?;
        Self::start_log(log, header, config, trigger, Some(Box::new(parts)))
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
        Self::start_log(log, header, config, trigger, None)
    }

    fn start_log<W: Write + Send + 'static>(
        log: Log<W>,
        header: &RecordingHeader,
        config: &RecordConfig,
        trigger: Option<Trigger>,
        rest: Option<Box<dyn Rest<W>>>,
    ) -> Result<Self, RecordError> {
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
            .spawn(move || write_all(log, &its, trigger.map(Clips::new), rest))
            .map_err(RecordError::io("starting the recorder's thread", Path::new("")))?;
        let image_every = u64::from(config.image_every);
        let (thread, images_seen, since_memory) = (Some(thread), 0, 0);
        let (memory, episode) = (None, None);
        Ok(Self { shared, thread, image_every, images_seen, memory, since_memory, episode })
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

    /// A drive of its own begins with the step that is pushed next; for recordings of several.
    pub fn push_episode(&mut self, episode: Episode) {
        self.episode = Some(Box::new(episode));
    }

    fn item(&mut self, step: &StepRecord, image: Option<Image>, frame: bool) -> Item {
        self.since_memory = self.since_memory.saturating_add(1);
        let (memory, episode) = (self.memory.take(), self.episode.take());
        Item { step: *step, image, frame, memory, episode }
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
        self.push_waiting(step, image, &|_| false);
    }

    /// The same until `give_up` says so, which is asked with how long it has been waiting: a disk
    /// that stands still must not hold whoever drives for ever. Whether all was handed over.
    pub fn push_waiting(
        &mut self,
        step: &StepRecord,
        image: Option<&Image>,
        give_up: &dyn Fn(Duration) -> bool,
    ) -> bool {
        let start = Instant::now();
        let wait = |shared: &Self| shared.wait() && !give_up(start.elapsed());
        let copy = match image {
            None => None,
            Some(image) if self.image_every == 0 => Some(image.clone()),
            Some(image) => loop {
                if let Some(mut buffer) = self.shared.free.pop() {
                    fill(&mut buffer, image);
                    break Some(buffer);
                }
                if !wait(self) {
                    self.shared.dropped_images.fetch_add(1, Ordering::Relaxed);
                    break None;
                }
            },
        };
        let whole = copy.is_some() == image.is_some();
        let item = self.item(step, copy, true);
        self.push_item(item, &wait) && whole
    }

    /// Hands a step without a frame over, and waits for room.
    pub fn push_no_frame_blocking(&mut self, step: &StepRecord) {
        let item = self.item(step, None, false);
        self.push_item(item, &Self::wait);
    }

    /// Whether there was room before `wait` gave up.
    fn push_item(&self, mut item: Item, wait: &dyn Fn(&Self) -> bool) -> bool {
        while let Err(back) = self.shared.waiting.push(item) {
            item = back;
            if !wait(self) {
                self.shared.drop_item(item);
                return false;
            }
        }
        true
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

    /// The same until `give_up` says so and the disk then stands still for a second: the thread is
    /// left to the disk that holds it, and the file reads as one that was cut off.
    pub fn finish_unless(mut self, give_up: &dyn Fn() -> bool) -> RecorderStats {
        self.shared.closing.store(true, Ordering::Release);
        let mut still: Option<(usize, Instant)> = None;
        while self.wait() {
            if !give_up() {
                continue;
            }
            let waiting = self.shared.waiting.len();
            let since = match still {
                Some((before, since)) if before == waiting => since,
                _ => still.insert((waiting, Instant::now())).1,
            };
            if since.elapsed() > STILL {
                self.thread = None;
                let waiting = waiting as u64;
                let (steps, dropped_images) = self.dropped();
                let error = format!("the disk stands still, {waiting} steps were waiting for it");
                return RecorderStats {
                    dropped_steps: steps + waiting,
                    dropped_images,
                    write_error: Some(error),
                    ..RecorderStats::default()
                };
            }
        }
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
