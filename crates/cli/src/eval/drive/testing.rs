//! Results that were never driven, for tests of what is made of results.

use caril_core::{EndReason, Truth};
use caril_eval::suite::{
    Arm, Cells, Ends, EpisodeResult, Measures, RouteRule, Shard, Status, Suite, plan,
};

/// `trials` drives of two arms in two cells.
pub fn results(trials: u32) -> Vec<EpisodeResult> {
    let arms: Vec<Arm> = ["off", "calibrated"].iter().map(|a| Arm::parse(a).unwrap()).collect();
    let episodes = plan(&suite(), &arms, trials, Shard::WHOLE).unwrap();
    let truth = Truth { route_length_m: 100.0, route_completion: 90.0, ..Truth::default() };
    episodes
        .into_iter()
        .map(|episode| {
            let end = Some(EndReason::Timeout);
            let mut m = Measures::of(&[], &truth, end, &[], 0.05, false);
            let factor = if episode.arm == "off" { 1.0 } else { 0.5 };
            m.cross_track_mean_m = Some(factor * (1.0 + f64::from(episode.trial)));
            (m.driven_m, m.ticks, m.changed, m.helped) = (90.0, 100, 10, 6);
            let step_hash = format!("{:x}", episode.seed);
            let path = vec![(0.0, 0.0, 0.1, 1.0), (2.0, 0.0, 0.5, 0.4)];
            let status = Status::Driven { measures: Box::new(m), step_hash, path };
            EpisodeResult { episode, wall_s: 1.0, status }
        })
        .collect()
}

/// A suite of two cells.
pub fn suite() -> Suite {
    Suite {
        name: "made_up".into(),
        about: "Nothing is driven.".into(),
        seed: 5,
        trials: 2,
        arms: vec!["off".into()],
        ends: Ends::default(),
        cells: vec![Cells {
            name: "cells".into(),
            maps: vec!["town_blocks".into()],
            route: RouteRule { length_m: (50.0, 100.0), turns: None },
            weather: vec!["ClearNoon".into(), "FoggyNoon".into()],
            faults: vec!["none".into()],
            traffic: vec![0],
            delay: vec!["0".into()],
            appearance: 0,
        }],
    }
}
