//! Tests of the state machine.

use super::*;
use Fault::{FrameGap, ImageBlack, Internal, StopRequested};
use caril_core::Fault;

const NONE: FaultSet = FaultSet::EMPTY;
const GAP: FaultSet = FaultSet::of(FrameGap);

struct Drive {
    machine: ModeMachine,
    config: GateConfig,
}

impl Drive {
    fn new() -> Self {
        let config = GateConfig { recover_frames: 3, tolerate_frames: 2, ..GateConfig::default() };
        Self { machine: ModeMachine::default(), config }
    }

    fn step(&mut self, faults: FaultSet, fresh: bool, standing: bool) -> (Mode, Manoeuvre) {
        self.machine.update(&self.config, faults, fresh, standing);
        (self.machine.mode(), self.machine.manoeuvre())
    }

    fn modes<const N: usize>(&mut self, faults: [FaultSet; N], standing: bool) -> [Mode; N] {
        faults.map(|f| self.step(f, true, standing).0)
    }
}

use Mode::{Degraded, Nominal, SafeStop};

#[test]
fn a_latent_fault_degrades_until_enough_clean_frames() {
    let mut d = Drive::new();
    assert_eq!(
        d.modes([NONE, GAP, NONE, NONE, NONE], false),
        [Nominal, Degraded, Degraded, Degraded, Nominal]
    );
    assert_eq!(
        d.modes([GAP, NONE, NONE, GAP, NONE, NONE, NONE], false),
        [Degraded, Degraded, Degraded, Degraded, Degraded, Degraded, Nominal],
        "a fault starts the count again"
    );
}

#[test]
fn a_latent_fault_that_lasts_is_a_comfortable_stop() {
    let mut d = Drive::new();
    assert_eq!(
        d.modes([GAP, GAP, NONE, GAP, GAP, GAP], false),
        [Degraded, Degraded, Degraded, Degraded, Degraded, SafeStop]
    );
    assert_eq!(d.machine.manoeuvre(), Manoeuvre::ComfortStop);
}

#[test]
fn a_step_without_frame_and_fault_counts_for_nothing() {
    let mut d = Drive::new();
    d.modes([GAP, GAP], false);
    assert_eq!(d.step(NONE, false, false).0, Degraded);
    assert_eq!(d.step(GAP, true, false).0, SafeStop, "still in a row");
    let mut d = Drive::new();
    d.modes([GAP, NONE, NONE], false);
    assert_eq!(d.step(NONE, false, false).0, Degraded, "no clean frame");
    assert_eq!(d.step(NONE, true, false).0, Nominal);
}

#[test]
fn a_stop_is_finished_and_then_left_through_degraded() {
    let mut d = Drive::new();
    assert_eq!(d.step(FaultSet::of(ImageBlack), true, false), (SafeStop, Manoeuvre::HardStop));
    assert_eq!(d.modes([NONE; 9], false), [SafeStop; 9], "not while moving");
    assert_eq!(d.modes([NONE, NONE], true), [SafeStop; 2]);
    assert_eq!(d.modes([NONE], false), [SafeStop], "moving again starts the count again");
    assert_eq!(d.modes([NONE, NONE, GAP], true), [SafeStop; 3], "and so does a fault");
    assert_eq!(d.modes([NONE; 3], true), [SafeStop, SafeStop, Degraded]);
    assert_eq!(d.machine.manoeuvre(), Manoeuvre::Slow);
    assert_eq!(d.modes([NONE; 3], false), [Degraded, Degraded, Nominal]);
}

#[test]
fn a_stop_gets_harder_and_never_softer() {
    let mut d = Drive::new();
    d.modes([GAP; 3], false);
    assert_eq!(d.step(FaultSet::of(ImageBlack), false, false).1, Manoeuvre::HardStop);
    assert_eq!(d.step(GAP, true, false).1, Manoeuvre::HardStop);
    let both = FaultSet::of(StopRequested).union(FaultSet::of(ImageBlack));
    assert_eq!(Drive::new().step(both, true, false), (SafeStop, Manoeuvre::HardStop));
}

#[test]
fn some_stops_are_never_left() {
    for fault in [Internal, StopRequested] {
        let mut d = Drive::new();
        assert_eq!(d.step(FaultSet::of(fault), true, true).0, SafeStop);
        assert_eq!(d.modes([NONE; 20], true), [SafeStop; 20], "{fault:?}");
    }
}

#[test]
fn every_fault_in_every_mode_is_as_the_table_says() {
    for fault in Fault::ALL {
        for before in [NONE, GAP, FaultSet::of(ImageBlack)] {
            let mut d = Drive::new();
            let old = d.step(before, true, false);
            let rule = rule(fault);
            let new = d.step(FaultSet::of(fault), true, false);
            assert_eq!(new.1, old.1.max(rule.manoeuvre), "{fault:?} after {before:?}");
            let stop = old.0 == SafeStop || rule.manoeuvre > Manoeuvre::Slow;
            assert_eq!(new.0, if stop { SafeStop } else { Degraded });
            let left = d.modes([NONE; 3], true)[2];
            let expected = match (stop, rule.recovery) {
                (_, Recovery::Never) => SafeStop,
                (true, _) => Degraded,
                (false, _) => Nominal,
            };
            assert_eq!(left, expected, "{fault:?} after {before:?}");
        }
    }
}
