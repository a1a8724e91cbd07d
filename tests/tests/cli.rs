//! The command line as scripts meet it: exit codes, one JSON object, the same hash every time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program that `cargo test --workspace` has built beside this test.
fn caril() -> Command {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn run(args: &[&str]) -> Output {
    caril().args(args).output().expect("caril runs")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("not one JSON object: {e}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn drive(extra: &[&str]) -> serde_json::Value {
    let mut args = vec!["drive", "--record", "none", "--json", "--frames", "80"];
    args.extend_from_slice(extra);
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

#[test]
fn the_same_command_gives_the_same_step_hash_however_frames_cross() {
    let ipc = drive(&[]);
    assert_eq!(ipc["frames"], 80);
    for transport in ["ipc", "tcp", "direct"] {
        assert_eq!(
            drive(&["--transport", transport])["step_hash"],
            ipc["step_hash"],
            "{transport}"
        );
    }
    // A frame that is lost is a gap on every way.
    let lost = |transport| drive(&["--fault", "drop:0.3", "--transport", transport]);
    let gaps = lost("ipc");
    assert!(gaps["faults"]["frame_gap"].as_u64().is_some_and(|n| n > 0), "{gaps}");
    assert_eq!(gaps["step_hash"], lost("direct")["step_hash"]);
    let one = caril()
        .args(["drive", "--record", "none", "--json", "--frames", "80"])
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .expect("caril runs");
    assert_eq!(json(&one)["step_hash"], ipc["step_hash"], "one thread");
    assert_ne!(drive(&["--seed", "2", "--route", "random"])["step_hash"], ipc["step_hash"]);
}

#[test]
fn a_drive_leaves_a_recording_and_a_report() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().to_str().expect("path");
    let output = run(&["drive", "--frames", "60", "--out", out, "--json"]);
    // A busy machine may not write every picture; that is said, and the exit code is 3.
    let dropped = json(&output)["recorder_dropped_images"].as_u64().expect("count");
    let code = if dropped == 0 { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("report");
    assert!(page.contains("<svg") && page.contains("data:image/jpeg"), "pictures and plots");
    let recording = folder.path().join("drive.mcap");
    let inspected = run(&["inspect", recording.to_str().expect("path"), "--json"]);
    assert_eq!(inspected.status.code(), Some(0));
    assert_eq!(json(&inspected)["frames"], 60);
    assert_eq!(json(&inspected)["images"], 60 - dropped);
}

#[test]
fn black_camera_stops_the_car() {
    let output =
        run(&["drive", "--record", "none", "--json", "--frames", "120", "--fault", "black:1.0"]);
    assert_eq!(output.status.code(), Some(3));
    let summary = json(&output);
    assert_eq!(summary["modes"]["nominal"], 0, "never driven on: {summary}");
    assert!(summary["faults"]["image_black"].as_u64() > Some(0));
}

#[test]
fn wrong_input_is_named_and_has_its_exit_code() {
    let folder = tempfile::tempdir().expect("folder");
    let cut = folder.path().join("cut.xodr");
    let map = std::fs::read(root().join("maps/town_blocks.xodr")).expect("map");
    std::fs::write(&cut, &map[..map.len() / 2]).expect("write");
    let cut = cut.to_str().expect("path").to_owned();
    let pack = folder.path().join("pack");
    std::fs::create_dir(&pack).expect("folder");
    let from = root().join("weights/default");
    std::fs::copy(from.join("card.toml"), pack.join("card.toml")).expect("card");
    let weights = std::fs::read(from.join("weights.bpk")).expect("weights");
    std::fs::write(pack.join("weights.bpk"), &weights[..weights.len() - 100]).expect("weights");
    let pack = pack.to_str().expect("path").to_owned();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["drive", "--map", "atlantis"], 2, "town_blocks"),
        (&["drive", "--map", &cut], 1, "cut.xodr"),
        (&["drive", "--policy", "nobody"], 2, "default"),
        (&["drive", "--policy", &pack], 1, "weights.bpk"),
        (&["drive", "--weather", "Snow"], 2, "ClearNoon"),
        (&["drive", "--fault", "gremlins"], 2, "noise"),
        (&["drive", "--route", "1,2:x"], 2, "X,Y:X,Y"),
        (&["drive", "--backend", "wgpu"], 2, "flex"),
        (&["drive", "--plant", "tcp://127.0.0.1:9"], 1, "127.0.0.1:9"),
        (&["drive", "--nonsense"], 2, "--nonsense"),
        (&["inspect", "no/such/file.mcap"], 1, "no/such/file.mcap"),
    ];
    for (args, code, says) in cases {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?} should mention {says}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

#[test]
fn correct_answers_line_by_line() {
    use std::io::Write as _;
    let mut child = caril()
        .args(["correct", "--mode", "paper", "--seed", "1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("caril runs");
    let line = r#"{"frame_id":7,"regression":0.1,"probs":[0,0,0,0,0,1,0,0,0,0,0]}"#;
    writeln!(child.stdin.take().expect("stdin"), "{line}").expect("write");
    let output = child.wait_with_output().expect("ends");
    let answer = json(&output);
    assert_eq!((&answer["frame_id"], &answer["regime"]), (&7.into(), &"kept".into()));
    assert!((answer["steer"].as_f64().expect("steer") - 0.1).abs() < 1e-6);
}
