//! The live view's page in a real browser, wide and narrow, light and dark: it shows frames and
//! pictures, without an error, and nothing hangs over the edge. Chromium is driven through the pipe
//! of its DevTools protocol. Where there is no chromium the test says so and is over.
//!
//! `VIEW_PICTURES=docs/pictures cargo test --release --workspace --test view_page` writes the
//! screenshots of the documentation.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than this nothing takes that ever comes.
const LONG: Duration = Duration::from_secs(120);

fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let mut ask = Command::new(name);
        ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|s| s.success())
    })
}

/// Ends with the test, however that ends.
struct Ours(Child);

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser, its one page, and what the page complained about.
struct Browser {
    _process: Ours,
    input: File,
    output: BufReader<File>,
    session: Option<String>,
    calls: u64,
    errors: Vec<String>,
}

impl Browser {
    fn start(name: &str, folder: &Path) -> Self {
        let [input, output] = ["in", "out"].map(|n| folder.join(n));
        let made = Command::new("mkfifo").args([&input, &output]).status().expect("mkfifo runs");
        assert!(made.success());
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let process = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<\"$IN\" 4>\"$OUT\"",
                "sh",
                name,
                "--headless",
                "--no-sandbox",
            ])
            .args(["--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", &profile])
            .arg("about:blank")
            .envs([("IN", &input), ("OUT", &output)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        // In the order in which the shell opens them.
        let input = File::options().write(true).open(&input).expect("pipe");
        let output = BufReader::new(File::open(&output).expect("pipe"));
        let (session, calls, errors) = (None, 0, Vec::new());
        let mut browser = Self { _process: Ours(process), input, output, session, calls, errors };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({}));
        browser.call("Runtime.enable", json!({}));
        browser.call("Log.enable", json!({}));
        browser
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).expect("the browser answers");
            assert_eq!(bytes.pop(), Some(0), "the browser is gone");
            let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
            if answer["method"] == "Runtime.exceptionThrown" || answer["method"] == "Log.entryAdded"
            {
                self.errors.push(answer["params"].to_string());
            }
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Null where it cannot be told, while the page is still loading for example.
    fn value(&mut self, expression: &str) -> Value {
        self.call("Runtime.evaluate", json!({ "expression": expression }))["result"]["value"].take()
    }

    fn until(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(expression) != json!(true) {
            assert!(start.elapsed() < LONG, "never: {expression}; the page said {:?}", self.errors);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn caril() -> Command {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    assert!(program.exists(), "{} is not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(common::root()).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A replay at the speed of the drive that shows itself: however busy the machine is, it is the
/// same drive.
fn show(folder: &Path, frames: &str) -> (Ours, String) {
    let file = folder.join("drive.mcap");
    let mut drive = caril();
    drive.args(["drive", "--no-report", "--frames", frames, "--record"]).arg(&file);
    drive.args(["--weather", "WetNoon", "--traffic", "8"]).stderr(Stdio::null());
    // 3: the recorder had no time for a picture.
    assert!(matches!(drive.status().expect("caril runs").code(), Some(0 | 3)));
    let mut replay = caril();
    replay.arg("replay").arg(&file).args(["--backend", "cpu", "--view", "0"]);
    let mut child = replay.stderr(Stdio::piped()).spawn().expect("caril runs");
    let mut line = String::new();
    let said = child.stderr.as_mut().expect("stderr");
    BufReader::new(said).read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("view: ").expect("it says where").to_owned();
    (Ours(child), url)
}

#[test]
fn the_page_works_on_a_wall_and_on_a_phone_by_day_and_by_night() {
    let Some(name) = chromium() else {
        eprintln!("skipped: there is no chromium here");
        return;
    };
    let pictures = std::env::var_os("VIEW_PICTURES").map(|p| common::root().join(PathBuf::from(p)));
    let folder = tempfile::tempdir().expect("folder");
    // For the documentation, the car is well on its way.
    let (frames, seen) = if pictures.is_some() { ("1300", 520) } else { ("600", 5) };
    let (_child, url) = show(folder.path(), frames);
    let mut browser = Browser::start(name, folder.path());
    for (kind, width, height, mobile) in [("wide", 1600, 900, false), ("narrow", 390, 844, true)] {
        for scheme in ["light", "dark"] {
            browser.call(
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile }),
            );
            browser.call(
                "Emulation.setEmulatedMedia",
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
            );
            browser.call("Page.navigate", json!({ "url": url }));
            // A picture of the drive under way, and then some.
            browser.until("+document.documentElement.dataset.pictures >= 3");
            browser.until("document.querySelectorAll('#map svg path').length > 10");
            browser.until(&format!("latest && latest.frame_id >= {seen}"));

            let at = format!("{kind}, {scheme}");
            let mode = browser.value("document.getElementById('mode').className");
            assert_eq!(mode, "mode nominal", "{at}");
            let over = browser.value("document.documentElement.scrollWidth - innerWidth");
            assert!(over.as_i64().is_some_and(|n| n <= 0), "{at}: {over} pixels too wide");
            if kind == "wide" {
                let over = browser.value(
                    "Math.max(...[...document.querySelectorAll('section')].map(s => \
                     Math.max(s.scrollHeight - s.clientHeight, s.getBoundingClientRect().bottom - innerHeight)))",
                );
                assert!(over.as_f64().is_some_and(|n| n <= 1.0), "{at}: {over} pixels too high");
            }
            let shot = browser.call("Page.captureScreenshot", json!({ "format": "png" }));
            let png = shot["data"].as_str().expect("base64");
            assert!(png.len() > 20_000, "{at}: an empty page");
            if let Some(folder) = &pictures {
                let file = folder.join(format!("view-{kind}-{scheme}.png"));
                let out = File::create(&file).expect("the picture's file");
                let mut decode = Command::new("base64")
                    .arg("-d")
                    .stdin(Stdio::piped())
                    .stdout(out)
                    .spawn()
                    .expect("base64 runs");
                let mut input = decode.stdin.take().expect("stdin");
                input.write_all(png.as_bytes()).expect("written");
                drop(input);
                assert!(decode.wait().expect("base64 ends").success());
            }
        }
    }
    assert!(browser.errors.is_empty(), "the page said {:?}", browser.errors);
}
