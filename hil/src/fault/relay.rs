//! The relay: stands between plant and controller on loopback TCP, takes ZeroMQ's stream (ZMTP 3)
//! apart message by message, and loses, delays, doubles, reorders, cuts or spoils what it is told to.
//! It knows nothing of keys: on a secured link it is the stranger in the middle.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use caril_core::CounterRng;

use super::{Kind, seconds};

/// ZMTP's greeting.
const GREETING: usize = 64;
/// Flag: the size has 8 bytes instead of one.
const LONG: u8 = 2;
/// Flag: a command of ZMTP itself, no message.
const COMMAND: u8 = 4;
/// Messages beyond this are frames: all others of the wire but handshakes are shorter, and no
/// handshake goes on while a fault does.
const FRAME_BYTES: usize = 4096;
/// No message of the wire is longer.
const MESSAGE_MAX: u64 = 1 << 27;
/// A version that nobody speaks.
const OTHER_VERSION: u8 = 99;

#[derive(Debug, Clone, Copy, PartialEq)]
struct On {
    kind: Kind,
    severity: f64,
}

#[derive(Debug, Default)]
struct State {
    on: Mutex<Option<On>>,
    touched: AtomicU64,
    lines: Mutex<Vec<TcpStream>>,
    seed: u64,
}

impl State {
    fn on(&self) -> Option<On> {
        *self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) -> u64 {
        self.touched.fetch_add(1, Ordering::Relaxed)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Relay {
    state: Arc<State>,
    here: SocketAddr,
    other_version: SocketAddr,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToPlant { other_version: bool },
    ToController,
}

impl Relay {
    /// Stands before the plant at `endpoint`, a `tcp://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// If that is no such endpoint or no port is free.
    pub fn start(endpoint: &str, seed: u64) -> anyhow::Result<Self> {
        let plant: SocketAddr = endpoint
            .strip_prefix("tcp://")
            .and_then(|a| a.parse().ok())
            .with_context(|| format!("no address to stand before: {endpoint}"))?;
        let state = Arc::new(State { seed, ..State::default() });
        let here = listen(&state, plant, false)?;
        let other_version = listen(&state, plant, true)?;
        Ok(Self { state, here, other_version })
    }

    /// Where controllers connect.
    pub fn endpoint(&self) -> String {
        format!("tcp://{}", self.here)
    }

    /// Where everyone appears to speak another version.
    pub fn endpoint_of_another_version(&self) -> String {
        format!("tcp://{}", self.other_version)
    }

    /// Begins a fault; it replaces whichever was on.
    pub fn begin(&self, kind: Kind, severity: f64) {
        self.state.touched.store(0, Ordering::Relaxed);
        let on = Some(On { kind, severity });
        *self.state.on.lock().unwrap_or_else(PoisonError::into_inner) = on;
        if kind == Kind::NetCut {
            let mut lines = self.state.lines.lock().unwrap_or_else(PoisonError::into_inner);
            for line in lines.drain(..) {
                let _ = line.shutdown(Shutdown::Both);
                self.state.touch();
            }
        }
    }

    /// Ends it; how many messages (or connections) it touched.
    pub fn end(&self) -> u64 {
        *self.state.on.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.state.touched.load(Ordering::Relaxed)
    }
}

fn listen(
    state: &Arc<State>,
    plant: SocketAddr,
    other_version: bool,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port for the relay")?;
    let here = listener.local_addr()?;
    let state = Arc::clone(state);
    // Threads of the relay end with their connections, the listener's with the program.
    std::thread::Builder::new().name("relay".into()).spawn(move || {
        for controller in listener.incoming().filter_map(Result::ok) {
            let _ = join(&state, controller, plant, other_version);
        }
    })?;
    Ok(here)
}

fn join(
    state: &Arc<State>,
    controller: TcpStream,
    plant: SocketAddr,
    other_version: bool,
) -> io::Result<()> {
    let plant = TcpStream::connect(plant)?;
    for line in [&controller, &plant] {
        line.set_nodelay(true)?;
        let mut lines = state.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.try_clone()?);
    }
    let there = (controller.try_clone()?, plant.try_clone()?, Way::ToPlant { other_version });
    for (from, to, way) in [there, (plant, controller, Way::ToController)] {
        let state = Arc::clone(state);
        std::thread::Builder::new().name("relay".into()).spawn(move || {
            let _ = pass(&state, &from, &to, way);
            // What one side ended, the other must learn of.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        })?;
    }
    Ok(())
}

/// Passes everything on until one side ends.
fn pass(state: &State, mut from: &TcpStream, mut to: &TcpStream, way: Way) -> io::Result<()> {
    // Piece by piece: each side waits for the other's beginning before it sends its end.
    let mut left = GREETING;
    while left > 0 {
        let mut piece = [0; GREETING];
        let most = piece.get_mut(..left).unwrap_or_default();
        let n = from.read(most)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(piece.get(..n).unwrap_or_default())?;
        left -= n;
    }
    let mut body = Vec::new();
    let mut before = Vec::new();
    loop {
        let mut flags = [0; 1];
        from.read_exact(&mut flags)?;
        let [flags] = flags;
        let size = if flags & LONG == 0 {
            let mut size = [0; 1];
            from.read_exact(&mut size)?;
            u64::from(size[0])
        } else {
            let mut size = [0; 8];
            from.read_exact(&mut size)?;
            u64::from_be_bytes(size)
        };
        if size > MESSAGE_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        body.resize(size as usize, 0);
        from.read_exact(&mut body)?;
        if flags & COMMAND == 0 {
            deal_with(state, to, flags, &mut body, &mut before, way)?;
        } else {
            write(to, flags, &body)?;
        }
    }
}

fn write(mut to: &TcpStream, flags: u8, body: &[u8]) -> io::Result<()> {
    let mut head = Vec::with_capacity(9);
    match u8::try_from(body.len()) {
        Ok(size) => head.extend([flags & !LONG, size]),
        Err(_) => {
            head.push(flags | LONG);
            head.extend((body.len() as u64).to_be_bytes());
        }
    }
    to.write_all(&head)?;
    to.write_all(body)
}

/// Writes the message as the fault that is on makes it.
fn deal_with(
    state: &State,
    to: &TcpStream,
    flags: u8,
    body: &mut Vec<u8>,
    before: &mut Vec<u8>,
    way: Way,
) -> io::Result<()> {
    if way == (Way::ToPlant { other_version: true })
        && (body.starts_with(b"CARL") || body.starts_with(b"CARS"))
        && let Some(version) = body.get_mut(4)
    {
        *version = OTHER_VERSION;
    }
    let frame = way == Way::ToController && body.len() > FRAME_BYTES;
    let Some(on) = state.on() else {
        // Kept for a frame that is to come too late; only what may be needed.
        if frame {
            before.clear();
        }
        return write(to, flags, body);
    };
    let wait = |share: f64, most_s: f64| {
        state.touch();
        std::thread::sleep(seconds(on.severity * share * most_s));
    };
    let mut draw = CounterRng::new(state.seed, state.touched.load(Ordering::Relaxed));
    match on.kind {
        Kind::NetPartition => {
            state.touch();
            while state.on() == Some(on) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Kind::NetDelay => wait(1.0, 0.2),
        Kind::NetJitter => wait(draw.uniform(), 0.1),
        Kind::FrameLate if frame => wait(1.0, 0.4),
        Kind::FrameLost if frame => {
            state.touch();
            return Ok(());
        }
        Kind::FrameDoubled if frame => {
            state.touch();
            write(to, flags, body)?;
        }
        Kind::FrameReordered if frame => {
            let old = std::mem::replace(before, body.clone());
            write(to, flags, body)?;
            if old.is_empty() {
                return Ok(());
            }
            state.touch();
            return write(to, flags, &old);
        }
        Kind::FrameTruncated if frame => {
            state.touch();
            body.truncate(body.len() / 10 * 7);
        }
        Kind::FrameCorrupted if frame => {
            state.touch();
            for _ in 0..16 {
                let at = (draw.uniform() * 160.0) as usize;
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1 + (draw.uniform() * 254.0) as u8;
                }
            }
        }
        _ => {}
    }
    write(to, flags, body)
}
