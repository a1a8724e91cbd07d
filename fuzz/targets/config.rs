//! Configuration files and suites: whatever validates gives a controller whose commands are safe.
#![no_main]

use caril_control::{Controller, FrameMeta, StepInput};
use caril_core::{
    Calibration, Config, EgoState, FaultSet, FrameId, ImageCheck, NavCommand, Prediction,
};
use caril_eval::suite::Suite;
use libfuzzer_sys::fuzz_target;

fn drive(config: Config) {
    let Ok(mut controller) = Controller::new(config, Calibration::default(), 0.25) else { return };
    let mut probs = [0.0; 11];
    (probs[2], probs[9]) = (0.5, 0.5);
    for id in 1..40_u64 {
        let time_ns = id * 50_000_000;
        let speed_mps = (id % 20) as f32;
        let out = controller.step(&StepInput {
            now_ns: time_ns,
            frame: FrameMeta {
                id: FrameId(id),
                sim_time_ns: time_ns,
                received_ns: time_ns,
                dropped: 0,
                ego: EgoState { speed_mps, ..EgoState::default() },
                advisory_speed_mps: f32::NAN,
                nav: NavCommand::Follow,
            },
            image: ImageCheck { mean_luma: 90.0, fingerprint: id, malformed: false },
            prediction: Ok(Prediction::new((id as f32).sin(), probs).unwrap()),
            second: id.is_multiple_of(3).then(|| Prediction::new(0.3, probs).unwrap()),
            overrun: id % 17 == 0,
            faults: FaultSet::EMPTY,
        });
        assert!(out.command.is_valid(), "{out:?} under {config:?}");
        assert!(controller.no_frame(time_ns + 1, FaultSet::EMPTY).command.is_valid());
    }
}

fuzz_target!(|text: &str| {
    if let Ok(config) = toml::from_str::<Config>(text)
        && config.validate().is_ok()
    {
        drive(config);
    }
    if let Ok(suite) = toml::from_str::<Suite>(text) {
        let _ = suite.validate();
    }
});
