//! The plant's door: who has a channel, and how often strangers may knock.

use std::time::Instant;

use super::channel::{REPLY_LEN, is_init, open_init};
use super::{Channel, Keyring, PublicKey};

/// Channels besides the driving controller's.
const SEATS: usize = 8;
/// Handshakes that may be tried at once, and a second: each costs a quarter of a millisecond.
const BURST: f64 = 4.0;
const PER_S: f64 = 10.0;

struct Seat {
    route: Vec<u8>,
    channel: Channel,
}

pub(crate) struct Guard {
    keys: Keyring,
    own: PublicKey,
    /// Oldest first.
    seats: Vec<Seat>,
    tokens: f64,
    since: Instant,
}

/// What a message turned out to be.
pub(crate) enum Heard {
    /// Opened: it lies in the buffer.
    Plain,
    /// A handshake: send this.
    Reply([u8; REPLY_LEN]),
    /// Nothing that is answered.
    Stranger,
}

impl Guard {
    pub fn new(keys: Keyring) -> Self {
        let own = keys.own.public();
        Self { keys, own, seats: Vec::new(), tokens: BURST, since: Instant::now() }
    }

    /// Hears a message from `route`. The seat of `driver` is kept whatever strangers do.
    pub fn hear(
        &mut self,
        route: &[u8],
        driver: Option<&[u8]>,
        message: &[u8],
        plain: &mut Vec<u8>,
    ) -> Heard {
        if let Some(channel) = self.channel(route)
            && channel.open(message, plain).is_some()
        {
            return Heard::Plain;
        }
        if !is_init(&self.own, message) || !self.may_try() {
            return Heard::Stranger;
        }
        let Some((channel, reply)) = open_init(&self.keys, message) else {
            return Heard::Stranger;
        };
        // One seat a connection; a handshake said again cannot take the driver's.
        if driver == Some(route) && self.channel(route).is_some() {
            return Heard::Stranger;
        }
        self.seats.retain(|seat| seat.route != route);
        let oldest = self.seats.iter().position(|seat| driver != Some(&seat.route));
        if let Some(oldest) = oldest.filter(|_| self.seats.len() > SEATS) {
            self.seats.remove(oldest);
        }
        self.seats.push(Seat { route: route.to_vec(), channel });
        Heard::Reply(reply)
    }

    /// The channel of a connection.
    pub fn channel(&mut self, route: &[u8]) -> Option<&mut Channel> {
        self.seats.iter_mut().find(|seat| seat.route == route).map(|seat| &mut seat.channel)
    }

    fn may_try(&mut self) -> bool {
        let now = Instant::now();
        let waited_s = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        self.tokens = (self.tokens + waited_s * PER_S).min(BURST);
        let may = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(may));
        may
    }
}
