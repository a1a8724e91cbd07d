//! Tests of the frame bookkeeping.

use super::*;
use Fault::{
    EgoInvalid, FrameGap, FrameLate, FrameMissing, FrameOutOfOrder, FrameRepeated, FrameStale,
    ImageBlack, ImageBlownOut, ImageFrozen, ImageMalformed, PlantGone,
};
use std::vec::Vec;

const PICTURE: ImageCheck = ImageCheck { mean_luma: 100.0, fingerprint: 1, malformed: false };

fn meta(id: u64, speed_mps: f32) -> FrameMeta {
    FrameMeta {
        id: FrameId(id),
        sim_time_ns: id * 50 * NS_PER_MS,
        received_ns: id * 50 * NS_PER_MS,
        dropped: 0,
        ego: EgoState { speed_mps, ..EgoState::default() },
        advisory_speed_mps: f32::NAN,
        nav: NavCommand::Follow,
    }
}

/// A monitor that has seen frame 10, and what it says of `frame`, at the time of its arrival.
fn after_ten(frame: FrameMeta, image: ImageCheck) -> (Vec<Fault>, bool, Monitor) {
    let (mut monitor, config) = (Monitor::default(), GateConfig::default());
    let ten = meta(10, 5.0);
    assert_eq!(monitor.frame(&config, ten.received_ns, &ten, &PICTURE), (FaultSet::EMPTY, true));
    let (faults, fresh) = monitor.frame(&config, frame.received_ns, &frame, &image);
    (faults.iter().collect(), fresh, monitor)
}

#[test]
fn order_of_ids_and_times() {
    let at = |id, sim_time_ns| FrameMeta { sim_time_ns, ..meta(id, 5.0) };
    let t10 = meta(10, 0.0).sim_time_ns;
    let dropped = |dropped, id| FrameMeta { dropped, ..meta(id, 5.0) };
    let cases: [(FrameMeta, &[Fault], bool); 9] = [
        (meta(11, 5.0), &[], true),
        (at(11, t10 + 1), &[], true),
        (meta(12, 5.0), &[FrameGap], true),
        (dropped(1, 12), &[], true),
        (dropped(1, 13), &[FrameGap], true),
        (meta(10, 5.0), &[FrameRepeated], false),
        (meta(9, 5.0), &[FrameOutOfOrder], false),
        (at(11, t10), &[FrameOutOfOrder], false),
        (at(12, t10 - 1), &[FrameOutOfOrder], false),
    ];
    for (frame, faults, fresh) in cases {
        let got = after_ten(frame, PICTURE);
        assert_eq!((got.0.as_slice(), got.1), (faults, fresh), "{frame:?}");
        let id = if fresh { frame.id } else { FrameId(10) };
        let time_ns = if fresh { frame.sim_time_ns } else { t10 };
        assert_eq!((got.2.frame_id(), got.2.sim_time_ns()), (id, time_ns));
    }
    assert_eq!((Monitor::default().frame_id(), Monitor::default().sim_time_ns()), (FrameId(0), 0));
}

#[test]
fn a_frame_that_is_not_fresh_changes_nothing() {
    let black = ImageCheck { mean_luma: 0.0, ..PICTURE };
    let (faults, _, monitor) = after_ten(meta(10, 9.0), black);
    assert_eq!((faults.as_slice(), monitor.speed_mps()), ([FrameRepeated].as_slice(), 5.0));
    assert_eq!(monitor, after_ten(meta(9, f32::NAN), black).2);
}

#[test]
fn silence_grows_from_late_to_gone_from_the_last_fresh_frame() {
    let config = GateConfig::default();
    let mut monitor = after_ten(meta(10, 5.0), PICTURE).2;
    let last = meta(10, 0.0).received_ns;
    let cases: [(u64, &[Fault]); 6] = [
        (150, &[]),
        (151, &[FrameLate]),
        (500, &[FrameLate]),
        (501, &[FrameLate, FrameMissing]),
        (2000, &[FrameLate, FrameMissing]),
        (2001, &[FrameLate, FrameMissing, PlantGone]),
    ];
    for (after_ms, faults) in cases {
        let got: Vec<_> = monitor.silence(&config, last + after_ms * NS_PER_MS).iter().collect();
        assert_eq!(got, faults, "{after_ms} ms");
    }
    // The frame that ends the silence says so, once.
    let late = FrameMeta { received_ns: last + 300 * NS_PER_MS, ..meta(11, 5.0) };
    let (faults, fresh) = monitor.frame(&config, late.received_ns, &late, &PICTURE);
    assert_eq!((faults, fresh), (FaultSet::of(FrameLate), true));
    assert_eq!(monitor.silence(&config, late.received_ns), FaultSet::EMPTY);
}

#[test]
fn before_the_first_frame_silence_counts_from_the_first_call() {
    let (config, mut monitor) = (GateConfig::default(), Monitor::default());
    let start = 77_000 * NS_PER_MS;
    assert_eq!(monitor.silence(&config, start), FaultSet::EMPTY);
    assert_eq!(monitor.silence(&config, start + 151 * NS_PER_MS), FaultSet::of(FrameLate));
}

#[test]
fn age_when_acted_on() {
    let config = GateConfig::default();
    for (age_ms, stale) in [(0, false), (200, false), (201, true)] {
        let frame = meta(10, 5.0);
        let now = frame.received_ns + age_ms * NS_PER_MS;
        let (faults, fresh) = Monitor::default().frame(&config, now, &frame, &PICTURE);
        assert_eq!((faults.contains(FrameStale), fresh), (stale, true), "{age_ms} ms");
    }
}

#[test]
fn ego_state_that_makes_no_sense_keeps_the_last_speed() {
    for bad in [f32::NAN, f32::INFINITY, 100.1, -100.1] {
        let (faults, fresh, monitor) = after_ten(meta(11, bad), PICTURE);
        assert_eq!((faults.as_slice(), fresh), ([EgoInvalid].as_slice(), true), "{bad}");
        assert_eq!(monitor.speed_mps(), 5.0);
    }
    for good in [100.0, -100.0] {
        let (faults, _, monitor) = after_ten(meta(11, good), PICTURE);
        assert_eq!((faults.as_slice(), monitor.speed_mps()), ([].as_slice(), good));
    }
    let mut odd = meta(11, 3.0);
    odd.ego.pose.x_m = f64::NAN;
    let (faults, _, monitor) = after_ten(odd, PICTURE);
    // What is wrong elsewhere takes nothing from a speed that is one.
    assert_eq!((faults.as_slice(), monitor.speed_mps()), ([EgoInvalid].as_slice(), 3.0));
}

#[test]
fn pictures_of_one_frame() {
    let luma = |mean_luma| ImageCheck { mean_luma, fingerprint: 2, ..PICTURE };
    let cases: [(ImageCheck, &[Fault]); 8] = [
        (luma(4.0), &[ImageBlack]),
        (luma(4.1), &[]),
        (luma(249.9), &[]),
        (luma(250.0), &[ImageBlownOut]),
        (luma(f32::NAN), &[ImageBlack]),
        (luma(f32::NEG_INFINITY), &[ImageBlack]),
        (luma(f32::INFINITY), &[ImageBlownOut]),
        (ImageCheck { malformed: true, ..luma(0.0) }, &[ImageMalformed]),
    ];
    for (image, faults) in cases {
        assert_eq!(after_ten(meta(11, 5.0), image).0, faults, "{image:?}");
    }
}

#[test]
fn frozen_after_equal_pictures_while_moving_until_another_picture() {
    let (mut monitor, config) = (Monitor::default(), GateConfig::default());
    let mut id = 0;
    let mut frozen = |speed, fingerprint| {
        id += 1;
        let frame = meta(id, speed);
        let image = ImageCheck { fingerprint, ..PICTURE };
        let (faults, _) = monitor.frame(&config, frame.received_ns, &frame, &image);
        faults.contains(ImageFrozen)
    };
    for _ in 0..10 {
        assert!(!frozen(0.5, 1), "standing, every picture is the same");
    }
    // The last picture seen at a standstill is the first of the row.
    assert_eq!([5.0; 3].map(|v| frozen(v, 1)), [false, false, true]);
    assert_eq!([0.0; 3].map(|v| frozen(v, 1)), [true; 3], "still the same picture");
    assert_eq!([0.0, 5.0, 5.0].map(|v| frozen(v, 2)), [false; 3], "another picture ends it");
    assert!(frozen(-5.0, 2), "backwards is moving too");
    for fingerprint in 10..20 {
        assert!(!frozen(5.0, fingerprint));
    }
}

#[test]
fn meta_of_a_frame_is_what_the_frame_says() {
    let mut frame = Frame::for_camera(&caril_core::CameraSpec::PAPER);
    let want =
        FrameMeta { dropped: 3, advisory_speed_mps: 8.0, nav: NavCommand::Left, ..meta(12, 4.0) };
    (frame.id, frame.sim_time_ns, frame.received_ns) =
        (want.id, want.sim_time_ns, want.received_ns);
    (frame.ego, frame.advisory_speed_mps) = (want.ego, want.advisory_speed_mps);
    frame.nav = want.nav;
    assert_eq!(FrameMeta::of(&frame, 3), want);
}
