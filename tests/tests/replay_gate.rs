//! The regression gate: five short recordings with reference records (tests/replay/), replayed. What
//! a change of code, threshold or pack does to them is seen before it is believed.
//!
//! `UPDATE_GOLDEN=1 cargo test --release --workspace --test replay_gate` makes the reference records
//! anew over the same pictures, and says what changed; a recording that is not there is driven.
//! `caril replay tests/replay/*.mcap` says the same.
//!
//! * Exact, to the bit: the controller on the recorded predictions, on every machine; the network
//!   too, on a machine of the kind that made the records.
//! * Elsewhere the network's last digits are its machine's: steers within [`STEER_TOLERANCE`] and
//!   the same regimes, modes and faults but on [`FLIPS`] of the steps.
//! * Ignored: [`Part::Clock`], the times of the clock and of the stages. Nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use caril_core::{CameraSpec, Config, CorrectionMode, Policy, StepRecord, World};
use caril_policy::{Backend, BurnPolicy, Pack};
use caril_record::{
    EncodedImage, Part, Recorder, Recording, RecordingHeader, RecordingWriter, differences,
};
use caril_road::RoadMap;
use caril_runtime::{
    Comparison, DriveOptions, ReplayCounts, ReplayOptions, StopFlag, drive, replay,
};
use caril_sim::{SimConfig, SimWorld, Weather, parse_fault};

/// On another kind of machine, CARLA scale.
const STEER_TOLERANCE: f64 = 0.005;
/// On another kind of machine: share of steps whose regime or mode may change.
const FLIPS: f64 = 0.02;
const FRAMES: u64 = 80;

/// Name, map, weather, fault, correction.
const DRIVES: [(&str, &str, &str, Option<&str>, CorrectionMode); 5] = [
    ("clear", "valley_road", "ClearNoon", None, CorrectionMode::Calibrated),
    ("dust", "valley_road", "DustStorm", Some("drop:0.3"), CorrectionMode::Calibrated),
    ("rain", "harbour_town", "HardRainSunset", None, CorrectionMode::Paper),
    ("dark", "harbour_town", "ClearNight", Some("black:0.4"), CorrectionMode::Calibrated),
    ("night", "valley_road", "HardRainNight", None, CorrectionMode::Calibrated),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn path_of(name: &str) -> PathBuf {
    root().join("tests/replay").join(format!("{name}.mcap"))
}

/// What the bits of a network depend on: the instructions that its kernels choose among.
fn machine() -> String {
    let mut kind = std::env::consts::ARCH.to_owned();
    #[cfg(target_arch = "x86_64")]
    for (name, has) in [
        (" avx2", std::is_x86_feature_detected!("avx2")),
        (" fma", std::is_x86_feature_detected!("fma")),
        (" avx512f", std::is_x86_feature_detected!("avx512f")),
    ] {
        kind += if has { name } else { "" };
    }
    kind
}

/// The shipped pack for the small camera of these recordings.
fn shipped() -> BurnPolicy {
    let device = Backend::Flex.device().expect("flex");
    let mut pack = Pack::load(&root().join("weights/default"), &device).expect("pack");
    let CameraSpec { width, height, order, .. } = small();
    let camera = &mut pack.card.camera;
    (camera.width, camera.height, camera.order) = (width, height, order);
    BurnPolicy::new(pack, device)
}

fn small() -> CameraSpec {
    CameraSpec { width: 112, height: 112, ..CameraSpec::PAPER }
}

/// Drives a recording that is not there.
fn record(path: &Path, k: usize) {
    let (_, map, weather, fault, mode) = DRIVES[k];
    let map = Arc::new(RoadMap::load(&root().join(format!("maps/{map}.xodr"))).expect("map"));
    let world = SimConfig {
        camera: shipped().card().camera,
        weather: Weather::preset(weather).expect("weather"),
        faults: fault.map(|f| parse_fault(f).expect("fault")).into_iter().collect(),
        ..SimConfig::new(map)
    };
    let mut world = SimWorld::new(world).expect("world");
    let mut config = Config::default();
    config.correction.mode = mode;
    config.record.image_queue = FRAMES as u32;
    let policy = shipped();
    let header = RecordingHeader {
        card: Some(policy.card().clone()),
        config: serde_json::to_value(config).expect("config"),
        extra: [("backend".to_owned(), "flex".to_owned())].into(),
        ..RecordingHeader::new(world.info().clone())
    };
    let mut recorder = Recorder::start(path, &header, &config.record).expect("recorder");
    let options = DriveOptions { frame_limit: Some(FRAMES) };
    let recorder_of = Some(&mut recorder);
    drive(&mut world, policy, &config, recorder_of, &StopFlag::new(), options, &mut |_, _| {})
        .expect("drive");
    let stats = recorder.finish();
    assert_eq!((stats.steps, stats.images), (FRAMES, FRAMES));
}

fn again(
    recording: &Recording,
    policy: Option<&mut BurnPolicy>,
) -> (ReplayCounts, Comparison, Vec<StepRecord>) {
    let header = recording.header();
    let config: Config = serde_json::from_value(header.config.clone()).expect("configuration");
    let card = match &policy {
        Some(policy) => policy.card().clone(),
        None => header.card.clone().expect("card"),
    };
    let mut comparison = Comparison::default();
    let mut steps = Vec::new();
    let counts = replay(
        recording,
        &card,
        policy.map(|p| p as &mut dyn Policy),
        &[config],
        ReplayOptions::default(),
        &StopFlag::new(),
        &mut |tick| {
            comparison.add(tick.then, &tick.now[0]);
            steps.push(tick.now[0]);
        },
    );
    (counts.expect("replay"), comparison, steps)
}

/// The same pictures with the records that come out now.
fn update(path: &Path, k: usize) {
    if !path.exists() {
        record(path, k);
    }
    let recording = Recording::open(path).expect("recording");
    let pictures: Vec<Option<EncodedImage>> =
        recording.frames().map(|frame| frame.expect("frame").1).collect();
    let mut policy = shipped();
    let (_, comparison, steps) = again(&recording, Some(&mut policy));
    eprintln!("{}:\n{}", path.display(), serde_json::to_string_pretty(&comparison).expect("json"));
    assert_eq!(pictures.len(), steps.len(), "a step without a frame has no place here");
    let old = recording.header();
    let header = RecordingHeader {
        card: Some(policy.card().clone()),
        created_unix_s: 0,
        command_line: Vec::new(),
        extra: [("backend".to_owned(), "flex".to_owned()), ("machine".to_owned(), machine())]
            .into(),
        ..old.clone()
    };
    let new = path.with_extension("mcap.part");
    let mut writer = RecordingWriter::create(&new, &header).expect("file");
    for (step, picture) in steps.iter().zip(&pictures) {
        // Times are no part of the record: without them the file is the same every time.
        let times = caril_core::StageTimes {
            received_ns: step.times.received_ns,
            judged_ns: step.times.judged_ns,
            ..caril_core::StageTimes::default()
        };
        writer.write(&StepRecord { times, ..*step }, picture.as_ref()).expect("step");
    }
    writer.finish().expect("whole");
    std::fs::rename(&new, path).expect("renamed");
}

#[test]
fn the_recordings_replay_as_their_records_say() {
    let mut policy = shipped();
    for (k, (name, ..)) in DRIVES.iter().enumerate() {
        let path = path_of(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            update(&path, k);
        }
        let recording = Recording::open(&path).expect("recording");
        let all = ReplayCounts {
            frames: FRAMES,
            replayed: FRAMES,
            complete: true,
            ..ReplayCounts::default()
        };

        let (counts, comparison, _) = again(&recording, None);
        assert_eq!(comparison.first, None, "{name}: the controller decides otherwise");
        assert_eq!(counts, all);

        let header = recording.header();
        let then = header.card.as_ref().map(|card| card.weights_sha256.as_str());
        assert_eq!(
            then,
            Some(policy.card().weights_sha256.as_str()),
            "{name}: the shipped pack is another than that of the records; see what it changes with \
             `caril replay tests/replay/*.mcap --policy default --diff`, then UPDATE_GOLDEN=1"
        );
        let (counts, comparison, _) = again(&recording, Some(&mut policy));
        assert_eq!(counts, ReplayCounts { lossy: FRAMES, ..all });
        if header.extra.get("machine") == Some(&machine()) {
            assert_eq!(comparison.first, None, "{name}: the network or what feeds it");
            continue;
        }
        assert!(comparison.steer.max <= STEER_TOLERANCE, "{name}: {:?}", comparison.steer);
        let flips = |changes: &caril_runtime::Changes| changes.values().sum::<u64>() as f64;
        for changes in [&comparison.regimes, &comparison.modes, &comparison.faults] {
            assert!(flips(changes) <= FLIPS * FRAMES as f64, "{name}: {changes:?}");
        }
    }
}

/// A gate that lets everything through is none.
#[test]
fn the_gate_is_not_blind() {
    let recording = Recording::open(&path_of("clear")).expect("recording");
    let mut steps = recording.steps().map(|s| s.expect("step"));
    let step = steps.nth(40).expect("forty steps");
    let mut other = step;
    other.times.ns = [1; 6];
    other.times.judged_ns += 1;
    assert_eq!(differences(&step, &other), [], "the clock is what is ignored");
    other.command.steer = f32::from_bits(step.command.steer.to_bits() ^ 1);
    let found = differences(&step, &other);
    assert_eq!(found.iter().map(|d| d.part).collect::<Vec<_>>(), [Part::Command]);

    // The recordings are small, and between them have what is to be watched.
    let mut bytes = 0;
    let (mut regimes, mut faults) = (std::collections::BTreeSet::new(), 0);
    for (name, ..) in DRIVES {
        bytes += std::fs::metadata(path_of(name)).expect("file").len();
        for step in Recording::open(&path_of(name)).expect("recording").steps() {
            let step = step.expect("step");
            regimes.insert(step.correction.regime.name());
            faults += u64::from(!step.faults.is_empty());
        }
    }
    assert!(bytes < 3 << 20, "{bytes} bytes");
    for regime in ["slowed", "second_look"] {
        assert!(regimes.contains(regime), "{regimes:?}");
    }
    assert!(regimes.len() >= 5 && faults > 10, "{regimes:?}, {faults} steps with a fault");
}
