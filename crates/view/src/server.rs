//! The view's thread: takes steps, turns the newest into a message, and lets each connection have
//! what it has room for.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caril_core::{FaultSet, Image, StepRecord};
use caril_record::{encode_jpeg, step_to_json};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};

use crate::MAX_VIEWERS;
use crate::about::About;
use crate::handoff::Shared;
use crate::http::{self, Asked};
use crate::past::Past;
use crate::viewer::{Stage, Viewer};

/// How often the thread looks for work while somebody is connected, and while nobody is. The loop
/// never wakes it: that is a system call.
const POLL: Duration = Duration::from_millis(3);
const POLL_ALONE: Duration = Duration::from_millis(25);
/// Least time between two messages: a world faster than real time is no use to an eye.
const GAP: Duration = Duration::from_millis(15);
/// So long a picture is waited for before a step is shown without one.
const NO_PICTURE: Duration = Duration::from_millis(40);
/// Connections at most: those who watch, and as many who ask.
const MAX_CONNECTIONS: usize = 2 * MAX_VIEWERS;
/// What waits in the system for a viewer: two or three messages, bytes.
const SEND_BUFFER: usize = 128 << 10;
/// JPEG's quality.
const QUALITY: u8 = 80;
/// So long the last message may take.
const FAREWELL: Duration = Duration::from_millis(300);

/// The thread's state.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    about: String,
    map: Vec<u8>,
    viewers: Vec<Viewer<TcpStream>>,
    past: Past,
    /// Newest step with a frame.
    newest: StepRecord,
    /// The step without a frame that came after it.
    no_frame: Option<StepRecord>,
    /// There is something that was not shown yet.
    fresh: bool,
    image: Option<Image>,
    /// Faults of all steps since the last message.
    faults: FaultSet,
    /// Frames since the last message.
    frames: u64,
    shown: Instant,
    json: String,
    jpeg: Vec<u8>,
    message: String,
}

impl Server {
    pub fn new(
        listener: TcpListener,
        address: SocketAddr,
        about: &About,
        shared: Arc<Shared>,
    ) -> Self {
        let map = match about.map_svg.as_str() {
            "" => http::answer("404 Not Found", "text/plain", b"no map"),
            svg => http::answer("200 OK", "image/svg+xml", svg.as_bytes()),
        };
        Self {
            listener,
            address,
            shared,
            // A number that is not finite becomes null; nothing else can go wrong.
            about: serde_json::to_string(about).unwrap_or_else(|_| "{}".into()),
            map,
            viewers: Vec::new(),
            past: Past::default(),
            newest: StepRecord::default(),
            no_frame: None,
            fresh: false,
            image: None,
            faults: FaultSet::EMPTY,
            frames: 0,
            shown: Instant::now(),
            json: String::new(),
            jpeg: Vec::new(),
            message: String::new(),
        }
    }

    /// Serves until the view closes.
    pub fn run(mut self) {
        while !self.shared.closing.load(Ordering::Acquire) {
            let now = Instant::now();
            self.accept(now);
            self.take();
            let watched = self.viewers.iter().any(Viewer::has_room);
            let since = now.saturating_duration_since(self.shown);
            self.shared.want(watched && since >= GAP && self.image.is_none());
            let ready = self.image.is_some() || since >= NO_PICTURE;
            if watched && since >= GAP && ready && self.compose() {
                self.viewers.iter_mut().for_each(|v| v.offer(self.message.as_bytes(), now));
                self.shown = now;
            }
            self.serve(now);
            thread::park_timeout(if self.viewers.is_empty() { POLL_ALONE } else { POLL });
        }
        self.farewell();
    }

    fn accept(&mut self, now: Instant) {
        // At most so many a turn: a flood of connections must not keep the thread from its work.
        for _ in 0..MAX_VIEWERS {
            let Ok((stream, _)) = self.listener.accept() else { return };
            if self.viewers.len() >= MAX_CONNECTIONS || open(&stream).is_err() {
                continue;
            }
            self.viewers.push(Viewer::new(stream, now));
        }
    }

    fn take(&mut self) {
        while let Some(item) = self.shared.pop() {
            self.faults = self.faults.union(item.step.faults);
            self.fresh = true;
            if item.frame {
                self.past.add(&item.step);
                self.frames += 1;
                self.newest = item.step;
                self.no_frame = None;
            } else {
                self.no_frame = Some(item.step);
            }
            if item.image.is_some() {
                self.shared.give_back(std::mem::replace(&mut self.image, item.image));
            }
        }
    }

    /// Writes the message of the newest step, if there is a new one.
    fn compose(&mut self) -> bool {
        if !std::mem::take(&mut self.fresh) {
            return false;
        }
        self.message.clear();
        self.message.push_str("data: {\"frames\":");
        self.message.push_str(&self.frames.to_string());
        self.message.push_str(",\"faults\":\"");
        for (i, fault) in self.faults.iter().enumerate() {
            self.message.push_str(if i == 0 { "" } else { " " });
            self.message.push_str(fault.name());
        }
        self.message.push_str("\",\"step\":");
        step_to_json(&self.newest, &mut self.json);
        self.message.push_str(&self.json);
        if let Some(step) = &self.no_frame {
            step_to_json(step, &mut self.json);
            self.message.push_str(",\"no_frame\":");
            self.message.push_str(&self.json);
        }
        let image = self.image.take();
        // A picture that cannot be encoded is left out.
        if image.as_ref().is_some_and(|i| encode_jpeg(i, QUALITY, &mut self.jpeg).is_ok()) {
            self.message.push_str(",\"jpeg\":\"");
            STANDARD.encode_string(&self.jpeg, &mut self.message);
            self.message.push('"');
        }
        self.shared.give_back(image);
        self.message.push_str("}\n\n");
        (self.faults, self.frames) = (FaultSet::EMPTY, 0);
        true
    }

    /// Lets every connection get on, and lets go of those that are over.
    fn serve(&mut self, now: Instant) {
        let mut watching = self.viewers.iter().filter(|v| v.stage() == Stage::Watching).count();
        let Self { viewers, past, about, map, address, .. } = self;
        viewers.retain_mut(|viewer| {
            let asking = viewer.stage() == Stage::Asking;
            let Some(head) = viewer.listen() else { return false };
            if asking && !head.is_empty() {
                let (bytes, then) = match http::asked(head, address) {
                    Asked::More => return viewer.send(now),
                    Asked::Page => (http::page(), Stage::Answering),
                    Asked::Map => (map.clone(), Stage::Answering),
                    Asked::Events if watching < MAX_VIEWERS => {
                        watching += 1;
                        (hello(about, past), Stage::Watching)
                    }
                    Asked::Events => {
                        (wrong("503 Service Unavailable", "too many look on"), Stage::Answering)
                    }
                    Asked::Wrong(status, why) => (wrong(status, why), Stage::Answering),
                };
                viewer.answer(bytes, then, now);
            }
            viewer.send(now)
        });
    }

    /// Tells those who watch that it is over.
    fn farewell(&mut self) {
        self.take();
        let start = Instant::now();
        let mut last = String::new();
        if self.compose() {
            last.push_str(&self.message);
        }
        last.push_str("event: end\ndata: {}\n\n");
        // What is on its way first, then the last message.
        let mut told = vec![false; self.viewers.len()];
        while start.elapsed() < FAREWELL && !self.viewers.is_empty() {
            let now = Instant::now();
            let mut open = false;
            for (viewer, told) in self.viewers.iter_mut().zip(&mut told) {
                if !*told && viewer.has_room() {
                    viewer.offer(last.as_bytes(), now);
                    *told = true;
                }
                let on = viewer.send(now) && viewer.stage() == Stage::Watching;
                open |= on && !(*told && viewer.has_room());
            }
            if !open {
                return;
            }
            thread::sleep(POLL);
        }
    }
}

fn open(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    // The system would let megabytes of old pictures wait for a slow viewer.
    Ok(setsockopt(stream, SndBuf, &SEND_BUFFER)?)
}

fn wrong(status: &str, why: &str) -> Vec<u8> {
    http::answer(status, "text/plain; charset=utf-8", why.as_bytes())
}

/// The first event of a stream: what does not change, and what has been.
fn hello(about: &str, past: &Past) -> Vec<u8> {
    let past = serde_json::to_string(past).unwrap_or_else(|_| "{}".into());
    let mut out = http::EVENTS.to_vec();
    out.extend_from_slice(
        format!("event: hello\ndata: {{\"about\":{about},\"past\":{past}}}\n\n").as_bytes(),
    );
    out
}
