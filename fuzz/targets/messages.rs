//! The messages inside of a recording: whole MCAP files around whatever bytes. Input: one byte for
//! the header (odd: a good one is written first), then (topic: 1 byte, length: 2 bytes, data) …
#![no_main]

mod read;

use std::collections::BTreeMap;
use std::io::Cursor;

use caril_core::{CameraSpec, Pacing, PlantInfo};
use caril_record::RecordingHeader;
use libfuzzer_sys::fuzz_target;
use mcap::records::MessageHeader;

const TOPICS: [&str; 6] = ["/meta", "/step", "/no_frame", "/memory", "/camera/image", "/other"];

fn mcap_of(input: &[u8]) -> Option<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let options = mcap::WriteOptions::new().compression(None).profile("caril");
    let mut writer = options.create(&mut file).ok()?;
    let mut channels = Vec::new();
    for topic in TOPICS {
        channels.push(writer.add_channel(0, topic, "json", &BTreeMap::new()).ok()?);
    }
    let mut put = |topic: usize, time: u64, data: &[u8]| {
        let header = MessageHeader {
            channel_id: channels[topic],
            sequence: time as u32,
            log_time: time * 50_000_000,
            publish_time: 0,
        };
        writer.write_to_known_channel(&header, data).ok()
    };
    let (first, mut rest) = input.split_first()?;
    if first & 1 == 1 {
        let header = RecordingHeader::new(PlantInfo {
            name: "fuzz".into(),
            map: "none".into(),
            weather: "none".into(),
            camera: CameraSpec::PAPER,
            rate_hz: 20.0,
            pacing: Pacing::Lockstep,
            route: Vec::new(),
        });
        put(0, 0, &serde_json::to_vec(&header).ok()?)?;
    }
    let mut time = 0;
    while let Some(([topic, low, high], after)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
        let (data, after) = after.split_at(len);
        put(usize::from(*topic) % TOPICS.len(), time, data)?;
        rest = after;
        // A picture belongs to the step after it.
        time += u64::from(usize::from(*topic) % TOPICS.len() != 4);
    }
    writer.finish().ok()?;
    drop(writer);
    Some(file.into_inner())
}

fuzz_target!(|input: &[u8]| {
    if let Some(file) = mcap_of(input) {
        read::read(&file);
    }
});
