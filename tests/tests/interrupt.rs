//! The built program when something happens in the middle of a drive: Ctrl-C, a disk that is full.
//! Exit code, message and recording are what a user is left with.
#![cfg(unix)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use caril_core::{Mode, StepRecord};
use caril_record::Recording;

fn program() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    program
}

/// A drive through a shell, which may set limits before it becomes the program.
fn start(before: &str, args: &[&str]) -> Child {
    Command::new("sh")
        .current_dir(common::root())
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(program())
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh runs")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(kill.expect("sh runs").success());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn summary(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("not one JSON object: {e}\n{}", text(&output.stderr)))
}

/// Waits until so many bytes of the recording lie on the disk: the drive is under way.
fn until_recorded(path: &Path, bytes: u64, child: &mut Child) {
    let start = Instant::now();
    while std::fs::metadata(path).map_or(0, |m| m.len()) < bytes {
        assert!(child.try_wait().expect("child").is_none(), "it ended before it was interrupted");
        assert!(start.elapsed() < Duration::from_secs(300), "nothing is recorded");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All steps that can be read; every one of them must be whole.
fn steps(path: &Path) -> (bool, Vec<StepRecord>) {
    let recording = Recording::open(path).expect("readable");
    let steps = recording.steps().map(|s| s.expect("whole")).collect();
    (recording.complete(), steps)
}

/// 0, or 3 if a busy machine could not write every picture: both are documented.
fn expected_code(summary: &serde_json::Value) -> i32 {
    let dropped = |key: &str| summary[key].as_u64().expect("count");
    if dropped("recorder_dropped_steps") + dropped("recorder_dropped_images") == 0 { 0 } else { 3 }
}

#[test]
fn nobody_reading_what_it_says_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let endpoint = format!("ipc://{}", folder.path().join("plant").display());
    let mut child = start("", &["sim", "serve", "--endpoint", &endpoint]);
    let mut said = BufReader::new(child.stderr.take().expect("pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.starts_with("plant at"), "{line}");
    // As when `2>&1 | head -1` has seen enough.
    drop(said);
    signal(&child, "TERM");
    let start_of_wait = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("child") {
            break status;
        }
        if start_of_wait.elapsed() > Duration::from_secs(30) {
            child.kill().expect("killed");
            panic!("it goes on after SIGTERM");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));

    let mut drive = start("", &["drive", "--record", "none", "--frames", "10", "--json"]);
    drop(drive.stderr.take());
    let output = drive.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(summary(&output)["frames"], 10);
}

#[test]
fn one_ctrl_c_stops_the_car_and_closes_the_recording() {
    for (name, transport) in [("INT", "ipc"), ("TERM", "direct")] {
        let folder = tempfile::tempdir().expect("folder");
        let out = folder.path().to_str().expect("path");
        let mut child = start("", &["drive", "--out", out, "--json", "--transport", transport]);
        let file = folder.path().join("drive.mcap");
        until_recorded(&file, 500_000, &mut child);
        signal(&child, name);
        let output = child.wait_with_output().expect("ends");
        let said = text(&output.stderr);
        let summary = summary(&output);
        let code = expected_code(&summary);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}\n{summary}");
        assert!(said.contains("braking to a stand") && !said.contains("panicked"), "{said}");
        assert_eq!(summary["end"], "stopped", "{summary}");
        assert!(summary["route_completion"].as_f64() < Some(100.0), "in the middle: {summary}");
        assert!(summary["faults"]["stop_requested"].as_u64() > Some(0), "{summary}");

        let (complete, steps) = steps(&file);
        assert!(complete, "{name}: closed as it should be");
        let lost = summary["recorder_dropped_steps"].as_u64().expect("count");
        assert_eq!(steps.len() as u64 + lost, summary["frames"].as_u64().expect("count"));
        let last = steps.last().expect("steps");
        assert!(last.ego.speed_mps < 0.1, "{name}: it stands, {} m/s", last.ego.speed_mps);
        assert_eq!((last.mode, last.command.throttle), (Mode::SafeStop, 0.0));
        assert_eq!(last.truth.expect("marks").lane_invasions, 0, "in its lane");
        assert!(folder.path().join("report.html").exists());
    }
}

#[test]
fn two_ctrl_c_end_at_once_and_the_recording_is_closed() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().to_str().expect("path");
    // So many frames a second that the stop takes far longer than the second signal.
    let args = ["drive", "--out", out, "--json", "--no-report", "--rate", "240"];
    let mut child = start("", &args);
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    let file = folder.path().join("drive.mcap");
    until_recorded(&file, 12_000_000, &mut child);
    signal(&child, "INT");
    let mut said = String::new();
    while !said.contains("braking to a stand") {
        assert!(stderr.read_line(&mut said).expect("text") > 0, "it ended: {said}");
    }
    signal(&child, "INT");
    stderr.read_to_string(&mut said).expect("text");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(expected_code(&summary(&output))), "{said}");
    assert!(said.contains("stopping at once"), "{said}");
    let (complete, steps) = steps(&file);
    assert!(complete && !steps.is_empty());
    let last = steps.last().expect("steps");
    assert!(last.ego.speed_mps > 0.5, "it was not waited for: {} m/s", last.ego.speed_mps);
}

#[test]
fn ctrl_c_ends_a_plant_that_waits() {
    let (_folder, endpoint) = common::ipc();
    let child = start("", &["sim", "serve", "--endpoint", &endpoint]);
    let socket = endpoint.strip_prefix("ipc://").expect("ipc").to_owned();
    let start = Instant::now();
    while !Path::new(&socket).exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "no plant");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "INT");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!Path::new(&socket).exists(), "its socket is cleared away");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_a_failure_with_a_clear_message() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let args = ["drive", "--record", "/dev/full", "--no-report", "--json", "--frames", "40"];
    let output = start("", &args).wait_with_output().expect("ends");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("/dev/full"), "{said}");
    assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
}

#[test]
fn a_disk_that_fills_up_ends_the_recording_and_not_the_drive() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().to_str().expect("path");
    // Files of at most 8000 · 512 (or 1024) bytes, some chunks; past that the system says EFBIG, as it says
    // ENOSPC of a full disk.
    let limit = "trap '' XFSZ; ulimit -f 8000;";
    let args = ["drive", "--out", out, "--no-report", "--json", "--frames", "900"];
    let output = start(limit, &args).wait_with_output().expect("ends");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the recording is not whole") && said.contains("drive.mcap"), "{said}");
    let summary = summary(&output);
    assert_eq!((&summary["frames"], &summary["end"]), (&900.into(), &"frame_limit".into()));
    assert!(summary["recorder_dropped_steps"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["modes"]["nominal"], 900, "driving did not suffer");

    let (complete, steps) = steps(&folder.path().join("drive.mcap"));
    assert!(!complete && !steps.is_empty() && steps.len() < 900, "{} steps", steps.len());
    assert!(steps.iter().zip(1_u64..).all(|(s, id)| s.frame_id.0 == id), "up to the cut, all");
}
