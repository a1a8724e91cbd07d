//! `caril replay` of several recordings: one that is bad costs no others, Ctrl-C costs none that were
//! replayed, packs and weathers are told apart, and what it writes is a drive as well.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use caril_record::{Event, Recording};

/// The program that `cargo build --workspace` has built beside this test.
fn program() -> Command {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(common::root());
    command
}

fn caril(args: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    told(&program().args(args).output().expect("caril runs"))
}

fn told(output: &Output) -> (Option<i32>, serde_json::Value, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), text)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("folder"))
    }
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("path").to_owned()
    }
    /// A short drive on the CPU executor, whose predictions a replay can take from the recording.
    fn drive(&self, name: &str, more: &[&str]) -> String {
        let file = self.path(name);
        let args = ["drive", "--backend", "cpu", "--no-report", "--json", "--record", &file];
        let (code, driven, text) = caril(&[&args[..], more].concat());
        assert!(driven["frames"].as_u64() > Some(5), "{code:?} {text}");
        file
    }
}

#[test]
fn one_bad_recording_costs_no_others() {
    let folder = Folder::new();
    let good = folder.drive("good.mcap", &["--transport", "direct", "--frames", "12"]);
    let (empty, none, out) = (folder.path("empty.mcap"), folder.path("none"), folder.path("out"));
    let never = ["--record-trigger=confidence", "--record-confidence", "0"];
    let short = ["--transport", "direct", "--frames", "12"];
    folder.drive("empty.mcap", &[&short[..], &never].concat());
    std::fs::write(&none, "no recording").expect("file");
    let recorded = ["--predictions", "recorded", "--json"];
    let args = [&["replay", &none, &empty, &good, "--out", &out], &recorded[..]].concat();
    let (code, all, text) = caril(&args);
    assert_eq!((code, &all["equal"]), (Some(3), &true.into()), "{text}");
    let runs = all["replays"].as_array().expect("runs");
    assert_eq!((runs.len(), &runs[0]["frames"]), (1, &12.into()));
    let failed = all["failed"].as_array().expect("failures");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0]["recording"].as_str().is_some_and(|r| r.ends_with("none")));
    assert!(failed[1]["error"].as_str().is_some_and(|e| e.contains("no frame")), "{failed:?}");
    assert!(text.contains("no frame to replay") && text.contains("none"), "{text}");
    for file in ["replay.json", "ledger.csv", "good.default.mcap"] {
        assert!(Path::new(&out).join(file).exists(), "{file}");
    }
    assert!(!Path::new(&out).join("empty.default.mcap").exists(), "nothing to write of it");
    let (code, all, text) = caril(&[&["replay", &none, &empty], &recorded[..]].concat());
    assert_eq!((code, all), (Some(1), serde_json::Value::Null), "{text}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_set_with_what_was_replayed() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let folder = Folder::new();
    let short = folder.drive("short.mcap", &["--transport", "direct", "--frames", "12"]);
    let out = folder.path("out");
    // Shown at a speed at which the second one takes longer than anybody waits.
    let args = ["replay", &short, &short, &short, "--predictions", "recorded", "--json"];
    let child = program()
        .args(args)
        .args(["--out", &out, "--view", "127.0.0.1:0", "--speed", "0.02"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("caril runs");
    let start = Instant::now();
    // The first one's table is there from its beginning.
    while !Path::new(&out).join("short.default.csv").exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    let (code, all, text) = told(&child.wait_with_output().expect("ends"));
    assert_eq!((code, &all["stopped"]), (Some(3), &true.into()), "{text}");
    assert!(all["replays"].as_array().is_some_and(|runs| runs.len() < 3), "{all}");
    assert!(!text.contains("braking") && !text.contains("error"), "{text}");
    assert!(Path::new(&out).join("replay.json").exists());
}

#[test]
fn weathers_of_one_recording_are_rows_of_their_own_and_a_dagger_pack_is_named() {
    let folder = Folder::new();
    let file = folder.path("c.mcap");
    let args = ["--frames", "24", "--episode", "8", "--every", "1", "--dagger", "default"];
    let args = [&["collect", "--weather", "ClearNoon,FoggyNoon", "--out", &file], &args[..]];
    let (code, _, text) = caril(&args.concat());
    assert_eq!(code, Some(0), "{text}");
    let header = Recording::open(Path::new(&file)).expect("recording").header().clone();
    let card = std::fs::read_to_string(common::root().join("weights/default/card.toml"));
    assert!(card.expect("card").contains(&header.extra["weights_sha256"]));
    assert_eq!((header.extra["backend"].as_str(), header.card), ("cpu", None));
    let recorded = ["--policy", "default", "--predictions", "recorded", "--json"];
    let (code, all, text) = caril(&[&["replay", &file], &recorded[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    let ticks = |weather: &str| {
        let rows = all["ledger"].as_array().expect("rows");
        let mut rows = rows.iter().filter(|r| r["correction"] == "paper");
        rows.find(|r| r["group"] == "weather" && r["value"] == weather).map(|r| r["ticks"].clone())
    };
    // Three episodes: clear, fog, clear.
    let expected = (Some(16.into()), Some(8.into()));
    assert_eq!((ticks("ClearNoon"), ticks("FoggyNoon")), expected, "{}", all["ledger"]);
}

#[test]
fn what_a_replay_writes_replays_as_the_drive_that_it_is() {
    let folder = Folder::new();
    // A plant so slow that the loop waits in vain for most frames.
    let patient = folder.path("patient.toml");
    std::fs::write(&patient, "[gate]\nlate_ms = 400\nmissing_ms = 800\n").expect("file");
    let slow = ["--transport", "tcp", "--pacing", "free", "--rate", "4", "--frames", "8"];
    let drive = folder.drive("drive.mcap", &[&slow[..], &["--config", &patient]].concat());
    let steps = |path: &Path| {
        let recording = Recording::open(path).expect("recording");
        let (mut frames, mut without) = (0, 0);
        for event in recording.events(false).expect("events") {
            match event.expect("whole") {
                Event::Step(..) => frames += 1,
                Event::NoFrame(_) => without += 1,
                _ => {}
            }
        }
        (frames, without, recording.header().clone())
    };
    let then = steps(Path::new(&drive));
    assert!(then.1 > 5, "{} steps without a frame", then.1);
    let out = folder.path("out");
    let recorded = ["--predictions", "recorded", "--json", "--out", &out];
    let (code, all, text) = caril(&[&["replay", &drive], &recorded[..]].concat());
    assert_eq!((code, &all["equal"]), (Some(0), &true.into()), "{text}");
    let written = PathBuf::from(&out).join("drive.default.mcap");
    let now = steps(&written);
    assert_eq!((now.0, now.1), (then.0, then.1));
    let (code, again, text) = caril(&[
        "replay",
        written.to_str().expect("path"),
        "--predictions",
        "recorded",
        "--json",
        "--diff",
    ]);
    assert_eq!((code, &again["equal"]), (Some(0), &true.into()), "{text}");

    // With another backend the header names what ran, not what ran then.
    let other = folder.path("other");
    let args = ["--backend", "int8", "--policy", "weights/default", "--json", "--out", &other];
    let (_, all, text) = caril(&[&["replay", &drive], &args[..]].concat());
    assert!(all["replays"].as_array().is_some_and(|runs| !runs.is_empty()), "{text}");
    let header = steps(&PathBuf::from(&other).join("drive.default.mcap")).2;
    assert_eq!(header.extra["backend"], "int8");
}

#[test]
fn an_existing_recording_is_replaced_only_if_that_is_asked_for() {
    let folder = Folder::new();
    let good = folder.drive("good.mcap", &["--transport", "direct", "--frames", "12"]);
    let (there, part) = (folder.path("there.mcap"), folder.path("there.part2.mcap"));
    std::fs::write(&there, "somebody's").expect("file");
    std::fs::write(&part, "somebody's").expect("file");
    let collect = ["collect", "--frames", "4", "--every", "1", "--out", &there];
    let repair = ["inspect", &good, "--repair", &there];
    for args in [&repair[..], &collect] {
        let (code, _, text) = caril(args);
        assert!(code == Some(2) && text.contains("--force"), "{text}");
        assert_eq!(std::fs::read(&there).expect("file"), b"somebody's");
        let (code, _, text) = caril(&[args, &["--force"]].concat());
        assert_eq!(code, Some(0), "{text}");
        let frames = Recording::open(Path::new(&there)).expect("a recording").steps().count();
        assert_eq!(frames, if args == repair { 12 } else { 4 });
        std::fs::write(&there, "somebody's").expect("file");
    }
    assert!(!Path::new(&part).exists(), "it would be mixed in with the new one");
}
