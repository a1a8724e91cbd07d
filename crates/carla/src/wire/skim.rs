//! Finds the end of each MessagePack object in a stream, within limits, before anything of it is
//! decoded or allocated.

/// A request larger than this is refused, bytes: the largest real one carries an OpenDRIVE map.
pub const MAX_MESSAGE: usize = 32 << 20;
/// Deepest nesting: a batch whose spawns are followed by commands needs nine.
pub const MAX_DEPTH: usize = 24;
/// Most values in one message.
pub const MAX_VALUES: u32 = 200_000;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_MESSAGE`].
    #[error("message: expected at most {MAX_MESSAGE} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("message: expected at most {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    #[error("message: expected at most {MAX_VALUES} values")]
    TooMany,
    /// No MessagePack.
    #[error("message: expected MessagePack")]
    Garbage,
}

/// Where the look into a message stands. It goes on where it stopped when more bytes arrive.
#[derive(Debug, Clone, Default)]
pub struct Skim {
    at: usize,
    values: u32,
    /// Values still to come on each open level.
    open: Vec<u64>,
    begun: bool,
}

impl Skim {
    /// Looks at the bytes since the message's begin, of which all seen before must be the same.
    /// `Some(length)` when it is whole; then the next call begins a new message.
    ///
    /// # Errors
    /// [`Refusal`] if the message is over a limit or is none.
    pub fn whole(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        if !self.begun {
            *self = Self { begun: true, ..Self::default() };
            self.open.push(1);
        }
        while let Some(left) = self.open.last_mut() {
            if *left == 0 {
                self.open.pop();
                continue;
            }
            let rest = bytes.get(self.at..).unwrap_or(&[]);
            let Some(head) = head(rest)? else { return Ok(None) };
            let end = self.at.saturating_add(head.bytes);
            if end > MAX_MESSAGE {
                return Err(Refusal::TooLong);
            }
            if end > bytes.len() {
                return Ok(None);
            }
            *left -= 1;
            self.at = end;
            self.values += 1;
            if self.values > MAX_VALUES || head.inside > u64::from(MAX_VALUES) {
                return Err(Refusal::TooMany);
            }
            if head.inside > 0 {
                if self.open.len() > MAX_DEPTH {
                    return Err(Refusal::TooDeep);
                }
                self.open.push(head.inside);
            }
        }
        self.begun = false;
        Ok(Some(self.at))
    }
}

/// One value's own bytes, and how many values it holds.
struct Head {
    bytes: usize,
    inside: u64,
}

/// `None` if the length itself has not arrived yet.
fn head(rest: &[u8]) -> Result<Option<Head>, Refusal> {
    let Some(&first) = rest.first() else { return Ok(None) };
    let plain = |bytes| Ok(Some(Head { bytes, inside: 0 }));
    let number = |n: usize| -> Option<usize> {
        let bytes = rest.get(1..1 + n)?;
        Some(bytes.iter().fold(0usize, |v, b| v << 8 | usize::from(*b)))
    };
    let blob = |n: usize, extra: usize| {
        Ok(number(n).map(|len| Head { bytes: (1 + n + extra).saturating_add(len), inside: 0 }))
    };
    let list = |n: usize, each: u64| {
        Ok(number(n).map(|len| Head { bytes: 1 + n, inside: each * len as u64 }))
    };
    let few =
        |mask: u8, each: u64| Ok(Some(Head { bytes: 1, inside: each * u64::from(first & mask) }));
    match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => plain(1),
        0x80..=0x8f => few(0x0f, 2),
        0x90..=0x9f => few(0x0f, 1),
        0xa0..=0xbf => plain(1 + usize::from(first & 0x1f)),
        0xc1 => Err(Refusal::Garbage),
        0xc4 | 0xd9 => blob(1, 0),
        0xc5 | 0xda => blob(2, 0),
        0xc6 | 0xdb => blob(4, 0),
        0xc7 => blob(1, 1),
        0xc8 => blob(2, 1),
        0xc9 => blob(4, 1),
        0xcc | 0xd0 => plain(2),
        0xcd | 0xd1 => plain(3),
        0xca | 0xce | 0xd2 => plain(5),
        0xcb | 0xcf | 0xd3 => plain(9),
        0xd4 => plain(3),
        0xd5 => plain(4),
        0xd6 => plain(6),
        0xd7 => plain(10),
        0xd8 => plain(18),
        0xdc => list(2, 1),
        0xdd => list(4, 1),
        0xde => list(2, 2),
        0xdf => list(4, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VERSION: &[u8] = b"\x94\x00\x01\xa7version\x91\x91\xc2";

    #[test]
    fn a_message_is_whole_at_its_last_byte_and_not_before() {
        let mut skim = Skim::default();
        for n in 0..VERSION.len() {
            assert_eq!(skim.whole(&VERSION[..n]), Ok(None), "{n} bytes");
        }
        assert_eq!(skim.whole(VERSION), Ok(Some(14)));
        let two = [VERSION, b"\xc0"].concat();
        assert_eq!(skim.whole(&two), Ok(Some(14)), "the next begins anew");
    }

    #[test]
    fn limits_hold_before_anything_is_read() {
        let refused = |bytes: &[u8]| Skim::default().whole(bytes).unwrap_err();
        assert_eq!(refused(&[0x91; 64]), Refusal::TooDeep);
        assert_eq!(refused(b"\xdd\xff\xff\xff\xff"), Refusal::TooMany);
        assert_eq!(refused(b"\xdf\xff\xff\xff\xff"), Refusal::TooMany);
        assert_eq!(refused(b"\xc6\xff\xff\xff\xff"), Refusal::TooLong);
        assert_eq!(refused(b"\xdb\x7f\xff\xff\xff"), Refusal::TooLong);
        assert_eq!(refused(b"\xc1"), Refusal::Garbage);
        let many = [b"\xdd\x00\x03\x0d\x40".as_slice(), &[0xc0; 200_001]].concat();
        assert_eq!(refused(&many), Refusal::TooMany);
    }

    proptest! {
        #[test]
        fn never_panics_and_agrees_with_the_decoder(
            bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            if let Ok(Some(length)) = Skim::default().whole(&bytes) {
                let mut rest = &bytes[..length];
                prop_assert!(rmpv::decode::read_value(&mut rest).is_ok());
                prop_assert!(rest.is_empty());
            }
        }

        #[test]
        fn pieces_make_no_difference(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200
        ) {
            let mut skim = Skim::default();
            let first = skim.whole(&bytes[..cut.min(bytes.len())]);
            if first == Ok(None) {
                prop_assert_eq!(skim.whole(&bytes), Skim::default().whole(&bytes));
            }
        }
    }
}
