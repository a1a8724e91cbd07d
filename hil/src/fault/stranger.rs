//! Someone who has no business here: a wrong key, a second controller, a second plant, a controller of
//! another version.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use caril_link::{
    ConnectOptions, Keyring, LinkError, PlantSocket, RemoteWorld, SecretKey, ServeOptions,
};

use super::Kind;

/// Where a stranger finds whom.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where the plant is bound.
    pub endpoint: String,
    /// Where everyone appears to speak another version.
    pub other_version: Option<String>,
    /// Whether the plant asks for keys.
    pub asks_for_keys: bool,
    /// The controller's key and the plant's public one, if they are the rig's to use.
    pub car_keys: Option<(PathBuf, PathBuf)>,
}

/// Sends one. What comes of it is a note; a note that begins with `✗` is wrong.
///
/// # Errors
/// Why there can be none here.
pub fn send(kind: Kind, door: Door) -> Result<JoinHandle<Vec<String>>, String> {
    let Door { endpoint, other_version, asks_for_keys, car_keys } = door;
    let keys = move || -> Option<Keyring> {
        car_keys.as_ref().and_then(|(key, peers)| Keyring::read(key, peers).ok())
    };
    if kind == Kind::WrongKey && !asks_for_keys {
        return Err("the endpoint asks for no keys (--secured does)".to_owned());
    }
    if kind == Kind::WrongVersion && other_version.is_none() {
        return Err("another version speaks through the relay: not with --netns".to_owned());
    }
    if kind != Kind::SecondPlant && asks_for_keys && keys().is_none() {
        return Err("the controller's key is not the rig's to use".to_owned());
    }
    let connect = |endpoint: &str, keys: Option<Keyring>| {
        let timeout = Duration::from_millis(1500);
        let options = ConnectOptions { keys, timeout, ..ConnectOptions::default() };
        RemoteWorld::connect(endpoint, options)
    };
    let say = |done: Result<RemoteWorld, LinkError>| match done {
        Ok(_) => vec!["✗ it was let in".to_owned()],
        Err(e) => vec![format!("turned away: {e}")],
    };
    Ok(std::thread::spawn(move || match kind {
        Kind::SecondPlant => match PlantSocket::bind(&endpoint, ServeOptions::default()) {
            Ok(_) => vec!["✗ two plants at one endpoint".to_owned()],
            Err(e) => vec![format!("turned away: {e}")],
        },
        Kind::WrongKey => {
            let foreign = keys().and_then(|ring| {
                let own = SecretKey::generate().ok()?;
                Some(Keyring { own, ..ring })
            });
            say(connect(&endpoint, foreign))
        }
        Kind::WrongVersion => say(connect(&other_version.unwrap_or(endpoint), keys())),
        _ => say(connect(&endpoint, keys())),
    }))
}
