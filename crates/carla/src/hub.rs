//! Who listens to which stream, and what waits for each.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Messages that may wait for one listener.
const QUEUE: usize = 16;
/// A listener that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(5);
/// A listener that is on its way is waited for so long.
const GATHER: Duration = Duration::from_millis(500);
/// So often a thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(200);

/// All listeners.
#[derive(Default)]
pub struct Hub {
    streams: Mutex<BTreeMap<u32, Vec<Arc<Outbox>>>>,
    /// Streams whose token was asked for and whose listener is still on its way.
    expected: Mutex<Vec<u32>>,
    came: Condvar,
}

#[derive(Default)]
struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Instant, Arc<Vec<u8>>)>,
    closed: bool,
}

/// A lock that a thread died with still guards whole messages.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Whether anybody listens.
    pub fn wanted(&self, stream: u32) -> bool {
        lock(&self.streams).get(&stream).is_some_and(|v| !v.is_empty())
    }

    /// Somebody asked for a stream's token: a listener will come.
    pub fn expect(&self, stream: u32) {
        let mut expected = lock(&self.expected);
        if expected.len() < 64 {
            expected.push(stream);
        }
    }

    /// Waits a moment for the listeners that are on their way, so that a sensor that was told to
    /// listen before a tick has that tick's measurement. Who does not come is forgotten.
    pub fn gather(&self) {
        let expected = lock(&self.expected);
        let some = |e: &mut Vec<u32>| !e.is_empty();
        let waited = self.came.wait_timeout_while(expected, GATHER, some);
        waited.unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    fn has_come(&self, stream: u32) {
        let mut expected = lock(&self.expected);
        if let Some(i) = expected.iter().position(|s| *s == stream) {
            expected.swap_remove(i);
        }
        drop(expected);
        self.came.notify_all();
    }

    /// Queues a message that may be sent from `due` on. In lockstep (`wait`) nothing is lost: who
    /// does not keep up is waited for, and cut off at last; else the oldest makes room.
    pub fn publish(&self, stream: u32, message: Vec<u8>, due: Instant, copies: u32, wait: bool) {
        let listeners = lock(&self.streams).get(&stream).cloned().unwrap_or_default();
        let message = Arc::new(message);
        for outbox in listeners {
            for _ in 0..copies {
                outbox.push(due, &message, wait);
            }
        }
    }

    /// Serves one listener until it leaves: its first four bytes name the stream.
    pub fn serve(&self, mut socket: TcpStream, stop: &AtomicBool) {
        let mut id = [0; 4];
        let _ = socket.set_nodelay(true);
        let _ = socket.set_write_timeout(Some(PATIENCE));
        if socket.set_read_timeout(Some(PATIENCE)).is_err() || socket.read_exact(&mut id).is_err() {
            return;
        }
        let _ = socket.set_read_timeout(Some(Duration::from_millis(1)));
        let stream = u32::from_le_bytes(id);
        let outbox = Arc::new(Outbox::default());
        lock(&self.streams).entry(stream).or_default().push(Arc::clone(&outbox));
        self.has_come(stream);
        while !stop.load(Ordering::Relaxed) {
            match outbox.next() {
                Some(message) if socket.write_all(&message).is_err() => break,
                None if outbox.is_closed() || has_left(&socket) => break,
                _ => {}
            }
        }
        outbox.close();
        let mut streams = lock(&self.streams);
        if let Some(v) = streams.get_mut(&stream) {
            v.retain(|o| !Arc::ptr_eq(o, &outbox));
            if v.is_empty() {
                streams.remove(&stream);
            }
        }
    }
}

/// Listeners only read; whatever they write is ignored.
fn has_left(socket: &TcpStream) -> bool {
    let mut bytes = [0; 64];
    match (&*socket).read(&mut bytes) {
        Ok(n) => n == 0,
        Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

impl Outbox {
    fn push(&self, due: Instant, message: &Arc<Vec<u8>>, wait: bool) {
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= QUEUE {
            if wait {
                let full = |q: &mut Queue| q.waiting.len() >= QUEUE && !q.closed;
                let waited = self.changed.wait_timeout_while(queue, PATIENCE, full);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                if queue.waiting.len() >= QUEUE {
                    queue.closed = true;
                }
            } else {
                queue.waiting.pop_front();
            }
        }
        if !queue.closed {
            queue.waiting.push_back((due, Arc::clone(message)));
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// The next message, when it is due; `None` after a while without one.
    fn next(&self) -> Option<Arc<Vec<u8>>> {
        let queue = lock(&self.queue);
        let empty = |q: &mut Queue| q.waiting.is_empty() && !q.closed;
        let waited = self.changed.wait_timeout_while(queue, LOOK, empty);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        let (due, message) = queue.waiting.pop_front()?;
        drop(queue);
        self.changed.notify_all();
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        Some(message)
    }

    fn is_closed(&self) -> bool {
        lock(&self.queue).closed
    }

    fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.changed.notify_all();
    }
}
