//! Which lane follows which.

use crate::lanes::LaneTable;
use crate::model::{Link, Model};
use crate::{LaneKey, LaneType};

/// Following and preceding driving lanes by index into the tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub successors: Vec<Vec<u32>>,
    pub predecessors: Vec<Vec<u32>>,
    /// The same as `successors`, as keys.
    pub successor_keys: Vec<Vec<LaneKey>>,
}

/// Index of a lane in the tables.
pub(crate) fn index_of(tables: &[LaneTable], key: LaneKey) -> Option<usize> {
    tables.binary_search_by(|t| t.key.cmp(&key)).ok()
}

impl Graph {
    pub fn build(model: &Model, tables: &[LaneTable]) -> Self {
        let mut edges: Vec<(u32, u32)> = Vec::new();
        for (i, table) in tables.iter().enumerate() {
            for exit in [true, false] {
                for other in beyond(model, table.key, exit) {
                    // Both must meet there in driving direction: one leaves, the other enters.
                    if let Some(j) = index_of(tables, other) {
                        edges.push(if exit { (i as u32, j as u32) } else { (j as u32, i as u32) });
                    }
                }
            }
        }
        edges.sort_unstable();
        edges.dedup();
        let mut me = Self {
            successors: vec![Vec::new(); tables.len()],
            predecessors: vec![Vec::new(); tables.len()],
            successor_keys: vec![Vec::new(); tables.len()],
        };
        for (a, b) in edges {
            if let Some(s) = me.successors.get_mut(a as usize) {
                s.push(b);
            }
            if let Some(p) = me.predecessors.get_mut(b as usize) {
                p.push(a);
            }
            if let (Some(k), Some(t)) =
                (me.successor_keys.get_mut(a as usize), tables.get(b as usize))
            {
                k.push(t.key);
            }
        }
        me
    }
}

/// Lanes that the file ties to the exit (or else the entry) of a lane, as the file says it at
/// this lane's side, kept if they are entered (or left) there.
fn beyond(model: &Model, key: LaneKey, exit: bool) -> Vec<LaneKey> {
    let mut out = Vec::new();
    let (r, n) = (key.road as usize, key.section as usize);
    let Some(road) = model.roads.get(r) else { return out };
    let Some(lane) = road.sections.get(n).and_then(|s| s.lane(key.lane)) else { return out };
    // The end of the section with the larger s?
    let high = road.runs_forward(key.lane) == exit;
    let ids = if high { &lane.successors } else { &lane.predecessors };
    let next = if high { n + 1 } else { n.wrapping_sub(1) };
    if road.sections.get(next).is_some() {
        for id in ids {
            let same_way = road.runs_forward(*id) == road.runs_forward(key.lane);
            if same_way && is_driving(model, r, next, *id) {
                out.push(LaneKey { road: key.road, section: next as u32, lane: *id });
            }
        }
        return out;
    }
    match if high { road.successor } else { road.predecessor } {
        Some(Link::Road { road: other, at_end }) => {
            for id in ids {
                out.extend(arrive(model, other, at_end, *id, exit));
            }
        }
        Some(Link::Junction(j)) if exit => {
            for c in model.junctions.get(j).map_or(&[][..], |j| &j.connections) {
                if c.incoming != r || !meets(model, c.connecting, c.at_end, r, high) {
                    continue;
                }
                for (_, to) in c.lane_links.iter().filter(|(from, _)| *from == key.lane) {
                    out.extend(arrive(model, c.connecting, c.at_end, *to, exit));
                }
            }
        }
        _ => {}
    }
    out
}

/// Whether the connecting road's own link agrees: a road may meet one junction at both its ends.
fn meets(model: &Model, connecting: usize, at_end: bool, road: usize, road_end: bool) -> bool {
    let Some(c) = model.roads.get(connecting) else { return false };
    match if at_end { c.successor } else { c.predecessor } {
        Some(Link::Road { road: r, at_end: e }) => r == road && e == road_end,
        _ => true,
    }
}

fn is_driving(model: &Model, road: usize, section: usize, lane: i32) -> bool {
    let section = model.roads.get(road).and_then(|r| r.sections.get(section));
    section.and_then(|s| s.lane(lane)).is_some_and(|l| l.lane_type == LaneType::Driving)
}

/// The lane of a road at its start or end, if it is entered there (left there if not `entering`).
fn arrive(model: &Model, road: usize, at_end: bool, lane: i32, entering: bool) -> Option<LaneKey> {
    let r = model.roads.get(road)?;
    let section = if at_end { r.sections.len().checked_sub(1)? } else { 0 };
    let enters_here = r.runs_forward(lane) != at_end;
    (lane != 0 && enters_here == entering && is_driving(model, road, section, lane))
        .then_some(LaneKey { road: road as u32, section: section as u32, lane })
}
