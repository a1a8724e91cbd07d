//! A recording of several drives: what each was driven under lies before its first step, and a
//! repair keeps it.

use caril_core::{CameraSpec, FrameId, Pacing, PlantInfo, RecordConfig, StepRecord};
use caril_record::{Episode, Event, Recorder, Recording, RecordingHeader, repair};

fn episodes() -> [Episode; 2] {
    let first = Episode {
        number: 4,
        map: "town_blocks".into(),
        weather: "ClearNoon".into(),
        faults: vec!["blur:0.3".into(), "noise:0.2".into()],
        appearance: Some(u64::MAX),
        seed: 17,
    };
    let second = Episode { number: 5, weather: "FoggyNoon".into(), ..Episode::default() };
    [first, second]
}

/// The episodes and the ids of the steps, in the file's order.
fn walk(recording: &Recording) -> (Vec<Episode>, Vec<String>) {
    let (mut found, mut order) = (Vec::new(), Vec::new());
    for event in recording.events(true).expect("events") {
        match event.expect("whole") {
            Event::Episode(episode) => {
                order.push(episode.weather.clone());
                found.push(episode);
            }
            Event::Step(step, _) => order.push(step.frame_id.0.to_string()),
            Event::Dropped(0) => {}
            other => panic!("{other:?}"),
        }
    }
    (found, order)
}

#[test]
fn each_episode_is_told_before_its_first_step() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.mcap");
    let header = RecordingHeader::new(PlantInfo {
        name: "test".into(),
        map: "town_blocks".into(),
        weather: "ClearNoon".into(),
        camera: CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER },
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    });
    let mut recorder = Recorder::start(&path, &header, &RecordConfig::default()).expect("begun");
    for (episode, ids) in episodes().into_iter().zip([1..4, 11..13]) {
        recorder.push_episode(episode);
        for id in ids {
            let step = StepRecord {
                frame_id: FrameId(id),
                sim_time_ns: id * 50_000_000,
                ..StepRecord::default()
            };
            recorder.push_blocking(&step, None);
        }
    }
    assert_eq!(recorder.finish().write_error, None);
    let recording = Recording::open(&path).expect("readable");
    let expected = ["ClearNoon", "1", "2", "3", "FoggyNoon", "11", "12"].map(str::to_owned);
    assert_eq!(walk(&recording), (episodes().to_vec(), expected.to_vec()));
    assert_eq!(recording.steps().count(), 5);
    let counted = recording.summary().expect("summary").episodes;
    assert_eq!(counted, [("ClearNoon".to_owned(), 1), ("FoggyNoon".to_owned(), 1)].into());

    // A cut costs the chunk that was cut, and no more: every episode ends one.
    let (cut, whole) = (folder.path().join("cut.mcap"), folder.path().join("whole.mcap"));
    let bytes = std::fs::read(&path).expect("file");
    for end in (0..bytes.len()).rev().step_by(bytes.len() / 40) {
        std::fs::write(&cut, &bytes[..end]).expect("written");
        let Ok(recording) = Recording::open(&cut) else { continue };
        let there = walk(&recording);
        repair(&cut, &whole).expect("repaired");
        assert_eq!(walk(&Recording::open(&whole).expect("whole")), there, "cut at {end}");
    }
}
