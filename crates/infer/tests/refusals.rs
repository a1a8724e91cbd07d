//! What is wrong with a pack or a frame is said, never a panic.

mod common;

use std::fs;
use std::path::Path;

use burn::module::Param;
use burn::prelude::*;
use burn::store::{BurnpackStore, ModuleSnapshot as _};
use caril_core::{CameraSpec, CardError, CounterRng, Fault, Frame, Policy as _, PolicyCard};
use caril_infer::{CpuPolicy, InferError, Isa, Options};
use caril_pack::PackError;
use caril_policy::{Architecture, CARD_FILE, Net, Pack, WEIGHTS_FILE};
use common::{camera, frame, save, spec};

fn small(dir: &Path) {
    save(dir, Architecture::PilotNet, spec(Architecture::PilotNet, 40, 16));
}

fn load_error(dir: &Path) -> InferError {
    CpuPolicy::load(dir, Options::default()).map(|_| ()).unwrap_err()
}

fn edit_card(dir: &Path, from: &str, to: &str) {
    let path = dir.join(CARD_FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Puts other weights into a pack, and their hash into its card.
fn replace_weights(dir: &Path, bytes: &[u8]) {
    let mut card = Pack::load_card(dir).unwrap();
    caril_pack::save(&mut card, bytes, dir).unwrap();
}

#[test]
fn frames_that_do_not_fit_are_faults() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let mut policy = CpuPolicy::load(dir.path(), Options::default()).unwrap();
    let good = policy.infer(&frame(&camera(), 1, 30)).unwrap();
    let mut bad = Frame::for_camera(&CameraSpec { width: 97, ..camera() });
    assert_eq!(policy.infer(&bad), Err(Fault::ImageMalformed));
    bad = frame(&camera(), 1, 30);
    bad.image.data.clear();
    assert_eq!(policy.infer(&bad), Err(Fault::ImageMalformed));
    for speed in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        bad = frame(&camera(), 1, 30);
        bad.ego.speed_mps = speed;
        assert_eq!(policy.infer(&bad), Err(Fault::EgoInvalid));
    }
    bad.ego.speed_mps = f32::MAX;
    assert!(matches!(
        policy.infer(&bad),
        Err(Fault::PredictionMalformed | Fault::PredictionNonFinite)
    ));
    assert_eq!(policy.infer(&frame(&camera(), 1, 30)).unwrap(), good, "nothing stays behind");
}

#[test]
fn weights_that_overflow_are_a_fault_on_every_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let mut card = PolicyCard::new("huge", Architecture::PilotNet, &camera());
    card.input = spec(Architecture::PilotNet, 40, 16);
    let mut net = Net::new(Architecture::PilotNet, &card.input, 3, &Device::flex());
    let Net::PilotNet(pilot) = &mut net else { unreachable!() };
    // Overflow to infinities, then sums of +∞ and −∞: NaN, which a ReLU must not hide.
    for conv in [&mut pilot.stem].into_iter().chain(&mut pilot.convs[..1]) {
        conv.weight = Param::from_tensor(conv.weight.val() * 1e30);
    }
    Pack { card, net }.save(dir.path()).unwrap();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let mut policy = CpuPolicy::load(dir.path(), Options { threads: 1, isa }).unwrap();
        let fault = policy.infer(&frame(&camera(), 1, 256)).unwrap_err();
        assert_eq!(fault, Fault::PredictionNonFinite, "{isa:?}");
    }
}

#[test]
fn options_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    for threads in [0, 3] {
        let options = Options { threads, ..Options::default() };
        let error = CpuPolicy::load(dir.path(), options).unwrap_err();
        assert!(matches!(error, InferError::Threads { got } if got == threads));
    }
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
        let error = CpuPolicy::load(dir.path(), Options { threads: 1, isa }).unwrap_err();
        assert!(matches!(error, InferError::Isa { .. }));
    }
}

#[test]
fn packs_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert!(matches!(load_error(dir), InferError::Pack(PackError::Io { .. })));
    small(dir);
    edit_card(dir, "format = 1", "format = 7");
    assert!(matches!(
        load_error(dir),
        InferError::Pack(PackError::Card { source: CardError::Format { got: 7 }, .. })
    ));
    edit_card(dir, "format = 7", "format = 1");
    edit_card(dir, "\"pilotnet\"", "\"alexnet\"");
    assert!(matches!(load_error(dir), InferError::Pack(PackError::Architecture { .. })));
    edit_card(dir, "\"alexnet\"", "\"resnet50\"");
    assert!(matches!(load_error(dir), InferError::Pack(PackError::Inputs { .. })), "takes no nav");
    edit_card(dir, "\"resnet50\"", "\"pilotnet\"");
    edit_card(dir, "width = 40", "width = 80");
    let error = load_error(dir);
    assert!(matches!(&error, InferError::Pack(PackError::Tensors { .. })), "{error}");
    assert!(error.to_string().contains("PilotNet.features.weight: expected shape"), "{error}");
    assert!(error.to_string().ends_with(WEIGHTS_FILE), "path last: {error}");
    edit_card(dir, "width = 80", "width = 40");
    edit_card(dir, "steer_scale", "steer_gain");
    assert!(matches!(load_error(dir), InferError::Pack(PackError::CardSyntax { .. })));
}

#[test]
fn weights_that_are_not_these() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let bytes = fs::read(dir.join(WEIGHTS_FILE)).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(dir.join(WEIGHTS_FILE), &other).unwrap();
    assert!(matches!(load_error(dir), InferError::Pack(PackError::Hash { .. })));
    // Cut off or changed, with a card that agrees: the decoder has to notice.
    let mut rng = CounterRng::new(1, 1);
    for i in 0..300u64 {
        let mut broken = bytes.clone();
        match i {
            0..60 => broken.truncate(rng.below(bytes.len() as u64) as usize),
            60 => broken.clear(),
            // The header and the metadata, where every byte counts.
            _ => {
                let at = rng.below(1500) as usize;
                broken[at] ^= 1 << rng.below(8);
            }
        }
        replace_weights(dir, &broken);
        let result = CpuPolicy::load(dir, Options::default());
        // A flipped bit may hit a number that nobody reads; a short file is always noticed.
        assert!(
            i > 60 || matches!(result, Err(InferError::Pack(PackError::Weights { .. }))),
            "{i}"
        );
    }
}

#[test]
fn tensors_too_few_too_many_or_not_finite() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    small(dir);
    let card = Pack::load_card(dir).unwrap();
    let network = || Net::new(Architecture::PilotNet, &card.input, 3, &Device::flex());
    let write = |net: &Net| {
        let mut store = BurnpackStore::from_bytes(None);
        net.save_into(&mut store).unwrap();
        replace_weights(dir, &store.get_bytes().unwrap());
    };
    let mut net = network();
    let Net::PilotNet(pilot) = &mut net else { unreachable!() };
    pilot.stem.bias = None;
    write(&net);
    assert!(load_error(dir).to_string().contains("PilotNet.stem.bias is missing"));
    let mut net = network();
    let Net::PilotNet(pilot) = &mut net else { unreachable!() };
    pilot.features.weight = Param::from_tensor(pilot.features.weight.val() * f32::INFINITY);
    write(&net);
    assert!(load_error(dir).to_string().contains("PilotNet.features.weight holds a weight that"));
    write(&Net::new(Architecture::EfficientNetLite0, &card.input, 3, &Device::flex()));
    assert!(matches!(
        load_error(dir),
        InferError::Pack(PackError::Tensors { architecture: "pilotnet", .. })
    ));
    write(&network());
    CpuPolicy::load(dir, Options::default()).unwrap();
}
