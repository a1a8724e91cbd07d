//! `report.html` of a run: one file without any reference to the outside.

mod figures;
mod tables;
mod worst;

use std::path::Path;

use caril_eval::suite::{EpisodeResult, GroupTable};

use super::episode::Stage;
use super::store::RunFacts;
use crate::output::write_whole;
use crate::report::html::escape;
use crate::report::style;

/// Arms whose drives are looked at first, if they drove.
const FAVOURITES: [&str; 2] = ["calibrated", "paper"];

/// All that the page is made of.
struct Found<'a> {
    run: &'a RunFacts,
    results: &'a [EpisodeResult],
    tables: &'a [GroupTable],
}

impl Found<'_> {
    /// The arm whose routes and worst drives are shown.
    fn shown_arm(&self) -> Option<&str> {
        let names = || self.run.roles.iter().filter(|r| r.pack.is_some()).map(|r| &*r.arm.name);
        FAVOURITES.into_iter().find(|f| names().any(|n| n == *f)).or_else(|| names().next_back())
    }
}

/// Writes the report. Drives the worst episodes once more, for their pictures.
///
/// # Errors
/// If the file cannot be written or a drive of the run is impossible now.
pub fn write(
    dir: &Path,
    run: &RunFacts,
    results: &[EpisodeResult],
    group_tables: &[GroupTable],
) -> anyhow::Result<()> {
    let found = Found { run, results, tables: group_tables };
    let mut stage = Stage::new(run.roles.clone());
    let names: Vec<String> = run.suites.iter().map(|s| escape(&s.name)).collect();
    let title = format!("Closed loop: {}", names.join(", "));
    let page = [
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
             <style>{}{}</style></head><body><main class=\"eval\">\n",
            style::CSS,
            include_str!("../../frames/page.css")
        ),
        header(&found, &title),
        tables::verdicts(&found),
        tables::paper(&found),
        tables::sections(&found),
        figures::coverage(&found),
        figures::routes(&found, &mut stage)?,
        worst::section(&found, &mut stage)?,
        format!(
            "<footer>All figures: results.csv, results.json; every drive: episodes.csv, \
             episodes.jsonl. caril {}</footer></main></body></html>\n",
            env!("CARGO_PKG_VERSION")
        ),
    ]
    .concat();
    write_whole(&dir.join("report.html"), &page)
}

fn header(found: &Found<'_>, title: &str) -> String {
    let crashed = found.results.iter().filter(|r| r.measures().is_none()).count();
    let arms: Vec<String> = found.run.roles.iter().map(|r| escape(&r.arm.name)).collect();
    let about: String = found
        .run
        .suites
        .iter()
        .map(|s| {
            let (name, about) = (escape(&s.name), escape(&s.about));
            format!("<p class=\"note\"><b>{name}</b> {about}</p>")
        })
        .collect();
    let command = std::env::args().skip(1).fold("caril".to_owned(), |all, a| all + " " + &a);
    format!(
        "<header><h1>{title}</h1><p class=\"facts\"><span><b>{}</b> episodes</span>\
         <span><b>{crashed}</b> crashed</span><span>arms <b>{}</b></span></p></header>\n{about}\
         <details class=\"command\" open><summary>Command</summary><pre>{}</pre></details>\n",
        found.results.len(),
        arms.join(", "),
        escape(&command)
    )
}

#[cfg(test)]
mod tests;
