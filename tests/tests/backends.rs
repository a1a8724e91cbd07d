//! Backends as scripts meet them: which there are, that they agree, int8's way into a pack,
//! calibration and figures by backend.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn caril(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    Command::new(program).args(args).current_dir(root()).output().expect("caril runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("not one JSON object: {e}\n{}", stderr(output)))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("path")
}

/// A copy of the default pack.
fn pack(folder: &Path) -> PathBuf {
    let to = folder.join("pack");
    std::fs::create_dir(&to).expect("folder");
    for file in ["card.toml", "weights.bpk"] {
        let from = root().join("weights/default").join(file);
        std::fs::copy(from, to.join(file)).expect("the default pack");
    }
    to
}

fn recording(folder: &Path) -> PathBuf {
    let to = folder.join("held.mcap");
    let args = ["collect", "--map", "town_blocks", "--frames", "80", "--every", "2", "--seed", "5"];
    let output = caril(&[&args[..], &["--out", text(&to)]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    to
}

#[test]
fn the_version_names_the_backends_and_others_are_refused() {
    let said = String::from_utf8(caril(&["--version"]).stdout).expect("text");
    let line = said.lines().find_map(|l| l.strip_prefix("backends: ")).expect("backends");
    let has: Vec<&str> = line.split(", ").collect();
    assert!(["cpu", "int8", "flex"].iter().all(|b| has.contains(b)), "{line}");
    for other in ["ndarray", "wgpu"].iter().filter(|b| !has.contains(b)) {
        let output = caril(&["bench", "step", "--frames", "1", "--backend", other]);
        assert_eq!(output.status.code(), Some(2), "{other}");
        let said = stderr(&output);
        assert!(said.contains(line) && said.contains(&format!("--features {other}")), "{said}");
    }
}

#[test]
fn backends_agree_and_disagreement_is_an_exit_code() {
    let args = ["bench", "infer", "--backend", "cpu", "flex", "--architecture", "pilotnet"];
    let frames = ["--policy", "default", "--frames", "12", "--random", "12", "--json"];
    let args = [&args[..], &frames[..]].concat();
    let found = json(&caril(&[&args[..], &["--tolerance", "1e-4"]].concat()));
    assert_eq!(found["within"], true, "{found}");
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4, "two packs on two backends");
    for row in rows {
        let number = |name: &str| row[name].as_f64().expect(name);
        assert_eq!((number("n"), number("faults")), (24.0, 0.0), "{row}");
        assert!(number("regression_difference_max") <= 1e-4, "{row}");
        let range = row["regression_range"].as_array().expect("range");
        let [low, high] = [0, 1].map(|i| range[i].as_f64().expect("number"));
        assert!(high - low > 1e-2, "the pictures make a difference: {row}");
    }
    // Not the same bits, so none may differ by nothing.
    let output = caril(&[&args[..], &["--tolerance", "0"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}

#[test]
fn what_other_runtimes_need_is_left_for_them() {
    let folder = tempfile::tempdir().expect("folder");
    let args = ["bench", "infer", "--frames", "0", "--random", "3", "--dump"];
    let output = caril(&[&args[..], &[text(folder.path())]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |end: &str| {
        let entries = std::fs::read_dir(folder.path()).expect("folder");
        let mut paths = entries.map(|e| e.expect("entry").path());
        let path = paths.find(|p| p.extension().is_some_and(|e| e == end)).expect(end);
        std::fs::read(path).expect(end)
    };
    assert!(read("onnx").len() > 100_000);
    let lines = String::from_utf8(read("jsonl")).expect("text");
    let lines: Vec<Value> =
        lines.lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|l| l["probs"].as_array().is_some_and(|p| p.len() == 11)));
    assert_eq!(read("rgb").len() % 3, 0);
}

#[test]
fn int8_is_accepted_with_its_report_and_belongs_to_its_weights() {
    let folder = tempfile::tempdir().expect("folder");
    let (pack, held) = (pack(folder.path()), recording(folder.path()));
    let (pack_text, held_text) = (text(&pack), text(&held));
    let drive = ["drive", "--record", "none", "--frames", "20", "--json", "--policy", pack_text];
    let drive = [&drive[..], &["--backend", "int8"]].concat();
    let before = caril(&drive);
    assert_eq!(before.status.code(), Some(2), "{}", stderr(&before));
    assert!(stderr(&before).contains("caril quantize"), "{}", stderr(&before));

    let quantize = ["quantize", "--policy", pack_text, "--data", held_text, "--frames", "30"];
    let strict = caril(&[&quantize[..], &["--flips-max=-1", "--json"]].concat());
    assert_eq!(strict.status.code(), Some(1), "{}", stderr(&strict));
    assert!(!pack.join("int8.json").exists(), "what is not accepted is not left");

    let found = json(&caril(&[&quantize[..], &["--flips-max", "0.2", "--json"]].concat()));
    assert_eq!(found["accepted"], true);
    for figures in found["report"]["figures"].as_array().expect("figures") {
        for name in ["flip_share", "accuracy", "expected_calibration_error"] {
            let value = figures[name].as_f64().expect(name);
            assert!((0.0..=1.0).contains(&value), "{name}: {value}");
        }
    }
    let driven = json(&caril(&drive));
    assert_eq!((&driven["backend"], &driven["frames"]), (&"int8".into(), &20.into()));

    // What was accepted stays accepted when another trial is not, or fails.
    let accepted = std::fs::read(pack.join("int8.json")).expect("file");
    for (args, code) in
        [(["--flips-max=-1", "--frames", "30"], 1), (["--flips-max=1", "--frames", "0"], 2)]
    {
        let tried =
            caril(&[&["quantize", "--policy", pack_text, "--data", held_text][..], &args].concat());
        assert_eq!(tried.status.code(), Some(code), "{}", stderr(&tried));
        assert_eq!(std::fs::read(pack.join("int8.json")).expect("file"), accepted);
    }
    let one = caril(&[
        "quantize",
        "--policy",
        pack_text,
        "--data",
        held_text,
        "--frames",
        "1",
        "--flips-max=1",
    ]);
    assert_eq!(one.status.code(), Some(0), "{}", stderr(&one));

    // The same ranges with other weights would be nonsense.
    let mut int8: Value =
        serde_json::from_slice(&std::fs::read(pack.join("int8.json")).expect("file"))
            .expect("JSON");
    int8["weights_sha256"] = "of another network".into();
    std::fs::write(pack.join("int8.json"), int8.to_string()).expect("file");
    let other = caril(&drive);
    assert_eq!(other.status.code(), Some(2), "{}", stderr(&other));
}

#[test]
fn figures_and_calibration_follow_the_backend() {
    let folder = tempfile::tempdir().expect("folder");
    let (pack, held) = (pack(folder.path()), recording(folder.path()));
    let (pack, held) = (text(&pack), text(&held));
    let with = |args: &[&str], backend: &str| {
        let more = ["--policy", pack, "--data", held, "--json", "--backend", backend];
        json(&caril(&[args, &more[..]].concat()))
    };
    let mae = |found: &Value| {
        found.pointer("/results/0/steer/all/mae").and_then(Value::as_f64).expect("an error")
    };
    let (cpu, flex) = (with(&["eval", "frames"], "cpu"), with(&["eval", "frames"], "flex"));
    assert_eq!((&cpu["backend"], &flex["backend"]), (&"cpu".into(), &"flex".into()));
    assert!((mae(&cpu) - mae(&flex)).abs() < 1e-4, "{} {}", mae(&cpu), mae(&flex));

    let temperature = |found: &Value| {
        found.pointer("/calibration/temperature").and_then(Value::as_f64).expect("a temperature")
    };
    let (cpu, flex) = (with(&["calibrate"], "cpu"), with(&["calibrate"], "flex"));
    assert_eq!(cpu["calibrated_on"]["backend"], "cpu");
    assert_eq!(flex["calibrated_on"]["backend"], "flex");
    assert!((temperature(&cpu) / temperature(&flex) - 1.0).abs() < 0.01);

    let args = ["eval", "flips", "--policy", pack, "--data", held, "--backend", "flex", "cpu"];
    let found = json(&caril(&[&args[..], &["--frames", "40", "--json"]].concat()));
    assert_eq!(found["figures"][1]["flips"], 0, "{found}");
}

#[test]
fn the_start_is_measured_in_processes_of_its_own() {
    let found = json(&caril(&["bench", "start", "--runs", "2", "--json"]));
    assert_eq!(found["start_to_first_command_ms"]["n"], 2);
    let memory = |name: &str| found["memory"][name].as_f64().expect(name);
    assert!(memory("peak_mb") >= memory("after_mb") && memory("after_mb") > 0.0, "{found}");
}
