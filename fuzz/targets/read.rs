//! Everything that reads a recording.

use std::path::PathBuf;

use caril_core::FrameId;
use caril_record::{Recording, repair};

pub fn read(bytes: &[u8]) {
    let path = |name| PathBuf::from(format!("/dev/shm/caril-fuzz-{name}-{}", std::process::id()));
    let (from, to) = (path("from"), path("to"));
    std::fs::write(&from, bytes).unwrap();
    let Ok(recording) = Recording::open(&from) else { return };
    let steps = recording.steps().filter(Result::is_ok).count();
    for frame in recording.frames().filter_map(Result::ok) {
        if let Some(picture) = frame.1 {
            let _ = picture.decode();
        }
    }
    let _ = recording.summary();
    for from in [0, 40] {
        if let Ok(events) = recording.events_from(true, FrameId(from), &|_| true) {
            events.for_each(drop);
        }
    }
    if repair(&from, &to).is_ok() {
        let mended = Recording::open(&to).unwrap();
        assert!(mended.complete());
        assert_eq!(mended.steps().filter(Result::is_ok).count(), steps);
    }
}
