//! Drawings of the page: where the arms drove, and what correcting more or less brings.

use std::collections::BTreeSet;

use caril_eval::suite::{Arm, EpisodeResult, PathPoint, Status};

use super::Found;
use crate::eval::drive::episode::Stage;
use crate::report::html::{escape, num, opt};
use crate::report::tracks::{Drawing, Shade, maps};

/// Closed-loop risk and coverage: each arm is one point, since each corrects another share of frames.
pub(super) fn coverage(found: &Found<'_>) -> String {
    let mut body = String::new();
    for table in found.tables.iter().filter(|t| t.name == "all") {
        for row in table.rows.iter().filter(|r| r.arm != "expert") {
            let score = row.metrics.iter().find(|m| m.metric == "score_v2_1");
            body += &format!(
                "<tr><th>{}<small>{}</small></th><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&row.arm),
                escape(&table.suite),
                opt(row.activation_rate.map(|a| 100.0 * (1.0 - a)), 1),
                opt(score.and_then(|s| s.mean).map(|m| m.estimate), 1),
                opt(row.collisions_per_km, 3)
            );
        }
    }
    format!(
        "<section><h2>Risk and coverage in closed loop</h2><div class=\"card scroll\"><table><thead>\
         <tr><th>Arm</th><td>frames with the steer as it was, %</td><td>driving score 2.1</td>\
         <td>collisions per km</td></tr></thead><tbody>{body}</tbody></table></div>\
         <p class=\"note\">What the correction did to the speed is not in the first column. Arms with \
         other configurations give more points: \
         <code>--arms off,calibrated,never=calibrated@never.toml</code>.</p></section>\n"
    )
}

/// Every map with the drives of the baseline and of the arm that is shown.
pub(super) fn routes(found: &Found<'_>, stage: &mut Stage) -> anyhow::Result<String> {
    let Some(shown) = found.shown_arm() else { return Ok(String::new()) };
    let names: BTreeSet<&str> = found.results.iter().map(|r| r.episode.map.as_str()).collect();
    let mut html = String::new();
    for (number, name) in names.into_iter().enumerate() {
        let map = stage.map(name)?;
        let drawing = |arm: &str, shade| {
            let paths: Vec<&[PathPoint]> = found
                .results
                .iter()
                .filter(|r| r.episode.arm == arm && r.episode.map == name)
                .filter_map(path)
                .collect();
            let what = match shade {
                Shade::Deviation => "distance from the lane’s centre",
                Shade::Confidence => "confidence",
            };
            Drawing { title: format!("{arm}, {} drives: {what}", paths.len()), shade, paths }
        };
        let mut drawings = vec![drawing(Arm::BASELINE, Shade::Deviation)];
        if shown != Arm::BASELINE {
            drawings.push(drawing(shown, Shade::Deviation));
        }
        drawings.push(drawing(shown, Shade::Confidence));
        drawings.retain(|d| !d.paths.is_empty());
        html += &format!("<h3>{}</h3>", escape(name));
        html += &maps(&map, &format!("roads{number}"), &drawings);
    }
    let count = num(found.results.len() as f64, 0);
    Ok(format!(
        "<section><h2>Where they drove</h2>{html}<p class=\"note\">{count} drives.</p></section>\n"
    ))
}

fn path(result: &EpisodeResult) -> Option<&[PathPoint]> {
    match &result.status {
        Status::Driven { path, .. } => Some(path),
        Status::Crashed { .. } => None,
    }
}
