//! `caril eval` as scripts meet it: figures of recorded frames and of paths, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn caril(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(program).args(args).current_dir(root).output().expect("caril runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("not one JSON object: {e}\n{}", stderr(output)))
}

fn text(path: &Path) -> String {
    path.to_str().expect("path").to_owned()
}

fn collect(folder: &Path, name: &str, extra: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let path = text(&out);
    let mut args =
        vec!["collect", "--map", "town_blocks", "--frames", "60", "--every", "1", "--out", &path];
    args.extend_from_slice(extra);
    let output = caril(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    out
}

/// Every number at or under these keys lies in [0, 1].
fn shares(value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        let v = value.pointer(pointer).and_then(Value::as_f64);
        assert!(v.is_some_and(|v| (0.0..=1.0).contains(&v)), "{pointer}: {v:?}");
    }
}

#[test]
fn frames_of_two_data_sets_have_all_figures() {
    let folder = tempfile::tempdir().expect("folder");
    let clean = collect(folder.path(), "clean.mcap", &["--seed", "5"]);
    // Two episodes, each with a fault of its own.
    let faults = ["--fault", "noise:0.5,overexposed:1", "--episode", "30"];
    let other = [&["--seed", "6", "--weather", "FoggyNoon"], &faults[..]].concat();
    let fog = collect(folder.path(), "fog.mcap", &other);
    let (out, lines) = (folder.path().join("out"), folder.path().join("p.jsonl"));
    let [clean, fog, out_text, lines_text] = [&clean, &fog, &out, &lines].map(|p| text(p));
    let args = ["eval", "frames", "--data", &clean, "--shifted", &fog, "--json", "--out"];
    let args = [&args[..], &[&out_text, "--predictions", &lines_text]].concat();
    let done = caril(&args);
    let figures = json(&done);
    assert!(stderr(&done).contains("clean against fog: AUROC by plain"), "{}", stderr(&done));

    let results = figures["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    assert_eq!((&results[0]["data"], &results[1]["role"]), (&"clean".into(), &"shifted".into()));
    for result in results {
        assert_eq!(result["frames"], 60);
        shares(result, &["/classes/accuracy", "/classes/accuracy_within_one", "/failure/share"]);
        shares(result, &["/calibration/before/ece", "/calibration/after/ece"]);
        shares(result, &["/calibration/after/ace", "/groups/all/calibrated/activation_rate"]);
        let confusion = result["classes"]["confusion"].as_array().expect("table");
        let counted: u64 = confusion
            .iter()
            .flat_map(|row| row.as_array().expect("row"))
            .map(|n| n.as_u64().expect("count"))
            .sum();
        assert_eq!((confusion.len(), counted), (11, 60));
        let groups = result["groups"].as_object().expect("groups");
        let of = |name: &str| result["groups"][name]["steer"]["count"].as_u64().unwrap_or(0);
        let parts: u64 = groups.keys().filter(|k| *k != "all").map(|k| of(k)).sum();
        assert_eq!((of("all"), parts), (60, 60), "every frame is in one group");
        let signals = result["failure"]["signals"].as_array().expect("signals");
        assert!(signals.iter().any(|s| s["name"] == "mirror_agreement"));
        for signal in signals {
            shares(signal, &["/aurc", "/augrc"]);
            let wrong = result["failure"]["wrong"].as_u64().expect("wrong");
            assert_eq!(signal["auroc"].is_null(), wrong == 0 || wrong == 60, "{signal}");
        }
    }
    let accuracy = |i: usize, key: &str| results[i]["classes"][key].as_f64().expect("accuracy");
    assert!(accuracy(0, "accuracy_within_one") >= accuracy(0, "accuracy"));
    assert!(accuracy(0, "accuracy_within_one") > 0.9, "a map that the pack was trained on");
    shares(&figures, &["/shift/0/auroc/neighbour_mass", "/shift/0/auroc/max_prob_plain"]);

    let lines = std::fs::read_to_string(&lines).expect("predictions");
    let lines: Vec<Value> =
        lines.lines().map(|l| serde_json::from_str(l).expect("one object a line")).collect();
    assert_eq!(lines.len(), 120, "as many lines as frames");
    let keys = ["frame_id", "time_s", "steer_expert", "regression", "probs", "confidence"];
    for line in &lines {
        for key in keys.iter().chain(&["entropy", "corrected", "regime"]) {
            assert!(!line[*key].is_null(), "{key}: {line}");
        }
        let probs: Vec<f64> =
            line["probs"].as_array().expect("probs").iter().filter_map(Value::as_f64).collect();
        assert_eq!(probs.len(), 11);
        assert!((probs.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{line}");
        let most = probs.iter().copied().fold(0.0, f64::max);
        assert!((line["confidence"].as_f64().expect("number") - most).abs() < 1e-6);
    }
    let error = |l: &Value| {
        let of = |key: &str| l[key].as_f64().expect("number");
        (of("regression") - of("steer_expert")).abs()
    };
    let mae = lines[..60].iter().map(error).sum::<f64>() / 60.0;
    let said = results[0]["steer"]["all"]["mae"].as_f64().expect("mae");
    assert!((mae - said).abs() < 1e-6, "{mae} {said}: the lines are what was measured");

    let page = std::fs::read_to_string(out.join("report.html")).expect("report");
    assert!(page.contains("Risk–coverage") && page.contains("data:image/jpeg"));
    let stored = std::fs::read_to_string(out.join("results.json")).expect("results");
    assert_eq!(serde_json::from_str::<Value>(&stored).expect("JSON"), figures);
    assert_eq!(json(&caril(&args))["results"], figures["results"], "the same again");
}

#[test]
fn frames_that_cannot_be_measured_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let whole = collect(folder.path(), "whole.mcap", &["--seed", "7"]);
    let bytes = std::fs::read(&whole).expect("recording");
    let cut = folder.path().join("cut.mcap");
    std::fs::write(&cut, &bytes[..bytes.len() * 3 / 4]).expect("write");
    let torn = folder.path().join("torn.mcap");
    std::fs::write(&torn, &bytes[..20]).expect("write");
    let [whole, cut, torn] = [&whole, &cut, &torn].map(|p| text(p));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--data", "no/such.mcap"], 1, "no/such.mcap"),
        (&["--data", &torn], 1, "torn.mcap"),
        (&["--data", "README.md"], 1, "README.md"),
        (&["--data", &whole, "--policy", "nobody"], 2, "default"),
        (&["--data", &whole, "--wrong-above", "0"], 2, "--wrong-above"),
        (&["--data", &whole, "--predictions", "no/folder/p.jsonl"], 1, "no/folder/p.jsonl"),
        (&["--data", &cut], 3, "cut off"),
        (&[], 2, "--data"),
    ];
    for (args, code, says) in cases {
        let output = caril(&[&["eval", "frames"], *args].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?} should mention {says}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

#[test]
fn two_paths_are_compared() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        path.to_str().expect("path").to_owned()
    };
    let line = |y: i32| (1..12).map(|x| format!("{x},{y}\n")).collect::<String>();
    let (a, b) = (write("a.csv", format!("x,y\n{}", line(5))), write("b.csv", line(7)));
    let found = json(&caril(&["eval", "trajectory", &a, &b, "--json"]));
    for (key, expected) in [("frechet", 2.0), ("area", 20.0), ("cross_track_mean", 2.0)] {
        let got = found[key].as_f64().expect(key);
        assert!((got - expected).abs() < 1e-9, "{key}: {got}");
    }
    assert_eq!((&found["spacing"], &found["points_driven"]), (&0.5.into(), &21.into()));
    assert!(found["dtw"].as_f64() > Some(0.0) && found["curve_length"].as_f64() > Some(0.0));
    let one = write("one.csv", "1,2\n".into());
    let cases = [
        (vec![a.as_str(), "no.csv"], 1, "no.csv"),
        (vec![a.as_str(), &one], 1, "one.csv"),
        (vec![a.as_str(), &b, "--spacing", "-1"], 2, "--spacing"),
    ];
    for (args, code, says) in cases {
        let output = caril(&[&["eval", "trajectory"], args.as_slice()].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
}
