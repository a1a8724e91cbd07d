//! Writes the seeds of `recording` and `messages`: `cargo run --example seeds` in this folder.

use std::path::Path;

use caril_core::{
    CameraSpec, ControllerMemory, Fault, FaultSet, FrameId, Image, Pacing, PlantInfo, RecordConfig,
    StepRecord, Truth,
};
use caril_record::{EncodedImage, Recorder, Recording, RecordingHeader, step_to_json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let camera = CameraSpec { width: 8, height: 8, ..CameraSpec::PAPER };
    let header = RecordingHeader::new(PlantInfo {
        name: "fuzz".into(),
        map: "none".into(),
        weather: "ClearNoon".into(),
        camera,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: vec![(0.0, 1.0), (2.0, 3.0)],
    });
    let step = |id: u64| StepRecord {
        frame_id: FrameId(id),
        sim_time_ns: id * 50_000_000,
        faults: FaultSet::of(Fault::FrameGap),
        truth: (id % 2 == 0).then(Truth::default),
        ..StepRecord::default()
    };
    let file = corpus.join("recording/whole.mcap");
    let mut recorder = Recorder::start(&file, &header, &RecordConfig::default())?;
    let image = Image::for_camera(&camera);
    for id in 1..=6 {
        if id == 3 {
            recorder.push_memory(&ControllerMemory::default());
        }
        recorder.push_blocking(&step(id), Some(&image).filter(|_| id % 3 == 0));
        recorder.push_no_frame(&step(id));
    }
    assert_eq!(recorder.finish().write_error, None);
    let mut bytes = std::fs::read(&file)?;
    bytes.truncate(bytes.len() / 2);
    std::fs::write(corpus.join("recording/cut.mcap"), bytes)?;

    let mut seed = vec![0];
    let mut put = |topic: u8, data: &[u8]| {
        seed.push(topic);
        seed.extend((data.len() as u16).to_le_bytes());
        seed.extend(data);
    };
    put(0, &serde_json::to_vec(&header)?);
    let mut json = String::new();
    step_to_json(&step(2), &mut json);
    put(1, json.as_bytes());
    put(2, json.as_bytes());
    let memory = br#"{"resumes":false,"layout":1,"newest_frame_id":1,"plant_ns":null,"words":[0]}"#;
    put(3, memory);
    let picture = Recording::open(&file)?.frames().filter_map(Result::ok).find_map(|f| f.1);
    let EncodedImage { format, bytes } = picture.ok_or("no picture")?;
    // foxglove.CompressedImage: data is field 2, format is field 3.
    let mut image = vec![0x12, 0x80 | (bytes.len() as u8 & 0x7f), (bytes.len() >> 7) as u8];
    image.extend(&bytes);
    image.extend([0x1a, format.name().len() as u8]);
    image.extend(format.name().as_bytes());
    put(4, &image);
    put(1, json.as_bytes());
    std::fs::write(corpus.join("messages/all"), &seed)?;
    seed[0] = 1;
    std::fs::write(corpus.join("messages/more"), seed)?;
    Ok(())
}
