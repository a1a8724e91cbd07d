//! `report.html` of one drive: a single file without any reference to the outside.
//!
//! The charts are plain SVG in a box of 1000 × 100 units that stretches to whatever width the
//! page has; everything with letters is HTML laid over it, so that a phone shows the same type
//! size as a desktop. Colours are CSS variables, which is what makes light and dark possible.

mod bands;
mod chart;
mod headline;
pub(crate) mod html;
mod map;
mod moments;
pub(crate) mod style;
#[cfg(test)]
mod tests;
mod timeline;
mod timing;
pub(crate) mod tracks;

use std::path::Path;

use anyhow::Context;
use caril_core::{FrameId, PlantInfo, PolicyCard, StepRecord};
use caril_road::RoadMap;

use chart::TimeAxis;
use html::escape;

/// Moments shown with their picture.
const MOMENTS: usize = 6;
/// Least time between two such moments, nanoseconds.
const MOMENT_GAP_NS: u64 = 2_000_000_000;

/// All that the report of one drive is made from.
pub struct ReportInput<'a> {
    /// Heading of the page.
    pub title: &'a str,
    /// The command that drove, so that it can be repeated.
    pub command_line: &'a str,
    /// What the plant said of itself: map, weather, the route.
    pub plant: &'a PlantInfo,
    /// The policy's card, for its name, steer scale and thresholds.
    pub card: Option<&'a PolicyCard>,
    /// The map, to be drawn under the path.
    pub map: Option<&'a RoadMap>,
    /// Every step in order, or of a long drive one of so many; truth is optional.
    pub steps: &'a [StepRecord],
    /// The object of `drive --json`; any field may be missing.
    pub summary: &'a serde_json::Value,
    /// JPEG files of the frames that [`least_confident`] names.
    pub pictures: &'a [(FrameId, Vec<u8>)],
}

/// Frames of the least confident moments, the least confident first, at least 2 s apart, at most
/// `n`. Steps without a prediction have no confidence and are left out.
pub fn least_confident(steps: &[StepRecord], n: usize) -> Vec<FrameId> {
    moments_of(steps, n).iter().map(|s| s.frame_id).collect()
}

fn moments_of(steps: &[StepRecord], n: usize) -> Vec<&StepRecord> {
    let mut by_doubt: Vec<&StepRecord> =
        steps.iter().filter(|s| s.predicted && s.correction.confidence.is_finite()).collect();
    // The sort is stable: of equals the earlier one comes first.
    by_doubt.sort_by(|a, b| a.correction.confidence.total_cmp(&b.correction.confidence));
    let mut chosen: Vec<&StepRecord> = Vec::new();
    for step in by_doubt {
        if chosen.len() >= n {
            break;
        }
        let far = |c: &&StepRecord| c.sim_time_ns.abs_diff(step.sim_time_ns) >= MOMENT_GAP_NS;
        if chosen.iter().all(far) {
            chosen.push(step);
        }
    }
    chosen
}

/// The moments to show: those that have pictures, or, without any picture, the same choice again.
fn shown_moments<'a>(input: &ReportInput<'a>) -> Vec<&'a StepRecord> {
    let pictured: Vec<&StepRecord> = input
        .pictures
        .iter()
        .filter_map(|(id, _)| input.steps.iter().find(|s| s.frame_id == *id))
        .take(MOMENTS)
        .collect();
    if pictured.is_empty() { moments_of(input.steps, MOMENTS) } else { pictured }
}

/// What the controller thought during one drive of several on a page: the time line and the least
/// confident moments, numbered from `first`.
pub(crate) fn thoughts(input: &ReportInput<'_>, first: usize) -> String {
    let axis = TimeAxis::of(input.steps, &[]);
    let cards = moments::cards(input, &shown_moments(input), first);
    timeline::section(input, &axis) + &cards
}

/// Writes the report to the file `out`.
///
/// # Errors
/// If the file cannot be written; no content makes it fail.
pub fn write_report(input: &ReportInput<'_>, out: &Path) -> anyhow::Result<()> {
    std::fs::write(out, page(input))
        .with_context(|| format!("cannot write the report to {}", out.display()))
}

fn page(input: &ReportInput<'_>) -> String {
    let moments = shown_moments(input);
    let axis = TimeAxis::of(input.steps, &moments);
    let title = escape(input.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{}</style></head><body><main>\n",
        style::CSS
    );
    page.push_str(&headline::section(input));
    page.push_str(&map::section(input, &moments));
    page.push_str(&timeline::section(input, &axis));
    page.push_str(&timing::section(input, &axis));
    page.push_str(&moments::section(input, &moments));
    let summary = serde_json::to_string_pretty(input.summary).unwrap_or_default();
    page.push_str(&format!(
        "<details class=\"card\"><summary>All figures (the object of <code>drive --json</code>)\
         </summary><pre>{}</pre></details>\n\
         <footer>caril {}</footer></main><script>{}</script></body></html>\n",
        escape(&summary),
        env!("CARGO_PKG_VERSION"),
        style::SCRIPT
    ));
    page
}
