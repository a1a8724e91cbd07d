//! `push` never allocates, also when the queues are full. A binary of its own: the allocator
//! counts what the pushing thread does.

mod common;

use caril_core::{PixelOrder, RecordConfig};
use caril_record::Recorder;
use caril_tests::{Counting, allocator_calls};
use common::{header, image, random_step};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn push_neither_allocates_nor_frees() {
    let mut recorder =
        Recorder::start_with(std::io::sink(), &header(), &RecordConfig::default()).unwrap();
    let image = image(9, PixelOrder::Bgra);
    let steps: Vec<_> = (0..64).map(random_step).collect();
    let mut too_large = image.clone();
    too_large.width *= 2;
    too_large.data.extend(image.data.iter());

    let before = allocator_calls();
    for round in 0..100 {
        for step in &steps {
            recorder.push(step, Some(if round % 2 == 0 { &image } else { &too_large }));
        }
    }
    let calls = allocator_calls() - before;
    assert_eq!(calls, 0);

    let stats = recorder.finish();
    assert_eq!(stats.steps + stats.dropped_steps, 6400);
    assert_eq!(stats.images + stats.dropped_images, 6400);
    assert!(stats.dropped_images >= 3200, "the large ones do not fit");
    assert!(stats.images > 0);
}
