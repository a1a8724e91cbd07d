//! The hand-off from the loop to the view's thread: bounded, lossy, newest wins.

use std::sync::atomic::{AtomicBool, Ordering};

use caril_core::{CameraSpec, Image, StepRecord};
use crossbeam::queue::ArrayQueue;

/// Steps that wait at most.
const STEPS: usize = 256;
/// Buffers for pictures: one is filled while one is encoded, one is spare.
const PICTURES: usize = 3;

/// One step on its way.
pub(crate) struct Item {
    pub step: StepRecord,
    pub image: Option<Image>,
    /// Whether the step had a frame.
    pub frame: bool,
}

/// What both ends hold.
pub(crate) struct Shared {
    waiting: ArrayQueue<Item>,
    free: ArrayQueue<Image>,
    /// Somebody looks and the thread is ready for one more picture.
    wanted: AtomicBool,
    pub closing: AtomicBool,
}

impl Shared {
    pub fn new(camera: &CameraSpec) -> Self {
        let free = ArrayQueue::new(PICTURES);
        for _ in 0..PICTURES {
            // Written once, so that the pages are there when the loop needs them.
            let mut image = Image::for_camera(camera);
            image.data.fill(1);
            let _ = free.push(image);
        }
        let (wanted, closing) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { waiting: ArrayQueue::new(STEPS), free, wanted, closing }
    }

    /// The loop's side.
    pub fn push(&self, step: &StepRecord, image: Option<&Image>, frame: bool) {
        let image = image.and_then(|image| self.copy(image));
        if let Some(oldest) = self.waiting.force_push(Item { step: *step, image, frame }) {
            self.give_back(oldest.image);
        }
    }

    fn copy(&self, image: &Image) -> Option<Image> {
        if !self.wanted.load(Ordering::Relaxed) {
            return None;
        }
        let mut buffer = self.free.pop()?;
        if image.data.len() > buffer.data.capacity() {
            self.give_back(Some(buffer));
            return None;
        }
        self.wanted.store(false, Ordering::Relaxed);
        buffer.width = image.width;
        buffer.height = image.height;
        buffer.order = image.order;
        buffer.data.clear();
        buffer.data.extend_from_slice(&image.data);
        Some(buffer)
    }

    /// The thread's side: the oldest that waits.
    pub fn pop(&self) -> Option<Item> {
        self.waiting.pop()
    }

    /// Asks for one picture, or for none.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// There is room for all buffers that exist.
    pub fn give_back(&self, image: Option<Image>) {
        if let Some(image) = image {
            let _ = self.free.push(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caril_core::FrameId;

    fn step(id: u64) -> StepRecord {
        StepRecord { frame_id: FrameId(id), ..StepRecord::default() }
    }

    #[test]
    fn newest_win_and_no_buffer_is_lost() {
        let camera = CameraSpec { width: 8, height: 4, ..CameraSpec::PAPER };
        let shared = Shared::new(&camera);
        let mut image = Image::for_camera(&camera);
        let pushes = 3 * STEPS as u64;
        for id in 0..pushes {
            image.data.fill(id as u8);
            shared.want(true);
            shared.push(&step(id), Some(&image), true);
        }
        let mut pictures = 0;
        for id in pushes - STEPS as u64..pushes {
            let item = shared.pop().expect("the newest are there");
            assert_eq!(item.step.frame_id.0, id);
            if let Some(picture) = &item.image {
                assert!(picture.data.iter().all(|b| *b == id as u8));
                pictures += 1;
            }
            shared.give_back(item.image);
        }
        assert!(shared.pop().is_none());
        assert!(pictures > 0, "pictures of dropped steps must come back for newer ones");
        assert_eq!(shared.free.len(), PICTURES);
    }

    #[test]
    fn a_picture_is_copied_only_if_one_is_wanted_and_it_fits() {
        let camera = CameraSpec { width: 8, height: 4, ..CameraSpec::PAPER };
        let shared = Shared::new(&camera);
        let image = Image::for_camera(&camera);
        let copied = |image: &Image| {
            shared.push(&step(1), Some(image), true);
            let item = shared.pop().expect("step");
            let some = item.image.is_some();
            shared.give_back(item.image);
            some
        };
        assert!(!copied(&image), "nobody looks");
        shared.want(true);
        assert!(!copied(&Image::for_camera(&CameraSpec::PAPER)), "too large");
        assert!(copied(&image));
        assert!(!copied(&image), "one was asked for");
    }
}
