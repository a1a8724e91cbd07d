//! Messages to bytes and back, sans I/O. docs/wire.md holds the same layout as tables.
//!
//! A message is one header of [`HEADER_LEN`] bytes and a body. Everything is little-endian.
//! Decoding borrows from the bytes and never allocates; only the JSON bodies of the handshake
//! do, in [`Hello::from_body`] and its like.

mod fields;
mod handshake;
mod messages;

pub use handshake::{HANDSHAKE_MAX, Hello, Refuse, RefuseCode, Welcome};
pub use messages::{
    COMMAND_LEN, END_LEN, FrameView, IMAGE_MAX, PIXELS_AT, encode_command, encode_end,
    encode_frame, encode_plain, frame_len,
};

use fields::Reader;
use messages::{decode_command, decode_end, decode_frame};

use caril_core::{Command, EndReason, Truth};

/// Version of the wire that this build speaks.
pub const WIRE_VERSION: u16 = 1;
/// First four bytes of every message.
pub const MAGIC: [u8; 4] = *b"CARL";
/// Bytes of the header.
pub const HEADER_LEN: usize = 16;
/// Longest message of any kind, bytes.
pub const MESSAGE_MAX: usize = PIXELS_AT + IMAGE_MAX;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Controller → plant: who asks. JSON.
    Hello = 1,
    /// Plant → controller: what it is. JSON.
    Welcome = 2,
    /// Plant → controller: why not. JSON. Its layout is the same in all versions.
    Refuse = 3,
    /// Controller → plant: ready for frames. No body.
    Start = 4,
    /// Plant → controller: one frame.
    Frame = 5,
    /// Controller → plant: the answer to one frame.
    Command = 6,
    /// Plant → controller: the episode is over.
    End = 7,
    /// Either way: the sender leaves. No body.
    Bye = 8,
    /// Plant → controller: are you there? Needs no answer. No body.
    Ping = 9,
}

impl Kind {
    /// From its wire code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Refuse,
            4 => Self::Start,
            5 => Self::Frame,
            6 => Self::Command,
            7 => Self::End,
            8 => Self::Bye,
            9 => Self::Ping,
            _ => return None,
        })
    }
}

/// Why bytes are no message, or a value cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Shorter than a header or without the magic.
    #[error("not a message of this protocol")]
    NotOurs,
    /// Another version.
    #[error("expected wire version {WIRE_VERSION}, got {got}")]
    Version {
        /// The sender's version.
        got: u16,
    },
    /// The number of bytes is not what kind and header ask for.
    #[error("expected {expected} bytes, got {got}")]
    Length {
        /// What the message should have.
        expected: usize,
        /// What it has.
        got: usize,
    },
    /// More than any message of this kind may have.
    #[error("expected at most {limit} bytes, got {got}")]
    TooLong {
        /// The cap.
        limit: usize,
        /// What it has.
        got: usize,
    },
    /// A field holds what it cannot hold.
    #[error("the field {field} makes no sense")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// The image is not as the handshake said.
    #[error("expected an image of {expected:?} pixels, got {got:?}, or its pixel order differs")]
    ImageSize {
        /// Width and height agreed on.
        expected: (u32, u32),
        /// Width and height received.
        got: (u32, u32),
    },
    /// A body that should be JSON is not, or lacks something.
    #[error("the handshake's JSON cannot be read (line {line}, column {column})")]
    Json {
        /// Where, 1-based; 0 if unknown.
        line: usize,
        /// Where, 1-based; 0 if unknown.
        column: usize,
    },
}

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Bit 0: the body's truth is valid. All others are zero.
    pub flags: u8,
    /// Session that the plant gave in its Welcome; 0 before.
    pub session: u32,
}

/// A decoded message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Message<'a> {
    /// JSON body of a [`Hello`].
    Hello(&'a [u8]),
    /// JSON body of a [`Welcome`].
    Welcome(&'a [u8]),
    /// JSON body of a [`Refuse`].
    Refuse(&'a [u8]),
    /// Ready for frames.
    Start,
    /// A frame whose pixels are still in the message.
    Frame(FrameView<'a>),
    /// A command. Its numbers may be anything: ask [`Command::is_valid`].
    Command(Command),
    /// The end of the episode.
    End(EndReason, Option<Truth>),
    /// The sender leaves.
    Bye,
    /// Are you there?
    Ping,
}

const FLAG_TRUTH: u8 = 1;

/// Decodes one message.
///
/// # Errors
/// [`CodecError`]: every byte that has a meaning is checked, but for floats, which may be
/// anything: a speed of NaN is a fault for the gate, not a broken message.
pub fn decode(bytes: &[u8]) -> Result<(Header, Message<'_>), CodecError> {
    let mut r = Reader::new(bytes);
    if r.bytes::<4>().ok_or(CodecError::NotOurs)? != MAGIC {
        return Err(CodecError::NotOurs);
    }
    let (version, kind, flags) = (r.u16()?, r.u8()?, r.u8()?);
    let (session, body_len) = (r.u32()?, r.u32()? as usize);
    // A refusal must be readable by a peer of any version, or it could not say why.
    if version != WIRE_VERSION && kind != Kind::Refuse as u8 {
        return Err(CodecError::Version { got: version });
    }
    let kind = Kind::from_code(kind).ok_or(CodecError::Field { field: "kind" })?;
    let body = r.rest();
    if body.len() != body_len {
        return Err(CodecError::Length { expected: body_len, got: body.len() });
    }
    let truth_allowed = matches!(kind, Kind::Frame | Kind::End);
    if flags & !FLAG_TRUTH != 0 || (flags != 0 && !truth_allowed) {
        return Err(CodecError::Field { field: "flags" });
    }
    let empty = |message| match body.len() {
        0 => Ok(message),
        got => Err(CodecError::Length { expected: 0, got }),
    };
    let json = || match body.len() {
        got if got > HANDSHAKE_MAX => Err(CodecError::TooLong { limit: HANDSHAKE_MAX, got }),
        _ => Ok(body),
    };
    let has_truth = flags & FLAG_TRUTH != 0;
    let message = match kind {
        Kind::Hello => Message::Hello(json()?),
        Kind::Welcome => Message::Welcome(json()?),
        Kind::Refuse => Message::Refuse(json()?),
        Kind::Start => empty(Message::Start)?,
        Kind::Frame => Message::Frame(decode_frame(body, has_truth)?),
        Kind::Command => Message::Command(decode_command(body)?),
        Kind::End => {
            let (reason, truth) = decode_end(body, has_truth)?;
            Message::End(reason, truth)
        }
        Kind::Bye => empty(Message::Bye)?,
        Kind::Ping => empty(Message::Ping)?,
    };
    Ok((Header { kind, flags, session }, message))
}

/// Version in a message's header, whatever the rest is; `None` if it is not ours at all.
pub fn version_of(bytes: &[u8]) -> Option<u16> {
    let mut r = Reader::new(bytes);
    if r.bytes::<4>()? != MAGIC {
        return None;
    }
    r.u16().ok()
}
