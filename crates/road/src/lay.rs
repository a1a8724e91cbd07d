//! From legs to dense samples, and what the navigation says along them.

use caril_core::NavCommand;

use crate::lanes::{LaneTable, Sample, finish, wrap};
use crate::plan::Leg;
use crate::{RoadMap, Route, RoutePoint};

/// How long before a junction its command is given, metres.
const ANNOUNCE_M: f64 = 12.0;
/// How long before a lane change its command is given, metres.
const ANNOUNCE_CHANGE_M: f64 = 20.0;
/// Less change of heading is straight on, radians.
const STRAIGHT_RAD: f64 = 35.0 * std::f64::consts::PI / 180.0;

/// A dense sample of a route; `at.along` is the distance from the route's start.
pub(crate) struct Raw {
    pub at: Sample,
    /// Index of the lane and distance along it.
    pub lane: usize,
    pub lane_along: f64,
}

/// Samples the legs every quarter of a metre.
pub(crate) fn lay(map: &RoadMap, legs: &[Leg]) -> Vec<Raw> {
    let mut out: Vec<Raw> = Vec::new();
    for leg in legs {
        let Some(table) = map.tables.get(leg.lane) else { continue };
        let length = leg.to - leg.from;
        let n = libm::ceil(length * 4.0).max(1.0) as usize;
        // The first of a leg is the last of the one before, but for tiny gaps in files.
        for k in usize::from(!out.is_empty())..=n {
            let u = k as f64 / n as f64;
            let along = leg.from + u * length;
            let Some(p) = table.at(along) else { continue };
            let target = leg.change.and_then(|(i, _)| Some((i, map.tables.get(i)?)));
            out.push(match target {
                None => Raw { at: p, lane: leg.lane, lane_along: along },
                Some((other, t)) => {
                    let q = change(table, t, along, u, length).unwrap_or(p);
                    Raw { at: q, lane: if u < 0.5 { leg.lane } else { other }, lane_along: along }
                }
            });
        }
    }
    let mut samples: Vec<Sample> = out.iter().map(|r| r.at).collect();
    finish(&mut samples);
    for (r, s) in out.iter_mut().zip(samples) {
        r.at = s;
    }
    // Two samples in one place would make a segment without direction.
    out.dedup_by(|b, a| b.at.along - a.at.along < 1e-9);
    out
}

/// Between two lanes on a fifth-order blend, which has no jump of curvature at its ends.
fn change(a: &LaneTable, b: &LaneTable, along: f64, u: f64, length: f64) -> Option<Sample> {
    let p = a.at(along)?;
    let q = b.at(b.along_of_s(p.s))?;
    let w = u * u * u * (10.0 + u * (6.0 * u - 15.0));
    let dw = 30.0 * u * u * (1.0 - u) * (1.0 - u) / length.max(1e-9);
    let (sin, cos) = libm::sincos(p.yaw);
    let side = (q.y - p.y) * cos - (q.x - p.x) * sin;
    let mix = |x: f64, y: f64| x + w * (y - x);
    Some(Sample {
        x: mix(p.x, q.x),
        y: mix(p.y, q.y),
        z: mix(p.z, q.z),
        yaw: p.yaw + w * wrap(q.yaw - p.yaw) + libm::atan(side * dw),
        width: mix(p.width, q.width),
        ..p
    })
}

/// Writes the navigation's commands.
pub(crate) fn navigate(map: &RoadMap, legs: &[Leg], points: &mut [RoutePoint]) {
    let junction = |l: &Leg| map.tables.get(l.lane).and_then(|t| t.junction);
    let heading = |lane: usize, along: f64| {
        map.tables.get(lane).and_then(|t| t.at(along)).map_or(0.0, |s| s.yaw)
    };
    let (mut i, mut s, mut last_junction_end) = (0, 0.0, 0.0_f64);
    while let Some(leg) = legs.get(i) {
        let length = leg.to - leg.from;
        if let Some((_, right)) = leg.change {
            let nav = if right { NavCommand::ChangeRight } else { NavCommand::ChangeLeft };
            write(points, (s - ANNOUNCE_CHANGE_M).max(last_junction_end), s + length, nav);
        }
        let Some(j) = junction(leg) else {
            s += length;
            i += 1;
            continue;
        };
        // One passage: all legs in this junction.
        let (first, begin) = (i, s);
        while legs.get(i).is_some_and(|l| junction(l) == Some(j)) {
            s += legs.get(i).map_or(0.0, |l| l.to - l.from);
            i += 1;
        }
        let (Some(enter), Some(leave)) = (legs.get(first), legs.get(i - 1)) else { break };
        // The whole turn counts, even where the route begins or ends within it.
        let out = map.tables.get(leave.lane).map_or(0.0, |t| t.length());
        let turn = wrap(heading(leave.lane, out) - heading(enter.lane, 0.0));
        let before = match first.checked_sub(1).and_then(|b| legs.get(b)) {
            Some(l) => Some(l.change.map_or(l.lane, |c| c.0)),
            None => {
                map.graph.predecessors.get(enter.lane).and_then(|p| p.first()).map(|p| *p as usize)
            }
        };
        let ways = before.and_then(|b| map.graph.successors.get(b)).map_or(0, Vec::len);
        let nav = match turn {
            _ if ways <= 1 => NavCommand::Follow,
            t if t.abs() < STRAIGHT_RAD => NavCommand::Straight,
            t if t > 0.0 => NavCommand::Right,
            _ => NavCommand::Left,
        };
        if nav != NavCommand::Follow {
            write(points, (begin - ANNOUNCE_M).max(last_junction_end), s, nav);
        }
        last_junction_end = s;
    }
}

fn write(points: &mut [RoutePoint], from: f64, to: f64, nav: NavCommand) {
    let i = |s: f64| libm::ceil(s / Route::SPACING_M - 1e-6).max(0.0) as usize;
    let n = points.len();
    if let Some(range) = points.get_mut(i(from).min(n)..i(to).min(n)) {
        range.iter_mut().for_each(|p| p.nav = nav);
    }
    // The end of the route belongs to what leads to it.
    if i(to) >= n.saturating_sub(1)
        && let Some(p) = points.last_mut()
    {
        p.nav = nav;
    }
}
