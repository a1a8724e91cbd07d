//! The CPU executor under AddressSanitizer: any picture, tensor, speed and command through a small
//! PilotNet and a small EfficientNet-Lite0, in f32 and with bytes, on every instruction set and on
//! one thread and two. Nothing may panic or leave the arena, nothing but finite numbers may come
//! out, and where the instruction sets round alike all must say the same, to the bit.
#![no_main]

use std::sync::{Mutex, OnceLock};

use caril_core::{
    Architecture, CameraSpec, Fault, Frame, InputSpec, NavCommand, PixelOrder, Policy as _,
    Prediction,
};
use caril_infer::{CpuPolicy, Isa, Options, invent_pack};
use libfuzzer_sys::fuzz_target;

const CAMERA: CameraSpec = CameraSpec { width: 61, height: 43, ..CameraSpec::PAPER };
const INPUT: (u32, u32) = (40, 36);

/// Executors of one network that must agree.
struct Alike(Vec<CpuPolicy>);

fn policies() -> Vec<Alike> {
    let dir = std::env::temp_dir().join(format!("caril-fuzz-infer-{}", std::process::id()));
    let mut all = Vec::new();
    for architecture in [Architecture::PilotNet, Architecture::EfficientNetLite0] {
        let input = InputSpec { width: INPUT.0, height: INPUT.1, ..architecture.default_input() };
        invent_pack(&dir, architecture, &CAMERA, input, 7).expect("a pack");
        let ranges = {
            let mut floats = CpuPolicy::load(&dir, Options::default()).expect("it loads");
            let (mut frame, mut ranges) = (Frame::for_camera(&CAMERA), Vec::new());
            for (i, byte) in frame.image.data.iter_mut().enumerate() {
                *byte = (i * 97 % 251) as u8;
            }
            floats.ranges(&frame, &mut ranges).expect("it fits");
            ranges
        };
        let (fused, apart): (Vec<Isa>, Vec<Isa>) = Isa::ALL
            .into_iter()
            .filter(|isa| isa.is_available())
            .partition(|isa| *isa != Isa::Portable);
        for isas in [fused, apart] {
            let options = |threads| isas.iter().map(move |isa| Options { threads, isa: *isa });
            let options: Vec<_> = options(1).chain(options(2)).collect();
            let floats = options.iter().map(|o| CpuPolicy::load(&dir, *o).expect("it loads"));
            all.push(Alike(floats.collect()));
            let bytes = options
                .iter()
                .map(|o| CpuPolicy::load_int8(&dir, *o, ranges.clone(), |_| {}).expect("it loads"));
            all.push(Alike(bytes.collect()));
        }
    }
    std::fs::remove_dir_all(&dir).expect("its own folder");
    all
}

fn bits(said: &Result<Prediction, Fault>) -> Result<Vec<u32>, Fault> {
    let prediction = said.as_ref().map_err(|fault| *fault)?;
    let values = prediction.probs().iter().copied().chain([prediction.regression()]);
    Ok(values.inspect(|v| assert!(v.is_finite())).map(f32::to_bits).collect())
}

fuzz_target!(|data: &[u8]| {
    static POLICIES: OnceLock<Mutex<Vec<Alike>>> = OnceLock::new();
    let Some(([kind, which, branch, nav, s0, s1, s2, s3], rest)) = data.split_first_chunk() else {
        return;
    };
    let mut policies = POLICIES.get_or_init(|| Mutex::new(policies())).lock().expect("no panic");
    let count = policies.len();
    let alike = &mut policies[*which as usize % count].0;
    let speed = f32::from_le_bytes([*s0, *s1, *s2, *s3]);
    let mut first = None;
    if kind & 1 == 0 {
        let (words, _) = rest.as_chunks::<4>();
        let words = if words.is_empty() { &[[0; 4]] } else { words };
        // Sometimes one value too few or too many.
        let length = (3 * INPUT.0 * INPUT.1) as usize - usize::from(kind & 2 != 0)
            + 2 * usize::from(kind & 4 != 0);
        let image: Vec<f32> =
            words.iter().cycle().take(length).map(|w| f32::from_le_bytes(*w)).collect();
        for policy in alike {
            let said = bits(&policy.infer_tensor(&image, speed, usize::from(*branch)));
            assert_eq!(*first.get_or_insert_with(|| said.clone()), said);
        }
    } else {
        let mut frame = Frame::for_camera(&CAMERA);
        frame.ego.speed_mps = speed;
        const NAVS: [NavCommand; 4] =
            [NavCommand::Follow, NavCommand::Left, NavCommand::Right, NavCommand::Straight];
        frame.nav = NAVS[*nav as usize % NAVS.len()];
        if kind & 2 != 0 {
            frame.image.order = PixelOrder::Rgb;
        }
        if kind & 4 != 0 {
            (frame.image.width, frame.image.height) = (u32::from(*branch), u32::from(*s0));
        }
        if kind & 8 != 0 {
            frame.image.data = rest.to_vec();
        } else if !rest.is_empty() {
            let bytes = rest.iter().cycle();
            frame.image.data.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        }
        for policy in alike {
            let said = bits(&policy.infer(&frame));
            assert_eq!(*first.get_or_insert_with(|| said.clone()), said);
        }
    }
});
