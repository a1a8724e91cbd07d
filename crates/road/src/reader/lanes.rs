//! Reading lane sections, lanes and road marks.

use roxmltree::Node;

use super::{Owner, child, children, read_speed};
use crate::model::{Lane, Section};
use crate::{LaneType, MapError, Mark, MarkColor, MarkKind};

/// Largest number of a lane.
const MAX_LANE: i32 = 200;

/// A lane id in the attribute `name`.
pub(super) fn id(node: Node<'_, '_>, owner: Owner<'_>, name: &str) -> Result<i32, MapError> {
    let text = node.attribute(name).unwrap_or("");
    match text.trim().parse::<i32>() {
        Ok(v) if (-MAX_LANE..=MAX_LANE).contains(&v) => Ok(v),
        _ => {
            let what = format!("{}/@{name}", node.tag_name().name());
            Err(owner.error(&what, "a lane number within ±200", text))
        }
    }
}

/// The lane sections of a road in rising order of s.
pub(super) fn read_sections(
    lanes: Node<'_, '_>,
    owner: Owner<'_>,
    road_length: f64,
) -> Result<Vec<Section>, MapError> {
    let mut out = Vec::new();
    for node in children(lanes, "laneSection") {
        let s0 = owner.number_or(node, "s", 0.0)?.clamp(0.0, road_length);
        let mut section = Section {
            s0,
            s1: road_length,
            left: Vec::new(),
            right: Vec::new(),
            center_marks: Vec::new(),
        };
        for side in ["left", "center", "right"] {
            for lane in children(node, side).flat_map(|n| n.children()) {
                if lane.tag_name().name() != "lane" {
                    continue;
                }
                match id(lane, owner, "id")? {
                    0 => section.center_marks = read_marks(lane, owner)?,
                    n if n > 0 => section.left.push(read_lane(lane, owner, n)?),
                    n => section.right.push(read_lane(lane, owner, n)?),
                }
            }
        }
        for side in [&mut section.left, &mut section.right] {
            side.sort_by_key(|l| l.id.abs());
            if let Some(w) =
                side.windows(2).find(|w| w.first().map(|l| l.id) == w.get(1).map(|l| l.id))
            {
                let got = w.first().map_or(0, |l| l.id).to_string();
                return Err(owner.error("lane/@id", "each lane once", &got));
            }
        }
        out.push(section);
    }
    out.sort_by(|a, b| a.s0.total_cmp(&b.s0));
    let starts: Vec<f64> = out.iter().map(|s| s.s0).collect();
    for (section, next) in out.iter_mut().zip(starts.iter().skip(1)) {
        section.s1 = *next;
    }
    match out.first_mut() {
        Some(first) => first.s0 = 0.0,
        None => return Err(owner.error("lanes", "at least one laneSection", "none")),
    }
    Ok(out)
}

fn read_lane(node: Node<'_, '_>, owner: Owner<'_>, id_: i32) -> Result<Lane, MapError> {
    let mut speeds = Vec::new();
    for n in children(node, "speed") {
        if let Some(v) = read_speed(n, owner)? {
            speeds.push((owner.number_or(n, "sOffset", 0.0)?, v));
        }
    }
    speeds.sort_by(|a: &(f64, f64), b| a.0.total_cmp(&b.0));
    let link = child(node, "link");
    let linked = |tag: &'static str| {
        link.iter()
            .flat_map(|l| children(*l, tag))
            .map(|n| id(n, owner, "id"))
            .collect::<Result<Vec<_>, _>>()
    };
    let kind = node.attribute("type").unwrap_or("none");
    Ok(Lane {
        id: id_,
        lane_type: lane_type(kind),
        plain_driving: kind == "driving",
        widths: owner.cubics(node, "width", "sOffset")?,
        borders: owner.cubics(node, "border", "sOffset")?,
        marks: read_marks(node, owner)?,
        speeds,
        predecessors: linked("predecessor")?,
        successors: linked("successor")?,
    })
}

fn lane_type(name: &str) -> LaneType {
    match name {
        "driving" | "entry" | "exit" | "onRamp" | "offRamp" | "connectingRamp" | "slipLane"
        | "bidirectional" => LaneType::Driving,
        "shoulder" | "stop" => LaneType::Shoulder,
        "sidewalk" | "walking" => LaneType::Sidewalk,
        "parking" => LaneType::Parking,
        "biking" => LaneType::Biking,
        "border" => LaneType::Border,
        "median" => LaneType::Median,
        "restricted" => LaneType::Restricted,
        "curb" => LaneType::Curb,
        "none" => LaneType::None_,
        _ => LaneType::Other,
    }
}

fn read_marks(lane: Node<'_, '_>, owner: Owner<'_>) -> Result<Vec<(f64, Mark)>, MapError> {
    let mut out = Vec::new();
    for n in children(lane, "roadMark") {
        let kind = mark_kind(n.attribute("type").unwrap_or("none"));
        let bold = n.attribute("weight") == Some("bold");
        let default = if bold { 0.25 } else { 0.12 };
        // The 1.4 way to say it is a child <type> with one <line> per stripe.
        let detail = child(n, "type");
        let line = detail.and_then(|t| child(t, "line"));
        let mut width_m = owner.number(n, "width")?;
        for other in [line, detail].into_iter().flatten() {
            width_m = match width_m {
                Some(w) => Some(w),
                None => owner.number(other, "width")?,
            };
        }
        let width_m = width_m.filter(|w| *w > 0.0).unwrap_or(default).min(10.0);
        let color = mark_color(n.attribute("color").unwrap_or("standard"));
        out.push((owner.number_or(n, "sOffset", 0.0)?, Mark { kind, color, width_m }));
    }
    out.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(out)
}

fn mark_kind(name: &str) -> MarkKind {
    match name {
        "none" => MarkKind::None,
        "solid" => MarkKind::Solid,
        "broken" => MarkKind::Broken,
        "solid solid" => MarkKind::SolidSolid,
        "solid broken" => MarkKind::SolidBroken,
        "broken solid" => MarkKind::BrokenSolid,
        "broken broken" => MarkKind::BrokenBroken,
        "botts dots" => MarkKind::BottsDots,
        "curb" => MarkKind::Curb,
        "grass" => MarkKind::Grass,
        _ => MarkKind::Other,
    }
}

fn mark_color(name: &str) -> MarkColor {
    match name {
        "standard" | "white" => MarkColor::White,
        "yellow" => MarkColor::Yellow,
        "red" => MarkColor::Red,
        "blue" => MarkColor::Blue,
        "green" => MarkColor::Green,
        "orange" => MarkColor::Orange,
        _ => MarkColor::Other,
    }
}
