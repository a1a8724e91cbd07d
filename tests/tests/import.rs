//! `caril import` as scripts meet it: exit codes, one JSON object, a recording that `inspect`
//! reads, the same bytes twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program that `cargo test --workspace` has built beside this test.
fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    Command::new(program).args(args).output().expect("caril runs")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("not one JSON object: {e}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// A PNG of one pixel.
#[rustfmt::skip]
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53,
    0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0x00,
    0x00, 0x03, 0x01, 0x01, 0x00, 0xc9, 0xfe, 0x92, 0xef, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e,
    0x44, 0xae, 0x42, 0x60, 0x82,
];

/// A drive as Udacity's simulator leaves it.
fn drive(folder: &Path, rows: u32, missing: Option<u32>) -> PathBuf {
    fs::create_dir_all(folder.join("IMG")).expect("folder");
    let mut log = String::new();
    for n in 0..rows {
        let name = format!("center_2020_01_01_00_00_{:02}_{:03}.jpg", n / 10, n % 10 * 100);
        if missing != Some(n) {
            fs::write(folder.join("IMG").join(&name), PIXEL).expect("picture");
        }
        log += &format!("C:\\me\\IMG\\{name},left,right,{},1,0,20\n", f64::from(n) / 100.0 - 0.5);
    }
    fs::write(folder.join("driving_log.csv"), log).expect("table");
    folder.to_path_buf()
}

#[test]
fn import_inspect_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    drive(&folder.path().join("track"), 90, None);
    let (track, one, two) = (at("track"), at("one.mcap"), at("two.mcap"));
    let output = run(&["import", "udacity", &track, "--out", &one, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = json(&output);
    assert_eq!((&summary["frames"], &summary["drives"]), (&90.into(), &1.into()), "{summary}");
    let inspected = json(&run(&["inspect", &one, "--json"]));
    assert_eq!(inspected["kind"], "import");
    assert_eq!((&inspected["frames"], &inspected["images"]), (&90.into(), &90.into()));
    assert_eq!(inspected["complete"], true);
    assert_eq!(inspected["expert_bins"].as_array().map(Vec::len), Some(11));
    // Guessed, and from elsewhere.
    let output = run(&["import", &format!("{track}/driving_log.csv"), "--out", &two]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "human text is on stderr");
    let again = at("again.mcap");
    run(&["import", "--format", "udacity", &track, "--out", &again]);
    assert_eq!(fs::read(&one).expect("one"), fs::read(&again).expect("again"));
    // An existing output is the user's to give up.
    let refused = run(&["import", &track, "--out", &one]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(run(&["import", &track, "--out", &one, "--force"]).status.code(), Some(0));
}

#[test]
fn bad_rows_degrade_and_strict_fails() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("path").to_owned();
    drive(&folder.path().join("track"), 20, Some(7));
    let (track, out) = (at("track"), at("out.mcap"));
    let strict = run(&["import", &track, "--out", &out, "--strict", "--json"]);
    assert_eq!(strict.status.code(), Some(1));
    assert_eq!(json(&strict)["bad_rows"][0]["row"], 8);
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing was written");
    let output = run(&["import", &track, "--out", &out, "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("1 missing_picture") && text.contains("row 8"), "{text}");
    assert_eq!(json(&output)["bad"]["missing_picture"], 1);
    assert_eq!(json(&output)["frames"], 19);
}

#[test]
fn wrong_use_is_named_and_has_its_exit_code() {
    let folder = tempfile::tempdir().expect("folder");
    let track = drive(&folder.path().join("track"), 2, None);
    let track = track.to_str().expect("path");
    let out = folder.path().join("out.mcap");
    let out = out.to_str().expect("path");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["import", "matlab", track, "--out", out], 2, "udacity"),
        (&["import", "--out", out], 2, "SRC"),
        (&["import", "caril", track, "--out", out, "--format", "csv"], 2, "twice"),
        (&["import", "caril", track, "--out", out], 1, "control_commands.csv"),
        (&["import", "no/such", "--out", out], 1, "no/such"),
        (&["import", track, "--out", out, "--mount", "1,2"], 2, "X,Y,Z,PITCH"),
        (&["import", track, "--out", out, "--fov", "300"], 2, "field of view"),
        (&["import", track, "--out", out, "--columns", "image=a"], 2, "steer"),
    ];
    for (args, code, says) in cases {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?} should mention {says}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
    assert!(!Path::new(out).exists());
}
