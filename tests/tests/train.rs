//! `caril train` as a user meets it: killed and gone on with, bad input, recipes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

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

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Data {
    _folder: tempfile::TempDir,
    drives: PathBuf,
}

/// Four short drives, collected once for all tests.
fn data() -> &'static Path {
    static DATA: OnceLock<Data> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().expect("folder");
        let drives = folder.path().join("drives.mcap");
        let output = caril()
            .args(["collect", "--frames", "48", "--episode", "12", "--every", "2", "--out"])
            .arg(&drives)
            .output()
            .expect("caril runs");
        assert!(output.status.success(), "{}", stderr(&output));
        Data { _folder: folder, drives }
    };
    &DATA.get_or_init(make).drives
}

fn train(data: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = caril();
    command.arg("train").arg("--data").arg(data).arg("--out").arg(out);
    command.args(["--batch", "8", "--steps", "10", "--held-out-every", "4"]).args(more);
    command
}

/// Runs a training that must fail; gives its message. No pack may be left.
fn refused(data: &Path, more: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("pack");
    let output = train(data, &out, more).output().expect("caril runs");
    let message = stderr(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}: {message}", output.status);
    for file in ["card.toml", "weights.bpk", "weights.bpk.tmp", "card.toml.tmp"] {
        assert!(!out.join(file).exists(), "{file} is left: {message}");
    }
    message
}

fn read(out: &Path, file: &str) -> Vec<u8> {
    std::fs::read(out.join(file)).expect(file)
}

#[test]
fn killed_at_any_moment_and_gone_on_with_gives_the_same_bits() {
    let folder = tempfile::tempdir().expect("folder");
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let output = train(data(), &whole, &[]).output().expect("caril runs");
    assert!(output.status.success(), "{}", stderr(&output));

    let more = ["--resume", "--checkpoint-every", "1"];
    let inode = || {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(killed.join("checkpoint")).ok().map(|m| (m.ino(), m.mtime_nsec()))
    };
    let mut kills = 0;
    for delay_ms in [0, 3, 11, 29, 47] {
        let before = inode();
        let mut child =
            train(data(), &killed, &more).stderr(Stdio::null()).spawn().expect("caril runs");
        // Each life makes a step at least, then dies wherever it is.
        let start = Instant::now();
        while inode() == before && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().expect("SIGKILL");
        kills += usize::from(!child.wait().expect("its end").success());
    }
    assert!(kills > 0, "it was faster than every kill");
    let output = train(data(), &killed, &more).output().expect("caril runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("goes on after step"), "{}", stderr(&output));
    assert_eq!(read(&whole, "weights.bpk"), read(&killed, "weights.bpk"));

    let other = train(data(), &killed, &["--resume", "--seed", "9"]).output().expect("caril runs");
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("belongs to another training"), "{}", stderr(&other));
    assert_eq!(read(&whole, "weights.bpk"), read(&killed, "weights.bpk"), "left as it was");
}

#[test]
fn ctrl_c_leaves_a_pack_and_a_checkpoint_to_go_on_from() {
    let folder = tempfile::tempdir().expect("folder");
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    let more = ["--checkpoint-every", "1"];
    assert!(train(data(), &whole, &more).output().expect("caril runs").status.success());
    let mut child = train(data(), &stopped, &more).stderr(Stdio::null()).spawn().expect("runs");
    let start = Instant::now();
    while !stopped.join("checkpoint").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    let code = child.wait().expect("its end").code();
    // 0: it had just finished.
    assert!(matches!(code, Some(3 | 0)), "{code:?}");
    assert!(stopped.join("card.toml").exists(), "who stops has a pack");
    let output = train(data(), &stopped, &["--resume"]).output().expect("caril runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(read(&whole, "weights.bpk"), read(&stopped, "weights.bpk"));
    assert!(String::from_utf8_lossy(&read(&stopped, "curves.svg")).contains("<polyline"));
}

#[test]
fn a_cut_recording_is_used_as_far_as_it_is_whole_or_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let whole = std::fs::read(data()).expect("recording");
    let cut = |share: usize| {
        let path = folder.path().join(format!("cut{share}.mcap"));
        let end = whole.len() * share / 100;
        std::fs::write(&path, whole.get(..end).expect("shorter")).expect("written");
        path
    };
    // Nothing whole is left of the smallest; the largest lacks its end alone.
    let message = refused(&cut(0), &[]);
    assert_eq!(message.matches("cut0.mcap").count(), 1, "named, and once: {message}");
    let path = folder.path().join("noise.mcap");
    std::fs::write(&path, [7; 5000]).expect("written");
    assert!(refused(&path, &[]).contains("MCAP"), "no recording at all");
    let output = train(&cut(99), &folder.path().join("pack"), &[]).output().expect("caril runs");
    assert!(stderr(&output).contains("cut off"), "{}", stderr(&output));
}

#[test]
fn bad_input_is_named_and_leaves_no_pack() {
    let golden = root().join("tests/golden/train/other_network.pth");
    let golden = golden.to_str().expect("path");
    let folder = tempfile::tempdir().expect("folder");
    let noise = folder.path().join("noise.pth");
    std::fs::write(&noise, [3; 999]).expect("written");
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "drives.mcap 5-x").expect("written");
    let cases: [(&[&str], &str); 10] = [
        (&["--steer-max", "0.02"], "found class 5 alone"),
        (&["--from", "weights/default", "--backbone", "resnet50"], "expected a pack of resnet50"),
        (&["--from", "no/such/pack"], "no/such/pack"),
        (&["--backbone", "resnet50", "--init", golden], "do not fit resnet50"),
        (&["--backbone", "resnet50", "--init", noise.to_str().expect("path")], "noise.pth"),
        (&["--init", golden], "init must be left out for pilotnet"),
        (&["--lr", "1e30"], "diverged"),
        (&["--paper-label-bug"], "--mirror"),
        (&["--exclude", list.to_str().expect("path")], "line 1"),
        (&["--balance", "cap:0"], "--balance"),
    ];
    for (more, expected) in cases {
        let message = refused(data(), more);
        assert!(message.contains(expected), "{more:?}: {message}");
        assert!(!message.contains("panicked"), "{more:?}: {message}");
    }
    // The whole of one drive, and nothing to hold out.
    std::fs::write(&list, "drives.mcap 0-99999999").expect("written");
    let message = refused(data(), &["--exclude", list.to_str().expect("path")]);
    assert!(message.contains("nothing to learn from"), "{message}");
}
