//! The secured messages, sans I/O: the two of the handshake, and any message of ours sealed.

use sha2::{Digest as _, Sha256};
use snow::{Builder, HandshakeState, StatelessTransportState};

use super::{KeyError, Keyring, PublicKey};
use crate::codec::MESSAGE_MAX;

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";
/// Bound into the handshake: both ends mean this protocol and version.
const PROLOGUE: &[u8] = b"caril link 1";
const MAGIC: [u8; 4] = *b"CARS";
const VERSION: u8 = 1;
const INIT: u8 = 1;
const REPLY: u8 = 2;
const DATA: u8 = 3;
const HEADER: usize = 16;
/// Of the mark that shows that the sender knows the plant's public key.
const MARK: usize = 16;
/// Of Noise's first and second message without payload.
const FIRST: usize = 96;
const SECOND: usize = 48;
/// Of the first message of a handshake.
pub(crate) const INIT_LEN: usize = HEADER + MARK + FIRST;
/// Of the plant's answer.
pub(crate) const REPLY_LEN: usize = HEADER + SECOND;
/// Noise's messages have at most 65535 bytes, 16 of them the seal.
const SEAL: usize = 16;
const CHUNK: usize = 65535 - SEAL;
/// Chunks of one message are numbered in the nonce's low bits.
const CHUNK_BITS: u32 = 12;
const COUNTER_MAX: u64 = (1 << (64 - CHUNK_BITS)) - 2;

fn header(kind: u8, counter: u64) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let (head, tail) = out.split_at_mut(8);
    head.copy_from_slice(&[MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, kind, 0, 0]);
    tail.copy_from_slice(&counter.to_le_bytes());
    out
}

/// Kind, counter and what follows.
fn parse(message: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (head, rest) = message.split_first_chunk::<HEADER>()?;
    let [_, _, _, _, _, kind, _, _, tail @ ..] = *head;
    let counter = u64::from_le_bytes(tail);
    (*head == header(kind, counter)).then_some((kind, counter, rest))
}

/// Cheap to check, impossible to make without the plant's public key: a stranger's garbage costs
/// one hash and not a key agreement.
fn mark(plant: &PublicKey, first: &[u8]) -> [u8; MARK] {
    let hash = Sha256::new().chain_update(PROLOGUE).chain_update(plant.0).chain_update(first);
    let mut out = [0; MARK];
    out.iter_mut().zip(hash.finalize()).for_each(|(out, byte)| *out = byte);
    out
}

fn builder() -> Option<Builder<'static>> {
    Builder::new(PATTERN.parse().ok()?).prologue(PROLOGUE).ok()
}

/// A controller that waits for its plant's answer.
pub struct Initiator {
    noise: HandshakeState,
}

impl Initiator {
    /// Begins; also the message to send.
    ///
    /// # Errors
    /// [`KeyError::NotOne`], [`KeyError::NoRandom`].
    pub fn begin(keys: &Keyring) -> Result<(Self, [u8; INIT_LEN]), KeyError> {
        let plant = keys.plant()?;
        let begun = || {
            let builder = builder()?.local_private_key(keys.own.bytes()).ok()?;
            let mut noise = builder.remote_public_key(&plant.0).ok()?.build_initiator().ok()?;
            let mut first = [0; FIRST];
            (noise.write_message(&[], &mut first).ok()? == FIRST).then_some((Self { noise }, first))
        };
        let (this, first) = begun().ok_or(KeyError::NoRandom)?;
        let mut out = [0; INIT_LEN];
        let (head, rest) = out.split_at_mut(HEADER);
        let (marked, body) = rest.split_at_mut(MARK);
        head.copy_from_slice(&header(INIT, 0));
        marked.copy_from_slice(&mark(&plant, &first));
        body.copy_from_slice(&first);
        Ok((this, out))
    }

    /// The channel, if `reply` is the answer of the plant whose key is known.
    pub fn finish(mut self, reply: &[u8]) -> Option<Channel> {
        let (REPLY, 0, second) = parse(reply)? else { return None };
        if second.len() != SECOND {
            return None;
        }
        self.noise.read_message(second, &mut []).ok()?;
        Channel::of(self.noise)
    }
}

/// Whether this is a handshake of someone who knows our public key; costs one hash.
pub(crate) fn is_init(keys_own: &PublicKey, message: &[u8]) -> bool {
    let Some((INIT, 0, rest)) = parse(message) else { return false };
    let Some((marked, first)) = rest.split_first_chunk::<MARK>() else { return false };
    first.len() == FIRST && *marked == mark(keys_own, first)
}

/// A plant's answer to a first message: the channel and the reply, if the sender is one of the
/// peers. Costs about five key agreements, so ask how often first.
pub fn open_init(keys: &Keyring, message: &[u8]) -> Option<(Channel, [u8; REPLY_LEN])> {
    let (INIT, 0, rest) = parse(message)? else { return None };
    let (_, first) = rest.split_first_chunk::<MARK>()?;
    let mut noise = builder()?.local_private_key(keys.own.bytes()).ok()?.build_responder().ok()?;
    noise.read_message(first, &mut []).ok()?;
    // Before anything is answered.
    let peer = PublicKey(*noise.get_remote_static()?.first_chunk()?);
    if !keys.peers.contains(&peer) {
        return None;
    }
    let mut out = [0; REPLY_LEN];
    let (head, second) = out.split_at_mut(HEADER);
    head.copy_from_slice(&header(REPLY, 0));
    if noise.write_message(&[], second).ok()? != SECOND {
        return None;
    }
    Some((Channel::of(noise)?, out))
}

/// Both ends know each other: messages are sealed and opened.
pub struct Channel {
    noise: StatelessTransportState,
    peer: PublicKey,
    sent: u64,
    received: u64,
}

impl Channel {
    fn of(noise: HandshakeState) -> Option<Self> {
        let noise = noise.into_stateless_transport_mode().ok()?;
        let peer = PublicKey(*noise.get_remote_static()?.first_chunk()?);
        Some(Self { noise, peer, sent: 0, received: 0 })
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Bytes of a sealed message of `plain` bytes.
    pub const fn sealed_len(plain: usize) -> usize {
        HEADER + plain + plain.div_ceil(CHUNK) * SEAL
    }

    /// Seals `plain` into `out`, which has [`Channel::sealed_len`] bytes. `None` after 2⁵² messages
    /// or with another length.
    pub fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Option<()> {
        if out.len() != Self::sealed_len(plain.len()) || self.sent >= COUNTER_MAX {
            return None;
        }
        self.sent += 1;
        let (head, mut rest) = out.split_at_mut_checked(HEADER)?;
        head.copy_from_slice(&header(DATA, self.sent));
        for (chunk, k) in plain.chunks(CHUNK).zip(0_u64..) {
            let (into, after) = rest.split_at_mut_checked(chunk.len() + SEAL)?;
            self.noise.write_message(self.sent << CHUNK_BITS | k, chunk, into).ok()?;
            rest = after;
        }
        Some(())
    }

    /// Opens `sealed` into `out`, which is cleared first and keeps its memory. `None` if it is no
    /// message of the peer's in this channel, or no newer one than the last.
    pub fn open(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        let (DATA, counter, body) = parse(sealed)? else { return None };
        if counter <= self.received || counter > COUNTER_MAX || body.is_empty() {
            return None;
        }
        let chunks = body.len().div_ceil(CHUNK + SEAL);
        let len = body.len().checked_sub(chunks * SEAL)?;
        if len > MESSAGE_MAX {
            return None;
        }
        out.resize(len, 0);
        let mut rest = out.as_mut_slice();
        for (chunk, k) in body.chunks(CHUNK + SEAL).zip(0_u64..) {
            let (into, after) = rest.split_at_mut_checked(chunk.len().checked_sub(SEAL)?)?;
            self.noise.read_message(counter << CHUNK_BITS | k, chunk, into).ok()?;
            rest = after;
        }
        // Only what is the peer's moves the counter.
        self.received = counter;
        Some(())
    }
}
