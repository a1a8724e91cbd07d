//! What strangers cost a secured plant: the time from a frame to its command, alone and while
//! strangers scan the port, flood it or hold a thousand connections. Plant, controller and strangers
//! share this machine, so the plant's own processor time for a frame is shown as well: that is what
//! strangers cost the loop, whatever else runs here.
//!
//!     cargo run --release -p caril-link --example strangers -- [FRAMES]
#![allow(clippy::print_stdout)] // It is what it is for.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, Command, Fault, Frame, FrameId, Observation, Observed, Pacing, PlantInfo, World,
};
use caril_link::{ConnectOptions, Keyring, PlantSocket, RemoteWorld, SecretKey, ServeOptions};

const PERIOD: Duration = Duration::from_millis(10);

/// A world of pictures that measures how long each command takes.
struct Clock {
    info: PlantInfo,
    next: u64,
    sent: Instant,
    took: Vec<Duration>,
    worked_before: Duration,
    worked: Vec<Duration>,
}

/// Processor time of this thread so far.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

impl World for Clock {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        std::thread::sleep(PERIOD.saturating_sub(self.sent.elapsed()));
        (frame.id, frame.sim_time_ns) = (FrameId(self.next), self.next * 10_000_000);
        self.next += 1;
        self.worked_before = worked();
        self.sent = Instant::now();
        Observation::plain(Observed::Fresh)
    }

    fn actuate(&mut self, _: &Command) -> Result<(), Fault> {
        self.took.push(self.sent.elapsed());
        self.worked.push(worked().saturating_sub(self.worked_before));
        Ok(())
    }
}

fn ring(own: u8, peer: u8) -> Option<Keyring> {
    let key = |n| SecretKey::from_bytes([n; 32]);
    Some(Keyring { own: key(own), peers: vec![key(peer).public()] })
}

/// Serves and drives `frames` frames while `strangers` do as they please.
fn run(name: &str, keys: bool, frames: u64, strangers: impl FnOnce(&str, Arc<AtomicBool>)) {
    let keys = |own, peer| if keys { ring(own, peer) } else { None };
    let options = ServeOptions { keys: keys(1, 2), ..ServeOptions::default() };
    let mut plant = PlantSocket::bind("tcp://127.0.0.1:*", options).expect("a free port");
    let endpoint = plant.endpoint().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let camera = CameraSpec::PAPER;
    let info = PlantInfo {
        name: "clock".into(),
        map: "none".into(),
        weather: "none".into(),
        camera,
        rate_hz: 100.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    };
    let serving = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let (took, worked, zero) = (Vec::new(), Vec::new(), Duration::ZERO);
            let sent = Instant::now();
            let mut world = Clock { info, next: 0, sent, took, worked_before: zero, worked };
            let report = plant.serve(&mut world, &stop);
            (world.took, world.worked, report.stats)
        })
    };
    let options = ConnectOptions { keys: keys(2, 1), ..ConnectOptions::default() };
    let mut world = RemoteWorld::connect(&endpoint, options).expect("the plant's Welcome");
    let mut frame = Frame::for_camera(&camera);
    strangers(&endpoint, Arc::clone(&stop));
    for _ in 0..frames {
        if world.observe(&mut frame, 5_000_000_000).observed == Observed::Fresh {
            let _ = world.actuate(&Command { frame_id: frame.id, ..Command::default() });
        }
    }
    stop.store(true, Ordering::SeqCst);
    let (took, worked, stats) = serving.join().expect("the plant's thread");
    let ms = |mut all: Vec<Duration>| {
        // The last one was interrupted.
        all.truncate(frames as usize);
        all.sort_unstable();
        let at = |q: f64| all[((all.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
        format!("{:6.3} {:6.3} {:6.3}", at(0.5), at(0.99), at(1.0))
    };
    println!("{name:<34} {}   {}   {} heard", ms(took), ms(worked), stats.strangers);
}

fn address(endpoint: &str) -> String {
    endpoint.trim_start_matches("tcp://").to_owned()
}

/// One connection that sends what looks like a handshake, as fast as it may.
fn flood(endpoint: &str, stop: Arc<AtomicBool>, pause: Duration) {
    let endpoint = endpoint.to_owned();
    std::thread::spawn(move || {
        let socket = zmq::Context::new().socket(zmq::DEALER).expect("a socket");
        let _ = (socket.set_linger(0), socket.connect(&endpoint));
        let mut bytes = vec![0x5a; 128];
        bytes[..16].copy_from_slice(b"CARS\x01\x01\0\0\0\0\0\0\0\0\0\0");
        while !stop.load(Ordering::Relaxed) {
            if socket.send(&bytes, zmq::DONTWAIT).is_err() || !pause.is_zero() {
                std::thread::sleep(pause.max(Duration::from_micros(50)));
            }
        }
    });
}

fn main() {
    let frames = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(500);
    println!("ms: p50, p99, max of frame to command, and of the plant's processor time for it");
    run("no keys, alone", false, frames, |_, _| {});
    run("secured, alone", true, frames, |_, _| {});
    run("port scan, 2000 connects a second", true, frames, |endpoint, stop| {
        let address = address(endpoint);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(mut stream) = TcpStream::connect(&address) {
                    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
    });
    run("flood, 10000 messages a second", true, frames, |endpoint, stop| {
        for _ in 0..4 {
            flood(endpoint, Arc::clone(&stop), Duration::from_micros(350));
        }
    });
    run("flood, as fast as it goes", true, frames, |endpoint, stop| {
        flood(endpoint, stop, Duration::ZERO);
    });
    let mut held = Vec::new();
    run("1000 connections held", true, frames, |endpoint, _| {
        let address = address(endpoint);
        held.extend((0..1000).filter_map(|_| TcpStream::connect(&address).ok()));
    });
}
