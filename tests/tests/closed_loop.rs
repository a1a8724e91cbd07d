//! The shipped policy drives a road that it has never seen, all in one process.

mod common;

use caril_core::{Config, EndReason};
use caril_policy::{Backend, BurnPolicy};
use caril_runtime::{DriveOptions, StopFlag};
use caril_sim::{SimConfig, SimWorld};

#[test]
fn the_default_pack_reaches_the_goal_of_the_default_drive_inside_its_lane() {
    let policy =
        BurnPolicy::load(&common::root().join("weights/default"), Backend::Flex).expect("pack");
    let mut world = SimWorld::new(SimConfig::new(common::load_map("harbour_town"))).expect("world");
    let (config, stop, options) = (Config::default(), StopFlag::new(), DriveOptions::default());
    let mut speed_max_mps = 0.0_f32;
    let end =
        caril_runtime::drive(&mut world, policy, &config, None, &stop, options, &mut |step, _| {
            speed_max_mps = speed_max_mps.max(step.ego.speed_mps);
            assert!(step.command.is_valid() && step.predicted, "{step:?}");
        })
        .expect("no bug");
    let s = &end.summary;
    assert_eq!((s.end, s.route_completion), (Some(EndReason::GoalReached), 100.0), "{s:?}");
    assert_eq!((s.collisions, s.lane_invasions, s.off_road_m), (0, 0, 0.0), "{s:?}");
    assert!(s.lane_deviation_mean_m < 0.5, "{s:?}");
    // It does not get there by creeping, nor by what the gate forbids.
    assert!(speed_max_mps > 5.0 && speed_max_mps < 15.0, "{speed_max_mps} m/s");
    assert_eq!((s.modes.safe_stop, s.faults.len()), (0, 0), "{s:?}");
}
