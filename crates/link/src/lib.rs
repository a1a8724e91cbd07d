//! The versioned wire between plant and controller, and its ZeroMQ ends.
//!
//! [`codec`] turns messages into bytes and back and knows nothing of sockets. [`RemoteWorld`] is
//! the controller's end: a [`caril_core::World`] whose plant is at an endpoint. [`PlantSocket`]
//! (or the short form [`serve`]) is the plant's end: it puts any [`caril_core::World`] at an
//! endpoint, and brakes by itself when commands stop. docs/wire.md holds the byte layout.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod codec;
mod error;
mod plant;
mod remote;
mod secure;
mod socket;
mod stats;

pub use error::LinkError;
pub use plant::{PlantSocket, Seen, ServeEnd, ServeOptions, ServeReport, Watch, serve};
pub use remote::{ConnectOptions, RemoteWorld};
pub use secure::{
    Channel, Initiator, KeyError, Keyring, PublicKey, SecretKey, open_init, read_peers, stays_here,
};
pub use stats::LinkStats;
/// A ZeroMQ context; ends at an `inproc://` endpoint must share one.
pub use zmq::Context;
