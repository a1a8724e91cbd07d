//! mcap's records with the lengths in them checked first: its parser takes the memory that a string
//! says it needs, up to 4 GiB, before it looks whether the string is there.

use mcap::records::{Record, op};

use crate::bytes::Bytes;

/// The record of these bytes; `None` if they are none, or of a kind that nobody here reads. (A short
/// attachment, for one, makes mcap 0.26's parser panic.)
pub(crate) fn parse(opcode: u8, body: &[u8]) -> Option<Record<'_>> {
    fits(opcode, body)?;
    mcap::parse_record(opcode, body).ok()
}

/// Whether every string of the record lies within it.
fn fits(opcode: u8, body: &[u8]) -> Option<()> {
    let mut rest = Bytes::new(body);
    match opcode {
        op::HEADER => {
            rest.string()?;
            rest.string()?;
        }
        op::CHANNEL => {
            rest.take(4)?;
            rest.string()?;
            rest.string()?;
            rest.strings()?;
        }
        op::METADATA => {
            rest.string()?;
            rest.strings()?;
        }
        op::CHUNK_INDEX => {
            rest.take(32)?;
            // Pairs of channel and offset: mcap reads whole ones.
            (rest.string()?.len() % 10 == 0).then_some(())?;
            rest.take(8)?;
            rest.string()?;
        }
        op::MESSAGE => {}
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
    }

    #[test]
    fn whole_records_are_read_and_every_cut_and_lying_length_is_not() {
        let pairs = [string("key"), string("value")].concat();
        let map = [&(pairs.len() as u32).to_le_bytes()[..], &pairs].concat();
        let offsets = [&10_u32.to_le_bytes()[..], &[1; 10]].concat();
        let records = [
            (op::HEADER, [string("caril"), string("mcap")].concat()),
            (
                op::CHANNEL,
                [vec![1, 0, 0, 0], string("/step"), string("json"), map.clone()].concat(),
            ),
            (op::METADATA, [string("end"), map].concat()),
            (
                op::CHUNK_INDEX,
                [vec![0; 32], offsets, vec![0; 8], string("lz4"), vec![0; 16]].concat(),
            ),
        ];
        for (opcode, body) in records {
            assert!(parse(opcode, &body).is_some(), "{opcode}");
            for cut in 0..body.len() {
                assert!(parse(opcode, &body[..cut]).is_none(), "{opcode} cut at {cut}");
            }
            for at in 0..body.len() - 3 {
                let mut lies = body.clone();
                lies[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
                // Whatever it says, it is not believed: no allocation of gigabytes.
                let _ = parse(opcode, &lies);
            }
        }
        assert!(parse(op::ATTACHMENT, &[0; 64]).is_none());
        let uneven = [vec![0; 32], string("123456789"), vec![0; 8], string("lz4")].concat();
        assert!(fits(op::CHUNK_INDEX, &uneven).is_none());
    }
}
