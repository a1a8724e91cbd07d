//! The plant and its controller: who drives, what they say to each other.

use std::time::{Duration, Instant};

use caril_core::{Command, EndReason, FrameId, PlantInfo, Truth};

use super::{PlantSocket, Seen};
use crate::codec::{
    self, CodecError, Header, Hello, Kind, Message, Refuse, RefuseCode, WIRE_VERSION, Welcome,
};
use crate::secure::{Channel, Guard, Heard};
use crate::socket::poll_ms;

/// A second controller makes the plant look after the first one at most this often.
const PING_INTERVAL: Duration = Duration::from_millis(100);

/// The controller that drives.
pub(super) struct Controller {
    /// Routing id that ZeroMQ gave to its connection.
    pub(super) route: Vec<u8>,
    pub(super) session: u32,
    /// It said Start.
    pub(super) started: bool,
    /// The frame it has to answer, and since when.
    pub(super) asked: Option<(FrameId, Instant)>,
    /// The newest frame that it answered.
    answered: Option<FrameId>,
}

/// A message that concerns the one who waits for it.
pub(super) enum Event {
    Nothing,
    /// An answer to the asked frame, and how long it took.
    Answer(Command, Duration),
    /// Another answer to the last answered frame.
    Again(Command),
}

impl PlantSocket {
    /// Receives and deals with at most one message.
    pub(super) fn receive(&mut self, info: &PlantInfo, wait: Duration) -> Event {
        if !wait.is_zero() && self.socket.poll(zmq::POLLIN, poll_ms(wait)).unwrap_or(0) == 0 {
            return Event::Nothing;
        }
        if self.socket.recv(&mut self.route, zmq::DONTWAIT).is_err() {
            return Event::Nothing;
        }
        let mut parts = 0;
        let mut more = self.route.get_more();
        while more && self.socket.recv(&mut self.message, zmq::DONTWAIT).is_ok() {
            parts += 1;
            more = self.message.get_more();
        }
        if parts != 1 {
            self.stats.malformed += 1;
            return Event::Nothing;
        }
        // Out of `self` while it is looked at; an empty message costs nothing.
        let message = std::mem::replace(&mut self.message, zmq::Message::new());
        let event = match &mut self.guard {
            None => self.judge(info, &message),
            Some(guard) => {
                let mut opened = std::mem::take(&mut self.opened);
                let driver = self.controller.as_ref().map(|c| c.route.as_slice());
                let event = match guard.hear(&self.route, driver, &message, &mut opened) {
                    Heard::Plain => self.judge(info, &opened),
                    Heard::Reply(reply) => {
                        let _ = send_to(&self.socket, &self.route, &reply[..]);
                        Event::Nothing
                    }
                    // Not a word: a stranger need not know what is here.
                    Heard::Stranger => {
                        self.stats.strangers += 1;
                        Event::Nothing
                    }
                };
                self.opened = opened;
                event
            }
        };
        self.message = message;
        event
    }

    fn judge(&mut self, info: &PlantInfo, message: &[u8]) -> Event {
        let ours = |c: &Controller, h: Header| *c.route == *self.route && c.session == h.session;
        match codec::decode(message) {
            Ok((_, Message::Hello(body))) => self.meet(info, body),
            Ok((header, message)) if self.controller.as_ref().is_some_and(|c| ours(c, header)) => {
                return self.obey(&message);
            }
            Err(CodecError::Version { got }) => {
                self.stats.refused += 1;
                let reason = format!("the plant speaks version {WIRE_VERSION}, not {got}");
                self.refuse(RefuseCode::Version, reason);
            }
            _ => self.stats.malformed += 1,
        }
        Event::Nothing
    }

    /// A message of the controller that drives.
    fn obey(&mut self, message: &Message<'_>) -> Event {
        let Some(controller) = &mut self.controller else { return Event::Nothing };
        match message {
            Message::Start => controller.started = true,
            Message::Bye => self.controller = None,
            Message::Command(command) => match controller.asked {
                Some((id, since)) if id == command.frame_id => {
                    controller.asked = None;
                    controller.answered = Some(id);
                    let age = since.elapsed();
                    self.tell_watch(Seen::Answered(*command, age));
                    return Event::Answer(*command, age);
                }
                _ if controller.answered == Some(command.frame_id) => {
                    self.stats.repeated += 1;
                    return Event::Again(*command);
                }
                _ => self.stats.stale += 1,
            },
            _ => self.stats.malformed += 1,
        }
        Event::Nothing
    }

    /// Someone said Hello.
    fn meet(&mut self, info: &PlantInfo, body: &[u8]) {
        let hello = match Hello::from_body(body) {
            Ok(hello) => hello,
            Err(error) => {
                self.stats.malformed += 1;
                return self.refuse(RefuseCode::Malformed, error.to_string());
            }
        };
        if let Some(wanted) = hello.camera
            && wanted != info.camera
        {
            self.stats.refused += 1;
            let reason = format!("the camera is {:?}, not {wanted:?}", info.camera);
            return self.refuse(RefuseCode::Camera, reason);
        }
        if self.controller.as_ref().is_some_and(|c| *c.route != *self.route)
            && self.is_alive(PING_INTERVAL)
        {
            self.stats.refused += 1;
            return self.refuse(RefuseCode::Busy, "another controller drives".to_owned());
        }
        // A Hello said twice before Start, because the line broke in between, is one.
        let again = self.controller.as_ref().is_some_and(|c| !c.started && *c.route == *self.route);
        if !again {
            self.sessions = self.sessions.wrapping_add(1).max(1);
        }
        let welcome = Welcome {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            session: self.sessions,
            plant: info.clone(),
        };
        let Ok(bytes) = welcome.to_message() else {
            return self.refuse(RefuseCode::Malformed, "the plant's own facts are too long".into());
        };
        if tell(&self.socket, &mut self.guard, &self.route, &bytes).is_ok() && !again {
            self.stats.sessions += 1;
            (self.late, self.newest, self.next_tick) = (false, None, None);
            self.controller = Some(Controller {
                route: self.route.to_vec(),
                session: self.sessions,
                started: false,
                asked: None,
                answered: None,
            });
        }
    }

    /// Whether the controller's connection still stands. Only sending tells.
    pub(super) fn is_alive(&mut self, interval: Duration) -> bool {
        let Some(controller) = &self.controller else { return false };
        if self.last_ping.is_some_and(|t| t.elapsed() < interval) {
            return true;
        }
        self.last_ping = Some(Instant::now());
        let ping = codec::encode_plain(Kind::Ping, controller.session);
        let said = tell(&self.socket, &mut self.guard, &controller.route, &ping);
        let alive = !matches!(said, Err(Unsent::Gone));
        if !alive {
            self.controller = None;
        }
        alive
    }

    /// Turns away whoever sent the last message.
    fn refuse(&mut self, code: RefuseCode, reason: String) {
        if let Ok(bytes) = (Refuse { code, reason, wire_version: WIRE_VERSION }).to_message() {
            // Who asks and does not listen is not waited for.
            let _ = tell(&self.socket, &mut self.guard, &self.route, &bytes);
        }
    }

    pub(super) fn tell_end(&mut self, reason: EndReason, truth: Option<&Truth>) {
        self.tell(|session| codec::encode_end(session, reason, truth));
    }

    /// Last words.
    pub(super) fn tell<const N: usize>(&mut self, message: impl FnOnce(u32) -> [u8; N]) {
        if let Some(c) = &self.controller {
            let _ = tell(&self.socket, &mut self.guard, &c.route, &message(c.session));
        }
    }
}

pub(super) enum Unsent {
    /// The peer is not connected any more.
    Gone,
    /// It does not take what waits for it.
    Full,
}

/// Sends `bytes`, sealed where the endpoint is.
pub(super) fn tell(
    socket: &zmq::Socket,
    guard: &mut Option<Guard>,
    route: &[u8],
    bytes: &[u8],
) -> Result<(), Unsent> {
    let Some(guard) = guard else { return send_to(socket, route, bytes) };
    let channel = guard.channel(route).ok_or(Unsent::Gone)?;
    let mut message = zmq::Message::with_size(Channel::sealed_len(bytes.len()));
    channel.seal(bytes, &mut message).ok_or(Unsent::Gone)?;
    send_to(socket, route, message)
}

pub(super) fn send_to(
    socket: &zmq::Socket,
    route: &[u8],
    message: impl Into<zmq::Message>,
) -> Result<(), Unsent> {
    socket.send(route, zmq::SNDMORE | zmq::DONTWAIT).map_err(|e| match e {
        zmq::Error::EHOSTUNREACH => Unsent::Gone,
        _ => Unsent::Full,
    })?;
    // The route's own queue was found free just now; the parts go together or not at all.
    socket.send(message, zmq::DONTWAIT).map_err(|_| Unsent::Gone)
}
