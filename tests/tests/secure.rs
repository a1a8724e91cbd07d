//! Keys on the command line: a secured drive is the same drive, strangers get nowhere, and an
//! endpoint that leaves the machine is not opened by accident.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

fn caril() -> Command {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = caril().args(args).output().expect("caril runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A plant in a process of its own, ended with the test.
struct Plant {
    child: Child,
    endpoint: String,
}

impl Drop for Plant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(options: &[&str]) -> Plant {
    let mut command = caril();
    command.args(["sim", "serve", "--endpoint", "tcp://127.0.0.1:*", "--again"]).args(options);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("caril runs");
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().expect("stderr"));
    said.read_line(&mut line).expect("a line");
    // Whatever else it says must not fill the pipe.
    std::thread::spawn(move || said.lines().for_each(drop));
    let endpoint = line.split(' ').nth(2).unwrap_or_default().to_owned();
    assert!(endpoint.starts_with("tcp://"), "{line}");
    Plant { child, endpoint }
}

/// A key pair in `dir`: the paths of secret and public key.
fn pair(dir: &Path, name: &str) -> (String, String) {
    let path: PathBuf = dir.join(name);
    let path = path.to_str().expect("text").to_owned();
    let (code, public, _) = run(&["keys", "new", &path]);
    assert_eq!((code, public.trim().len()), (0, 64));
    assert_eq!(run(&["keys", "new", &path]).0, 1, "never overwritten");
    (path.clone(), format!("{path}.pub"))
}

fn hash(plant: &str, more: &[&str]) -> String {
    let options = ["drive", "--plant", plant, "--frames", "40", "--no-report", "--json"];
    let (code, out, err) = run(&[&options[..], more].concat());
    assert_eq!(code, 0, "{err}");
    let out: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    assert_eq!(out["frames"], 40);
    out["step_hash"].to_string()
}

#[test]
fn a_secured_drive_is_the_same_drive_and_strangers_get_nowhere() {
    let dir = tempfile::tempdir().expect("a folder");
    let (plant_key, plant_pub) = pair(dir.path(), "plant.key");
    let (car_key, car_pub) = pair(dir.path(), "car.key");
    let (thief_key, _) = pair(dir.path(), "thief.key");
    let plant = serve(&["--key", &plant_key, "--peers", &car_pub]);
    let at = plant.endpoint.as_str();
    let keys = ["--key", &car_key, "--peers", &plant_pub];
    let record = dir.path().join("drive.mcap").to_str().expect("text").to_owned();
    let secured = hash(at, &[&keys[..], &["--record", &record]].concat());
    let open = serve(&[]);
    assert_eq!(hash(&open.endpoint, &["--record", "none"]), secured);
    let recording = caril_record::Recording::open(record.as_ref()).expect("a recording");
    assert_eq!(recording.header().extra.get("link").map(String::as_str), Some("secured"));

    for stranger in [&[][..], &["--key", &thief_key, "--peers", &plant_pub]] {
        let (code, _, err) =
            run(&[&["drive", "--plant", at, "--record", "none"], stranger].concat());
        assert_eq!(code, 1, "{err}");
    }
    assert_eq!(hash(at, &[&keys[..], &["--record", "none"]].concat()), secured, "still served");
}

#[test]
fn an_endpoint_that_leaves_the_machine_wants_keys_or_a_word() {
    for args in [
        &["sim", "serve", "--endpoint", "tcp://0.0.0.0:*"][..],
        &["drive", "--plant", "tcp://192.0.2.1:5555"],
    ] {
        let (code, _, err) = run(args);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("leaves this machine") && err.contains("--insecure"), "{err}");
    }
    let both = ["--key", "a", "--peers", "b", "--insecure"];
    let (code, ..) = run(&[&["sim", "serve", "--endpoint", "ipc:///tmp/x"], &both[..]].concat());
    assert_eq!(code, 2);
    let dir = tempfile::tempdir().expect("a folder");
    let (key, public) = pair(dir.path(), "a.key");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let keys = ["--key", &key, "--peers", &public];
    let (code, _, err) = run(&[&["drive", "--plant", "tcp://127.0.0.1:1"], &keys[..]].concat());
    assert!(code == 2 && err.contains("chmod 600"), "{code} {err}");
}
