//! Is the network right, and does it know when it is not?
//!
//! Two conventions run through this module. A *confidence* is higher where the network is surer;
//! calibration further needs it to be a probability in [0, 1]. A *score* of [`auroc`] and its
//! kin is higher where something is *more likely a failure*: give `1 − confidence` or the entropy.
//!
//! Equal confidences form one threshold everywhere: no measure depends on the order of the input.

mod calibration;
mod classes;
mod conformal;
mod detect;
mod groups;
mod selective;
mod signals;

pub use calibration::{Bin, ECE_BINS, adaptive_calibration_error, equal_mass_bins};
pub use calibration::{equal_width_bins, expected_calibration_error, mean_gap};
pub use classes::{Confusion, argmax, brier, confusion, nll};
pub use conformal::interval_quality_by;
pub use conformal::{IntervalQuality, conformal_quantile, conformal_quantile_by, interval_quality};
pub use detect::{auroc, average_precision, fpr_at_95_tpr, fpr_at_tpr};
pub use groups::steer_errors_by_group;
pub use groups::{Group, SPEED_EDGES_MPS, SteerErrors, TURN_STEER, groups_of, steer_errors};
pub use selective::{RiskCoverage, augrc, aurc, excess_aurc, risk_coverage};
pub use signals::{Signals, signals};
