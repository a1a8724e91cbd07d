//! Those who look on (`--viewers`): by turns nobody and everybody, so that both are measured within one
//! run, on the same machine in the same minutes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::figures::{Quantiles, quantiles_of};
use crate::plant::course::Shared;

/// A turn without viewers, and one with.
const TURN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// A turn with viewers.
#[derive(Debug, Clone, Copy)]
struct Turn {
    from: Instant,
    to: Instant,
    messages: u64,
    bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Viewers {
    count: usize,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Turn>>,
}

/// What watching costs.
#[derive(Debug, Clone, Serialize)]
pub struct LookedOn {
    /// Who looked on at once.
    pub viewers: usize,
    /// How often they came.
    pub turns: usize,
    /// Messages that they read, all together.
    pub messages: u64,
    /// The same in MiB.
    pub mib: f64,
    /// Answers while nobody looked on.
    pub alone_answers: usize,
    /// Their ages.
    pub alone_ms: Quantiles,
    /// Answers while all looked on.
    pub watched_answers: usize,
    /// Their ages.
    pub watched_ms: Quantiles,
}

impl Viewers {
    /// Comes and goes until [`Viewers::leave`], wherever the page of the run is by then.
    pub fn come(count: usize, shared: Arc<Shared>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut turns = Vec::new();
                while pause(&over) {
                    turns.extend(shared.page().and_then(|page| turn(count, page, &over)));
                }
                turns
            })
        };
        Self { count, over, thread }
    }

    /// Leaves. What the answers (when they came, and their ages) say of it.
    pub fn leave(self, answers: &[(Instant, Duration)]) -> LookedOn {
        self.over.store(true, Ordering::Relaxed);
        let turns = self.thread.join().unwrap_or_default();
        let watched = |at: &Instant| turns.iter().any(|t| (t.from..t.to).contains(at));
        let (with, without): (Vec<_>, Vec<_>) =
            answers.iter().copied().partition(|(at, _)| watched(at));
        let ages = |part: &[(Instant, Duration)]| quantiles_of(part.iter().map(|(_, age)| *age));
        LookedOn {
            viewers: self.count,
            turns: turns.len(),
            messages: turns.iter().map(|t| t.messages).sum(),
            mib: turns.iter().map(|t| t.bytes as f64).sum::<f64>() / f64::from(1 << 20),
            alone_answers: without.len(),
            alone_ms: ages(&without),
            watched_answers: with.len(),
            watched_ms: ages(&with),
        }
    }
}

/// Waits for a turn; whether there is to be another.
fn pause(over: &AtomicBool) -> bool {
    let start = Instant::now();
    while start.elapsed() < TURN && !over.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    !over.load(Ordering::Relaxed)
}

/// One turn; `None` if the page let nobody in.
fn turn(count: usize, page: SocketAddr, over: &AtomicBool) -> Option<Turn> {
    // From before the first one knocks until the last one is gone.
    let from = Instant::now();
    let lines: Vec<TcpStream> = (0..count).filter_map(|_| knock(page).ok()).collect();
    if lines.len() < count {
        return None;
    }
    let gone = Arc::new(AtomicBool::new(false));
    let all: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let gone = Arc::clone(&gone);
            std::thread::spawn(move || read(line, &gone))
        })
        .collect();
    pause(over);
    gone.store(true, Ordering::Relaxed);
    let read: Vec<_> = all.into_iter().filter_map(|t| t.join().ok()).collect();
    let (messages, bytes) = read.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Some(Turn { from, to: Instant::now(), messages, bytes })
}

fn knock(page: SocketAddr) -> std::io::Result<TcpStream> {
    let mut line = TcpStream::connect_timeout(&page, Duration::from_secs(2))?;
    line.set_read_timeout(Some(LOOK))?;
    write!(line, "GET /events HTTP/1.1\r\nHost: {page}\r\n\r\n")?;
    Ok(line)
}

/// Reads until it is `gone`: messages (each ends with an empty line) and bytes.
fn read(mut line: TcpStream, gone: &AtomicBool) -> (u64, u64) {
    let (mut messages, mut bytes, mut last) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 16];
    while !gone.load(Ordering::Relaxed) {
        match line.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                bytes += n as u64;
                for &byte in &buffer[..n] {
                    messages += u64::from(byte == b'\n' && last == b'\n');
                    last = byte;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    (messages, bytes)
}
