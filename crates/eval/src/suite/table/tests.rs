//! Tables: paired, honest about crashes, and the same whatever the order of the lines.

use super::*;
use crate::suite::{Cells, Ends, Episode, RouteRule, Shard, Status, Suite, plan};
use caril_core::Truth;

fn episodes(trials: u32) -> (Vec<Arm>, Vec<Episode>) {
    let suite = Suite {
        name: "s".into(),
        about: String::new(),
        seed: 7,
        trials,
        arms: Vec::new(),
        ends: Ends::default(),
        cells: vec![Cells {
            name: "c".into(),
            maps: vec!["m".into()],
            route: RouteRule { length_m: (1.0, 2.0), turns: None },
            weather: vec!["a".into(), "b".into()],
            faults: vec!["none".into()],
            traffic: vec![0],
            delay: vec!["0".into()],
            appearance: 0,
        }],
    };
    let arms: Vec<Arm> = ["off", "good"].iter().map(|a| Arm::parse(a).unwrap()).collect();
    let episodes = plan(&suite, &arms, trials, Shard::WHOLE).unwrap();
    (arms, episodes)
}

fn driven(episode: &Episode, error_m: f64) -> EpisodeResult {
    let truth = Truth { route_length_m: 100.0, route_completion: 100.0, ..Truth::default() };
    let mut m = Measures::of(&[], &truth, None, &[], 0.05, false);
    m.cross_track_mean_m = Some(error_m);
    (m.ticks, m.changed, m.helped, m.harmed, m.driven_m) = (10, 4, 3, 1, 100.0);
    let status =
        Status::Driven { measures: Box::new(m), step_hash: String::new(), path: Vec::new() };
    EpisodeResult { episode: episode.clone(), wall_s: 0.0, status }
}

/// Routes differ by metres, the good arm is a tenth better on each.
fn results(trials: u32) -> (Vec<Arm>, Vec<EpisodeResult>) {
    let (arms, episodes) = episodes(trials);
    let results = episodes
        .iter()
        .map(|e| {
            let route = 1.0 + f64::from(e.trial * e.trial % 7);
            driven(e, if e.arm == "off" { route } else { 0.9 * route })
        })
        .collect();
    (arms, results)
}

fn find<'a>(tables: &'a [GroupTable], group: &str, arm: &str, metric: &str) -> &'a Comparison {
    let table = tables.iter().find(|t| t.name == group).unwrap();
    let row = table.rows.iter().find(|r| r.arm == arm).unwrap();
    row.metrics.iter().find(|m| m.metric == metric).unwrap()
}

#[test]
fn pairs_are_compared_and_a_gain_is_one_only_if_the_interval_says_so() {
    let (arms, results) = results(20);
    let b = Bootstrap { resamples: 500, ..Bootstrap::new(1) };
    let tables = compare(&results, &arms, &b);
    let names: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["all", "c a", "c b"]);
    assert!(find(&tables, "all", "off", "cross_track_mean").effect.is_none());
    let good = find(&tables, "all", "good", "cross_track_mean").effect.clone().unwrap();
    assert_eq!((good.pairs, good.verdict), (40, Verdict::Better));
    // 40 drives on 20 routes: the routes are drawn.
    assert_eq!(good.difference.clusters, 20);
    let change = good.change.unwrap();
    assert!((change.estimate + 0.1).abs() < 1e-12 && (change.high + 0.1).abs() < 1e-9);
    assert_eq!((good.sign.negative, good.sign.positive), (20, 0));
    let same = find(&tables, "all", "good", "completion").effect.clone().unwrap();
    assert_eq!(same.verdict, Verdict::Unclear);
    let row = &tables[0].rows[1];
    assert_eq!((row.harm_rate, row.benefit_rate), (Some(0.25), Some(0.75)));
    assert_eq!((row.activation_rate, row.drives), (Some(0.4), 40));
}

#[test]
fn the_order_of_the_lines_changes_nothing() {
    let (arms, mut results) = results(9);
    let b = Bootstrap { resamples: 200, ..Bootstrap::new(1) };
    let first = compare(&results, &arms, &b);
    results.reverse();
    results.swap(3, 11);
    assert_eq!(compare(&results, &arms, &b), first);
}

#[test]
fn a_crash_is_counted_and_no_part_of_a_mean() {
    let (arms, mut results) = results(5);
    let b = Bootstrap { resamples: 200, ..Bootstrap::new(1) };
    let before = find(&compare(&results, &arms, &b), "all", "off", "cross_track_mean").clone();
    let crash = results.iter_mut().find(|r| r.episode.arm == "good").unwrap();
    crash.status = Status::Crashed { message: "signal 9".into() };
    let tables = compare(&results, &arms, &b);
    let row = &tables[0].rows[1];
    assert_eq!((row.drives, row.crashed), (9, 1));
    assert_eq!(find(&tables, "all", "off", "cross_track_mean"), &before);
    let good = find(&tables, "all", "good", "cross_track_mean").effect.clone().unwrap();
    assert_eq!(good.pairs, 9);
    assert!(find(&tables, "all", "good", "failed").mean.is_some());
}

#[test]
fn without_pairs_nothing_is_claimed() {
    let (arms, results) = results(4);
    let b = Bootstrap { resamples: 50, ..Bootstrap::new(1) };
    // Four routes are too few, whatever the interval says.
    let few = compare(&results, &arms, &b);
    let few = find(&few, "all", "good", "cross_track_mean").effect.clone().unwrap();
    assert!(few.difference.excludes_zero() && few.verdict == Verdict::Unclear);
    let only: Vec<EpisodeResult> =
        results.into_iter().filter(|r| r.episode.arm == "good").collect();
    let tables = compare(&only, &arms, &b);
    assert!(find(&tables, "all", "good", "cross_track_mean").effect.is_none());
    assert!(compare(&[], &arms, &b).is_empty());
}
