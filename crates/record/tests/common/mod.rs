//! Steps, pictures and headers for the tests.
#![allow(dead_code)]

use caril_core::{
    CameraSpec, Command, Correction, CounterRng, EgoState, FaultSet, FrameId, Image, ImageCheck,
    Mode, NavCommand, Pacing, PixelOrder, PlantInfo, Pose, Regime, StageTimes, StepRecord, Truth,
};
use caril_record::RecordingHeader;

pub fn header() -> RecordingHeader {
    let mut header = RecordingHeader::new(PlantInfo {
        name: "test 1".into(),
        map: "Town01".into(),
        weather: "clear".into(),
        camera: CameraSpec::PAPER,
        rate_hz: 20.0,
        pacing: Pacing::default(),
        route: vec![(0.1, 0.2), (1e-7, -3.3e7)],
    });
    header.seed = u64::MAX;
    header.command_line = vec!["caril".into(), "drive".into()];
    header.config = serde_json::to_value(caril_core::Config::default()).unwrap();
    header
}

/// A picture in one grey.
pub fn image(seed: u64, order: PixelOrder) -> Image {
    let mut image = Image::for_camera(&CameraSpec { order, ..CameraSpec::PAPER });
    image.data.fill(seed as u8);
    image
}

/// A step with every field random, numbers that are not finite among them.
pub fn random_step(seed: u64) -> StepRecord {
    let mut r = CounterRng::new(seed, 7);
    let navs = NavCommand::ALL;
    let mode = |r: &mut CounterRng| Mode::from_code(r.below(3) as u8).unwrap();
    let predicted = r.below(2) == 1;
    StepRecord {
        frame_id: FrameId(r.next_u64()),
        sim_time_ns: seed * 50_000_000,
        dropped: r.next_u64() as u32,
        ego: EgoState {
            speed_mps: f(&mut r),
            accel_mps2: f(&mut r),
            yaw_rate_radps: f(&mut r),
            pose: Pose {
                x_m: d(&mut r),
                y_m: d(&mut r),
                z_m: d(&mut r),
                yaw_rad: d(&mut r),
                pitch_rad: d(&mut r),
                roll_rad: d(&mut r),
            },
        },
        nav: navs[r.below(navs.len() as u64) as usize],
        advisory_speed_mps: f(&mut r),
        image: ImageCheck {
            mean_luma: f(&mut r),
            fingerprint: r.next_u64(),
            malformed: r.below(2) == 1,
        },
        observe_faults: FaultSet::from_bits(r.below(4) as u32).unwrap(),
        actuate_faults: FaultSet::from_bits(r.below(4) as u32).unwrap(),
        predicted,
        regression: f(&mut r),
        probs: std::array::from_fn(|_| f(&mut r)),
        confidence: f(&mut r),
        entropy_nats: f(&mut r),
        neighbour_mass: f(&mut r),
        second_look: r.below(2) == 1,
        second_regression: f(&mut r),
        second_probs: std::array::from_fn(|_| f(&mut r)),
        correction: Correction {
            steer: f(&mut r),
            regime: Regime::ALL[r.below(Regime::COUNT as u64) as usize],
            speed_cap_mps: f(&mut r),
            confidence: f(&mut r),
            sigma: f(&mut r),
        },
        steer_raw: f(&mut r),
        steer_corrected: f(&mut r),
        target_speed_mps: f(&mut r),
        command: Command {
            frame_id: FrameId(r.next_u64()),
            steer: f(&mut r),
            throttle: f(&mut r),
            brake: f(&mut r),
            mode: mode(&mut r),
        },
        mode: mode(&mut r),
        faults: FaultSet::from_bits(r.below(4) as u32).unwrap(),
        truth: (r.below(3) > 0).then(|| Truth {
            expert_steer: f(&mut r),
            expert_speed_mps: f(&mut r),
            lane_deviation_m: f(&mut r),
            heading_error_rad: f(&mut r),
            curvature_1pm: f(&mut r),
            route_length_m: f(&mut r),
            route_completion: f(&mut r),
            off_road_m: f(&mut r),
            collisions: r.next_u64() as u32,
            lane_invasions: r.next_u64() as u32,
        }),
        times: StageTimes {
            ns: std::array::from_fn(|_| r.next_u64()),
            age_ns: r.next_u64(),
            received_ns: r.next_u64(),
            judged_ns: r.next_u64(),
        },
    }
}

/// Any bits, half of the time an everyday number.
fn f(r: &mut CounterRng) -> f32 {
    match r.below(8) {
        0..4 => r.range(-1.0, 1.0) as f32,
        4 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0][r.below(4) as usize],
        _ => f32::from_bits(r.next_u64() as u32),
    }
}

fn d(r: &mut CounterRng) -> f64 {
    match r.below(8) {
        0..4 => r.range(-500.0, 500.0),
        4 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0][r.below(4) as usize],
        _ => f64::from_bits(r.next_u64()),
    }
}
