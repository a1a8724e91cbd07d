//! One connection: asks, is answered, and perhaps watches. Nothing here waits for anybody.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::http::MAX_REQUEST;

/// A request must be whole after this, and an answer must get on at least this often.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The request is not whole yet.
    Asking,
    /// It is answered, then closed.
    Answering,
    /// It gets every message that it has room for.
    Watching,
}

/// One connection over a stream that never blocks.
pub(crate) struct Viewer<S> {
    stream: S,
    stage: Stage,
    request: Vec<u8>,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// When it last got on.
    moved: Instant,
}

impl<S: Read + Write> Viewer<S> {
    pub fn new(stream: S, now: Instant) -> Self {
        let (request, out) = (Vec::new(), Vec::new());
        Self { stream, stage: Stage::Asking, request, out, sent: 0, moved: now }
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a message would be sent at once.
    pub fn has_room(&self) -> bool {
        self.stage == Stage::Watching && self.sent == self.out.len()
    }

    /// Reads what there is. The request so far while it asks; `None` if the connection is over.
    pub fn listen(&mut self) -> Option<&[u8]> {
        let mut bytes = [0; 2048];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => {
                    // Whatever comes after the request is passed over.
                    if self.stage == Stage::Asking && self.request.len() < MAX_REQUEST {
                        self.request.extend_from_slice(bytes.get(..n).unwrap_or_default());
                        return Some(&self.request);
                    }
                    return Some(&[]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return Some(&[]);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Answers the request, then closes or lets it watch.
    pub fn answer(&mut self, bytes: Vec<u8>, then: Stage, now: Instant) {
        self.request = Vec::new();
        (self.out, self.sent, self.stage, self.moved) = (bytes, 0, then, now);
    }

    /// Sends a message, unless an earlier one is still on its way: then this one is left out.
    pub fn offer(&mut self, message: &[u8], now: Instant) {
        if self.has_room() {
            self.out.clear();
            self.out.extend_from_slice(message);
            (self.sent, self.moved) = (0, now);
        }
    }

    /// Sends what it can. Whether the connection goes on.
    pub fn send(&mut self, now: Instant) -> bool {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return false,
                Ok(n) => (self.sent, self.moved) = (self.sent + n, now),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return now.saturating_duration_since(self.moved) < PATIENCE;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        match self.stage {
            Stage::Asking => now.saturating_duration_since(self.moved) < PATIENCE,
            Stage::Answering => false,
            Stage::Watching => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// A stream that takes so many bytes and then no more.
    #[derive(Default)]
    struct Pipe {
        input: Vec<u8>,
        taken: Vec<u8>,
        room: usize,
        closed: bool,
    }

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.input.is_empty() {
                let again = Err(ErrorKind::WouldBlock.into());
                return if self.closed { Ok(0) } else { again };
            }
            let n = self.input.len().min(out.len());
            out[..n].copy_from_slice(&self.input[..n]);
            self.input.drain(..n);
            Ok(n)
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_viewer_misses_messages_but_never_gets_half_of_one() {
        let now = Instant::now();
        let mut viewer = Viewer::new(Pipe { room: 10, ..Pipe::default() }, now);
        viewer.answer(b"head\n".to_vec(), Stage::Watching, now);
        assert!(viewer.send(now));
        viewer.offer(b"first message\n", now);
        assert!(viewer.send(now) && !viewer.has_room());
        viewer.offer(b"second message\n", now);
        viewer.stream.room = 100;
        assert!(viewer.send(now) && viewer.has_room());
        viewer.offer(b"third message\n", now);
        assert!(viewer.send(now));
        assert_eq!(viewer.stream.taken, b"head\nfirst message\nthird message\n");
    }

    #[test]
    fn a_stuck_viewer_is_dropped() {
        let now = Instant::now();
        let mut viewer = Viewer::new(Pipe { room: 3, ..Pipe::default() }, now);
        viewer.answer(b"head\n".to_vec(), Stage::Watching, now);
        assert!(viewer.send(now + PATIENCE / 2));
        // It took three bytes then; the clock begins anew.
        assert!(viewer.send(now + PATIENCE));
        assert!(!viewer.send(now + PATIENCE / 2 + PATIENCE));
    }

    #[test]
    fn who_asks_nothing_is_dropped_and_who_is_answered_leaves() {
        let now = Instant::now();
        let mut viewer = Viewer::new(Pipe { room: 100, ..Pipe::default() }, now);
        assert_eq!(viewer.listen(), Some(&[][..]));
        assert!(viewer.send(now) && !viewer.send(now + PATIENCE));
        viewer.stream.input = b"GET".to_vec();
        assert_eq!(viewer.listen(), Some(&b"GET"[..]));
        viewer.answer(b"answer".to_vec(), Stage::Answering, now);
        assert!(!viewer.send(now), "sent, and over");
        assert_eq!(viewer.stream.taken, b"answer");
        viewer.stream.closed = true;
        assert_eq!(viewer.listen(), None);
    }
}
