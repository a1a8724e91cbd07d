//! How sure is a mean, or a difference between two arms?
//!
//! Intervals are percentile bootstraps. Frames of one drive, and drives of one route, resemble
//! each other: give their cluster, and whole clusters are drawn instead of single values.

mod bootstrap;
mod quantile;
mod sign;

pub use bootstrap::paired_difference;
pub use bootstrap::{Bootstrap, Interval, RESAMPLES, mean_interval, paired_change};
pub use quantile::{median, quantile};
pub use sign::{SignTest, sign_test};
