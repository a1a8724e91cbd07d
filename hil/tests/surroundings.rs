//! What is around a drive and must not trouble it: the disk, the wall clock, those who look on, a
//! network of its own. What is asserted is behaviour; times are the budgets' to judge, not a test's.
#![cfg(unix)]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{budgets, json, rig, rig_command, text};
use serde_json::Value;

/// Says it past the test runner, which keeps what passing tests print.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {why}\n");
}

/// A run onto a disk that breaks. No picture is drawn meanwhile: a busy machine has enough to do.
fn run_onto_a_disk(duration: &str, faults: &[&str]) -> Vec<Value> {
    let (folder, budgets) = budgets("");
    let (out, budgets) = (folder.path().to_str().expect("path"), budgets.to_str().expect("path"));
    let mut args = vec!["run", "--loopback", "--json", "--record", "--film", "16"];
    args.extend(["--out", out, "--budgets", budgets, "--duration", duration]);
    args.extend(faults.iter().flat_map(|fault| ["--fault", fault]));
    let results = json(&rig(&args));
    assert!(results["figures"]["answers"].as_u64() > Some(50), "{results}");
    results["incidents"].as_array().expect("faults").clone()
}

#[test]
fn a_disk_that_is_slow_or_full_costs_the_recording_and_not_the_drive() {
    let mut slow = run_onto_a_disk("18s", &["disk_slow@5+10:1"]);
    let mut full = run_onto_a_disk("14s", &["disk_full@8+2", "disk_slow@11+1"]);
    // What its disk cannot become is said, not passed over.
    let other = full.pop().expect("two faults");
    assert!(other["skipped"].to_string().contains("either slow or full"), "{other}");
    let (slow, full) = (slow.pop().expect("a fault"), full.pop().expect("two faults"));
    for (fault, until) in [(&slow, "steps and closed"), (&full, "steps up to the cut")] {
        let notes = fault["notes"].to_string();
        assert!(notes.contains("the recording is not whole"), "{fault}");
        assert!(notes.contains("\"exit code 3\""), "{fault}");
        assert!(notes.contains("recording readable") && notes.contains(until), "{fault}");
        assert!(fault["age_p99_ms"].is_number(), "{fault}");
    }
    assert!(slow["notes"].to_string().contains("pictures"), "{slow}");
    assert!(full["notes"].to_string().contains("File too large"), "{full}");
}

#[test]
fn a_wall_clock_that_jumps_is_seen_by_the_controller_alone() {
    let (_folder, budgets) = budgets("");
    let output = rig(&[
        "run",
        "--loopback",
        "--json",
        "--budgets",
        budgets.to_str().expect("path"),
        "--duration",
        "14s",
        "--film",
        "16",
        "--fault",
        "clock_jump@8+2",
    ]);
    let results = json(&output);
    let jump = &results["incidents"][0];
    if let Some(why) = jump["skipped"].as_str() {
        return skipped(why);
    }
    assert_eq!(jump["notes"][0], "3600 s ahead, and back", "{jump}");
    assert!(!jump["wrong"].to_string().contains("jump"), "{jump}");
    // An hour between two frames would be a gone plant.
    assert_eq!(results["controllers"], 1, "{results}");
}

#[test]
fn those_who_look_on_are_counted_with_and_without_them() {
    let (folder, budgets) = budgets("");
    let budgets = budgets.to_str().expect("path");
    let seen = |results: &Value, viewers: u64| {
        let seen = &results["figures"]["looked_on"];
        assert_eq!(seen["viewers"], viewers, "{results}");
        assert!(seen["turns"].as_u64() > Some(0), "{seen}");
        // Each of them is told who drives, and then what happens.
        assert!(seen["messages"].as_u64() > Some(2 * viewers), "{seen}");
        assert!(seen["alone_answers"].as_u64() > Some(0), "{seen}");
        assert!(seen["watched_answers"].as_u64() > Some(0), "{seen}");
        assert_eq!(results["wrong"], Value::Array(Vec::new()), "{results}");
    };
    let mut args = vec!["run", "--json", "--budgets", budgets, "--duration", "21s", "--view", "0"];
    args.extend(["--film", "16"]);

    // The controller's page.
    let output = rig(&[&args[..], &["--loopback", "--viewers", "8"]].concat());
    assert!(text(&output.stderr).contains("view: http://127.0.0.1:"), "{}", text(&output.stderr));
    seen(&json(&output), 8);

    // The plant's, where the controller is out of reach.
    let endpoint = format!("ipc://{}", folder.path().join("plant").display());
    args.extend(["--viewers", "2", "--target", &endpoint]);
    let rig = rig_command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the rig runs");
    let caril = std::path::Path::new(env!("CARGO_BIN_EXE_caril-hil")).with_file_name("caril");
    let drive = ["drive", "--record", "none", "--json", "--plant", &endpoint];
    let controller = Command::new(caril).args(drive).output().expect("caril runs");
    let output = rig.wait_with_output().expect("the rig ends");
    assert!(text(&output.stderr).contains("view: http://127.0.0.1:"), "{}", text(&output.stderr));
    assert!(!controller.stdout.is_empty(), "{}", text(&controller.stderr));
    seen(&json(&output), 2);
}

#[test]
fn a_network_of_its_own_can_be_cut() {
    let (_folder, budgets) = budgets("");
    let mut command = rig_command(&[
        "run",
        "--loopback",
        "--netns",
        "--json",
        "--rate",
        "10",
        "--budgets",
        budgets.to_str().expect("path"),
        "--duration",
        "26s",
        "--fault",
        "net_partition@9+1",
        "--fault",
        "net_loss@20",
        "--fault",
        "wrong_version@24",
    ]);
    let rig = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the rig runs");
    let network = format!("hil{}", rig.id());
    let output = rig.wait_with_output().expect("the rig ends");
    let said = text(&output.stderr);
    if output.status.code() == Some(2) && said.contains("--netns: ") {
        return skipped(&format!("no network namespace with a veth pair here: {said}"));
    }
    let results = json(&output);
    let faults = results["incidents"].as_array().expect("faults");
    let [partition, loss, version] = faults.as_slice() else { panic!("three faults: {results}") };
    assert_eq!(partition["skipped"], Value::Null, "{partition}");
    assert!(partition["stop_began_s"].is_number() && partition["stood_s"].is_number());
    if let Some(why) = loss["skipped"].as_str() {
        skipped(&format!("neither netem nor nft: {why}"));
    }
    assert!(version["skipped"].to_string().contains("not with --netns"), "{version}");
    let left = Command::new("ip").args(["netns", "list"]).output().expect("ip runs");
    assert!(!text(&left.stdout).contains(&network), "the network is taken down");
}
