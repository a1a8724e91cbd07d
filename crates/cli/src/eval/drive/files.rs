//! The figures as files: `results.json`, `results.csv` (a line a figure), `episodes.csv` (a line a
//! drive). Nothing in them depends on when or how fast it was driven.

use std::path::Path;

use caril_eval::stats::Interval;
use caril_eval::suite::{EpisodeResult, GroupTable, METRICS, Row, Status};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::store::RunFacts;
use crate::output::write_whole;

/// What `--json` prints and `results.json` holds.
#[derive(Serialize)]
pub struct Summary<'a> {
    run: &'a RunFacts,
    /// Episodes that were driven or crashed.
    episodes: usize,
    crashed: usize,
    /// SHA-256 over names and step hashes of all drives, in the plan's order.
    drives_hash: String,
    tables: &'a [GroupTable],
}

/// Writes all files.
///
/// # Errors
/// If one cannot be written.
pub fn write<'a>(
    dir: &Path,
    run: &'a RunFacts,
    results: &[EpisodeResult],
    tables: &'a [GroupTable],
) -> anyhow::Result<Summary<'a>> {
    let summary = Summary {
        run,
        episodes: results.len(),
        crashed: results.iter().filter(|r| r.measures().is_none()).count(),
        drives_hash: drives_hash(results),
        tables,
    };
    write_whole(&dir.join("results.json"), &(serde_json::to_string_pretty(&summary)? + "\n"))?;
    write_whole(&dir.join("results.csv"), &results_csv(tables))?;
    write_whole(&dir.join("episodes.csv"), &episodes_csv(results))?;
    Ok(summary)
}

fn drives_hash(results: &[EpisodeResult]) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    for r in results {
        let end = match &r.status {
            Status::Driven { step_hash, .. } => step_hash.as_str(),
            Status::Crashed { .. } => "crashed",
        };
        hash.update(format!("{} {end}\n", r.episode.id()));
    }
    hash.finalize().iter().fold(String::new(), |mut text, b| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// A field as CSV has it.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or(String::new(), |v| v.to_string())
}

fn interval(i: Option<&Interval>) -> String {
    let part = |of: fn(&Interval) -> f64| number(i.map(of));
    format!("{},{},{}", part(|i| i.estimate), part(|i| i.low), part(|i| i.high))
}

/// Value of a pooled figure of a row.
type Pooled = fn(&Row) -> Option<f64>;

/// Figures over all drives of a row together, which have no interval.
const POOLED: [(&str, &str, Pooled); 6] = [
    ("driven", "km", |r| Some(r.driven_km)),
    ("collisions_per_km", "1/km", |r| r.collisions_per_km),
    ("activation_rate", "", |r| r.activation_rate),
    ("harm_rate", "", |r| r.harm_rate),
    ("benefit_rate", "", |r| r.benefit_rate),
    ("mean_gain", "", |r| r.mean_gain),
];

fn results_csv(tables: &[GroupTable]) -> String {
    let mut csv = "suite,group,arm,measure,unit,drives,crashed,mean,mean_low,mean_high,pairs,\
                   difference,difference_low,difference_high,change,change_low,change_high,\
                   sign_more,sign_less,sign_p,verdict\n"
        .to_owned();
    for table in tables {
        for row in &table.rows {
            let head = |name: &str, unit: &str| {
                format!(
                    "{},{},{},{name},{unit},{},{}",
                    field(&table.suite),
                    field(&table.name),
                    field(&row.arm),
                    row.drives,
                    row.crashed
                )
            };
            for (name, unit, of) in POOLED {
                csv += &format!("{},{},,,,,,,,,,,,,\n", head(name, unit), number(of(row)));
            }
            for m in &row.metrics {
                let unit = METRICS.iter().find(|k| k.name == m.metric).map_or("", |k| k.unit);
                let effect = m.effect.as_ref().map_or(",,,,,,,,,,".to_owned(), |e| {
                    format!(
                        "{},{},{},{},{},{},{}",
                        e.pairs,
                        interval(Some(&e.difference)),
                        interval(e.change.as_ref()),
                        e.sign.positive,
                        e.sign.negative,
                        e.sign.p_value,
                        serde_json::to_string(&e.verdict).unwrap_or_default().trim_matches('"'),
                    )
                });
                csv +=
                    &format!("{},{},{effect}\n", head(m.metric, unit), interval(m.mean.as_ref()));
            }
        }
    }
    csv
}

fn episodes_csv(results: &[EpisodeResult]) -> String {
    let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
    let mut csv = format!(
        "suite,group,cell,trial,arm,map,seed,weather,faults,traffic,status,end,frames,route_m,\
         driven_m,{},ticks,changed,harmed,helped,step_hash,message\n",
        names.join(",")
    );
    for r in results {
        let e = &r.episode;
        let head = [
            field(&e.suite),
            field(&e.group),
            field(&e.cell),
            e.trial.to_string(),
            field(&e.arm),
            field(&e.map),
            e.seed.to_string(),
            field(&e.weather),
            field(&e.faults.join("+")),
            e.traffic.to_string(),
        ];
        csv += &head.join(",");
        match &r.status {
            Status::Crashed { message } => {
                // The message stands last but for the hash's column: no figure's place is taken.
                let empty = ",".repeat(METRICS.len() + 8);
                csv += &format!(",crashed,{empty},{}\n", field(message));
            }
            Status::Driven { measures: m, step_hash, .. } => {
                let end = serde_json::to_string(&m.end).unwrap_or_default();
                let values: Vec<String> = METRICS.iter().map(|k| number((k.get)(m))).collect();
                csv += &format!(
                    ",driven,{},{},{},{},{},{},{},{},{},{step_hash},\n",
                    end.trim_matches('"'),
                    m.frames,
                    m.route_m,
                    m.driven_m,
                    values.join(","),
                    m.ticks,
                    m.changed,
                    m.harmed,
                    m.helped,
                );
            }
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use caril_eval::stats::Bootstrap;
    use caril_eval::suite::{Arm, compare};

    #[test]
    fn every_line_has_as_many_fields_as_the_head() {
        let mut results = super::super::testing::results(4);
        results[1].status = Status::Crashed { message: "killed".into() };
        let arms: Vec<Arm> = ["off", "calibrated"].iter().map(|a| Arm::parse(a).unwrap()).collect();
        let b = Bootstrap { resamples: 50, ..Bootstrap::new(1) };
        let tables = compare(&results, &arms, &b);
        for csv in [results_csv(&tables), episodes_csv(&results)] {
            let fields: Vec<usize> = csv.lines().map(|l| l.split(',').count()).collect();
            assert!(fields.len() > 8 && fields.iter().all(|n| *n == fields[0]), "{fields:?}");
        }
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn the_hash_of_all_drives_sees_every_one() {
        let mut results = super::super::testing::results(3);
        let before = drives_hash(&results);
        assert_eq!(before, drives_hash(&results.clone()));
        results.pop();
        assert_ne!(before, drives_hash(&results));
    }
}
