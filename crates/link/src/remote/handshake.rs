//! The controller's side of the handshake.

use std::sync::atomic::Ordering;
use std::time::Instant;

use caril_core::CameraSpec;

use super::{ConnectOptions, DRAIN_MAX};
use crate::LinkError;
use crate::codec::{self, Hello, Message, Refuse, RefuseCode, WIRE_VERSION, Welcome};
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
) -> Result<Welcome, LinkError> {
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
    let (mut said, mut met) = (false, up);
    let mut reply = zmq::Message::new();
    loop {
        if options.stop.as_ref().is_some_and(|s| s.load(Ordering::Relaxed)) {
            return Err(LinkError::Stopped { endpoint: endpoint.to_owned() });
        }
        let left = options.timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            let endpoint = endpoint.to_owned();
            let waited_ms = u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX);
            return Err(if met {
                LinkError::Silent { waited_ms, endpoint }
            } else {
                LinkError::Nobody { waited_ms, endpoint }
            });
        }
        while let Some(line) = monitor.next() {
            up = line == Line::Up;
            met |= up;
            // A Hello sent to a plant that went away is lost with it: say it to the next one.
            said &= up;
        }
        if up && !said {
            said = socket.send(hello.as_slice(), zmq::DONTWAIT).is_ok();
        }
        let mut items = [socket.as_poll_item(zmq::POLLIN), monitor.poll_item()];
        let _ = zmq::poll(&mut items, poll_ms(left.min(SLICE)));
        for _ in 0..DRAIN_MAX {
            if socket.recv(&mut reply, zmq::DONTWAIT).is_err() {
                break;
            }
            met = true;
            if let Some(done) = judge_reply(&reply, endpoint) {
                return done;
            }
        }
    }
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
