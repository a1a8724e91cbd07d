//! No step allocates: a counting global allocator around the hot calls.

use caril_control::{Controller, FrameMeta, StepInput, check_image};
use caril_core::{
    Calibration, CameraSpec, Config, CorrectionMode, Fault, FaultSet, Frame, FrameId,
    LongitudinalMode, Prediction,
};
use caril_tests::{Counting, allocator_calls};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(work: impl FnOnce()) -> u64 {
    let before = allocator_calls();
    work();
    allocator_calls() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(1_u64)))), 2);
}

#[test]
fn no_step_allocates() {
    let mut frame = Frame::for_camera(&CameraSpec::PAPER);
    frame.image.data.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 7) as u8);
    for correction in [CorrectionMode::Off, CorrectionMode::Paper, CorrectionMode::Calibrated] {
        for speed in [LongitudinalMode::Paper, LongitudinalMode::Cruise] {
            let mut config = Config::default();
            (config.correction.mode, config.longitudinal.mode) = (correction, speed);
            let mut controller = Controller::new(config, Calibration::default(), 0.25).unwrap();
            let (bright, mut dark, mut again) = (frame.image.clone(), frame.image.clone(), 0);
            dark.data.fill(20);
            let mut pictures = [bright, dark];
            let allocations = count(|| {
                for i in 0..500_u64 {
                    std::mem::swap(&mut frame.image, &mut pictures[i as usize % 2]);
                    frame.id = FrameId(i);
                    (frame.sim_time_ns, frame.received_ns) = (i * 50_000_000, i * 50_000_000);
                    frame.ego.speed_mps = (i % 13) as f32;
                    frame.image.data[4 * 448 * 3 + 12] = i as u8;
                    let mut probs = [0.0; 11];
                    probs[i as usize % 11] += 0.5 + 0.1 * (i % 6) as f32;
                    probs[i as usize % 7] += 0.5 - 0.1 * (i % 6) as f32;
                    let prediction = Prediction::new(0.1, probs);
                    let input = StepInput {
                        now_ns: frame.received_ns,
                        frame: FrameMeta::of(&frame, 0),
                        image: check_image(&frame.image),
                        prediction: prediction.map_err(|_| Fault::PredictionMalformed),
                        second: prediction
                            .ok()
                            .filter(|_| controller.asks_again(&check_image(&frame.image))),
                        overrun: i % 17 == 0,
                        faults: FaultSet::EMPTY,
                    };
                    again += u32::from(input.second.is_some());
                    std::hint::black_box(controller.step(&input));
                    let faults = FaultSet::from_bits(1 << (i % 18)).unwrap_or_default();
                    let later = frame.received_ns + 20_000_000;
                    std::hint::black_box(controller.no_frame(later, faults));
                }
            });
            assert_eq!(allocations, 0, "{correction:?} {speed:?}");
            assert_eq!(again > 50, correction == CorrectionMode::Calibrated, "{again}");
        }
    }
}
