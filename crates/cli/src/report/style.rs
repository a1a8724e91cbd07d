//! Style and script of the page.

/// The style. Both colour schemes are sets of variables; nothing else differs between them.
pub(crate) const CSS: &str = include_str!("report.css");
/// Reading values off the charts under the pointer. The page is complete without it.
pub(crate) const SCRIPT: &str = include_str!("report.js");
