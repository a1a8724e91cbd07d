//! The policy pack: round trip, and the right error for each way in which a pack can be wrong.

use std::fs;
use std::path::Path;

use burn::module::Param;
use burn::prelude::*;
use caril_core::{CameraSpec, CardError, Fault, Frame, InputSpec, NavCommand, Policy, PolicyCard};
use caril_policy::{
    Architecture, Backend, BurnPolicy, CARD_FILE, Net, Pack, PackError, WEIGHTS_FILE,
};

fn camera() -> CameraSpec {
    CameraSpec { width: 64, height: 48, ..CameraSpec::PAPER }
}

fn card() -> PolicyCard {
    let mut card = PolicyCard::new("test", Architecture::PilotNet, &camera());
    card.input = InputSpec { width: 40, height: 16, ..card.input };
    card
}

fn pack(seed: u64) -> Pack {
    let card = card();
    let net = Net::new(Architecture::PilotNet, &card.input, seed, &Device::flex());
    Pack { card, net }
}

fn saved(dir: &Path) -> PolicyCard {
    let mut pack = pack(1);
    pack.save(dir).unwrap();
    pack.card
}

fn frame() -> Frame {
    let mut frame = Frame::for_camera(&camera());
    for (i, byte) in frame.image.data.iter_mut().enumerate() {
        *byte = (i * 7 % 251) as u8;
    }
    frame.ego.speed_mps = 8.0;
    frame
}

fn load_error(dir: &Path) -> PackError {
    Pack::load(dir, &Device::flex()).map(|_| ()).unwrap_err()
}

fn edit_card(dir: &Path, from: &str, to: &str) {
    let path = dir.join(CARD_FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn round_trip_keeps_card_and_predictions() {
    let dir = tempfile::tempdir().unwrap();
    let card = saved(dir.path());
    let mut before = BurnPolicy::new(pack(1), Device::flex());
    let mut after = BurnPolicy::load(dir.path(), Backend::Flex).unwrap();
    assert_eq!(after.card(), &card);
    let frame = frame();
    let want = before.infer(&frame).unwrap();
    assert_eq!(after.infer(&frame).unwrap(), want);
    assert_eq!(after.infer(&frame).unwrap(), want, "from call to call");
    assert_ne!(BurnPolicy::new(pack(2), Device::flex()).infer(&frame).unwrap(), want);
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [CARD_FILE, WEIGHTS_FILE], "no temporary is left");
}

#[test]
fn speed_and_command_are_inputs() {
    let mut policy = BurnPolicy::new(pack(1), Device::flex());
    let mut frame = frame();
    let base = policy.infer(&frame).unwrap();
    frame.nav = NavCommand::ChangeLeft;
    assert_eq!(policy.infer(&frame).unwrap(), base, "lane changes follow the lane");
    frame.nav = NavCommand::Left;
    assert_ne!(policy.infer(&frame).unwrap(), base);
    frame.nav = NavCommand::Follow;
    frame.ego.speed_mps = 2.0;
    assert_ne!(policy.infer(&frame).unwrap(), base);
}

#[test]
fn what_does_not_fit_is_a_fault() {
    let mut policy = BurnPolicy::new(pack(1), Device::flex());
    let mut bad = Frame::for_camera(&CameraSpec { width: 65, ..camera() });
    assert_eq!(policy.infer(&bad), Err(Fault::ImageMalformed));
    bad = frame();
    bad.image.data.pop();
    assert_eq!(policy.infer(&bad), Err(Fault::ImageMalformed));
    bad = frame();
    bad.ego.speed_mps = f32::NAN;
    assert_eq!(policy.infer(&bad), Err(Fault::EgoInvalid));
    let mut broken = pack(1);
    let Net::PilotNet(net) = &mut broken.net else { unreachable!() };
    net.regression.bias = Some(Param::from_tensor(Tensor::from_data([f32::NAN], &Device::flex())));
    let mut policy = BurnPolicy::new(broken, Device::flex());
    assert_eq!(policy.infer(&frame()), Err(Fault::PredictionNonFinite));
    let mut broken = pack(1);
    let Net::PilotNet(net) = &mut broken.net else { unreachable!() };
    net.regression.bias = Some(Param::from_tensor(Tensor::from_data([99.0], &Device::flex())));
    let mut policy = BurnPolicy::new(broken, Device::flex());
    assert_eq!(policy.infer(&frame()), Err(Fault::PredictionMalformed));
}

#[test]
fn wrong_hash_and_truncated_weights() {
    let dir = tempfile::tempdir().unwrap();
    let card = saved(dir.path());
    let path = dir.path().join(WEIGHTS_FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&path, &bytes).unwrap();
    let error = load_error(dir.path());
    assert!(matches!(&error, PackError::Hash { expected, .. } if *expected == card.weights_sha256));
    assert!(error.to_string().ends_with(WEIGHTS_FILE), "path last: {error}");
    // The same with a card that was made to agree: the decoder has to notice.
    let PackError::Hash { expected, found, .. } = error else { unreachable!() };
    edit_card(dir.path(), &expected, &found);
    assert!(matches!(load_error(dir.path()), PackError::Weights { .. }));
}

#[test]
fn card_of_another_format_or_architecture() {
    let dir = tempfile::tempdir().unwrap();
    saved(dir.path());
    edit_card(dir.path(), "format = 1", "format = 7");
    let error = load_error(dir.path());
    assert!(matches!(error, PackError::Card { source: CardError::Format { got: 7 }, .. }));
    edit_card(dir.path(), "format = 7", "format = 1");
    edit_card(dir.path(), "pilotnet", "alexnet");
    assert!(
        matches!(load_error(dir.path()), PackError::Architecture { found, .. } if found == "alexnet")
    );
    edit_card(dir.path(), "alexnet", "resnet50");
    assert!(matches!(load_error(dir.path()), PackError::Inputs { .. }), "takes no nav");
    edit_card(dir.path(), "resnet50", "pilotnet");
    edit_card(dir.path(), "width = 40", "width = 80");
    let error = load_error(dir.path());
    assert!(matches!(&error, PackError::Tensors { .. }), "{error}");
    edit_card(dir.path(), "width = 80", "width = 41");
    assert!(matches!(load_error(dir.path()), PackError::Inputs { .. }), "not divisible by 4");
    edit_card(dir.path(), "steer_scale", "steer_gain");
    assert!(matches!(load_error(dir.path()), PackError::CardSyntax { .. }));
    fs::remove_file(dir.path().join(CARD_FILE)).unwrap();
    assert!(matches!(load_error(dir.path()), PackError::Io { .. }));
}

#[test]
fn colours_that_no_picture_has_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    saved(dir.path());
    let colours = "[colours]\nmean = [80.0, 81.0, 82.0]\ndeviation = [30.0, 31.0, 32.0]\n\n";
    edit_card(dir.path(), "[training]", &format!("{colours}[training]"));
    let card = Pack::load(dir.path(), &Device::flex()).unwrap().card;
    assert_eq!(card.colours.map(|c| (c.mean[1], c.deviation[2])), Some((81.0, 32.0)));
    edit_card(dir.path(), "81.0", "nan");
    let error = load_error(dir.path());
    let expected = CardError::Value { field: "colours", expected: "values from 0 to 255" };
    assert!(matches!(error, PackError::Card { source, .. } if source == expected));
}

#[test]
fn weights_of_another_backbone() {
    let dir = tempfile::tempdir().unwrap();
    let card = saved(dir.path());
    let mut other = PolicyCard::new("other", Architecture::EfficientNetLite0, &camera());
    other.weights_sha256 = card.weights_sha256;
    fs::write(dir.path().join(CARD_FILE), toml::to_string(&other).unwrap()).unwrap();
    let error = load_error(dir.path());
    assert!(matches!(error, PackError::Tensors { architecture: "efficientnet-lite0", .. }));
}

#[test]
fn weights_that_are_not_finite_are_neither_written_nor_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = pack(1);
    let Net::PilotNet(net) = &mut broken.net else { unreachable!() };
    let weight = net.features.weight.val();
    net.features.weight = Param::from_tensor(weight * f32::INFINITY);
    let error = broken.save(dir.path()).unwrap_err();
    assert!(matches!(&error, PackError::NonFinite { tensor, .. } if tensor.contains("features")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
    // Written by someone else.
    use burn::store::{BurnpackStore, ModuleSnapshot as _};
    let mut store = BurnpackStore::from_bytes(None);
    broken.net.save_into(&mut store).unwrap();
    let bytes = store.get_bytes().unwrap().to_vec();
    caril_pack::save(&mut card(), &bytes, dir.path()).unwrap();
    assert!(matches!(load_error(dir.path()), PackError::NonFinite { .. }));
}

#[test]
fn a_backend_that_is_not_compiled_in_says_so() {
    for backend in Backend::ALL.into_iter().filter(|b| !b.is_compiled()) {
        let message = backend.device().unwrap_err().to_string();
        let name = backend.name();
        assert!(message.starts_with(&format!("backend {name} is not compiled in: ")), "{message}");
        assert!(message.contains(Backend::Flex.name()), "{message}");
    }
    assert!(Backend::Flex.is_compiled());
    assert_eq!(Backend::from_name("tpu"), None);
}

/// Prints the prediction of the default-sized network, for the test below.
#[test]
fn child_prints_a_prediction() {
    let card = PolicyCard::new("threads", Architecture::PilotNet, &camera());
    let net = Net::new(Architecture::PilotNet, &card.input, 3, &Device::flex());
    let prediction = BurnPolicy::new(Pack { card, net }, Device::flex()).infer(&frame()).unwrap();
    let bits: Vec<u32> = prediction.probs().iter().map(|p| p.to_bits()).collect();
    #[allow(clippy::print_stdout, reason = "read by the parent")]
    {
        println!("BITS {} {bits:?}", prediction.regression().to_bits());
    }
}

#[test]
fn same_bits_whatever_the_number_of_threads() {
    let run = |threads: &str| {
        let out = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_prints_a_prediction", "--nocapture"])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let bits = text.split("BITS ").nth(1).unwrap().lines().next().unwrap().to_owned();
        assert!(bits.len() > 100, "{text}");
        bits
    };
    let one = run("1");
    assert_eq!(run("2"), one);
    assert_eq!(run("5"), one);
}
