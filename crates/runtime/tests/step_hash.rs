//! The step hash is a promise across versions: the same drive, the same hash.

use caril_core::{
    Command, Correction, EgoState, Fault, FaultSet, FrameId, ImageCheck, Mode, NavCommand, Pose,
    Regime, StageTimes, StepRecord, Truth,
};
use caril_runtime::StepHash;

/// A record in which no two numbers are the same.
fn record() -> StepRecord {
    StepRecord {
        frame_id: FrameId(101),
        sim_time_ns: 102,
        dropped: 103,
        ego: EgoState {
            speed_mps: 1.5,
            accel_mps2: 2.5,
            yaw_rate_radps: 3.5,
            pose: Pose {
                x_m: 4.5,
                y_m: 5.5,
                z_m: 6.5,
                yaw_rad: 7.5,
                pitch_rad: 8.5,
                roll_rad: 9.5,
            },
        },
        nav: NavCommand::Straight,
        advisory_speed_mps: f32::NAN,
        image: ImageCheck { mean_luma: 128.0, fingerprint: 107, malformed: false },
        observe_faults: FaultSet::EMPTY,
        actuate_faults: FaultSet::EMPTY,
        predicted: true,
        regression: 10.5,
        probs: std::array::from_fn(|k| k as f32 * 0.01),
        confidence: 11.5,
        entropy_nats: 12.5,
        neighbour_mass: 13.5,
        second_look: true,
        second_regression: 13.75,
        second_probs: std::array::from_fn(|k| k as f32 * 0.01 + 0.005),
        correction: Correction {
            steer: 14.5,
            regime: Regime::Fused,
            speed_cap_mps: f32::INFINITY,
            confidence: 15.5,
            sigma: 16.5,
        },
        steer_raw: 17.5,
        steer_corrected: 18.5,
        target_speed_mps: 19.5,
        command: Command {
            frame_id: FrameId(104),
            steer: 20.5,
            throttle: 21.5,
            brake: 22.5,
            mode: Mode::SafeStop,
        },
        mode: Mode::Degraded,
        faults: FaultSet::of(Fault::ImageBlack),
        truth: Some(Truth {
            expert_steer: 23.5,
            expert_speed_mps: 24.5,
            lane_deviation_m: 25.5,
            heading_error_rad: 26.5,
            curvature_1pm: 27.5,
            route_length_m: 28.5,
            route_completion: 29.5,
            off_road_m: 30.5,
            collisions: 105,
            lane_invasions: 106,
        }),
        times: StageTimes { ns: [1, 2, 3, 4, 5, 6], age_ns: 7, ..StageTimes::default() },
    }
}

fn hex(records: &[StepRecord]) -> String {
    let mut hash = StepHash::default();
    records.iter().for_each(|r| hash.add(r));
    hash.hex()
}

#[test]
fn hash_of_a_known_record() {
    let blind = StepRecord { truth: None, predicted: false, ..record() };
    assert_eq!(
        hex(&[record(), blind]),
        "b0d0ff1f079682f22a3c615c85fdda7fb2c9fcc17689f825820befd26d4333b3"
    );
}

#[test]
fn times_are_left_out_and_the_last_fields_are_in() {
    let slow = StepRecord { times: StageTimes::default(), ..record() };
    assert_eq!(hex(&[slow]), hex(&[record()]));
    let mut other = record();
    other.truth.get_or_insert_default().lane_invasions += 1;
    assert_ne!(hex(&[other]), hex(&[record()]));
    let mut other = record();
    other.ego.pose.roll_rad = -9.5;
    assert_ne!(hex(&[other]), hex(&[record()]));
}
