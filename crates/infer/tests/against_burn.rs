//! The executor against Burn, its kernels against each other, one thread against two.

mod common;

use caril_core::{CameraSpec, Lift, Policy as _, Prediction};
use caril_infer::{CpuPolicy, Isa, Options};
use caril_policy::{Architecture, Backend, BurnPolicy};
use common::{camera, frame, save, spec};

const TOLERANCE: f32 = 1e-4;

fn difference(a: &Prediction, b: &Prediction) -> f32 {
    let pairs = a.probs().iter().zip(b.probs());
    pairs.map(|(a, b)| (a - b).abs()).fold((a.regression() - b.regression()).abs(), f32::max)
}

fn bits(p: &Prediction) -> Vec<u32> {
    p.probs().iter().chain([&p.regression()]).map(|v| v.to_bits()).collect()
}

fn picture(i: u64) -> caril_core::Frame {
    frame(&camera(), i, [1, 30, 256][i as usize % 3])
}

/// Burn against every kernel on one and on two threads.
fn check(architecture: Architecture, width: u32, height: u32, frames: u64) {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), architecture, spec(architecture, width, height));
    let mut burn = BurnPolicy::load(dir.path(), Backend::Flex).unwrap();
    let want: Vec<Prediction> = (0..frames).map(|i| burn.infer(&picture(i)).unwrap()).collect();
    // The pictures do make a difference, or the rest would show little.
    let first = want[0].regression();
    assert!(want.iter().any(|w| (w.regression() - first).abs() > 10.0 * TOLERANCE));
    let mut fused: Option<Vec<_>> = None;
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let mut of_one_thread = Vec::new();
        for threads in [1, 2] {
            let options = Options { threads, isa };
            let mut policy = CpuPolicy::load(dir.path(), options).unwrap();
            let mut got = Vec::new();
            for (i, want) in (0..).zip(&want) {
                let prediction = policy.infer(&picture(i)).unwrap();
                let off = difference(&prediction, want);
                assert!(off <= TOLERANCE, "{architecture:?} {options:?}: {off}");
                got.push(bits(&prediction));
            }
            for i in (0..frames).rev() {
                let again = bits(&policy.infer(&picture(i)).unwrap());
                assert_eq!(again, got[i as usize], "again and in another order: {options:?}");
            }
            if threads == 1 {
                of_one_thread.clone_from(&got);
            }
            assert_eq!(got, of_one_thread, "one thread and two: {isa:?}");
            if isa != Isa::Portable {
                // Fused multiply–add in the same order: the same bits on all of them.
                assert_eq!(*fused.get_or_insert(got.clone()), got, "{options:?}");
            }
        }
    }
}

#[test]
fn pilotnet() {
    check(Architecture::PilotNet, 200, 64, 12);
}

#[test]
fn pilotnet_of_an_odd_size() {
    check(Architecture::PilotNet, 52, 36, 6);
}

#[test]
fn efficientnet_lite0() {
    check(Architecture::EfficientNetLite0, 96, 64, 3);
}

#[test]
fn efficientnet_lite0_of_an_odd_size() {
    check(Architecture::EfficientNetLite0, 45, 51, 3);
}

#[test]
fn resnet50() {
    check(Architecture::ResNet50, 64, 48, 3);
}

#[test]
fn resnet50_of_an_odd_size() {
    check(Architecture::ResNet50, 45, 51, 2);
}

/// The shipped weights on the shipped camera.
#[test]
fn default_pack() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default");
    let mut burn = BurnPolicy::load(dir.as_ref(), Backend::Flex).unwrap();
    let mut ours = CpuPolicy::load(dir.as_ref(), Options::default()).unwrap();
    assert_eq!(ours.card(), burn.card());
    for i in 0..60 {
        let frame = frame(&CameraSpec::PAPER, i, [1, 30, 256][i as usize % 3]);
        let off = difference(&ours.infer(&frame).unwrap(), &burn.infer(&frame).unwrap());
        assert!(off <= TOLERANCE, "frame {i}: {off}");
    }
}

/// A second look sees the picture brightened and nearer to daylight's colours: of one colour it is
/// another picture's first look.
#[test]
fn a_second_look_is_one_at_the_brightened_picture() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default");
    let mut burn = BurnPolicy::load(dir.as_ref(), Backend::Flex).unwrap();
    let mut ours = CpuPolicy::load(dir.as_ref(), Options::default()).unwrap();
    let lift = Lift::of(20.0);
    let mut flat = |bgra: [u8; 4]| {
        let mut frame = frame(&CameraSpec::PAPER, 0, 1);
        frame.image.data.chunks_exact_mut(4).for_each(|pixel| pixel.copy_from_slice(&bgra));
        let first = ours.infer(&frame).unwrap();
        (
            bits(&first),
            bits(&ours.look_again(&frame, &lift).unwrap()),
            bits(&ours.infer(&frame).unwrap()),
        )
    };
    let (dark, again, after) = flat([20, 25, 15, 255]);
    // A quarter of the way from the brightened to daylight's mean.
    let nearer = |byte, mean: f64| (0.75 * f64::from(lift.byte(byte)) + 0.25 * mean).round() as u8;
    assert_eq!(again, flat([nearer(20, 71.2), nearer(25, 83.8), nearer(15, 83.2), 255]).0);
    assert_ne!(again, dark);
    assert_eq!(after, dark, "nothing of it stays");
    for i in 0..6 {
        let mut frame = frame(&CameraSpec::PAPER, i, 30);
        frame.image.data.iter_mut().for_each(|byte| *byte /= 6);
        let want = burn.look_again(&frame, &lift).unwrap();
        let off = difference(&ours.look_again(&frame, &lift).unwrap(), &want);
        assert!(off <= TOLERANCE, "frame {i}: {off}");
        assert!(difference(&burn.infer(&frame).unwrap(), &want) > 10.0 * TOLERANCE);
    }
}
