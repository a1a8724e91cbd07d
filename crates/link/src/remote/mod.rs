//! The controller's end: a [`World`] whose plant is at an endpoint.

mod handshake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, Command, Fault, FaultSet, Frame, FrameId, Observation, Observed, PlantInfo, World,
};

use handshake::{describe, shake_hands};

use crate::codec::{self, Kind, MESSAGE_MAX, Message};
use crate::socket::{Line, Monitor, SLICE, bounded_socket, poll_ms, socket_error, transport};
use crate::{LinkError, LinkStats};

/// At most this many messages are looked at in one `observe`, whatever a plant sends.
const DRAIN_MAX: usize = 16;
/// Commands that may wait for the plant.
const COMMANDS_WAITING: i32 = 8;
/// Messages that may wait for the controller: a plant of ours has one frame on the way.
const FRAMES_WAITING: i32 = 2;

/// How to meet a plant.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Said in the Hello.
    pub controller: String,
    /// The camera that the policy needs; any will do if `None`.
    pub camera: Option<CameraSpec>,
    /// How long to wait for the plant's Welcome. A plant may start after its controller.
    pub timeout: Duration,
    /// Raised by someone else: connecting and observing return within 50 ms.
    pub stop: Option<Arc<AtomicBool>>,
    /// `Frame::received_ns` counts from here; from the connection if `None`.
    pub epoch: Option<Instant>,
    /// Context to share with an `inproc://` plant; an own one if `None`.
    pub context: Option<zmq::Context>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            controller: "caril".to_owned(),
            camera: None,
            timeout: Duration::from_secs(5),
            stop: None,
            epoch: None,
            context: None,
        }
    }
}

/// A plant at the other end of a link.
///
/// Dropping it says Bye and returns within a fraction of a second.
pub struct RemoteWorld {
    socket: zmq::Socket,
    monitor: Monitor,
    info: PlantInfo,
    session: u32,
    started: bool,
    /// The connection broke; messages that came before may still wait.
    down: bool,
    gone: bool,
    last_id: Option<FrameId>,
    epoch: Instant,
    stop: Option<Arc<AtomicBool>>,
    // Swapped: one holds the newest frame while the other receives.
    newest: zmq::Message,
    incoming: zmq::Message,
    stats: LinkStats,
}

impl RemoteWorld {
    /// Connects, shakes hands and returns when the plant has said what it is. The plant sends
    /// frames from the first [`World::observe`] on, so there is time to load a policy.
    ///
    /// # Errors
    /// [`LinkError`]: nobody there, silent, another version, refused, another camera, stopped.
    pub fn connect(endpoint: &str, options: ConnectOptions) -> Result<Self, LinkError> {
        transport(endpoint)?;
        let context = options.context.clone().unwrap_or_default();
        let set_up = || {
            let socket = bounded_socket(
                &context,
                zmq::DEALER,
                COMMANDS_WAITING,
                FRAMES_WAITING,
                MESSAGE_MAX,
            )?;
            // Not ZMQ_IMMEDIATE: when the line breaks it throws away what has already arrived, and
            // a plant's last words come just before.
            let monitor = Monitor::new(&context, &socket)?;
            socket.connect(endpoint)?;
            Ok((socket, monitor))
        };
        let (socket, mut monitor) =
            set_up().map_err(|source| socket_error("connect", source, endpoint))?;
        let welcome = shake_hands(&socket, &mut monitor, endpoint, &options)?;
        if let Some(wanted) = options.camera
            && wanted != welcome.plant.camera
        {
            return Err(LinkError::Camera {
                expected: describe(&wanted),
                got: describe(&welcome.plant.camera),
                endpoint: endpoint.to_owned(),
            });
        }
        Ok(Self {
            socket,
            monitor,
            info: welcome.plant,
            session: welcome.session,
            started: false,
            down: false,
            gone: false,
            last_id: None,
            epoch: options.epoch.unwrap_or_else(Instant::now),
            stop: options.stop,
            newest: zmq::Message::new(),
            incoming: zmq::Message::new(),
            stats: LinkStats { sessions: 1, ..LinkStats::default() },
        })
    }

    /// What this end has counted.
    pub const fn stats(&self) -> LinkStats {
        self.stats
    }

    /// The plant's session number.
    pub const fn session(&self) -> u32 {
        self.session
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        if self.gone || self.down {
            return Err(Fault::PlantGone);
        }
        self.socket.send(bytes, zmq::DONTWAIT).map_err(|_| Fault::PlantGone)
    }

    /// Waits for a message or a change of the line until `deadline`; false if that has passed or
    /// the stop flag is up.
    fn wait(&mut self, deadline: Instant) -> bool {
        loop {
            if self.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed)) {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mut items = [self.socket.as_poll_item(zmq::POLLIN), self.monitor.poll_item()];
            let found = zmq::poll(&mut items, poll_ms(left.min(SLICE))).unwrap_or(0);
            if left.is_zero() {
                return false;
            }
            if found > 0 {
                return true;
            }
        }
    }

    /// Empties the queue; the newest frame stays in `self.newest`.
    fn drain(&mut self, frame: &mut Frame, faults: &mut FaultSet) -> Option<Observed> {
        let mut fresh = false;
        for _ in 0..DRAIN_MAX {
            if self.socket.recv(&mut self.incoming, zmq::DONTWAIT).is_err() {
                break;
            }
            if self.incoming.get_more() {
                // Parts of one message arrive together: this ends.
                while self.incoming.get_more()
                    && self.socket.recv(&mut self.incoming, zmq::DONTWAIT).is_ok()
                {}
                self.stats.malformed += 1;
                faults.insert(Fault::MessageMalformed);
                continue;
            }
            match codec::decode(&self.incoming) {
                Ok((header, message)) if header.session == self.session => match message {
                    Message::Frame(_) => {
                        fresh = true;
                        std::mem::swap(&mut self.newest, &mut self.incoming);
                    }
                    Message::End(reason, truth) => {
                        frame.truth = truth;
                        return Some(Observed::Ended(reason));
                    }
                    Message::Bye => {
                        self.gone = true;
                        return Some(Observed::Gone);
                    }
                    Message::Ping | Message::Welcome(_) => {}
                    _ => {
                        self.stats.malformed += 1;
                        faults.insert(Fault::MessageMalformed);
                    }
                },
                // A frame of an earlier session of a plant that started again.
                _ => {
                    self.stats.malformed += 1;
                    faults.insert(Fault::MessageMalformed);
                }
            }
        }
        fresh.then_some(Observed::Fresh)
    }

    /// Copies the newest frame out; how many ids were skipped before it.
    fn take_newest(&mut self, frame: &mut Frame) -> Result<u32, Fault> {
        let Ok((_, Message::Frame(view))) = codec::decode(&self.newest) else {
            return Err(Fault::MessageMalformed);
        };
        let camera = &self.info.camera;
        if (view.width, view.height, view.order) != (camera.width, camera.height, camera.order) {
            return Err(Fault::ImageMalformed);
        }
        view.copy_into(frame).map_err(|_| Fault::ImageMalformed)?;
        let now = Instant::now().saturating_duration_since(self.epoch);
        frame.received_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let skipped = self.last_id.map_or(0, |last| {
            if view.id <= last {
                self.stats.repeated += 1;
            }
            view.id.0.saturating_sub(last.0).saturating_sub(1)
        });
        self.last_id = Some(view.id);
        self.stats.frames += 1;
        self.stats.dropped += skipped;
        Ok(u32::try_from(skipped).unwrap_or(u32::MAX))
    }
}

impl World for RemoteWorld {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        if self.gone {
            return Observation::plain(Observed::Gone);
        }
        if !self.started {
            self.started = self.send(&codec::encode_plain(Kind::Start, self.session)).is_ok();
        }
        let start = Instant::now();
        let deadline = start.checked_add(Duration::from_nanos(timeout_ns)).unwrap_or(start);
        let mut faults = FaultSet::EMPTY;
        let mut observation = Observation::plain(Observed::Nothing);
        // Pings and news of the line end a wait early; whatever the caller must know ends it all.
        loop {
            let more = self.down || self.wait(deadline);
            // The line first, then the queue: last words are in it before the line is known to
            // be down.
            while let Some(line) = self.monitor.next() {
                self.down |= line == Line::Down;
            }
            match self.drain(frame, &mut faults) {
                Some(Observed::Fresh) => match self.take_newest(frame) {
                    Ok(dropped) => {
                        observation.observed = Observed::Fresh;
                        observation.dropped = dropped;
                    }
                    Err(fault) => {
                        self.stats.malformed += 1;
                        faults.insert(fault);
                    }
                },
                Some(other) => observation.observed = other,
                None if self.down => {
                    self.gone = true;
                    observation.observed = Observed::Gone;
                }
                None => {}
            }
            if !more || observation.observed != Observed::Nothing || !faults.is_empty() {
                break;
            }
        }
        observation.faults = faults;
        observation
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.send(&codec::encode_command(self.session, command))?;
        self.stats.commands += 1;
        Ok(())
    }
}

impl Drop for RemoteWorld {
    fn drop(&mut self) {
        let _ = self.send(&codec::encode_plain(Kind::Bye, self.session));
    }
}
