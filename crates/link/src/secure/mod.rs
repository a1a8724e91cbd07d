//! Links that leave the machine: who may speak, and nobody else reads along. The Noise protocol
//! (`Noise_IK_25519_ChaChaPoly_SHA256`) inside our messages; docs/wire.md says why and holds the
//! bytes.

mod channel;
mod guard;
mod keys;

pub use channel::{Channel, Initiator, open_init};
pub(crate) use guard::{Guard, Heard};
pub use keys::{KeyError, Keyring, PublicKey, SecretKey, read_peers};

use crate::LinkError;

/// Whether nothing that is sent to or from this endpoint leaves the machine: `ipc`, `inproc`, and
/// `tcp` at a loopback address.
///
/// # Errors
/// [`LinkError::Endpoint`] if it is no endpoint.
pub fn stays_here(endpoint: &str) -> Result<bool, LinkError> {
    use crate::socket::{Transport, transport};
    if transport(endpoint)? != Transport::Tcp {
        return Ok(true);
    }
    let host = endpoint.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':'));
    let host = host.map_or("", |(host, _)| host.trim_matches(['[', ']']));
    let address = host.parse::<std::net::IpAddr>();
    Ok(host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}
