//! Convolutions on bytes: near f32, the same bits on one thread and two, and hardly any difference
//! between instruction sets.

use caril_core::{Architecture, CameraSpec, CounterRng, InputSpec, Prediction};
use caril_infer::{CpuPolicy, InferError, Isa, Options, invent_pack};

const CAMERA: CameraSpec = CameraSpec { width: 96, height: 64, ..CameraSpec::PAPER };

fn images(input: &InputSpec) -> Vec<Vec<f32>> {
    let count = (3 * input.width * input.height) as usize;
    let image = |seed| {
        let mut rng = CounterRng::new(3, seed);
        let bright = rng.range(0.2, 1.0);
        (0..count).map(|i| (bright * rng.range(-1.0, 1.0) + (i % 7) as f64 * 0.1) as f32).collect()
    };
    (0..4).map(image).collect()
}

fn difference(a: &Prediction, b: &Prediction) -> f32 {
    let pairs = a.probs().iter().zip(b.probs());
    pairs.map(|(a, b)| (a - b).abs()).fold((a.regression() - b.regression()).abs(), f32::max)
}

fn bits(p: &Prediction) -> Vec<u32> {
    p.probs().iter().chain([&p.regression()]).map(|v| v.to_bits()).collect()
}

#[test]
fn bytes_say_what_floats_say() {
    for architecture in [Architecture::PilotNet, Architecture::EfficientNetLite0] {
        let dir = tempfile::tempdir().unwrap();
        let (width, height) = (48, 40);
        let input = InputSpec { width, height, ..architecture.default_input() };
        invent_pack(dir.path(), architecture, &CAMERA, input, 1).unwrap();
        let images = images(&input);
        let mut floats = CpuPolicy::load(dir.path(), Options::default()).unwrap();
        let mut ranges = Vec::new();
        let mut want = Vec::new();
        for image in &images {
            want.push(floats.infer_tensor(image, 0.5, 1).unwrap());
            floats.widen(1, &mut ranges);
        }
        // Predictions of these random weights differ by far more than bytes may change them.
        let spread = difference(&want[0], &want[1]).max(difference(&want[0], &want[2]));
        let mut first: Option<Vec<Prediction>> = None;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let mut got: Vec<Vec<Prediction>> = Vec::new();
            for threads in [1, 2] {
                let options = Options { threads, isa };
                let mut bytes =
                    CpuPolicy::load_int8(dir.path(), options, ranges.clone(), |_| {}).unwrap();
                got.push(images.iter().map(|i| bytes.infer_tensor(i, 0.5, 1).unwrap()).collect());
            }
            for (one, two) in got[0].iter().zip(&got[1]) {
                assert_eq!(bits(one), bits(two), "{architecture:?} {isa:?}");
            }
            for (got, want) in got[0].iter().zip(&want) {
                let off = difference(got, want);
                assert!(off <= 0.5 * spread, "{architecture:?} {isa:?}: {off} of {spread}");
                assert!(off > 0.0, "it did compute with bytes");
            }
            if isa != Isa::Portable {
                // The portable version rounds products and sums apart, which may tip a byte.
                let first = first.get_or_insert_with(|| got[0].clone());
                for (got, first) in got[0].iter().zip(first.iter()) {
                    assert_eq!(bits(got), bits(first), "{architecture:?} {isa:?}");
                }
            }
        }
    }
}

#[test]
fn no_number_is_a_fault_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let architecture = Architecture::PilotNet;
    let input = InputSpec { width: 48, height: 40, ..architecture.default_input() };
    invent_pack(dir.path(), architecture, &CAMERA, input, 1).unwrap();
    let images = images(&input);
    let mut floats = CpuPolicy::load(dir.path(), Options::default()).unwrap();
    let mut ranges = Vec::new();
    floats.infer_tensor(&images[0], 0.5, 1).unwrap();
    floats.widen(1, &mut ranges);
    let mut int8 = CpuPolicy::load_int8(dir.path(), Options::default(), ranges, |_| {}).unwrap();
    let good = int8.infer_tensor(&images[0], 0.5, 1).unwrap();
    for (at, value) in [(0, f32::NAN), (777, f32::INFINITY), (5000, f32::NEG_INFINITY)] {
        let mut image = images[0].clone();
        image[at] = value;
        assert!(int8.infer_tensor(&image, 0.5, 1).is_err(), "int8, {value}");
        // A ReLU makes a zero of −∞, so f32 may go on; it must not panic, and NaN must not pass.
        let of_floats = floats.infer_tensor(&image, 0.5, 1);
        assert!(of_floats.is_err() || !value.is_nan(), "f32, {value}");
    }
    assert!(int8.infer_tensor(&images[0], f32::NAN, 1).is_err());
    assert_eq!(int8.infer_tensor(&images[0], 0.5, 1).unwrap(), good);
}

#[test]
fn ranges_of_another_network_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let architecture = Architecture::PilotNet;
    invent_pack(dir.path(), architecture, &CAMERA, architecture.default_input(), 1).unwrap();
    let error = CpuPolicy::load_int8(dir.path(), Options::default(), vec![[0.0, 1.0]; 3], |_| {});
    assert!(matches!(error, Err(InferError::Pack(_))));
}
