//! The controller's side of the handshake.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use caril_core::CameraSpec;

use super::{ConnectOptions, DRAIN_MAX, Packet, send};
use crate::LinkError;
use crate::codec::{self, Hello, Message, Refuse, RefuseCode, WIRE_VERSION, Welcome};
use crate::secure::{Channel, Initiator, KeyError, Keyring};
use crate::socket::{Line, Monitor, SLICE, Transport, poll_ms, transport};

/// A camera in words.
pub(super) fn describe(camera: &CameraSpec) -> String {
    let m = &camera.mount;
    format!(
        "{}×{} {:?} fov {}° at ({}, {}, {}) m pitch {}° yaw {}°",
        camera.width,
        camera.height,
        camera.order,
        camera.fov_deg,
        m.x_m,
        m.y_m,
        m.z_m,
        m.pitch_deg,
        m.yaw_deg
    )
}

/// Says Hello until a plant answers or the time is over.
pub(super) fn shake_hands(
    socket: &zmq::Socket,
    monitor: &mut Monitor,
    endpoint: &str,
    options: &ConnectOptions,
    give_up: &dyn Fn() -> bool,
) -> Result<(Welcome, Option<Channel>), LinkError> {
    let bad = |source| LinkError::Handshake { source, endpoint: endpoint.to_owned() };
    let hello = Hello {
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        controller: options.controller.clone(),
        camera: options.camera,
    }
    .to_message()
    .map_err(bad)?;
    let start = Instant::now();
    // Over inproc nobody reports a connection.
    let mut up = transport(endpoint)? == Transport::Inproc;
    let mut met = up;
    let keys = options.keys.as_ref();
    let mut talk =
        Talk { socket, keys, hello, said: false, busy: None, knocked: None, channel: None };
    let mut reply = Packet::default();
    loop {
        if give_up() || options.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed)) {
            return Err(LinkError::Stopped { endpoint: endpoint.to_owned() });
        }
        let left = options.timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            let endpoint = endpoint.to_owned();
            let waited_ms = u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX);
            return Err(if let Some((reason, _)) = talk.busy {
                LinkError::Refused { reason, endpoint }
            } else if met {
                match keys.filter(|_| talk.channel.is_none()) {
                    Some(keys) => {
                        LinkError::Unknown { own: keys.own.public().to_string(), endpoint }
                    }
                    None => LinkError::Silent { waited_ms, endpoint },
                }
            } else {
                LinkError::Nobody { waited_ms, endpoint }
            });
        }
        while let Some(line) = monitor.next() {
            up = line == Line::Up;
            met |= up;
            if !up {
                talk.begin_anew();
            }
        }
        if up {
            talk.speak().map_err(|source| LinkError::Keys { source })?;
        }
        let mut items = [socket.as_poll_item(zmq::POLLIN), monitor.poll_item()];
        let _ = zmq::poll(&mut items, poll_ms(left.min(SLICE)));
        for _ in 0..DRAIN_MAX {
            if socket.recv(&mut reply.message, zmq::DONTWAIT).is_err() {
                break;
            }
            met = true;
            let Some(reply) = talk.hear(&mut reply) else { continue };
            if let Some(reason) = busy(reply)
                && start.elapsed() < BUSY_PATIENCE
            {
                talk.ask_again(reason);
            } else if let Some(done) = judge_reply(reply, endpoint) {
                return done.map(|welcome| (welcome, talk.channel));
            }
        }
    }
}

/// A secured handshake that is not answered is begun again after this: a plant takes only so many
/// a second.
const KNOCK_AGAIN: Duration = Duration::from_millis(500);

/// A plant may not know yet that its last controller is gone (it asks at most ten times a second,
/// and a killed one said no Bye): a controller that is started in its place asks again for so long.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// So often.
const ASK_AGAIN: Duration = Duration::from_millis(150);

/// What was said to a plant so far.
struct Talk<'a> {
    socket: &'a zmq::Socket,
    keys: Option<&'a Keyring>,
    hello: Vec<u8>,
    said: bool,
    /// The plant's words that it is busy, and when the Hello is said again.
    busy: Option<(String, Instant)>,
    knocked: Option<(Initiator, Instant)>,
    channel: Option<Channel>,
}

impl Talk<'_> {
    /// The line broke: what was said to a plant that went away is lost with it.
    fn begin_anew(&mut self) {
        (self.said, self.knocked, self.channel) = (false, None, None);
    }

    /// The plant was busy: the same once more, in a while.
    fn ask_again(&mut self, reason: String) {
        self.said = false;
        self.busy = Some((reason, Instant::now() + ASK_AGAIN));
    }

    /// Says what comes next: with keys first the secured handshake, then the Hello.
    fn speak(&mut self) -> Result<(), KeyError> {
        match self.keys.filter(|_| self.channel.is_none()) {
            Some(keys) => {
                let waits = |(_, since): &(Initiator, Instant)| since.elapsed() < KNOCK_AGAIN;
                if !self.knocked.as_ref().is_some_and(waits) {
                    let (initiator, init) = Initiator::begin(keys)?;
                    let sent = self.socket.send(&init[..], zmq::DONTWAIT).is_ok();
                    self.knocked = sent.then(|| (initiator, Instant::now()));
                }
            }
            None if !self.said && self.busy.as_ref().is_none_or(|(_, t)| Instant::now() >= *t) => {
                self.said = send(self.socket, &mut self.channel, &self.hello).is_some();
            }
            None => {}
        }
        Ok(())
    }

    /// The plant's answer, if that is what `reply` holds.
    fn hear<'a>(&mut self, reply: &'a mut Packet) -> Option<&'a [u8]> {
        if self.keys.is_none() || self.channel.is_some() {
            return Some(reply.open(&mut self.channel));
        }
        let (initiator, _) = self.knocked.take()?;
        self.channel = initiator.finish(&reply.message);
        None
    }
}

/// The plant's words, if it says that another controller drives.
fn busy(reply: &[u8]) -> Option<String> {
    let Ok((_, Message::Refuse(body))) = codec::decode(reply) else { return None };
    let refuse = Refuse::from_body(body).ok()?;
    (refuse.code == RefuseCode::Busy).then_some(refuse.reason)
}

/// What a plant's answer to Hello means; `None` if it is no answer.
fn judge_reply(reply: &[u8], endpoint: &str) -> Option<Result<Welcome, LinkError>> {
    let endpoint = endpoint.to_owned();
    match codec::decode(reply) {
        Ok((_, Message::Welcome(body))) => Some(
            Welcome::from_body(body).map_err(|source| LinkError::Handshake { source, endpoint }),
        ),
        Ok((_, Message::Refuse(body))) => Some(Err(match Refuse::from_body(body) {
            Ok(r) if r.code == RefuseCode::Version && r.wire_version != WIRE_VERSION => {
                LinkError::Version { got: r.wire_version, endpoint }
            }
            Ok(r) => LinkError::Refused { reason: r.reason, endpoint },
            Err(source) => LinkError::Handshake { source, endpoint },
        })),
        Err(codec::CodecError::Version { got }) => Some(Err(LinkError::Version { got, endpoint })),
        _ => None,
    }
}
