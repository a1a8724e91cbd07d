//! The arms' drives compared pair by pair.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arm::Arm;
use super::measures::{Better, METRICS, Measures, Metric};
use super::result::EpisodeResult;
use crate::driving::{RouteResult, infractions_per_km};
use crate::stats::{
    Bootstrap, Interval, SignTest, mean_interval, paired_change, paired_difference, sign_test,
};

/// With fewer routes than this nothing is claimed: the bootstrap of a handful is too narrow.
pub const ROUTES_MIN: usize = 6;

/// What a difference amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval excludes zero on the good side.
    Better,
    /// The interval excludes zero on the bad side.
    Worse,
    /// The interval excludes zero of a measure that is neither good nor bad.
    Different,
    /// The interval holds zero, or there are fewer than [`ROUTES_MIN`] routes: nothing is claimed.
    Unclear,
}

/// An arm against the baseline, over pairs of the same route, seed, weather, traffic and faults.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// Pairs in which both drove and have the measure.
    pub pairs: usize,
    /// Mean of arm − baseline, in the measure's unit.
    pub difference: Interval,
    /// Mean(arm) / mean(baseline) − 1; `None` where that has no meaning.
    pub change: Option<Interval>,
    /// On how many pairs is it more, or less?
    pub sign: SignTest,
    /// What it amounts to.
    pub verdict: Verdict,
}

/// One measure of one arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the [`Metric`].
    pub metric: &'static str,
    /// Its mean over drives; `None` with fewer than two routes.
    pub mean: Option<Interval>,
    /// Against the baseline; `None` for the baseline, or without two pairs.
    pub effect: Option<Effect>,
}

/// One arm in one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The arm.
    pub arm: String,
    /// Drives that were driven.
    pub drives: usize,
    /// Episodes whose program crashed.
    pub crashed: usize,
    /// Distance driven, km.
    pub driven_km: f64,
    /// Σ collisions / Σ km.
    pub collisions_per_km: Option<f64>,
    /// Share of frames whose action was changed by the correction.
    pub activation_rate: Option<f64>,
    /// Share of changed actions that came further from the expert's.
    pub harm_rate: Option<f64>,
    /// Share of changed actions that came nearer.
    pub benefit_rate: Option<f64>,
    /// Mean of |raw − expert| − |corrected − expert| over changed actions, CARLA scale.
    pub mean_gain: Option<f64>,
    /// The measures, in the order of [`METRICS`].
    pub metrics: Vec<Comparison>,
}

/// A table: all arms on some cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupTable {
    /// The suite.
    pub suite: String,
    /// `all`, a group or a cell.
    pub name: String,
    /// Whether it is one cell of a group that has several: only key measures.
    pub is_cell: bool,
    /// One row an arm.
    pub rows: Vec<Row>,
}

/// Tables of each suite: all of it, its groups, its cells. Arms in the order of `arms`.
///
/// Intervals are drawn over routes, since drives on one route resemble each other.
pub fn compare(results: &[EpisodeResult], arms: &[Arm], bootstrap: &Bootstrap) -> Vec<GroupTable> {
    let mut tables = Vec::new();
    let mut suites: Vec<&str> = Vec::new();
    for r in results {
        if !suites.contains(&r.episode.suite.as_str()) {
            suites.push(&r.episode.suite);
        }
    }
    for suite in suites {
        let of_suite: Vec<&EpisodeResult> =
            results.iter().filter(|r| r.episode.suite == suite).collect();
        let mut groups: BTreeMap<&str, Vec<&EpisodeResult>> = BTreeMap::new();
        for r in &of_suite {
            groups.entry(&r.episode.group).or_default().push(r);
        }
        let mut table = |name: &str, is_cell, of: &[&EpisodeResult]| {
            tables.push(GroupTable {
                suite: suite.to_owned(),
                name: name.to_owned(),
                is_cell,
                rows: rows(of, arms, bootstrap, is_cell),
            });
        };
        table("all", false, &of_suite);
        for (group, of_group) in &groups {
            if groups.len() > 1 {
                table(group, false, of_group);
            }
            let mut cells: BTreeMap<&str, Vec<&EpisodeResult>> = BTreeMap::new();
            for r in of_group {
                cells.entry(&r.episode.cell).or_default().push(r);
            }
            if cells.len() > 1 {
                for (cell, of_cell) in &cells {
                    table(cell, true, of_cell);
                }
            }
        }
    }
    tables
}

fn rows(of: &[&EpisodeResult], arms: &[Arm], bootstrap: &Bootstrap, is_cell: bool) -> Vec<Row> {
    let by_pair = |arm: &str| -> BTreeMap<String, &EpisodeResult> {
        let of_arm = of.iter().filter(|r| r.episode.arm == arm);
        of_arm.map(|r| (r.episode.pair(), *r)).collect()
    };
    let baseline = by_pair(Arm::BASELINE);
    arms.iter()
        .map(|arm| {
            let drives = by_pair(&arm.name);
            let base = (arm.name != Arm::BASELINE).then_some(&baseline);
            let metrics = METRICS.iter().filter(|m| m.key || !is_cell);
            row(&arm.name, &drives, metrics.map(|m| comparison(m, &drives, base, bootstrap)))
        })
        .collect()
}

fn row(
    arm: &str,
    drives: &BTreeMap<String, &EpisodeResult>,
    metrics: impl Iterator<Item = Comparison>,
) -> Row {
    let driven: Vec<(&Measures, RouteResult)> = drives
        .values()
        .filter_map(|r| r.measures().map(|m| (m, m.route_result(r.episode.traffic > 0))))
        .collect();
    let sum = |of: fn(&Measures) -> u64| driven.iter().map(|(m, _)| of(m)).sum::<u64>();
    let (ticks, changed) = (sum(|m| m.ticks), sum(|m| m.changed));
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let gain: f64 = driven.iter().map(|(m, _)| m.gain_sum).sum();
    let routes: Vec<RouteResult> = driven.iter().map(|(_, r)| *r).collect();
    Row {
        arm: arm.to_owned(),
        drives: driven.len(),
        crashed: drives.len() - driven.len(),
        driven_km: routes.iter().map(|r| r.driven_km).sum(),
        collisions_per_km: infractions_per_km(&routes, None).ok(),
        activation_rate: share(changed, ticks),
        harm_rate: share(sum(|m| m.harmed), changed),
        benefit_rate: share(sum(|m| m.helped), changed),
        mean_gain: (changed > 0).then(|| gain / changed as f64),
        metrics: metrics.collect(),
    }
}

fn comparison(
    metric: &Metric,
    drives: &BTreeMap<String, &EpisodeResult>,
    baseline: Option<&BTreeMap<String, &EpisodeResult>>,
    bootstrap: &Bootstrap,
) -> Comparison {
    let value = |r: &EpisodeResult| r.measures().and_then(metric.get).filter(|v| v.is_finite());
    let (mut values, mut routes) = (Vec::new(), Vec::new());
    for r in drives.values() {
        if let Some(v) = value(r) {
            values.push(v);
            routes.push(r.episode.route_id());
        }
    }
    let mean = mean_interval(&values, Some(&routes), bootstrap).ok();
    let effect = baseline.and_then(|baseline| {
        let (mut from, mut to, mut routes) = (Vec::new(), Vec::new(), Vec::new());
        for (pair, r) in drives {
            if let Some((b, a)) = baseline.get(pair).and_then(|b| Some((value(b)?, value(r)?))) {
                from.push(b);
                to.push(a);
                routes.push(r.episode.route_id());
            }
        }
        effect(metric.better, &from, &to, &routes, bootstrap)
    });
    Comparison { metric: metric.name, mean, effect }
}

fn effect(
    better: Better,
    from: &[f64],
    to: &[f64],
    routes: &[u64],
    bootstrap: &Bootstrap,
) -> Option<Effect> {
    let difference = paired_difference(from, to, Some(routes), bootstrap).ok()?;
    // Drives on one route resemble each other: a route is one observation here as in the interval.
    let mut of_route: BTreeMap<u64, f64> = BTreeMap::new();
    for ((b, a), route) in from.iter().zip(to).zip(routes) {
        *of_route.entry(*route).or_default() += a - b;
    }
    let differences: Vec<f64> = of_route.into_values().collect();
    let established = difference.excludes_zero() && difference.clusters >= ROUTES_MIN;
    let verdict = match (established, better) {
        (false, _) => Verdict::Unclear,
        (true, Better::Neither) => Verdict::Different,
        (true, Better::Lower) if difference.high < 0.0 => Verdict::Better,
        (true, Better::Higher) if difference.low > 0.0 => Verdict::Better,
        (true, _) => Verdict::Worse,
    };
    Some(Effect {
        pairs: from.len(),
        difference,
        change: paired_change(from, to, Some(routes), bootstrap).ok(),
        sign: sign_test(&differences).ok()?,
        verdict,
    })
}

#[cfg(test)]
mod tests;
