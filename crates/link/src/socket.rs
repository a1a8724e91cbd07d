//! What both ends share: endpoints, socket options, the connection monitor.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::LinkError;

/// Waiting is cut into slices of this, so that a stop flag is noticed in time.
pub(crate) const SLICE: Duration = Duration::from_millis(40);
/// A closing end keeps trying to deliver its last words for this long, milliseconds.
const LINGER_MS: i32 = 200;
/// A peer that does not even finish ZeroMQ's handshake is dropped after this.
const HANDSHAKE_MS: i32 = 2000;

/// Transport of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Ipc,
    Inproc,
}

/// Which transport an endpoint names.
pub(crate) fn transport(endpoint: &str) -> Result<Transport, LinkError> {
    let bad = || LinkError::Endpoint { endpoint: endpoint.to_owned() };
    let (scheme, rest) = endpoint.split_once("://").ok_or_else(bad)?;
    if rest.is_empty() || rest.contains('\0') {
        return Err(bad());
    }
    match scheme {
        "tcp"
            if rest.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && (port == "*" || port.parse::<u16>().is_ok())
            }) =>
        {
            Ok(Transport::Tcp)
        }
        "ipc" => Ok(Transport::Ipc),
        "inproc" => Ok(Transport::Inproc),
        _ => Err(bad()),
    }
}

/// The file of an ipc endpoint, if it is a file.
fn ipc_file(endpoint: &str) -> Option<PathBuf> {
    let path = endpoint.strip_prefix("ipc://")?;
    (path != "*" && !path.starts_with('@')).then(|| PathBuf::from(path))
}

/// The file of a bound ipc endpoint; libzmq leaves it behind, dropping this removes it.
pub(crate) struct IpcFile(Option<(PathBuf, u64)>);

impl IpcFile {
    fn of(endpoint: &str) -> Self {
        Self(ipc_file(endpoint).and_then(|path| inode(&path).map(|inode| (path, inode))))
    }
}

impl Drop for IpcFile {
    fn drop(&mut self) {
        // Only our own: by now another plant may have taken the place.
        if let Some((path, bound)) = &self.0
            && inode(path) == Some(*bound)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|m| m.ino())
}

/// Binds `socket`; returns the endpoint with any `*` resolved, and the file to be removed.
pub(crate) fn bind(socket: &zmq::Socket, endpoint: &str) -> Result<(String, IpcFile), LinkError> {
    transport(endpoint)?;
    // libzmq unlinks an existing ipc file before it binds: a second plant would silently take
    // the first one's place. Whoever answers there is alive; a dead one's file may go.
    if ipc_file(endpoint).is_some_and(|path| UnixStream::connect(path).is_ok()) {
        return Err(LinkError::InUse { endpoint: endpoint.to_owned() });
    }
    socket.bind(endpoint).map_err(|source| match source {
        zmq::Error::EADDRINUSE => LinkError::InUse { endpoint: endpoint.to_owned() },
        source => socket_error("bind", source, endpoint),
    })?;
    let bound = match socket.get_last_endpoint() {
        Ok(Ok(bound)) if !bound.is_empty() => bound,
        _ => endpoint.to_owned(),
    };
    let file = IpcFile::of(&bound);
    Ok((bound, file))
}

pub(crate) fn socket_error(action: &'static str, source: zmq::Error, endpoint: &str) -> LinkError {
    LinkError::Socket { action, source, endpoint: endpoint.to_owned() }
}

/// A socket that holds at most the given messages and bytes for or from each peer.
pub(crate) fn bounded_socket(
    context: &zmq::Context,
    kind: zmq::SocketType,
    send_messages: i32,
    receive_messages: i32,
    receive_bytes: usize,
) -> zmq::Result<zmq::Socket> {
    let socket = context.socket(kind)?;
    socket.set_linger(LINGER_MS)?;
    socket.set_sndhwm(send_messages)?;
    socket.set_rcvhwm(receive_messages)?;
    socket.set_maxmsgsize(i64::try_from(receive_bytes).unwrap_or(i64::MAX))?;
    // The kernel tells when a cable is pulled: probes after a silent second, three unanswered ones
    // end the connection. Not ZeroMQ's heartbeat: when a peer dies while our queue is full, its
    // timer aborts the whole process (libzmq 4.3.4, assertion in stream_engine_base.cpp).
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(1)?;
    socket.set_tcp_keepalive_intvl(1)?;
    socket.set_tcp_keepalive_cnt(3)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    socket.set_reconnect_ivl(50)?;
    socket.set_reconnect_ivl_max(200)?;
    Ok(socket)
}

/// Milliseconds for `zmq_poll`, rounded up so that a short wait is not a busy one.
pub(crate) fn poll_ms(wait: Duration) -> i64 {
    i64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// A connection came up or went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    Down,
}

/// Watches the connections of one socket. Says nothing of inproc.
pub(crate) struct Monitor {
    socket: zmq::Socket,
    event: zmq::Message,
}

impl Monitor {
    /// Watches `socket`; call it before connecting.
    pub(crate) fn new(context: &zmq::Context, socket: &zmq::Socket) -> zmq::Result<Self> {
        // The name must be unique within the context only.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("inproc://caril-monitor-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let events = zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw()
            | zmq::SocketEvent::DISCONNECTED.to_raw();
        socket.monitor(&name, i32::from(events))?;
        let pair = context.socket(zmq::PAIR)?;
        pair.set_linger(0)?;
        pair.connect(&name)?;
        Ok(Self { socket: pair, event: zmq::Message::new() })
    }

    /// For `zmq::poll`.
    pub(crate) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// The next change, without waiting.
    pub(crate) fn next(&mut self) -> Option<Line> {
        // First part: u16 event and u32 value in native order. Second: the address.
        self.socket.recv(&mut self.event, zmq::DONTWAIT).ok()?;
        let event = self.event.first_chunk::<2>().map(|b| u16::from_ne_bytes(*b));
        while self.event.get_more() && self.socket.recv(&mut self.event, zmq::DONTWAIT).is_ok() {}
        let up = zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw();
        Some(if event == Some(up) { Line::Up } else { Line::Down })
    }
}
