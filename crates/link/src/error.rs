//! Why an end of the link could not be set up.

use crate::KeyError;
use crate::codec::{CodecError, WIRE_VERSION};

/// Start-up errors of both ends.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The endpoint is written in a way that no transport of ours understands.
    #[error("expected tcp://HOST:PORT, ipc://PATH or inproc://NAME, got {endpoint:?}")]
    Endpoint {
        /// As given.
        endpoint: String,
    },
    /// Someone else is bound to the endpoint.
    #[error("the endpoint is in use by another program: {endpoint}")]
    InUse {
        /// As given.
        endpoint: String,
    },
    /// ZeroMQ refused to bind or connect.
    #[error("cannot {action} ({source}): {endpoint}")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// ZeroMQ's reason.
        source: zmq::Error,
        /// As given.
        endpoint: String,
    },
    /// Nobody listens there.
    #[error("no plant is there, waited {waited_ms} ms: {endpoint}")]
    Nobody {
        /// How long it was tried.
        waited_ms: u64,
        /// As given.
        endpoint: String,
    },
    /// Someone listens but does not answer as a plant does.
    #[error("connected, but no plant's answer came within {waited_ms} ms: {endpoint}")]
    Silent {
        /// How long it was tried.
        waited_ms: u64,
        /// As given.
        endpoint: String,
    },
    /// A secured plant that does not know us, or is not who it should be: it says nothing.
    #[error(
        "connected, but the plant does not answer our key {own}: either it does not allow it, its own key is another than the given one, or it asks for no keys: {endpoint}"
    )]
    Unknown {
        /// Our public key.
        own: String,
        /// As given.
        endpoint: String,
    },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys {
        /// Why.
        source: KeyError,
    },
    /// The plant speaks another version.
    #[error("the plant speaks wire version {got}, this build speaks {WIRE_VERSION}: {endpoint}")]
    Version {
        /// The plant's version.
        got: u16,
        /// As given.
        endpoint: String,
    },
    /// The plant does not want this controller.
    #[error("the plant refused: {reason}: {endpoint}")]
    Refused {
        /// The plant's words.
        reason: String,
        /// As given.
        endpoint: String,
    },
    /// The plant's camera is not the wanted one.
    #[error("expected camera {expected}, got {got}: {endpoint}")]
    Camera {
        /// What the controller wants.
        expected: String,
        /// What the plant has.
        got: String,
        /// As given.
        endpoint: String,
    },
    /// The answer of the plant makes no sense.
    #[error("the plant's answer cannot be used ({source}): {endpoint}")]
    Handshake {
        /// What is wrong with it.
        source: CodecError,
        /// As given.
        endpoint: String,
    },
    /// The stop flag was raised.
    #[error("stopped while connecting: {endpoint}")]
    Stopped {
        /// As given.
        endpoint: String,
    },
}
