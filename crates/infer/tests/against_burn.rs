//! The executor against Burn, its kernels against each other, one thread against two.

mod common;

use caril_core::{CameraSpec, Policy as _, Prediction};
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

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// Predictions of Burn and of every kernel on one and on two threads.
fn check(architecture: Architecture, width: u32, height: u32, frames: u64) {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), architecture, spec(architecture, width, height));
    let mut burn = BurnPolicy::load(dir.path(), Backend::Flex).unwrap();
    let options = available().flat_map(|isa| [1, 2].map(|threads| Options { threads, isa }));
    let mut ours: Vec<(Options, CpuPolicy)> =
        options.map(|o| (o, CpuPolicy::load(dir.path(), o).unwrap())).collect();
    let (mut outputs, mut fused_bits) = (Vec::new(), Vec::new());
    for i in 0..frames {
        let frame = frame(&camera(), i, [1, 30, 256][i as usize % 3]);
        let want = burn.infer(&frame).unwrap();
        let mut fused = None;
        for (options, policy) in &mut ours {
            let got = policy.infer(&frame).unwrap();
            let off = difference(&got, &want);
            assert!(off <= TOLERANCE, "{architecture:?} {options:?}: {off}");
            assert_eq!(bits(&policy.infer(&frame).unwrap()), bits(&got), "from run to run");
            if options.isa == Isa::Portable {
                continue;
            }
            // Fused multiply–add in the same order: all of them and any threads, the same bits.
            assert_eq!(*fused.get_or_insert(bits(&got)), bits(&got), "{options:?}");
        }
        let portable: Vec<_> = ours
            .iter_mut()
            .filter(|(options, _)| options.isa == Isa::Portable)
            .map(|(_, policy)| bits(&policy.infer(&frame).unwrap()))
            .collect();
        assert_eq!(portable[0], portable[1], "one thread and two");
        outputs.push(want.regression());
        fused_bits.extend(fused);
    }
    // The pictures do make a difference, or the above would show little.
    assert!(outputs.iter().any(|o| (o - outputs[0]).abs() > 10.0 * TOLERANCE), "{outputs:?}");
    // In another order the same.
    for i in (0..frames).rev() {
        let frame = frame(&camera(), i, [1, 30, 256][i as usize % 3]);
        for (options, policy) in ours.iter_mut().filter(|(o, _)| o.isa != Isa::Portable) {
            let got = bits(&policy.infer(&frame).unwrap());
            assert_eq!(got, fused_bits[i as usize], "{options:?}");
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
