//! The server: two ports, a thread for each connection, one world behind a lock.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fault::Faults;
use crate::hub::{Hub, lock};
use crate::methods::{self, Context};
use crate::wire::{SensorType, Skim, VERSION, read_request, respond};
use crate::world::{Library, Limits, Simulation, Sink};

/// What a server is made from.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen. Anybody who reaches it can load maps and spawn actors: loopback by default.
    pub address: IpAddr,
    /// The port of requests; streams take the next one. 0 takes a free pair.
    pub port: u16,
    /// The first map's name in the library.
    pub map: String,
    /// Maps that can be loaded.
    pub library: Library,
    /// Seed of colours, textures and surroundings.
    pub appearance_seed: u64,
    /// Most of what clients may ask for.
    pub limits: Limits,
    /// Connections at once, on each port.
    pub connections: usize,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

impl ServerOptions {
    /// A server on loopback, port 2000.
    pub fn new(library: Library, map: &str) -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 2000,
            map: map.to_owned(),
            library,
            appearance_seed: 0,
            limits: Limits::default(),
            connections: 256,
            faults: Faults::default(),
        }
    }
}

/// Why a server cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A port cannot be had.
    #[error("cannot listen: {source}: {address}:{port}")]
    Listen {
        /// Why.
        source: std::io::Error,
        /// Where.
        address: IpAddr,
        /// Which port.
        port: u16,
    },
    /// The map cannot be used.
    #[error("{0}")]
    Map(String),
}

/// A server of the CARLA client protocol, 0.9.16, over the embedded world. It is not CARLA.
pub struct Server {
    requests: TcpListener,
    streams: TcpListener,
    shared: Shared,
}

struct Shared {
    world: Mutex<Simulation>,
    hub: Hub,
    faults: Faults,
    /// The first frame that was ticked.
    first_frame: u64,
    connections: usize,
    /// When the world was last ticked and its settings last told; see [`TRAFFIC_MANAGER_GAP`].
    ticked: Mutex<Option<Instant>>,
    told_settings: Mutex<Option<Instant>>,
}

/// So far apart are a tick and an answer to `get_episode_settings`.
///
/// The client's Traffic Manager asks for the settings at the beginning of each step and then waits
/// for the tick; who ticks wakes it without holding the mutex (TrafficManagerLocal.cpp, `Run` and
/// `SynchronousTick`). If both answers come at once, the call can fall between its look at the flag
/// and its sleep: then both wait for ever. No CARLA server is quick enough for that; this one is,
/// and hung one client in a dozen.
const TRAFFIC_MANAGER_GAP: Duration = Duration::from_millis(2);

/// Sleeps until the gap behind `other` is over.
fn keep_apart(other: &Mutex<Option<Instant>>) {
    let since = lock(other).map_or(TRAFFIC_MANAGER_GAP, |at| at.elapsed());
    std::thread::sleep(TRAFFIC_MANAGER_GAP.saturating_sub(since));
}

/// Where the world's messages go.
struct Out<'a> {
    hub: &'a Hub,
    faults: &'a Faults,
    wait: bool,
}

impl Sink for Out<'_> {
    fn wanted(&self, stream: u32) -> bool {
        self.hub.wanted(stream)
    }

    fn send(&mut self, stream: u32, frame: u64, message: Vec<u8>) {
        let mut due = Instant::now();
        let mut copies = 1;
        // The kind of sensor is the header's first number, behind the length.
        if message.get(4).copied() == Some(SensorType::Rgb as u8) {
            copies = self.faults.copies(frame);
            due += self.faults.late.unwrap_or_default();
        }
        self.hub.publish(stream, message, due, copies, self.wait);
    }
}

impl Server {
    /// Loads the map and takes both ports.
    ///
    /// # Errors
    /// [`ServerError`] if there is no such map or a port is taken.
    pub fn bind(options: &ServerOptions) -> Result<Self, ServerError> {
        let mut world = Simulation::new(
            options.library.clone(),
            &options.map,
            options.appearance_seed,
            options.limits,
        )
        .map_err(ServerError::Map)?;
        let (requests, streams) = listen(options.address, options.port)?;
        world.stream_port = streams.local_addr().map_or(0, |a| a.port());
        world.refuse_spawns = options.faults.refuse_spawns;
        let shared = Shared {
            first_frame: world.frame,
            world: Mutex::new(world),
            hub: Hub::default(),
            faults: options.faults.clone(),
            connections: options.connections,
            ticked: Mutex::default(),
            told_settings: Mutex::default(),
        };
        Ok(Self { requests, streams, shared })
    }

    /// The port of requests.
    pub fn port(&self) -> u16 {
        self.requests.local_addr().map_or(0, |a| a.port())
    }

    /// Serves until `stop` is set.
    pub fn run(&self, stop: &AtomicBool) {
        let shared = &self.shared;
        let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
        std::thread::scope(|scope| {
            scope.spawn(|| shared.keep_time(stop));
            scope.spawn(|| {
                accept(&self.streams, stop, &counts[1], shared.connections, scope, |socket| {
                    shared.hub.serve(socket, stop);
                });
            });
            accept(&self.requests, stop, &counts[0], shared.connections, scope, |socket| {
                shared.converse(socket, stop);
            });
        });
    }
}

/// Two ports that follow each other.
fn listen(address: IpAddr, port: u16) -> Result<(TcpListener, TcpListener), ServerError> {
    let bind = |port| {
        let listener = TcpListener::bind((address, port)).and_then(|l| {
            l.set_nonblocking(true)?;
            Ok(l)
        });
        listener.map_err(|source| ServerError::Listen { source, address, port })
    };
    if port != 0 {
        let next = port.checked_add(1).unwrap_or(0);
        return Ok((bind(port)?, bind(next)?));
    }
    let mut tries = 0;
    loop {
        let first = bind(0)?;
        let port = first.local_addr().map_or(0, |a| a.port());
        match bind(port.checked_add(1).unwrap_or(0)) {
            Ok(second) => return Ok((first, second)),
            Err(e) if tries > 50 => return Err(e),
            Err(_) => tries += 1,
        }
    }
}

/// Gives each connection a thread, up to a number.
fn accept<'s>(
    listener: &TcpListener,
    stop: &'s AtomicBool,
    count: &'s AtomicUsize,
    most: usize,
    scope: &'s std::thread::Scope<'s, '_>,
    serve: impl Fn(TcpStream) + Copy + Send + 's,
) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((socket, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        if count.load(Ordering::Relaxed) >= most || socket.set_nonblocking(false).is_err() {
            continue;
        }
        count.fetch_add(1, Ordering::Relaxed);
        scope.spawn(move || {
            serve(socket);
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Shared {
    /// Ticks by the clock while nobody else does.
    fn keep_time(&self, stop: &AtomicBool) {
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let mut world = lock(&self.world);
            let delta = Duration::from_secs_f64(world.settings.delta_s());
            if !world.settings.synchronous {
                let mut out = Out { hub: &self.hub, faults: &self.faults, wait: false };
                world.tick(&mut out);
            }
            drop(world);
            next += delta;
            let now = Instant::now();
            if next <= now {
                // Too slow for its clock: it goes on from here, and leaves others the lock.
                next = now + Duration::from_millis(1);
            }
            std::thread::sleep((next - now).min(Duration::from_millis(50)));
        }
    }

    /// Answers one client until it leaves or speaks no MessagePack-RPC.
    fn converse(&self, mut socket: TcpStream, stop: &AtomicBool) {
        let _ = socket.set_nodelay(true);
        let _ = socket.set_write_timeout(Some(Duration::from_secs(10)));
        if socket.set_read_timeout(Some(Duration::from_millis(200))).is_err() {
            return;
        }
        let mut bytes: Vec<u8> = Vec::new();
        let mut piece = vec![0; 1 << 16];
        let mut answer = Vec::new();
        let mut skim = Skim::default();
        while !stop.load(Ordering::Relaxed) {
            match socket.read(&mut piece) {
                Ok(0) => return,
                Ok(n) => bytes.extend_from_slice(piece.get(..n).unwrap_or_default()),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let mut done = 0;
            answer.clear();
            loop {
                let rest = bytes.get(done..).unwrap_or_default();
                let Ok(length) = skim.whole(rest) else { return };
                let Some(length) = length else { break };
                let Some(request) = rest.get(..length).and_then(read_request) else { return };
                respond(request.id, self.answer(&request), &mut answer);
                done += length;
                // A map is megabytes, and a piece holds thousands of requests for it.
                if answer.len() > piece.len() {
                    if socket.write_all(&answer).is_err() {
                        return;
                    }
                    answer = Vec::new();
                }
            }
            bytes.drain(..done);
            if bytes.is_empty() && bytes.capacity() > 1 << 20 {
                bytes = Vec::new();
            }
            if socket.write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &crate::wire::Request) -> Result<rmpv::Value, String> {
        match request.method.as_str() {
            "get_sensor_token" => {
                if let Some(stream) = request.args.first().and_then(rmpv::Value::as_u64) {
                    self.hub.expect(stream as u32);
                }
            }
            "tick_cue" | "apply_batch" => self.hub.gather(),
            _ => {}
        }
        let mut world = lock(&self.world);
        match request.method.as_str() {
            "tick_cue" => keep_apart(&self.told_settings),
            "get_episode_settings" => keep_apart(&self.ticked),
            _ => {}
        }
        let mut out = Out { hub: &self.hub, faults: &self.faults, wait: true };
        if request.method == "tick_cue" {
            self.go_wrong(&mut world, &mut out);
        }
        let version = self.faults.version.as_deref().unwrap_or(VERSION);
        let answer = methods::answer(&mut world, request, &mut Context { out: &mut out, version });
        match request.method.as_str() {
            "tick_cue" => *lock(&self.ticked) = Some(Instant::now()),
            "get_episode_settings" => *lock(&self.told_settings) = Some(Instant::now()),
            _ => {}
        }
        answer
    }

    /// Faults that happen at a tick.
    fn go_wrong(&self, world: &mut Simulation, out: &mut Out<'_>) {
        let tick = world.frame + 1 - self.first_frame;
        if self.faults.kill == Some(tick) {
            std::process::abort();
        }
        if let Some((at, pause)) = self.faults.stall
            && at == tick
        {
            std::thread::sleep(pause);
        }
        if self.faults.foreign_every.is_some_and(|n| tick.is_multiple_of(n)) {
            world.tick(out);
        }
    }
}
