//! The program as a device runs it: life signs for systemd, a real-time class as far as it may be
//! had, recordings below a limit, and a look at the machine.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use caril_record::Recording;

fn caril() -> Command {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(common::root());
    command
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).expect("one JSON object")
}

#[test]
fn systemd_is_told_when_it_drives_and_when_it_stops() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("socket");
    socket.set_read_timeout(Some(Duration::from_secs(120))).expect("timeout");
    let output = caril()
        .args(["drive", "--record", "none", "--frames", "40"])
        .env("NOTIFY_SOCKET", &path)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut told = Vec::new();
    while told.last().is_none_or(|t: &String| !t.contains("STOPPING=1")) {
        let mut message = [0; 512];
        let n = socket.recv(&mut message).expect("a life sign");
        told.push(String::from_utf8_lossy(&message[..n]).into_owned());
    }
    assert!(told[0].contains("READY=1"), "{told:?}");
    let between = &told[1..told.len() - 1];
    assert!(between.iter().all(|t| t.contains("WATCHDOG=1") && t.contains("STATUS=")), "{told:?}");
}

#[test]
fn a_real_time_class_is_asked_for_and_the_outcome_is_recorded() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("drive.mcap");
    let drive = |more: &[&str]| {
        let output = caril()
            .args(["drive", "--frames", "40", "--no-report", "--json", "--record"])
            .arg(&file)
            .args(more)
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
        (json(&output.stdout), said)
    };
    let (alone, _) = drive(&[]);
    assert!(alone["realtime"].is_null());
    let (summary, said) = drive(&["--realtime"]);
    let text = summary["realtime"].as_str().expect("an outcome");
    let recording = Recording::open(&file).expect("readable");
    assert_eq!(recording.header().extra.get("realtime").map(String::as_str), Some(text));
    // Whether it may be had depends on who runs this; that it is told does not.
    for (name, had) in [("memory", "memory locked"), ("class", "class SCHED_FIFO 50")] {
        let refused = text.contains(&format!("{name} not set ("));
        assert_ne!(text.contains(had), refused, "{text}");
        assert_eq!(refused, said.contains(&format!("--realtime: {name} not set")), "{said}");
    }
    assert_eq!(alone["step_hash"], summary["step_hash"], "time is no part of a decision");
}

#[test]
fn a_limit_makes_parts_and_old_parts_make_room() {
    let folder = tempfile::tempdir().expect("folder");
    let parts = || {
        let mut parts: Vec<PathBuf> = std::fs::read_dir(folder.path())
            .expect("folder")
            .map(|e| e.expect("entry").path())
            .filter(|p| p.extension().is_some_and(|e| e == "mcap"))
            .collect();
        parts.sort();
        parts
    };
    let drive = |frames: &str| {
        let output = caril()
            .args(["drive", "--transport", "direct", "--record-images", "lossless"])
            .args(["--record-limit", "16MiB", "--frames", frames, "--json", "--out"])
            .arg(folder.path())
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        json(&output.stdout)
    };
    let summary = drive("150");
    let found = parts();
    assert!(found.len() >= 2, "{found:?}");
    assert!(!found.contains(&folder.path().join("drive-0001.mcap")), "the oldest made room");
    assert!(summary["record"].as_str().is_some_and(|r| r.ends_with("drive-0001.mcap")));
    let bytes: u64 = found.iter().map(|p| p.metadata().expect("there").len()).sum();
    // A lossless picture is half a megabyte, and about a second of them may come at once.
    assert!(bytes < 40 << 20, "{bytes} bytes in {} parts", found.len());
    let last = Recording::open(found.last().expect("a part")).expect("readable");
    assert!(last.complete() && last.steps().count() > 0);
    let usage = caril().args(["drive", "--record-limit", "1TB"]).output().expect("runs");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_doctor_looks_at_the_machine_and_judges_a_rate() {
    let doctor = |rate: &str, more: &[&str]| {
        let output = caril()
            .args(["doctor", "--json", "--seconds", "1", "--rate", rate])
            .args(more)
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = json(&output.stdout);
        let holds = found["verdict"]["holds"].as_bool().expect("a verdict");
        assert_eq!(output.status.code(), Some(if holds { 0 } else { 3 }), "{said}");
        let reasons = found["verdict"]["because"].as_array().expect("reasons");
        assert_eq!(holds, reasons.is_empty());
        found
    };
    let found = doctor("2", &[]);
    assert!(found["cpu"]["cores"].as_u64().is_some_and(|n| n > 0));
    assert!(found["memory"]["total_mib"].as_u64().is_some_and(|n| n > 0));
    assert!(found["disk"]["write_mb_per_s"].as_f64().is_some_and(|n| n > 0.0));
    let stages: Vec<&str> = found["stages"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["stage"].as_str())
        .collect();
    assert_eq!(stages, ["check image", "infer", "decide", "step", "second look"]);
    assert_eq!(found["looks"], 2, "the shipped configuration looks again in the dark");
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("once.toml");
    std::fs::write(&config, "[correction]\nsecond_look = false\n").expect("written");
    let once = doctor("2", &["--config", config.to_str().expect("a path")]);
    assert_eq!(once["looks"], 1);
    std::fs::write(&config, "[gate]\nblack_mean = 300.0\n").expect("written");
    let nonsense = caril().args(["doctor", "--config"]).arg(&config).output().expect("runs");
    assert_eq!(nonsense.status.code(), Some(2));
    assert_eq!(found["paced"]["frames"], 2);
    let margin = |f: &serde_json::Value| f["verdict"]["margin"].as_f64().expect("a margin");
    assert!((margin(&found) * found["paced"]["p99_ms"].as_f64().expect("ms") - 500.0).abs() < 1.0);
    let usage = caril().args(["doctor", "--rate", "1000"]).output().expect("runs");
    assert_eq!(usage.status.code(), Some(2));
}
