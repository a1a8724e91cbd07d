//! A replay tells of every step which episode it is of.

use caril_core::{
    Architecture, CameraSpec, Config, FrameId, Pacing, PlantInfo, PolicyCard, StepRecord,
};
use caril_record::{Episode, Recorder, Recording, RecordingHeader};
use caril_runtime::{ReplayOptions, StopFlag, replay};

#[test]
fn every_step_is_of_its_own_episode_and_the_headers_weather_is_the_first_ones() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.mcap");
    let camera = CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER };
    let header = RecordingHeader::new(PlantInfo {
        name: "test".into(),
        map: "none".into(),
        weather: "A".into(),
        camera,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    });
    let config = Config::default();
    let mut recorder = Recorder::start(&path, &header, &config.record).expect("begun");
    for id in 1..=6 {
        if let Some(weather) = match id {
            1 => Some("A"),
            3 => Some("B"),
            _ => None,
        } {
            recorder.push_episode(Episode { weather: weather.into(), ..Episode::default() });
        }
        let step = StepRecord {
            frame_id: FrameId(id),
            sim_time_ns: id * 50_000_000,
            ..StepRecord::default()
        };
        recorder.push_blocking(&step, None);
    }
    assert_eq!(recorder.finish().write_error, None);
    let recording = Recording::open(&path).expect("readable");
    let card = PolicyCard::new("p", Architecture::PilotNet, &camera);
    for (from, expected) in [(None, "AABBBB"), (Some(FrameId(5)), "BB")] {
        let mut weathers = String::new();
        let options = ReplayOptions { from, frames: None };
        replay(&recording, &card, None, &[config], options, &StopFlag::new(), &mut |tick| {
            weathers += tick.episode.map_or("?", |e| &e.weather);
        })
        .expect("replay");
        assert_eq!(weathers, expected);
    }
}
