//! Recordings of others into ours: the paper's layout, Udacity's simulator, donkeycar tubs, and
//! any CSV.
//!
//! [`import`] looks at every row and every picture first, then writes: what is wrong is known,
//! counted and listed before a byte is written. Pictures go into the recording byte for byte. The
//! same source and options give the same file, so nothing in it tells when, where or by which path
//! it was made. docs/import.md says what is believed of each format, and why.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod check;
mod columns;
mod donkey;
mod error;
mod layout;
mod records;
mod row;
mod run;
mod source;
mod table;
mod times;

pub use columns::Columns;
pub use error::ImportError;
pub use layout::{Format, Side, SpeedUnit, TimeUnit};
pub use row::{BadKind, BadRow};
pub use run::{ImportOptions, ImportSummary, Progress, import};
