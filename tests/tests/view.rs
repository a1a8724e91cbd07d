//! The live view beside a drive: who looks on sees steps and pictures, and changes nothing, whether
//! they read, read nothing or talk nonsense.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caril_core::{CameraSpec, Config, Image, Mode, StepRecord};
use caril_record::{decode_jpeg, step_from_json};
use caril_runtime::{DriveOptions, StopFlag, drive_watched};
use caril_sim::SimWorld;
use caril_view::{About, MAX_VIEWERS, View};

const FRAMES: u64 = 240;
/// Longer than this nothing takes that ever comes.
const LONG: Duration = Duration::from_secs(120);

fn ask(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the view listens");
    stream.set_read_timeout(Some(LONG)).expect("timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

fn get(address: SocketAddr, path: &str) -> TcpStream {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

fn all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer in UTF-8");
    text
}

fn about() -> About {
    About { kind: "drive", map: common::MAP.into(), map_svg: "<svg/>".into(), ..About::default() }
}

fn started(camera: &CameraSpec) -> View {
    View::start(SocketAddr::from(([127, 0, 0, 1], 0)), camera, &about()).expect("a free port")
}

/// What one who looks on has seen.
#[derive(Default)]
struct Seen {
    hello: serde_json::Value,
    steps: Vec<StepRecord>,
    no_frame: Option<StepRecord>,
    pictures: Vec<Image>,
    ended: bool,
}

/// Looks on in a thread of its own until the view closes. The counters count along.
fn look(
    address: SocketAddr,
    messages: &Arc<AtomicUsize>,
    pictures: &Arc<AtomicUsize>,
) -> JoinHandle<Seen> {
    let stream = get(address, "/events");
    let (messages, pictures) = (Arc::clone(messages), Arc::clone(pictures));
    std::thread::spawn(move || {
        let (mut seen, mut event) = (Seen::default(), String::new());
        for line in BufReader::new(stream).lines() {
            let line = line.expect("a line");
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.to_owned();
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let value: serde_json::Value = serde_json::from_str(data).expect("JSON");
            match std::mem::take(&mut event).as_str() {
                "hello" => seen.hello = value,
                "end" => seen.ended = true,
                "" => {
                    // The step stands in the message exactly as in a recording.
                    let step = |key: &str| {
                        let json = data.split_once(&format!("\"{key}\":{{"))?.1;
                        let end = json.find('}').expect("flat JSON");
                        Some(step_from_json(&format!("{{{}}}", &json[..end])).expect("a step"))
                    };
                    seen.steps.push(step("step").expect("a step"));
                    seen.no_frame = step("no_frame");
                    messages.fetch_add(1, Ordering::SeqCst);
                    if let Some(text) = value["jpeg"].as_str() {
                        seen.pictures.push(decode_jpeg(&bytes(text)).expect("a JPEG"));
                        pictures.fetch_add(1, Ordering::SeqCst);
                    }
                }
                other => panic!("event {other}"),
            }
        }
        seen
    })
}

/// Base64 as browsers read it.
fn bytes(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("not base64: {c}"),
    };
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(value).collect();
    let mut out = Vec::new();
    for four in digits.chunks(4) {
        let word = four.iter().fold(0, |w, d| w << 6 | d) << (6 * (4 - four.len()));
        out.extend_from_slice(&word.to_be_bytes()[1..four.len()]);
    }
    out
}

/// The hash of a drive of which `watch` is told.
fn hash(watch: &mut dyn FnMut(&StepRecord, Option<&Image>)) -> String {
    let mut world = SimWorld::new(common::sim_config()).expect("world");
    let policy = common::Told::new(common::small_camera());
    let options = DriveOptions { frame_limit: Some(FRAMES) };
    let (config, stop) = (Config::default(), StopFlag::new());
    let end =
        drive_watched(&mut world, policy, &config, None, &stop, options, watch, &mut |_, _| {});
    end.expect("driven").summary.step_hash
}

#[test]
fn who_looks_on_sees_the_drive_and_changes_nothing() {
    let alone = hash(&mut |_, _| {});

    let view = started(&common::small_camera());
    assert_eq!(alone, hash(&mut |step, image| view.push(step, image)), "nobody looks");

    let view = started(&common::small_camera());
    let pictures = Arc::new(AtomicUsize::new(0));
    let eye = look(view.address(), &Arc::default(), &pictures);
    // Another one never reads a byte.
    let stuck = get(view.address(), "/events");
    let start = Instant::now();
    let mut pushed = Vec::new();
    let watched = hash(&mut |step, image| {
        view.push(step, image);
        pushed.push(*step);
        // The drive is faster than the view shows it: so it is held up until something was seen.
        while pushed.len() == 100 && pictures.load(Ordering::SeqCst) < 3 {
            assert!(start.elapsed() < LONG, "no picture is shown");
            std::thread::sleep(Duration::from_millis(2));
            view.push(step, image);
        }
    });
    assert_eq!(alone, watched, "somebody looks");
    drop(view);
    drop(stuck);

    let seen = eye.join().expect("the reader");
    assert_eq!(seen.hello["about"]["map"], common::MAP);
    assert!(seen.ended, "who looks on is told of the end");
    assert!(seen.steps.len() >= 3);
    for step in &seen.steps {
        assert!(pushed.contains(step), "frame {:?} is not as it was pushed", step.frame_id);
    }
    assert_eq!(seen.steps.last(), pushed.last(), "the last step is shown");
    let camera = common::small_camera();
    assert!(seen.pictures.iter().all(|p| (p.width, p.height) == (camera.width, camera.height)));
    assert!(seen.pictures.iter().any(|p| p.data.iter().any(|b| *b > 64)), "not black");
}

#[test]
fn where_no_frame_comes_the_last_one_stands_and_what_is_done_is_told() {
    let view = started(&common::small_camera());
    let messages = Arc::default();
    let eye = look(view.address(), &messages, &Arc::default());
    let mut step = StepRecord { frame_id: caril_core::FrameId(7), ..StepRecord::default() };
    step.ego.pose.x_m = 12.5;
    view.push(&step, None);
    let stop = StepRecord { mode: Mode::SafeStop, ..StepRecord::default() };
    view.push_no_frame(&stop);
    // A step is shown once, to who looks then: so it is handed over until it was seen.
    let start = Instant::now();
    while messages.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < LONG, "nothing is shown");
        view.push(&step, None);
        view.push_no_frame(&stop);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(view);
    let seen = eye.join().expect("the reader");
    assert_eq!((seen.steps.last(), seen.no_frame.as_ref()), (Some(&step), Some(&stop)));
}

#[test]
fn the_page_and_the_map_are_served_and_nonsense_is_refused() {
    let view = started(&CameraSpec::PAPER);
    let at = view.address();
    let page = all(get(at, "/"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("</html>\n"));
    assert!(page.contains("Content-Security-Policy: default-src 'none';"));
    assert!(all(get(at, "/map.svg")).ends_with("<svg/>"));
    assert!(all(get(at, "/etc/passwd")).starts_with("HTTP/1.1 404 "));
    assert!(all(ask(at, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")).contains(" 421 "));
    assert!(all(ask(at, "\0\u{1}\u{2}\r\n\r\n")).starts_with("HTTP/1.1 400 "));
    // Half a request, then nothing: the connection is left alone, and others are served.
    let half = ask(at, "GET / HT");
    assert!(all(get(at, "/")).starts_with("HTTP/1.1 200 OK\r\n"));
    drop(half);
}

#[test]
fn so_many_may_look_on_and_no_more() {
    let view = started(&CameraSpec::PAPER);
    let mut eyes = Vec::new();
    for _ in 0..MAX_VIEWERS {
        let mut eye = BufReader::new(get(view.address(), "/events"));
        let mut line = String::new();
        eye.read_line(&mut line).expect("an answer");
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        eyes.push(eye);
    }
    assert!(all(get(view.address(), "/events")).starts_with("HTTP/1.1 503 "));
    // Who leaves makes room.
    eyes.pop();
    let start = Instant::now();
    loop {
        let mut line = String::new();
        let mut eye = BufReader::new(get(view.address(), "/events"));
        eye.read_line(&mut line).expect("an answer");
        if line == "HTTP/1.1 200 OK\r\n" {
            break;
        }
        assert!(start.elapsed() < LONG, "no room: {line}");
    }
}

#[test]
fn the_program_shows_its_drive() {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    let drive = |view: &[&str]| {
        Command::new(&program)
            .current_dir(common::root())
            .args(["drive", "--record", "none", "--frames", "300", "--json"])
            .args(view)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("caril is built")
    };
    let hash = |stdout: &[u8]| {
        let summary: serde_json::Value = serde_json::from_slice(stdout).expect("one JSON object");
        summary["step_hash"].as_str().expect("hash").to_owned()
    };
    let alone = drive(&[]).wait_with_output().expect("ran");

    let mut child = drive(&["--view", "0"]);
    let mut said = BufReader::new(child.stderr.take().expect("stderr"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("view: http://").and_then(|l| l.strip_suffix('/'));
    let address: SocketAddr = address.expect(&line).parse().expect("an address");
    assert!(address.ip().is_loopback());
    let seen = look(address, &Arc::default(), &Arc::default()).join().expect("the reader");
    let output = child.wait_with_output().expect("ran");
    assert_eq!(hash(&alone.stdout), hash(&output.stdout));
    assert_eq!(seen.hello["about"]["map"], "harbour_town");
    assert!(seen.hello["about"]["thresholds"].as_array().is_some_and(|t| t.len() == 2));
    assert!(seen.ended && seen.steps.iter().any(|s| s.predicted));
}
