//! What is recorded reads back the same, whole or cut off.

mod common;

use caril_core::{PixelOrder, RecordConfig};
use caril_record::{Recorder, Recording, step_from_json, step_to_json};
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
        // Debug text says the same of all NaN; their bits are compared below.
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

/// All floats of a step as bytes, for NaN's sake.
fn bits(step: &caril_core::StepRecord) -> Vec<u8> {
    let s = step;
    let c = &s.correction;
    let floats = [
        s.advisory_speed_mps,
        s.regression,
        s.second_regression,
        s.confidence,
        s.entropy_nats,
        s.neighbour_mass,
        s.steer_raw,
        s.steer_corrected,
        s.target_speed_mps,
        c.steer,
        c.speed_cap_mps,
        c.confidence,
        c.sigma,
        s.command.steer,
        s.command.throttle,
        s.command.brake,
    ];
    let mut bytes: Vec<u8> = floats
        .iter()
        .chain(&s.probs)
        .chain(&s.second_probs)
        .flat_map(|f| f.to_bits().to_le_bytes())
        .collect();
    let (mut ego, mut truth) = (s.ego, s.truth.unwrap_or_default());
    let fields = ego.pose.fields().into_iter().chain(truth.fields());
    fields.for_each(|f| f.value.put_le(|b| bytes.extend_from_slice(b)));
    ego.fields().iter().for_each(|f| f.value.put_le(|b| bytes.extend_from_slice(b)));
    bytes
}

#[test]
fn json_of_a_step_keeps_every_bit() {
    let mut json = String::new();
    for seed in 0..5000 {
        let step = random_step(seed);
        step_to_json(&step, &mut json);
        let again = step_from_json(&json).unwrap();
        assert_eq!(bits(&again), bits(&step), "{json}");
        assert_eq!(format!("{again:?}"), format!("{step:?}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["sim_time_ns"], step.sim_time_ns);
    }
}

/// Recordings of before there were second looks have none.
#[test]
fn a_step_without_second_look_reads_as_one_that_looked_once() {
    let once = caril_core::StepRecord {
        second_look: false,
        second_regression: 0.0,
        second_probs: [0.0; caril_core::BIN_COUNT],
        ..random_step(3)
    };
    let mut json = String::new();
    step_to_json(&once, &mut json);
    let from = json.find("\"second_look\"").unwrap();
    let probs = json.find("\"second_probs\"").unwrap();
    let to = probs + json[probs..].find(']').unwrap() + 2;
    let older = json[..from].to_owned() + &json[to..];
    assert!(!older.contains("second"));
    assert_eq!(bits(&step_from_json(&older).unwrap()), bits(&once));
    assert_eq!(format!("{:?}", step_from_json(&older).unwrap()), format!("{once:?}"));
    let half = json[..probs].to_owned() + &json[to..];
    assert!(step_from_json(&half).is_err(), "a look without its classes");
}

#[test]
fn json_that_is_not_a_step_is_an_error() {
    let mut json = String::new();
    step_to_json(&random_step(1), &mut json);
    for cut in (0..json.len()).filter(|i| json.is_char_boundary(*i)) {
        assert!(step_from_json(&json[..cut]).is_err());
    }
    for wrong in [json.replace("regime", "regine"), json.replace("\"faults\":", "\"faults\":-")] {
        assert!(step_from_json(&wrong).is_err(), "{wrong}");
    }
}
