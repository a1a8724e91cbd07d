//! The controller's end: a [`World`] whose plant is at an endpoint.

mod handshake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caril_core::{
    CameraSpec, Command, Fault, FaultSet, Frame, FrameId, Observation, Observed, Pacing, PlantInfo,
    World,
};

use handshake::{describe, shake_hands};

use crate::codec::{self, Kind, MESSAGE_MAX, Message};
use crate::secure::{Channel, Keyring, PublicKey};
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
    /// Own key and the plant's: whoever answers without it is not believed. Nobody is asked for a
    /// key if `None`, which is for endpoints within this machine.
    pub keys: Option<Keyring>,
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
            keys: None,
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
    /// Frames that the last look at the queue took out and passed over for a newer one.
    passed_over: u64,
    epoch: Instant,
    stop: Option<Arc<AtomicBool>>,
    // Swapped: one holds the newest frame while the other receives.
    newest: Packet,
    incoming: Packet,
    channel: Option<Channel>,
    stats: LinkStats,
}

impl RemoteWorld {
    /// Connects, shakes hands and returns when the plant has said what it is. The plant sends
    /// frames from the first [`World::observe`] on, so there is time to load a policy.
    ///
    /// # Errors
    /// [`LinkError`]: nobody there, silent, another version, refused, another camera, stopped.
    pub fn connect(endpoint: &str, options: ConnectOptions) -> Result<Self, LinkError> {
        Self::connect_unless(endpoint, options, &|| false)
    }

    /// Like [`RemoteWorld::connect`], until `give_up` says so: within 50 ms it then returns
    /// [`LinkError::Stopped`]. Once connected it is not asked any more.
    ///
    /// # Errors
    /// As [`RemoteWorld::connect`].
    pub fn connect_unless(
        endpoint: &str,
        options: ConnectOptions,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Self, LinkError> {
        transport(endpoint)?;
        let context = options.context.clone().unwrap_or_default();
        let set_up = || {
            let socket = bounded_socket(
                &context,
                zmq::DEALER,
                COMMANDS_WAITING,
                FRAMES_WAITING,
                Channel::sealed_len(MESSAGE_MAX),
            )?;
            // Not ZMQ_IMMEDIATE: when the line breaks it throws away what has already arrived, and
            // a plant's last words come just before.
            let monitor = Monitor::new(&context, &socket)?;
            socket.connect(endpoint)?;
            Ok((socket, monitor))
        };
        let (socket, mut monitor) =
            set_up().map_err(|source| socket_error("connect", source, endpoint))?;
        let (welcome, channel) = shake_hands(&socket, &mut monitor, endpoint, &options, give_up)?;
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
            passed_over: 0,
            epoch: options.epoch.unwrap_or_else(Instant::now),
            stop: options.stop,
            newest: Packet::default(),
            incoming: Packet::default(),
            channel,
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

    /// Who the plant has shown to be; `None` if it was not asked for a key.
    pub fn peer(&self) -> Option<PublicKey> {
        self.channel.as_ref().map(Channel::peer)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.gone || self.down {
            return Err(Fault::PlantGone);
        }
        send(&self.socket, &mut self.channel, bytes).ok_or(Fault::PlantGone)
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
        let mut newest = None;
        self.passed_over = 0;
        for _ in 0..DRAIN_MAX {
            let incoming = &mut self.incoming.message;
            if self.socket.recv(incoming, zmq::DONTWAIT).is_err() {
                break;
            }
            if incoming.get_more() {
                // Parts of one message arrive together: this ends.
                while incoming.get_more() && self.socket.recv(incoming, zmq::DONTWAIT).is_ok() {}
                self.stats.malformed += 1;
                faults.insert(Fault::MessageMalformed);
                continue;
            }
            match codec::decode(self.incoming.open(&mut self.channel)) {
                Ok((header, message)) if header.session == self.session => match message {
                    // An old one right behind a newer one is not the newest: the plant waits for
                    // the newer one's answer.
                    Message::Frame(view) if newest.is_some_and(|id| view.id < id) => {
                        self.stats.repeated += 1;
                        faults.insert(Fault::FrameOutOfOrder);
                    }
                    Message::Frame(view) => {
                        self.passed_over += u64::from(newest.is_some());
                        newest = Some(view.id);
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
        newest.map(|_| Observed::Fresh)
    }

    /// Copies the newest frame out; how many before it are no gap: those passed over here, and in
    /// free pacing those that the plant passed over because we were not ready.
    fn take_newest(&mut self, frame: &mut Frame) -> Result<u32, Fault> {
        let Ok((_, Message::Frame(view))) = codec::decode(self.newest.bytes()) else {
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
        let no_gap = match self.info.pacing {
            Pacing::Lockstep => self.passed_over,
            Pacing::Free => skipped,
        };
        Ok(u32::try_from(no_gap).unwrap_or(u32::MAX))
    }
}

/// A received message, opened where it was sealed.
struct Packet {
    message: zmq::Message,
    opened: Vec<u8>,
    sealed: bool,
}

impl Default for Packet {
    fn default() -> Self {
        Self { message: zmq::Message::new(), opened: Vec::new(), sealed: false }
    }
}

impl Packet {
    /// The message; no bytes if it is not the plant's.
    fn open(&mut self, channel: &mut Option<Channel>) -> &[u8] {
        if let Some(channel) = channel {
            self.sealed = true;
            if channel.open(&self.message, &mut self.opened).is_none() {
                self.opened.clear();
            }
        }
        self.bytes()
    }

    /// What was opened last.
    fn bytes(&self) -> &[u8] {
        if self.sealed { &self.opened } else { &self.message }
    }
}

/// Sends `bytes`, sealed if there is a channel.
fn send(socket: &zmq::Socket, channel: &mut Option<Channel>, bytes: &[u8]) -> Option<()> {
    let Some(channel) = channel else { return socket.send(bytes, zmq::DONTWAIT).ok() };
    let mut message = zmq::Message::with_size(Channel::sealed_len(bytes.len()));
    channel.seal(bytes, &mut message)?;
    socket.send(message, zmq::DONTWAIT).ok()
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
