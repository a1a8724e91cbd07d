//! Measures the link's round trip: `cargo run --release -p caril-link --example round_trip [E [N]]`.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use caril_core::{
    CameraSpec, Command, EndReason, Fault, Frame, FrameId, Observation, Observed, Pacing,
    PlantInfo, World,
};
use caril_link::{ConnectOptions, PlantSocket, RemoteWorld, ServeOptions};

/// Notes the time between giving a frame and getting its command.
struct Stopwatch {
    info: PlantInfo,
    next: u64,
    frames: u64,
    asked: Instant,
    took_us: Vec<f64>,
}

impl World for Stopwatch {
    fn info(&self) -> &PlantInfo {
        &self.info
    }
    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        if self.next == self.frames {
            return Observation::plain(Observed::Ended(EndReason::FrameLimit));
        }
        frame.id = FrameId(self.next);
        self.asked = Instant::now();
        Observation::plain(Observed::Fresh)
    }
    fn actuate(&mut self, _command: &Command) -> Result<(), Fault> {
        self.took_us.push(self.asked.elapsed().as_secs_f64() * 1e6);
        self.next += 1;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let endpoint =
        arguments.next().unwrap_or_else(|| format!("ipc:///tmp/caril-{}", std::process::id()));
    let frames = arguments.next().map_or(Ok(2000), |n| n.parse())?;
    let info = PlantInfo {
        name: "stopwatch".into(),
        map: String::new(),
        weather: String::new(),
        camera: CameraSpec::PAPER,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: Vec::new(),
    };
    let mut world = Stopwatch { info, next: 0, frames, asked: Instant::now(), took_us: Vec::new() };
    let mut plant = PlantSocket::bind(&endpoint, ServeOptions::default())?;
    let endpoint = plant.endpoint().to_owned();
    let there = endpoint.clone();
    let controller = std::thread::spawn(move || {
        let mut world = RemoteWorld::connect(&there, ConnectOptions::default())?;
        let mut frame = Frame::for_camera(&world.info().camera);
        while world.observe(&mut frame, 1_000_000_000).observed == Observed::Fresh {
            let _ = world.actuate(&Command { frame_id: frame.id, ..Command::default() });
        }
        Ok::<(), caril_link::LinkError>(())
    });
    plant.serve(&mut world, &AtomicBool::new(false));
    controller.join().map_err(|_| "the controller panicked")??;
    world.took_us.sort_by(f64::total_cmp);
    let at = |q: f64| world.took_us[((world.took_us.len() - 1) as f64 * q) as usize];
    eprintln!(
        "{endpoint}: {frames} frames of 448×448 BGRA, round trip µs: p50 {:.0} p90 {:.0} p99 {:.0} max {:.0}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    Ok(())
}
