//! The example plant of docs/wire.md, in Python, driven by our controller's end.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use caril_core::{Frame, Observed, World};
use caril_link::{ConnectOptions, LinkError, RemoteWorld};
use common::{SECOND_NS, connect, gas};

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_page_shows_the_script_as_it_is() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let page = std::fs::read_to_string(format!("{docs}/wire.md")).unwrap();
    let script = std::fs::read_to_string(format!("{docs}/examples/plant.py")).unwrap();
    assert!(page.contains(&format!("```python\n{script}```")));
}

#[test]
fn forty_lines_of_python_are_a_plant() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_zmq = Command::new(&python).args(["-c", "import zmq"]).stderr(Stdio::null()).status();
    if !has_zmq.is_ok_and(|s| s.success()) {
        #[expect(clippy::print_stderr, reason = "a skipped check must be seen")]
        {
            eprintln!("SKIPPED: {python} with pyzmq is not here (PYTHON=… names another one)");
        }
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/plant.py");
    let source = std::fs::read_to_string(script).unwrap();
    assert!(source.lines().count() <= 40, "docs promise forty lines");
    let child = Command::new(&python)
        .args([script, "tcp://127.0.0.1:*", "100"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut plant = Killed(child);
    let mut line = String::new();
    BufReader::new(plant.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let endpoint = line.trim().strip_prefix("plant at ").unwrap().to_owned();

    let mut world = connect(&endpoint);
    assert_eq!((world.info().name.as_str(), world.info().camera.width), ("plant.py", 64));
    let second = RemoteWorld::connect(&endpoint, ConnectOptions::default());
    assert!(matches!(second, Err(LinkError::Refused { .. })));
    let mut frame = Frame::for_camera(&world.info().camera);
    for id in 0..100 {
        let seen = world.observe(&mut frame, 5 * SECOND_NS);
        assert_eq!((seen.observed, frame.id.0), (Observed::Fresh, id), "{seen:?}");
        assert!(seen.faults.is_empty() && frame.truth.is_none() && frame.ego.is_finite());
        assert_eq!(frame.sim_time_ns, id * 50_000_000);
        world.actuate(&gas(&frame)).unwrap();
    }
    assert!(frame.ego.speed_mps > 5.0, "it obeys: {}", frame.ego.speed_mps);
    assert!(matches!(world.observe(&mut frame, 5 * SECOND_NS).observed, Observed::Ended(_)));
    assert!(plant.0.wait().unwrap().success());
}
