//! Lanes as strips: for drawing and for finding what lies under a point.

use crate::model::{Model, Road, Section, mark_at};
use crate::{LaneKey, LaneStrip, Mark, RoadInfo};

/// Most samples of all strips together; a finer step is coarsened.
const MAX_SAMPLES: f64 = 8e6;

/// All lanes of every type.
pub(crate) fn strips(model: &Model, infos: &[RoadInfo], step_m: f64) -> Vec<LaneStrip> {
    let lane_metres: f64 = model
        .roads
        .iter()
        .flat_map(|r| &r.sections)
        .map(|s| (s.s1 - s.s0) * s.lanes().count() as f64)
        .sum();
    let least = (lane_metres / MAX_SAMPLES).max(0.05);
    // NaN becomes the least step, too.
    let step = if step_m > least { step_m } else { least };
    let mut out = Vec::new();
    for (r, (road, info)) in model.roads.iter().zip(infos).enumerate() {
        for (n, section) in road.sections.iter().enumerate() {
            let s = road.samples(section, step);
            for lane in section.lanes() {
                let key = LaneKey { road: r as u32, section: n as u32, lane: lane.id };
                let marks = |marks: &[(f64, Mark)]| per_interval(&s, section, marks);
                let inner_mark = if lane.id.abs() == 1 { &section.center_marks[..] } else { &[] };
                let (inner, outer) = edges(road, section, lane.id, &s);
                out.push(LaneStrip {
                    key,
                    road_id: info.id,
                    junction: road.junction.is_some(),
                    lane_type: lane.lane_type,
                    inner,
                    outer,
                    inner_mark: marks(inner_mark),
                    outer_mark: marks(&lane.marks),
                    s_m: s.clone(),
                });
            }
        }
    }
    out
}

type Points = Vec<[f64; 3]>;

fn edges(road: &Road, section: &Section, lane: i32, s: &[f64]) -> (Points, Points) {
    s.iter()
        .map(|s| {
            let [a, b] = road.edges(section, lane, *s).map(|t| {
                let p = road.point(*s, t);
                [p.x, p.y, p.z]
            });
            (a, b)
        })
        .unzip()
}

fn per_interval(s: &[f64], section: &Section, marks: &[(f64, Mark)]) -> Vec<Mark> {
    s.windows(2)
        .map(|w| match w {
            [a, b] => mark_at(marks, 0.5 * (a + b) - section.s0),
            _ => Mark::NONE,
        })
        .collect()
}
