//! `caril eval drive` as a user meets it: the same table however it was driven (at once, killed and
//! gone on with, in shards), pairs that are pairs, crashes that are called crashes.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SUITE: &str = r#"
name = "tiny"
about = "Short routes on a training map."
seed = 9001
trials = 2
arms = ["expert", "off", "calibrated"]
[[cells]]
name = "short"
maps = ["winding_suburb"]
route = { length_m = [25.0, 45.0] }
delay = ["0", "0-2"]
"#;

fn program() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    program
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("tiny.toml"), SUITE).expect("suite");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(common::root())
            .args(["eval", "drive", "--suite"])
            .arg(self.path("tiny.toml"))
            .arg("--out")
            .arg(self.path(out))
            .args(more)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, out: &str, more: &[&str]) -> Output {
        self.command(out, more).output().expect("caril runs")
    }

    fn file(&self, out: &str, name: &str) -> String {
        std::fs::read_to_string(self.path(out).join(name)).expect(name)
    }

    fn tables(&self, out: &str) -> [String; 2] {
        ["results.csv", "episodes.csv"].map(|name| self.file(out, name))
    }

    fn results(&self, out: &str) -> Vec<Value> {
        let lines = self.file(out, "episodes.jsonl");
        lines.lines().map(|l| serde_json::from_str(l).expect("a whole line")).collect()
    }
}

fn ok(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// Waits until the file has so many whole lines.
fn until_lines(path: &Path, lines: usize, child: &mut Child) {
    let start = Instant::now();
    let count = || std::fs::read_to_string(path).map_or(0, |t| t.matches('\n').count());
    while count() < lines {
        assert!(child.try_wait().expect("child").is_none(), "it ended too early");
        assert!(start.elapsed() < Duration::from_secs(120), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_table_however_it_was_driven() {
    let bench = Bench::new();
    let fast = ["--no-report", "--jobs", "2"];
    ok(&bench.run("whole", &["--jobs", "2", "--json"]));
    let whole = bench.tables("whole");
    let results = bench.results("whole");
    assert_eq!(results.len(), 2 * 2 * 3);
    assert!(bench.file("whole", "report.html").contains("data:image/jpeg"), "pictures");

    // Pairs: the same in all but the arm. The arms drive differently, the expert best.
    let of = |arm: &str| -> Vec<&Value> {
        results.iter().filter(|r| r["episode"]["arm"] == arm).collect()
    };
    let key = |r: &Value| {
        let e = &r["episode"];
        format!("{}{}{}{}", e["cell"], e["trial"], e["seed"], e["map"])
    };
    let pairs = ["expert", "off", "calibrated"].map(|arm| {
        let mut keys: Vec<String> = of(arm).into_iter().map(key).collect();
        keys.sort();
        keys
    });
    assert_eq!(pairs[0].len(), 4);
    assert_eq!(pairs[0], pairs[1]);
    assert_eq!(pairs[1], pairs[2]);
    for r in of("expert") {
        let m = &r["measures"];
        assert_eq!(
            (&m["end"], m["frechet_m"].as_f64()),
            (&"goal_reached".into(), Some(0.0)),
            "{r}"
        );
    }
    assert!(of("off").iter().all(|r| r["measures"]["frechet_m"].as_f64() > Some(0.0)));

    // Again: nothing is driven, everything is the same.
    let lines = bench.file("whole", "episodes.jsonl");
    let again = bench.run("whole", &["--no-report"]);
    ok(&again);
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("12 of 12 episodes are driven already")
    );
    assert_eq!(bench.file("whole", "episodes.jsonl"), lines);
    assert_eq!(bench.tables("whole"), whole);

    // Killed in the middle, its last line cut off, and gone on with.
    let mut child = bench
        .command("killed", &["--no-report", "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("caril runs");
    let lines = bench.path("killed").join("episodes.jsonl");
    until_lines(&lines, 2, &mut child);
    child.kill().expect("kill");
    child.wait().expect("dead");
    let mut text = std::fs::read_to_string(&lines).expect("lines");
    assert!(text.lines().count() < 12, "killed in the middle");
    text.push_str("{\"episode\":{\"suite\":\"ti");
    std::fs::write(&lines, text).expect("cut off");
    ok(&bench.run("killed", &fast));
    assert_eq!(bench.tables("killed"), whole, "after a kill");

    // More trials go on too, unless this build drives otherwise than the one before.
    ok(&bench.run("killed", &["--no-report", "--jobs", "2", "--trials", "3"]));
    let text = std::fs::read_to_string(&lines).expect("lines");
    std::fs::write(&lines, text.replace("\"step_hash\":\"", "\"step_hash\":\"0")).expect("changed");
    let mixed = bench.run("killed", &["--no-report", "--jobs", "2", "--trials", "4"]);
    assert_eq!(mixed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&mixed.stderr).contains("this build drives"), "{mixed:?}");

    // In shards, merged.
    for shard in ["1/2", "2/2"] {
        let out = format!("shard{}", &shard[..1]);
        ok(&bench.run(&out, &["--no-report", "--jobs", "1", "--shard", shard]));
        assert_eq!(bench.results(&out).len(), 6, "half of it");
    }
    let merged = Command::new(program())
        .current_dir(common::root())
        .args(["eval", "drive", "merge", "--no-report", "--out"])
        .arg(bench.path("merged"))
        .args([bench.path("shard1"), bench.path("shard2")])
        .output()
        .expect("caril runs");
    ok(&merged);
    assert_eq!(bench.tables("merged"), whole, "from shards");

    // Another configuration is another arm, and must not get in among these.
    let config = bench.path("slow.toml");
    std::fs::write(&config, "[longitudinal]\ncruise_speed_mps = 5.0\n").expect("config");
    let other = bench.run("whole", &["--config", config.to_str().expect("path")]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("arm expert was another there"));
}

#[test]
fn a_worker_that_is_shot_is_a_crash_and_no_failed_drive() {
    let bench = Bench::new();
    let mut child = bench
        .command("shot", &["--no-report", "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("caril runs");
    until_lines(&bench.path("shot").join("episodes.jsonl"), 1, &mut child);
    let kill = format!("kill -9 $(cat /proc/{}/task/*/children)", child.id());
    let shot = Command::new("sh").args(["-c", &kill]).status();
    assert!(shot.expect("sh runs").success(), "there is a worker");
    assert_eq!(child.wait().expect("ends").code(), Some(3), "finished, but degraded");
    let crashed: Vec<Value> =
        bench.results("shot").into_iter().filter(|r| r["status"] == "crashed").collect();
    assert_eq!(crashed.len(), 1);
    assert!(crashed[0]["message"].as_str().expect("text").contains("signal: 9"), "{crashed:?}");
    assert_eq!(bench.results("shot").len(), 12, "the others were driven");
    assert!(bench.file("shot", "episodes.csv").contains(",crashed,"));
    ok(&bench.run("shot", &["--no-report", "--retry-crashed"]));
}

#[test]
fn ctrl_c_keeps_what_is_done() {
    let bench = Bench::new();
    let mut child = bench
        .command("stopped", &["--no-report", "--jobs", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("caril runs");
    let lines = bench.path("stopped").join("episodes.jsonl");
    until_lines(&lines, 1, &mut child);
    let signal = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
    assert!(signal.expect("sh runs").success());
    assert_eq!(child.wait().expect("ends").code(), Some(3));
    let results = bench.results("stopped");
    assert!((1..12).contains(&results.len()), "{}", results.len());
    assert!(results.iter().all(|r| r["status"] == "driven"), "given up is not crashed");
}

#[test]
fn shipped_suites_can_be_planned_and_nonsense_is_named() {
    let plan = |args: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(common::root()).args(["eval", "drive"]).args(args);
        command.output().expect("caril runs")
    };
    let cases: &[(&[&str], &str)] = &[
        (&["--suite", "nobody"], "paper"),
        (&["--shard", "3/2"], "I from 1 to N"),
        (&["--arms", "off,off"], "two arms are called off"),
        (&["--arms", "off:"], "MODE"),
        (&["--arms", "nobody"], "no policy pack nobody"),
    ];
    for (args, says) in cases {
        let output = plan(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(!said.contains("make_default"), "a script is no policy pack: {said}");
    }
    let twice = plan(&["--suite", "paper,paper", "--plan"]);
    assert_eq!(twice.status.code(), Some(2), "its drives would be driven twice");
    // A name that the world does not know would be a crash of every drive of a later cell.
    let folder = tempfile::tempdir().expect("folder");
    let good = std::fs::read_to_string(common::root().join("suites/unseen.toml")).expect("suite");
    for (name, bad) in [
        ("no weather Fog", "weather = [\"Fog\"]"),
        ("unknown fault", "faults = [\"none\", \"fog:0.5\"]"),
        ("no map nowhere", "maps = [\"nowhere\"]"),
    ] {
        let maps = if bad.starts_with("maps") { "" } else { "maps = [\"valley_road\"]\n" };
        let cell = format!(
            "\n[[cells]]\nname = \"later\"\nroute = {{ length_m = [100.0, 200.0] }}\n{maps}{bad}\n"
        );
        let path = folder.path().join("bad.toml");
        std::fs::write(&path, good.clone() + &cell).expect("suite");
        let output = plan(&["--suite", path.to_str().expect("UTF-8"), "--plan"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("cells later") && said.contains(name), "{said}");
    }
    let output = plan(&["--suite", "all", "--arms", "expert", "--plan"]);
    ok(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    for id in [
        "paper/two_turn/9@expert",
        "unseen/valley_road WetCloudyNoon/29@expert",
        "nocrash/traffic 60 cars/0@expert",
        "shift/noise FoggyNoon noise:0.8/0@expert",
        "latency/command late 0-4/0@expert",
    ] {
        assert!(text.contains(id), "{id}");
    }
}
