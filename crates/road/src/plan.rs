//! Ways through the lane graph.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use caril_core::CounterRng;

use crate::{LaneKey, RoadMap, Route, RouteError};

/// Shortest piece of lane on which to change lanes, metres.
const CHANGE_MIN_M: f64 = 15.0;
/// Usual length of a lane change, metres.
const CHANGE_M: f64 = 30.0;
/// A lane change or U-turn is taken only if any other way is this much longer, metres.
const DETOUR_M: f64 = 2000.0;
/// Longest route, metres.
const MAX_ROUTE_M: f64 = 100_000.0;

/// A piece of a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    /// Index of the lane.
    pub lane: usize,
    pub from: f64,
    pub to: f64,
    /// Index of the lane that a change ends on, and whether that is to the right.
    pub change: Option<(usize, bool)>,
}

fn is_u_turn(map: &RoadMap, lane: usize) -> bool {
    map.tables.get(lane).is_some_and(|t| t.junction.is_some() && t.turn().abs() > 2.6)
}

/// A lane, and whether it was reached by a change within this section.
type Node = (usize, bool);

pub(crate) fn plan(
    map: &RoadMap,
    from: (LaneKey, f64),
    to: (LaneKey, f64),
) -> Result<Route, RouteError> {
    let index = |k| map.index(k).ok_or(RouteError::NotADrivingLane(k));
    let (start, goal) = (index(from.0)?, index(to.0)?);
    let length = |i: usize| map.tables.get(i).map_or(0.0, |t| t.length());
    let clamp = |v: f64, i| {
        if v.is_finite() { Ok(v.clamp(0.0, length(i))) } else { Err(RouteError::Degenerate) }
    };
    let (a0, b0) = (clamp(from.1, start)?, clamp(to.1, goal)?);
    if start == goal && b0 > a0 + 1e-3 {
        return Route::build(map, &[Leg { lane: start, from: a0, to: b0, change: None }]);
    }
    if start == goal && (b0 - a0).abs() <= 1e-3 {
        return Err(RouteError::Degenerate);
    }
    let n = map.tables.len();
    let slot = |(lane, changed): Node| lane * 2 + usize::from(changed);
    let mut cost = vec![u64::MAX; 2 * n];
    let mut back: Vec<Option<Node>> = vec![None; 2 * n];
    // Costs in whole millimetres: exact, and totally ordered.
    let mm = |m: f64| (m * 1000.0) as u64;
    let mut heap = BinaryHeap::new();
    // The start is left at its end, so that a loop back to it is a way like any other.
    let mut push = |heap: &mut BinaryHeap<_>, node: Node, c: u64, via: Option<Node>| {
        if let (Some(old), Some(b)) = (cost.get_mut(slot(node)), back.get_mut(slot(node)))
            && c < *old
        {
            (*old, *b) = (c, via);
            heap.push(Reverse((c, node)));
        }
    };
    // `usize::MAX` lanes never occur: the start is expanded by hand with its rest of lane.
    let expand = |node: Node, at: f64, c: u64| {
        let mut next: Vec<(Node, u64)> = Vec::new();
        let rest = mm(length(node.0) - at);
        for s in map.graph.successors.get(node.0).into_iter().flatten() {
            let extra = if is_u_turn(map, *s as usize) { mm(DETOUR_M) } else { 0 };
            next.push(((*s as usize, false), c + rest + extra));
        }
        let key = map.tables.get(node.0).map(|t| t.key);
        if let (Some(key), false) = (key, node.1)
            && !map.is_junction(key)
        {
            for right in [false, true] {
                let Some(other) = map.neighbour(key, right).and_then(|k| map.index(k)) else {
                    continue;
                };
                let end = if other == goal { b0 } else { length(other) };
                if end - at >= CHANGE_MIN_M && length(node.0) - at >= CHANGE_MIN_M {
                    next.push(((other, true), c + mm(DETOUR_M)));
                }
            }
        }
        next
    };
    for (node, c) in expand((start, false), a0, 0) {
        push(&mut heap, node, c, None);
    }
    let mut found = None;
    while let Some(Reverse((c, node))) = heap.pop() {
        if node.0 == goal {
            found = Some(node);
            break;
        }
        for (next, c) in expand(node, 0.0, c) {
            push(&mut heap, next, c, Some(node));
        }
    }
    let mut node = found.ok_or(RouteError::Unreachable { from: from.0, to: to.0 })?;
    let mut chain = vec![node];
    while let Some(prev) = back.get(slot(node)).copied().flatten() {
        chain.push(prev);
        node = prev;
    }
    chain.push((start, false));
    chain.reverse();
    Route::build(map, &legs(map, &chain, a0, b0))
}

/// Turns lanes into legs; a change takes the middle of what there is.
fn legs(map: &RoadMap, chain: &[Node], a0: f64, b0: f64) -> Vec<Leg> {
    let length = |i: usize| map.tables.get(i).map_or(0.0, |t| t.length());
    let mut out: Vec<Leg> = Vec::new();
    let mut at = a0;
    for (i, (lane, _)) in chain.iter().enumerate() {
        let last = i + 1 == chain.len();
        match chain.get(i + 1) {
            Some((other, true)) => {
                let end = if i + 2 == chain.len() { b0.min(length(*lane)) } else { length(*lane) };
                let take = CHANGE_M.min(end - at);
                let begin = at + 0.5 * (end - at - take);
                let key = map.tables.get(*lane).map(|t| t.key);
                let right = key.and_then(|k| map.neighbour(k, true)).and_then(|k| map.index(k))
                    == Some(*other);
                out.push(Leg { lane: *lane, from: at, to: begin, change: None });
                let change = Some((*other, right));
                out.push(Leg { lane: *lane, from: begin, to: begin + take, change });
                // The same s on the other lane, which may be a little longer or shorter.
                let s = map.tables.get(*lane).and_then(|t| t.at(begin + take)).map_or(0.0, |p| p.s);
                at = map.tables.get(*other).map_or(0.0, |t| t.along_of_s(s));
            }
            _ => {
                let to = if last { b0.max(at) } else { length(*lane) };
                out.push(Leg { lane: *lane, from: at, to, change: None });
                at = 0.0;
            }
        }
    }
    out
}

pub(crate) fn random(
    map: &RoadMap,
    rng: &mut CounterRng,
    min_m: f64,
    max_m: f64,
) -> Result<Route, RouteError> {
    if !(min_m > 0.0 && max_m >= min_m && max_m <= MAX_ROUTE_M) {
        return Err(RouteError::Degenerate);
    }
    let starts: Vec<usize> = (0..map.tables.len())
        .filter(|i| map.tables.get(*i).is_some_and(|t| t.junction.is_none()))
        .collect();
    for _ in 0..400 {
        let want = rng.range(min_m, max_m);
        let Some(mut lane) = starts.get(rng.below(starts.len() as u64) as usize).copied() else {
            break;
        };
        let length = |i: usize| map.tables.get(i).map_or(0.0, |t| t.length());
        let mut at = rng.range(0.0, length(lane));
        let (mut legs, mut total) = (Vec::new(), 0.0);
        // A round of lanes without length would never end.
        for _ in 0..20_000 {
            let to = (at + want - total).min(length(lane));
            legs.push(Leg { lane, from: at, to, change: None });
            total += to - at;
            if total >= want - 1e-6 {
                return Route::build(map, &legs);
            }
            let next = map.graph.successors.get(lane).map_or(&[][..], |v| v);
            let good: Vec<u32> =
                next.iter().copied().filter(|l| !is_u_turn(map, *l as usize)).collect();
            let ways = if good.is_empty() { next } else { &good };
            let Some(l) = ways.get(rng.below(ways.len() as u64) as usize) else { break };
            (lane, at) = (*l as usize, 0.0);
        }
    }
    Err(RouteError::NoRandomRoute { min_m, max_m })
}
