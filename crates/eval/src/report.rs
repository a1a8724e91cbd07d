//! Drawings of the evaluation: reliability diagrams, risk–coverage curves, intervals, shares.
//!
//! Each is one self-contained `<svg>` text with its own style, light and dark as the reader's
//! system is, which may be saved as a file or put into an HTML page. Same input, same bytes. What
//! is not finite is left out; names may hold any text.

mod canvas;
mod curves;
mod intervals;
mod shares;

pub use curves::{reliability_diagram, risk_coverage_plot};
pub use intervals::interval_plot;
pub use shares::{Shares, share_plot};
