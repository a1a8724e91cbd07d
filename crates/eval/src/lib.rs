//! Formulas of the evaluation: confidence, trajectories, driving, statistics, drawings.
//!
//! What may be here: pure functions over slices. What may not: I/O, clocks, threads, randomness
//! other than [`caril_core::CounterRng`] under a seed that the caller gives.
//!
//! Every function says [`Error`] instead of returning NaN or an infinity: an empty set, NaN among
//! the values, a quotient without a denominator. Sums run in the order of the slice, and
//! transcendental functions are libm's, so that every host gives the same bits.
//!
//! * [`confidence`]: is the network right, and does it know when it is not?
//! * [`trajectory`]: how far is the path from the expert's?
//! * [`driving`]: did it arrive, how safely, how smoothly, and did the correction help?
//! * [`stats`]: how sure is a mean, or a difference between two arms?
//! * [`suite`]: which drives does a benchmark drive, and what do they say when they are compared?
//! * [`report`]: reliability diagrams, risk–coverage curves and intervals as SVG.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod confidence;
pub mod driving;
mod error;
pub mod report;
pub mod stats;
pub mod suite;
pub mod trajectory;

pub use error::{Error, Result};
