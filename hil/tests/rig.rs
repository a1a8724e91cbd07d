//! The rig itself, quickly: the whole matrix, some seconds of a run with faults, one kill of each
//! part. What is asserted is behaviour; times are the budgets' to judge, not a test's.
#![cfg(unix)]

mod common;

use common::{budgets, json, rig, text};
use serde_json::Value;

#[test]
fn every_fault_in_every_mode_is_as_the_table_says() {
    let output = rig(&["matrix", "--json"]);
    let matrix = json(&output);
    let wrong: Vec<&Value> = matrix["places"][0]["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .filter(|c| c["wrong"] != Value::Array(Vec::new()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // 18 faults in 3 modes, and 7 that are tolerated for a while in 2 modes for longer than that.
    assert_eq!(matrix["cells"], 18 * 3 + 7 * 2);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_run_with_two_faults_tells_what_came_of_them_and_leaves_its_files() {
    let (folder, budgets) = budgets("");
    let out = folder.path().join("out");
    let (out_arg, budgets_arg) = (out.to_str().expect("path"), budgets.to_str().expect("path"));
    let output = rig(&[
        "run",
        "--loopback",
        "--json",
        "--duration",
        "22s",
        "--rate",
        "10",
        "--budgets",
        budgets_arg,
        "--out",
        out_arg,
        "--fault",
        "camera_black@9+0.5",
        "--fault",
        "second_controller@20",
    ]);
    let results = json(&output);
    let said = text(&output.stderr);
    assert!(results["figures"]["answers"].as_u64() > Some(100), "{said}\n{results}");
    assert_eq!(results["figures"]["collisions"], 0, "{results}");
    let [black, second] = results["incidents"].as_array().expect("faults").as_slice() else {
        panic!("two faults: {results}");
    };
    // Whether it drove quickly enough by then is the machine's business: it is judged in `wrong`.
    assert!(black["noticed_s"].is_number() && black["stood_s"].is_number(), "{black}");
    let notes = second["notes"].to_string();
    assert!(notes.contains("another controller drives"), "{second}");
    // The controller fell silent, and the plant braked by itself.
    assert!(results["figures"]["last_act"]["brake_after_s"].is_number(), "{results}");
    assert!(results["figures"]["last_act"]["distance_m"].is_number(), "{results}");
    let page = std::fs::read_to_string(out.join("report.html")).expect("report");
    assert!(page.contains("camera_black") && page.contains("<svg"), "a report");
    assert!(!page.contains("http"), "without outside assets");
    let junit = std::fs::read_to_string(out.join("junit.xml")).expect("junit");
    assert!(junit.contains("classname=\"fault\" name=\"camera_black at 9.00 s\""), "{junit}");
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("results.json")).expect("results"))
            .expect("JSON");
    assert_eq!(kept["incidents"], results["incidents"]);
}

#[test]
fn lockstep_runs_are_equal_and_what_is_over_budget_is_exit_code_3() {
    for (text_of, code) in [("collisions_max = 0", 0), ("collisions_max = -1", 3)] {
        let (_folder, budgets) = budgets(text_of);
        let output = rig(&[
            "run",
            "--loopback",
            "--lockstep",
            "--frames",
            "200",
            "--film",
            "16",
            "--runs",
            "2",
            "--json",
            "--budgets",
            budgets.to_str().expect("path"),
        ]);
        let results = json(&output);
        let hashes = results["step_hashes"].as_array().expect("hashes");
        assert!(hashes.len() == 2 && hashes[0] == hashes[1], "{results}");
        assert_eq!(results["wrong"], Value::Array(Vec::new()), "{results}");
        assert_eq!(results["link"]["commands"], 200, "{results}");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    }
}

#[test]
fn a_recorded_drive_is_a_plant_too_and_begins_again_at_its_end() {
    let (folder, budgets) = budgets("");
    let (out, budgets) = (folder.path().to_str().expect("path"), budgets.to_str().expect("path"));
    let lockstep = ["run", "--loopback", "--json", "--budgets", budgets, "--lockstep"];
    let record = ["--film", "16", "--frames", "60", "--record", "--out", out];
    assert_eq!(rig(&[&lockstep[..], &record[..]].concat()).status.code(), Some(0));
    let file = folder.path().join("drive.mcap");
    let file = file.to_str().expect("path");
    let play = ["--recording", file, "--frames", "100", "--runs", "2"];
    let output = rig(&[&lockstep[..], &play[..]].concat());
    let results = json(&output);
    let hashes = results["step_hashes"].as_array().expect("hashes");
    assert!(hashes.len() == 2 && hashes[0] == hashes[1], "{results}");
    assert_eq!(results["link"]["commands"], 100, "{results}");
    assert_eq!(results["map"], "harbour_town", "the recording's");
    // In real time: its answers are measured, what it did not do is not.
    let run = ["run", "--loopback", "--json", "--budgets", budgets, "--duration", "5s"];
    let results = json(&rig(&[&run[..], &["--recording", file]].concat()));
    assert!(results["figures"]["answers"].as_u64() > Some(20), "{results}");
    assert!(results["figures"]["last_act"].is_null(), "{results}");
    let output = rig(&["run", "--loopback", "--recording", file, "--fault", "camera_black@1"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("obeys"));
}

#[test]
fn whoever_is_killed_the_car_stands_and_the_next_start_is_clean() {
    // The seed draws victim and moment: the plant first, then the controller.
    let output = rig(&["kills", "--n", "2", "--seed", "1", "--within", "3", "--json"]);
    let kills = json(&output);
    assert_eq!(kills["wrong"], Value::Array(Vec::new()), "{kills:#}");
    assert!(
        kills["controllers"].as_u64() > Some(0) && kills["plants"].as_u64() > Some(0),
        "{kills}"
    );
    assert_eq!((&kills["kills"], &kills["clean_starts"]), (&2.into(), &2.into()));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_makes_no_sense_is_a_usage_error_that_says_what_does() {
    for (args, says) in [
        (&["run", "--loopback", "--fault", "snow@1"][..], "camera_black"),
        (&["run", "--loopback", "--rate", "5"], "10 to 60"),
        (&["run", "--loopback", "--duration", "x"], "30m"),
        (&["run", "--endpoint", "tcp://0.0.0.0:5555"], "caril keys new"),
        (&["run", "--target", "ipc:///tmp/x", "--fault", "frame_lost@1"], "--loopback"),
        (&["run"], "--loopback"),
        (&["run", "--loopback", "--recording", "nowhere.mcap"], "nowhere.mcap"),
        (&["matrix", "--map", "nowhere"], "no map"),
    ] {
        let output = rig(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
