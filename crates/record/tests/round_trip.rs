//! What is recorded reads back the same, whole or cut off.

mod common;

use caril_core::{PixelOrder, RecordConfig};
use caril_record::{Recorder, Recording};
use common::{header, image, random_step};

#[test]
fn steps_and_pictures_read_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/a.mcap");
    let header = header();
    let mut recorder = Recorder::start(&path, &header, &RecordConfig::default()).unwrap();
    let steps: Vec<_> = (0..300).map(random_step).collect();
    for (i, step) in steps.iter().enumerate() {
        let image = image(i as u64, PixelOrder::Bgra);
        recorder.push_blocking(step, (i % 3 == 0).then_some(&image));
    }
    let stats = recorder.finish();
    assert_eq!((stats.steps, stats.images, stats.dropped_steps), (300, 100, 0));
    assert_eq!(stats.write_error, None);
    assert_eq!(stats.bytes, std::fs::metadata(&path).unwrap().len());

    let recording = Recording::open(&path).unwrap();
    assert!(recording.complete());
    assert_eq!(*recording.header(), header);
    let again: Vec<_> = recording.steps().map(Result::unwrap).collect();
    assert_eq!(again.len(), steps.len());
    for (i, frame) in recording.frames().enumerate() {
        let (step, picture) = frame.unwrap();
        // Debug text tells NaN from NaN no more than it has to; bits are compared in step_json.
        assert_eq!(format!("{step:?}"), format!("{:?}", steps[i]));
        assert_eq!(format!("{step:?}"), format!("{:?}", again[i]));
        assert_eq!(picture.is_some(), i % 3 == 0);
        if let Some(picture) = picture {
            let decoded = picture.decode().unwrap();
            assert_eq!((decoded.width, decoded.height), (448, 448));
            let grey = (i % 256) as i32;
            assert!(
                (i32::from(decoded.data[1]) - grey).abs() < 4,
                "{} for {grey}",
                decoded.data[1]
            );
        }
    }
    let summary = recording.summary().unwrap();
    assert_eq!((summary.frames, summary.images, summary.complete), (300, 100, true));
    assert_eq!(summary.topics["/meta"], 1);
    assert_eq!(summary.dropped_steps, Some(0));
    assert_eq!(summary.modes.values().sum::<u64>(), 300);
}
