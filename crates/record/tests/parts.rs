//! A recording in parts: together they stay below the limit, each can be read for itself, and
//! nothing is lost but what was deleted.

use caril_core::{
    CameraSpec, ControllerMemory, Fault, FaultSet, FrameId, Image, Pacing, PlantInfo, RecordConfig,
    StepRecord,
};
use caril_record::{Event, Recorder, Recording, RecordingHeader, Rotation};

const LIMIT: u64 = 16 << 20;
const STEPS: u64 = 1500;
/// The only step with a fault; its part must outlive younger ones.
const FAULTY: u64 = 10;

fn header(camera: CameraSpec) -> RecordingHeader {
    RecordingHeader::new(PlantInfo {
        name: "test".into(),
        map: "none".into(),
        weather: "none".into(),
        camera,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    })
}

#[test]
fn parts_stay_below_the_limit_and_each_goes_on_where_the_one_before_ended() {
    let folder = tempfile::tempdir().expect("folder");
    let camera = CameraSpec { width: 80, height: 80, ..CameraSpec::PAPER };
    let rotation = Rotation {
        path: folder.path().join("drive.mcap"),
        folder: folder.path().to_owned(),
        limit_bytes: LIMIT,
    };
    // PNG of noise: some 19 KB a frame.
    let config = RecordConfig { lossless: true, ..RecordConfig::default() };
    let mut recorder =
        Recorder::start_rotating(rotation.clone(), &header(camera), &config, None).expect("begun");
    let mut image = Image::for_camera(&camera);
    let mut seed = 1_u32;
    let mut steps = Vec::new();
    for id in 0..STEPS {
        for byte in &mut image.data {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (seed >> 24) as u8;
        }
        let mut step = StepRecord {
            frame_id: FrameId(id),
            sim_time_ns: id * 50_000_000,
            ..StepRecord::default()
        };
        if id == FAULTY {
            step.faults.insert(Fault::FrameGap);
        }
        if recorder.wants_memory() {
            recorder.push_memory(&ControllerMemory::default());
        }
        recorder.push_blocking(&step, Some(&image));
        steps.push(step);
    }
    let stats = recorder.finish();
    assert_eq!((stats.steps, stats.images, stats.write_error), (STEPS, STEPS, None));
    assert!(stats.bytes > LIMIT, "there must be something to delete: {} bytes", stats.bytes);
    assert!(stats.parts > 8, "{} parts", stats.parts);

    let parts: Vec<_> = (1..=stats.parts as u32)
        .map(|number| rotation.part(number))
        .filter(|path| path.exists())
        .collect();
    assert!((parts.len() as u64) < stats.parts, "nothing was deleted");
    let bytes: u64 = parts.iter().map(|p| p.metadata().expect("there").len()).sum();
    assert!(bytes <= LIMIT + (3 << 20), "{bytes} bytes");
    assert_eq!(parts[0], rotation.part(1), "the part with a fault is the oldest and stays");
    assert!(!rotation.part(2).exists());

    let mut next = None;
    for path in &parts {
        let recording = Recording::open(path).expect("readable");
        assert!(recording.complete());
        let events: Vec<Event> =
            recording.events(true).expect("events").map(|e| e.expect("whole")).collect();
        if *path != parts[0] {
            let Some(Event::Memory(memory, before)) = events.first() else {
                panic!("a part begins with what the controller remembered")
            };
            assert!(memory.resumes && *before > 0);
            let step = steps[*before as usize];
            assert!(matches!(&events[1], Event::Step(first, Some(_)) if *first == step));
        }
        for (step, image) in recording.frames().map(|f| f.expect("whole")) {
            assert_eq!(step, steps[step.frame_id.0 as usize]);
            assert!(image.is_some());
            if let Some(next) = next {
                assert!(step.frame_id.0 == next || next < 200, "a gap before {next}");
            }
            next = Some(step.frame_id.0 + 1);
        }
    }
    assert_eq!(next, Some(STEPS), "the newest are there");
}

#[test]
fn a_second_drive_goes_on_after_the_parts_of_the_first_and_overwrites_none() {
    let folder = tempfile::tempdir().expect("folder");
    let camera = CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER };
    let rotation = Rotation {
        path: folder.path().join("drive.mcap"),
        folder: folder.path().to_owned(),
        limit_bytes: LIMIT,
    };
    // Number 7 is gone, its mark is not: it must not come to mark another part.
    std::fs::write(folder.path().join("drive-0007.mcap.keep"), "").expect("mark");
    std::fs::write(folder.path().join("other-0099.mcap"), "").expect("file");
    let drive = |seed: u64, faults: FaultSet| {
        let first = rotation.next_part();
        let header = RecordingHeader { seed, ..header(camera) };
        let config = RecordConfig::default();
        let mut recorder =
            Recorder::start_rotating(rotation.clone(), &header, &config, None).expect("begun");
        recorder.push_blocking(&StepRecord { faults, ..StepRecord::default() }, None);
        assert_eq!(recorder.finish().write_error, None);
        first
    };
    let first = drive(1, FaultSet::of(Fault::FrameGap));
    assert_eq!(first, rotation.part(8));
    let before = std::fs::read(&first).expect("there");
    let second = drive(2, FaultSet::EMPTY);
    assert_eq!(second, rotation.part(9));
    assert!(std::fs::read(&first).expect("still there") == before, "not a byte has changed");
    let kept = |path: &std::path::Path| path.with_extension("mcap.keep").exists();
    assert!(kept(&first) && !kept(&second), "each has its own mark");
    let header = Recording::open(&second).expect("readable").header().clone();
    assert_eq!((header.seed, header.extra["part"].as_str()), (2, "9"));
}
