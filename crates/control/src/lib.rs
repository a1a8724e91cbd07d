//! The safety core: correction, longitudinal control, limits and the command gate. no_std, no alloc.
//!
//! One step is a pure function of its arguments and a `Copy` state: no clock, no global random
//! numbers, no allocation, no panic. [`Controller`] puts the parts together; each part can be
//! used and tested alone. What is claimed, and the table of faults, stand in docs/safety.md.
//!
//! Times: `now_ns` and `received_ns` are of one clock, the caller's; `sim_time_ns` is the
//! plant's. In lockstep the caller passes plant time for both, so that nothing depends on how
//! fast the host is.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

mod controller;
mod correction;
mod gate;
mod image_check;
mod limits;
mod longitudinal;
mod memory;
mod mode;
mod monitor;
mod table;

pub use caril_core::ImageCheck;
pub use controller::{Controller, StepInput, StepOutput};
pub use correction::{
    CorrectionState, PAPER_ENTROPY_UNSURE, PAPER_SAMPLES, PAPER_SURE, PAPER_UNSURE, correct,
    paper_bin,
};
pub use gate::{CommandGate, Verdict};
pub use image_check::{check_image, checked_rows};
pub use limits::{Limits, MAX_DT_S};
pub use longitudinal::{Longitudinal, LongitudinalInput, longitudinal};
pub use mode::{ModeMachine, STANDSTILL_MPS};
pub use monitor::{FROZEN_SPEED_MPS, FrameMeta, Monitor, PLAUSIBLE_SPEED_MPS};
pub use table::{Class, Manoeuvre, Recovery, Rule, Steering, TABLE, rule};

/// `value` brought into [`low`, `high`]. Unlike `f32::clamp` it never panics, and a NaN becomes
/// `low` instead of staying a NaN.
fn bounded(value: f32, low: f32, high: f32) -> f32 {
    value.max(low).min(high)
}

/// Property tests with the same cases in every run.
#[cfg(test)]
fn seeded() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(2),
        failure_persistence: None,
        ..Default::default()
    }
}
