//! Recorded drives, run again to the bit: with every fault of the camera, from any frame, with gaps
//! in the pictures, in free pacing; and a change of anything is named with its tick and its stage.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use caril_core::{
    CameraSpec, Command, Config, Fault, FaultSet, Frame, FrameId, Lift, Observation, Observed,
    Pacing, PlantInfo, Policy, PolicyCard, Prediction, Stage, StepRecord, World,
};
use caril_policy::{Backend, BurnPolicy, Pack};
use caril_record::{Part, Recorder, Recording, RecordingHeader};
use caril_road::RoadMap;
use caril_runtime::{
    Comparison, DriveOptions, ReplayCounts, ReplayOptions, StopFlag, drive, replay,
};
use caril_sim::{CameraFault, FaultSpec, Scene, SimConfig, SimWorld};
use sha2::{Digest as _, Sha256};

const FRAMES: u64 = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn world(faults: &[FaultSpec]) -> SimWorld {
    static MAP: OnceLock<(Arc<RoadMap>, Arc<Scene>)> = OnceLock::new();
    let (map, scene) = MAP.get_or_init(|| {
        let map = Arc::new(RoadMap::load(&root().join("maps/valley_road.xodr")).expect("map"));
        let scene = Arc::new(Scene::build(&map, 0));
        (map, scene)
    });
    let config = SimConfig {
        scene: Some(Arc::clone(scene)),
        camera: CameraSpec { width: 96, height: 96, ..CameraSpec::PAPER },
        faults: faults.to_vec(),
        ..SimConfig::new(Arc::clone(map))
    };
    SimWorld::new(config).expect("world")
}

/// The shipped pack for the small camera of these tests.
fn pack(dir: &Path, change: impl FnOnce(&mut PolicyCard)) -> BurnPolicy {
    let device = Backend::Flex.device().expect("flex");
    let mut pack = Pack::load(dir, &device).expect("pack");
    pack.card.camera = world(&[]).info().camera;
    change(&mut pack.card);
    BurnPolicy::new(pack, device)
}

fn shipped() -> BurnPolicy {
    pack(&root().join("weights/default"), |_| {})
}

fn lossless() -> Config {
    let mut config = Config::default();
    config.record.lossless = true;
    config
}

/// Drives and records.
fn record<W: World, P: Policy>(
    path: &Path,
    world: &mut W,
    policy: P,
    config: &Config,
) -> Recording {
    let card = policy.card().clone();
    let header = RecordingHeader {
        card: Some(card),
        config: serde_json::to_value(config).expect("config"),
        ..RecordingHeader::new(world.info().clone())
    };
    let mut recorder = Recorder::start(path, &header, &config.record).expect("recorder");
    let options = DriveOptions { frame_limit: Some(FRAMES) };
    let stop = StopFlag::new();
    drive(world, policy, config, Some(&mut recorder), &stop, options, &mut |_, _| {})
        .expect("drive");
    let stats = recorder.finish();
    assert_eq!((stats.dropped_steps, stats.write_error), (0, None));
    Recording::open(path).expect("recording")
}

fn driven(faults: &[FaultSpec]) -> (tempfile::TempDir, Recording) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("drive.mcap");
    let recording = record(&path, &mut world(faults), shipped(), &lossless());
    (folder, recording)
}

/// Replays with one configuration; the new steps with a frame, those before `from` left out.
fn again(
    recording: &Recording,
    mut policy: BurnPolicy,
    config: &Config,
    from: Option<u64>,
) -> (ReplayCounts, Comparison, Vec<StepRecord>) {
    let mut comparison = Comparison::default();
    let mut steps = Vec::new();
    let card = policy.card().clone();
    let counts = replay(
        recording,
        &card,
        Some(&mut policy),
        &[*config],
        ReplayOptions { from: from.map(FrameId), frames: None },
        &StopFlag::new(),
        &mut |tick| {
            if !tick.before {
                comparison.add(tick.then, &tick.now[0]);
                if tick.frame {
                    steps.push(tick.now[0]);
                }
            }
        },
    );
    (counts.expect("replay"), comparison, steps)
}

fn spec(fault: CameraFault, severity: f32) -> FaultSpec {
    FaultSpec { fault, severity }
}

#[test]
fn every_fault_of_the_camera_replays_to_the_bit() {
    let mut kinds: Vec<Vec<FaultSpec>> =
        CameraFault::ALL.into_iter().map(|fault| vec![spec(fault, 0.6)]).collect();
    kinds.push(Vec::new());
    kinds.push(vec![spec(CameraFault::Drop, 0.3), spec(CameraFault::Freeze, 0.5)]);
    kinds.push(vec![spec(CameraFault::Duplicate, 0.3), spec(CameraFault::Black, 0.4)]);
    let mut seen = FaultSet::EMPTY;
    for faults in kinds {
        let (_folder, recording) = driven(&faults);
        recording.steps().for_each(|s| seen = seen.union(s.expect("step").faults));
        let (counts, comparison, steps) = again(&recording, shipped(), &lossless(), None);
        assert_eq!(comparison.first, None, "{faults:?}");
        let all = ReplayCounts {
            frames: FRAMES,
            replayed: FRAMES,
            complete: true,
            ..ReplayCounts::default()
        };
        assert_eq!((counts, steps.len() as u64), (all, FRAMES), "{faults:?}");
    }
    let expected = [Fault::ImageBlack, Fault::ImageFrozen, Fault::FrameGap, Fault::FrameRepeated];
    assert!(expected.into_iter().all(|f| seen.contains(f)), "the faults were there: {seen:?}");
}

#[test]
fn a_replay_from_any_frame_is_the_tail_of_the_whole() {
    let (_folder, recording) = driven(&[spec(CameraFault::Black, 0.4)]);
    let (_, _, whole) = again(&recording, shipped(), &lossless(), None);
    for from in [2, 31, 60] {
        let (counts, comparison, tail) = again(&recording, shipped(), &lossless(), Some(from));
        assert_eq!(tail, whole[from as usize - 1..], "from {from}");
        assert_eq!((counts.before, counts.replayed), (from - 1, FRAMES + 1 - from));
        assert_eq!(comparison.first, None);
    }
}

#[test]
fn frames_without_a_picture_are_counted_and_their_steps_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let mut config = lossless();
    (config.record.image_every, config.record.image_queue) = (3, 256);
    let faults = [spec(CameraFault::Freeze, 0.6)];
    let path = folder.path().join("drive.mcap");
    let recording = record(&path, &mut world(&faults), shipped(), &config);
    let (counts, comparison, _) = again(&recording, shipped(), &config, None);
    assert_eq!(comparison.first, None);
    assert_eq!((counts.replayed, counts.missing), (FRAMES / 3, FRAMES - FRAMES / 3));
}

/// A plant at the end of a bad link: silence, malformed messages, lost commands.
struct BadLink(SimWorld, u64);

impl World for BadLink {
    fn info(&self) -> &PlantInfo {
        self.0.info()
    }
    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        self.1 += 1;
        if self.1.is_multiple_of(5) {
            let faults = FaultSet::of(Fault::MessageMalformed);
            return Observation { observed: Observed::Nothing, dropped: 0, faults };
        }
        let mut seen = self.0.observe(frame, timeout_ns);
        if self.1.is_multiple_of(7) {
            seen.faults.insert(Fault::MessageMalformed);
        }
        seen
    }
    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        if self.1.is_multiple_of(11) {
            return Err(Fault::PlantGone);
        }
        self.0.actuate(command)
    }
}

/// A network that now and then takes longer than the deadline.
struct Slow(BurnPolicy);

impl Policy for Slow {
    fn card(&self) -> &PolicyCard {
        self.0.card()
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        if frame.id.0.is_multiple_of(9) {
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        self.0.infer(frame)
    }
    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        self.0.look_again(frame, lift)
    }
}

#[test]
fn time_and_link_of_a_free_running_drive_are_told_again() {
    for pacing in [Pacing::Free, Pacing::Lockstep] {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = lossless();
        config.drive_loop.pacing = pacing;
        config.record.image_queue = 256;
        config.gate.deadline_ms = 20;
        let path = folder.path().join("drive.mcap");
        let recording = record(&path, &mut BadLink(world(&[]), 0), Slow(shipped()), &config);
        let (counts, comparison, _) = again(&recording, shipped(), &config, None);
        assert_eq!(comparison.first, None, "{pacing:?}");
        assert_eq!((counts.replayed, counts.missing), (FRAMES, 0));
        assert!(counts.no_frames > 5, "{counts:?}");
        assert_eq!(comparison.compared, counts.frames + counts.no_frames);
        let late = recording
            .steps()
            .filter(|s| s.as_ref().is_ok_and(|s| s.faults.contains(Fault::DeadlineOverrun)))
            .count();
        assert_eq!(late > 0, pacing == Pacing::Free, "{late} late");
    }
}

#[test]
fn a_step_tells_how_long_the_recorder_took_the_one_before_it() {
    let (_folder, recording) = driven(&[]);
    let taken = |s: &StepRecord| s.times.ns[Stage::Record as usize];
    let taken: Vec<u64> = recording.frames().map(|f| taken(&f.expect("step").0)).collect();
    assert_eq!(taken[0], 0);
    assert!(taken[1..].iter().all(|ns| *ns > 0), "{taken:?}");
}

#[test]
fn one_changed_weight_is_found_at_the_network() {
    let (folder, recording) = driven(&[]);
    let dir = folder.path().join("pack");
    std::fs::create_dir(&dir).expect("folder");
    let from = root().join("weights/default");
    let mut weights = std::fs::read(from.join("weights.bpk")).expect("weights");
    // The last tensor ends the file; the top byte but one of a number holds its leading digits.
    let at = weights.len() - 2;
    weights[at] ^= 0x10;
    let hash = |bytes: &[u8]| -> String {
        Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
    };
    let old = hash(&std::fs::read(from.join("weights.bpk")).expect("weights"));
    let card = std::fs::read_to_string(from.join("card.toml")).expect("card");
    assert!(card.contains(&old));
    std::fs::write(dir.join("card.toml"), card.replace(&old, &hash(&weights))).expect("card");
    std::fs::write(dir.join("weights.bpk"), &weights).expect("weights");
    let (_, comparison, _) = again(&recording, pack(&dir, |_| {}), &lossless(), None);
    let first = comparison.first.expect("a difference");
    assert_eq!((first.frame_id, first.stage), (FrameId(1), Part::Infer));
    assert!(first.fields.iter().all(|f| f.part >= Part::Infer));
    assert_eq!(comparison.differ, FRAMES);
    assert_eq!((comparison.compared, comparison.expert.ticks), (FRAMES, FRAMES));
}

#[test]
fn a_threshold_changed_by_a_hundredth_is_found_at_its_tick() {
    // A drive on which the correction never engages, and the least mass that it met.
    let never = |card: &mut PolicyCard| {
        (card.calibration.mass_enter, card.calibration.mass_floor) = (0.0, 0.0);
    };
    let shipped_pack = root().join("weights/default");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("drive.mcap");
    let recording = record(&path, &mut world(&[]), pack(&shipped_pack, never), &lossless());
    let steps: Vec<_> = recording.steps().map(|s| s.expect("step")).collect();
    let mass = |s: &StepRecord| s.correction.confidence;
    let least = steps.iter().map(mass).fold(1.0, f32::min);
    let (enter, higher) = (least / 1.005, least * 1.005);
    let with = |mass_enter: f32| {
        pack(&shipped_pack, move |card| {
            let c = &mut card.calibration;
            (c.mass_enter, c.mass_exit, c.mass_floor) = (mass_enter, 1.0, 0.0);
        })
    };
    let (_, same, _) = again(&recording, with(enter), &lossless(), None);
    assert_eq!(same.first, None, "below all masses");
    let (_, other, _) = again(&recording, with(higher), &lossless(), None);
    let first = other.first.expect("a difference");
    let engaged = steps.iter().find(|s| mass(s) < higher).expect("the least");
    assert_eq!((first.frame_id, first.stage), (engaged.frame_id, Part::Correct));
    assert!(other.regimes["kept → slowed"] > 0);

    // Of the gate and of the longitudinal control.
    let mut config = lossless();
    config.longitudinal.accel_mps2 *= 1.01;
    let (_, other, _) = again(&recording, with(enter), &config, None);
    assert_eq!(other.first.map(|f| f.stage), Some(Part::Command));
    let frozen = driven(&[spec(CameraFault::Freeze, 1.0)]);
    let at = |frames| {
        let mut config = lossless();
        config.gate.frozen_frames = frames;
        again(&frozen.1, shipped(), &config, None).1.first
    };
    assert_eq!(at(4), None);
    let first = at(5).expect("a difference");
    assert_eq!(first.stage, Part::Gate);
    let found = frozen.1.steps().map(|s| s.expect("step"));
    let frozen_at = found.into_iter().find(|s| s.faults.contains(Fault::ImageFrozen));
    assert_eq!(Some(first.frame_id), frozen_at.map(|s| s.frame_id));
}

/// The program that `cargo build --workspace` has built beside this test.
fn caril(args: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let output = std::process::Command::new(program)
        .current_dir(root())
        .args(args)
        .output()
        .expect("caril runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), json, text)
}

#[test]
fn the_program_drives_replays_compares_and_repairs() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let drive = path("drive.mcap");
    let args = ["--frames", "40", "--fault", "drop:0.2", "--record-images", "lossless"];
    let args = [
        &["drive", "--transport", "direct", "--no-report", "--json", "--record", &drive],
        &args[..],
    ]
    .concat();
    let (code, driven, text) = caril(&args);
    assert_eq!((code, &driven["recorder_dropped_images"]), (Some(0), &0.into()), "{text}");

    // Its own pack and configuration: equal. From the middle: the tail of it.
    let (code, all, text) = caril(&["replay", &drive, "--json", "--diff"]);
    assert_eq!((code, &all["equal"]), (Some(0), &true.into()), "{text}");
    let one = &all["replays"][0];
    let frames = driven["frames"].as_u64().expect("frames");
    assert!(frames > 20 && one["frames"] == frames && one["replayed"] == frames, "{one}");
    let (code, part, _) = caril(&["replay", &drive, "--json", "--from", "20"]);
    assert_eq!((code, &part["equal"]), (Some(0), &true.into()));
    assert!(part["replays"][0]["before"].as_u64() > Some(10), "{part}");
    let ledger = all["ledger"].as_array().expect("rows");
    let rows = |mode: &str, group: &str| {
        ledger.iter().filter(|r| r["correction"] == mode && r["group"] == group).count()
    };
    assert_eq!((rows("paper", "all"), rows("calibrated", "all")), (1, 1));
    assert!(rows("paper", "speed") >= 1 && rows("paper", "confidence") > 1);

    // Another configuration, by file, on the recorded predictions; what differs lies in a table.
    let stricter = path("stricter.toml");
    std::fs::write(&stricter, "[limits]\nsteer_max = 0.001\n").expect("file");
    let out = path("out");
    let args = ["replay", &drive, "--config", &stricter, "--predictions", "recorded", "--json"];
    let (code, other, text) = caril(&[&args[..], &["--diff", "--out", &out]].concat());
    assert_eq!((code, &other["equal"]), (Some(3), &false.into()), "{text}");
    let comparison = &other["replays"][0]["comparison"];
    assert_eq!(comparison["first"]["stage"], "command");
    let table = std::fs::read_to_string(path("out/drive.default.csv")).expect("table");
    assert_eq!(Some(table.lines().count() as u64 - 1), comparison["differ"].as_u64());
    assert!(caril(&["inspect", &path("out/drive.default.mcap"), "--json"]).1["frames"] == frames);
    assert_eq!(caril(&args).0, Some(0), "changed on purpose and not asked to compare");

    // Cut in the middle: what is there replays as before, and can be made whole again. It is less
    // than there was, which a script must see as `inspect` lets it see: exit code 3.
    let bytes = std::fs::read(&drive).expect("recording");
    let (cut, whole) = (path("cut.mcap"), path("whole.mcap"));
    std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).expect("cut");
    let (code, part, text) = caril(&["replay", &cut, "--json"]);
    assert_eq!((code, &part["replays"][0]["complete"]), (Some(3), &false.into()), "{text}");
    assert_eq!(part["equal"], true, "{part}");
    let (code, repaired, text) = caril(&["inspect", &cut, "--repair", &whole, "--json"]);
    assert_eq!((code, &repaired["steps"]), (Some(0), &part["replays"][0]["frames"]), "{text}");
    assert_eq!(caril(&["inspect", &whole]).0, Some(0));
    assert_eq!(caril(&["replay", &whole, "--json"]).1["equal"], true);

    let (code, _, text) = caril(&["replay", &drive, "--policy", "nobody"]);
    assert!(code == Some(2) && text.contains("default"), "{text}");
    let (code, _, text) = caril(&["replay", &drive, "--from", "4000"]);
    assert!(code == Some(2) && text.contains("no such frame"), "{text}");
    assert_eq!(caril(&["replay", &path("stricter.toml")]).0, Some(1));
}

#[test]
fn the_program_keeps_what_happened_around_events_and_mines_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    let (clips, none) = (path("clips.mcap"), path("none.mcap"));
    let drive = |file: &str, more: &[&str]| {
        let args = ["drive", "--transport", "direct", "--no-report", "--json", "--frames", "60"];
        let more = [&["--record", file], more].concat();
        let (code, driven, text) = caril(&[&args[..], &more].concat());
        assert!(driven["frames"].as_u64() > Some(20), "{code:?} {text}");
        driven
    };
    let driven = drive(&clips, &["--fault", "black:0.5", "--record-trigger=fault,takeover"]);
    assert!(driven["clips"].as_u64() >= Some(1), "{driven}");
    let (code, again, text) =
        caril(&["replay", &clips, "--json", "--predictions", "recorded", "--diff"]);
    assert_eq!((code, &again["equal"]), (Some(0), &true.into()), "{text}");
    let one = &again["replays"][0];
    let all = one["frames"].as_u64().zip(driven["left_out_steps"].as_u64());
    assert_eq!(all.map(|(frames, left_out)| frames + left_out), driven["frames"].as_u64());

    let driven = drive(&none, &["--record-trigger=confidence", "--record-confidence", "0"]);
    assert_eq!((&driven["clips"], &driven["left_out_steps"]), (&0.into(), &driven["frames"]));
    assert_eq!(caril(&["replay", &none]).0, Some(1), "no frame to replay");

    std::fs::write(path("other.mcap"), "no recording").expect("file");
    let folder = folder.path().to_str().expect("path");
    let (code, mined, text) = caril(&["inspect", folder, "--mine", "3", "--json"]);
    assert_eq!((code, &mined["recordings"]), (Some(0), &2.into()), "{text}");
    assert_eq!(mined["passed_over"].as_array().map(Vec::len), Some(1));
    let best = &mined["moments"][0];
    assert!(best["recording"].as_str().is_some_and(|r| r.ends_with("clips.mcap")), "{mined}");
    assert_eq!(best["reasons"]["fault"], 1.0);
    assert_eq!(caril(&["inspect", &path("nowhere"), "--mine"]).0, Some(2));
    let (code, _, text) = caril(&["drive", "--record-trigger", "--record-before=-1"]);
    assert!(code == Some(2) && text.contains("record-before"), "{text}");
}

/// A drive as a CSV table tells it: nobody here drove it.
#[test]
fn a_recording_of_others_goes_through_the_whole_controller() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    // Pictures of our own camera, with a pause after thirty.
    let drive = path("drive.mcap");
    let args = ["--no-report", "--frames", "60", "--record", &drive];
    caril(&[&["drive", "--transport", "direct"], &args[..]].concat());
    let recording = Recording::open(Path::new(&drive)).expect("recording");
    std::fs::create_dir(path("theirs")).expect("folder");
    let mut table = String::from("image,steer,speed,time\n");
    for (k, frame) in recording.frames().enumerate() {
        let (step, picture) = frame.expect("frame");
        let name = format!("{k:03}.jpg");
        std::fs::write(path("theirs").clone() + "/" + &name, picture.expect("picture").bytes)
            .expect("file");
        let time_s = k as f64 * 0.05 + if k >= 30 { 5.0 } else { 0.0 };
        let (steer, speed) = (step.command.steer, step.ego.speed_mps);
        table += &format!("{name},{steer},{speed},{time_s}\n");
    }
    std::fs::write(path("theirs/log.csv"), &table).expect("file");
    let theirs = path("theirs.mcap");
    let (code, _, text) = caril(&["import", "csv", &path("theirs"), "--out", &theirs, "--json"]);
    assert_eq!(code, Some(0), "{text}");

    let (code, _, text) = caril(&["replay", &theirs]);
    assert!(code == Some(2) && text.contains("--policy"), "{text}");
    let args = ["replay", &theirs, "--policy", "default", "--json"];
    let (code, whole, text) = caril(&args);
    assert_eq!(
        (code, &whole["replays"][0]["equal"]),
        (Some(0), &serde_json::Value::Null),
        "{text}"
    );
    let frames = table.lines().count() as u64 - 1;
    let one = &whole["replays"][0];
    // The plant's clock at 0 is as good as told.
    let told = (&frames.into(), &(frames - 1).into());
    assert_eq!((&one["replayed"], &one["approximate"]), told, "{one}");
    let rows = whole["ledger"].as_array().expect("rows");
    assert!(rows.iter().any(|r| r["group"] == "all" && r["ticks"] == frames), "{rows:?}");
    // The second drive alone is as it was in the whole: the controller starts anew there.
    let steps = |file: &str| -> Vec<StepRecord> {
        let recording = Recording::open(Path::new(file)).expect("recording");
        recording.steps().map(|s| s.expect("step")).collect()
    };
    let out = |name: &str, more: &[&str]| -> Vec<String> {
        let folder = path(name);
        let args = [&args[..], &["--out", &folder], more].concat();
        assert_eq!(caril(&args).0, Some(0));
        steps(&(folder + "/theirs.default.mcap")).iter().map(|s| format!("{s:?}")).collect()
    };
    let all = out("whole", &[]);
    let from = steps(&theirs)[30].frame_id.0.to_string();
    assert_eq!(out("tail", &["--from", &from]), all[30..]);
    assert!(all[30..].iter().all(|s| s.contains("predicted: true")), "{}", all[30]);
}
