//! Files that may be recordings, through everything that reads one. The checksums of chunks are put
//! to 0, which tells a reader not to check them: a fuzzer would not get past them.
#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

const CHUNK: u8 = 0x06;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    let mut at = 8_usize;
    while let Some(len) = bytes.get(at + 1..at + 9).and_then(|b| b.try_into().ok()) {
        if bytes[at] == CHUNK {
            // Start and end time and the uncompressed size come first.
            if let Some(crc) = bytes.get_mut(at + 9 + 24..at + 9 + 28) {
                crc.fill(0);
            }
        }
        match (at + 9).checked_add(u64::from_le_bytes(len) as usize) {
            Some(next) if next < bytes.len() => at = next,
            _ => break,
        }
    }
    read::read(&bytes);
});
