//! Reading OpenDRIVE 1.4–1.7: lenient about what is missing, strict about what makes no sense.

mod lanes;
mod plan;

use roxmltree::{Document, Node};

use crate::model::{Connection, Junction, Link, Model, Road};
use crate::poly::{Cubic, Cubics};
use crate::{MapError, RoadInfo};

/// Largest text read, bytes.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Largest number of roads.
const MAX_ROADS: usize = 100_000;
/// Longest road, metres.
const MAX_LENGTH_M: f64 = 1e5;
/// No number of a map is larger; keeps arithmetic finite.
const MAX_NUMBER: f64 = 1e9;

/// The element in whose name errors are given.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    Road(&'a str),
    Junction(&'a str),
}

impl Owner<'_> {
    pub fn error(self, what: &str, expected: &'static str, got: &str) -> MapError {
        // Attribute values may be long; an error message should not be.
        let (what, got) = (what.to_owned(), got.chars().take(60).collect());
        match self {
            Self::Road(id) => MapError::Road { road: id.to_owned(), what, expected, got },
            Self::Junction(id) => {
                MapError::Junction { junction: id.to_owned(), what, expected, got }
            }
        }
    }

    /// A finite number; `None` if the attribute is missing.
    pub fn number(self, node: Node<'_, '_>, name: &str) -> Result<Option<f64>, MapError> {
        let Some(text) = node.attribute(name) else { return Ok(None) };
        match text.trim().parse::<f64>() {
            Ok(v) if v.abs() <= MAX_NUMBER => Ok(Some(v)),
            _ => {
                let what = format!("{}/@{name}", node.tag_name().name());
                Err(self.error(&what, "a finite number", text))
            }
        }
    }

    /// A finite number; `default` if the attribute is missing.
    pub fn number_or(self, node: Node<'_, '_>, name: &str, default: f64) -> Result<f64, MapError> {
        Ok(self.number(node, name)?.unwrap_or(default))
    }

    /// A finite number that must be there.
    pub fn required(self, node: Node<'_, '_>, name: &str) -> Result<f64, MapError> {
        self.number(node, name)?.ok_or_else(|| {
            self.error(&format!("{}/@{name}", node.tag_name().name()), "a number", "nothing")
        })
    }

    /// Records a, b, c, d by `start` of the children called `tag`, in rising order.
    pub fn cubics(self, node: Node<'_, '_>, tag: &str, start: &str) -> Result<Cubics, MapError> {
        let mut records = Vec::new();
        for n in children(node, tag) {
            let k = [
                self.number_or(n, "a", 0.0)?,
                self.number_or(n, "b", 0.0)?,
                self.number_or(n, "c", 0.0)?,
                self.number_or(n, "d", 0.0)?,
            ];
            records.push(Cubic { s0: self.number_or(n, start, 0.0)?, k });
        }
        records.sort_by(|a, b| a.s0.total_cmp(&b.s0));
        Ok(Cubics(records))
    }
}

pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    tag: &str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |n| n.tag_name().name() == tag)
}

pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, tag: &str) -> Option<Node<'a, 'i>> {
    children(node, tag).next()
}

/// Index of each of the file's ids.
type Ids<'a> = std::collections::BTreeMap<&'a str, usize>;

/// Reads the network.
pub(crate) fn read(xml: &str) -> Result<(Vec<RoadInfo>, Model), MapError> {
    if xml.len() as u64 > MAX_BYTES {
        return Err(MapError::TooLarge { what: "bytes", limit: MAX_BYTES, got: xml.len() as u64 });
    }
    let doc = Document::parse(xml.trim_start_matches('\u{feff}'))
        .map_err(|e| MapError::Xml(e.to_string()))?;
    let root = doc.root_element();
    if root.tag_name().name() != "OpenDRIVE" {
        return Err(MapError::NotOpenDrive(root.tag_name().name().chars().take(60).collect()));
    }
    let road_nodes: Vec<_> = children(root, "road").collect();
    if road_nodes.is_empty() {
        return Err(MapError::NoRoads);
    }
    if road_nodes.len() > MAX_ROADS {
        let (limit, got) = (MAX_ROADS as u64, road_nodes.len() as u64);
        return Err(MapError::TooLarge { what: "roads", limit, got });
    }
    let junction_nodes: Vec<_> = children(root, "junction").collect();
    let id = |n: &Node<'_, '_>| n.attribute("id").unwrap_or("").trim().to_owned();
    let road_names: Vec<String> = road_nodes.iter().map(id).collect();
    let junction_names: Vec<String> = junction_nodes.iter().map(id).collect();
    let mut roads_by_id = Ids::new();
    for (i, name) in road_names.iter().enumerate() {
        if name.is_empty() || roads_by_id.insert(name, i).is_some() {
            return Err(Owner::Road(name).error("road/@id", "an id of its own", name));
        }
    }
    let junctions_by_id: Ids<'_> =
        junction_names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();

    let numbers: Option<Vec<u32>> = road_names.iter().map(|n| n.parse().ok()).collect();
    let mut roads = Vec::new();
    let mut infos = Vec::new();
    for (i, node) in road_nodes.iter().enumerate() {
        let owner = Owner::Road(road_names.get(i).map_or("", String::as_str));
        let road = read_road(*node, owner, &roads_by_id, &junctions_by_id)?;
        infos.push(RoadInfo {
            id: numbers.as_ref().and_then(|n| n.get(i).copied()).unwrap_or(i as u32),
            name: node.attribute("name").unwrap_or("").to_owned(),
            length_m: road.length,
            junction: road.junction.map(|j| j as u32),
        });
        roads.push(road);
    }
    let junctions = junction_nodes
        .iter()
        .zip(&junction_names)
        .map(|(n, name)| read_junction(*n, Owner::Junction(name), &roads_by_id))
        .collect::<Result<_, _>>()?;
    Ok((infos, Model { roads, junctions }))
}

fn read_road(
    node: Node<'_, '_>,
    owner: Owner<'_>,
    roads: &Ids<'_>,
    junctions: &Ids<'_>,
) -> Result<Road, MapError> {
    let length = owner.required(node, "length")?;
    if !(length > 0.0 && length <= MAX_LENGTH_M) {
        let got = length.to_string();
        return Err(owner.error("road/@length", "more than 0, at most 100 km", &got));
    }
    let junction = match node.attribute("junction").map(str::trim) {
        None | Some("-1" | "") => None,
        Some(id) => Some(*junctions.get(id).ok_or_else(|| {
            owner.error("road/@junction", "the id of a junction of the file", id)
        })?),
    };
    let link = child(node, "link");
    let linked = |tag| match link.and_then(|l| child(l, tag)) {
        None => Ok(None),
        Some(n) => read_link(n, owner, roads, junctions).map(Some),
    };
    let elevation = match child(node, "elevationProfile") {
        Some(n) => owner.cubics(n, "elevation", "s")?,
        None => Cubics::default(),
    };
    let superelevation = match child(node, "lateralProfile") {
        Some(n) => owner.cubics(n, "superelevation", "s")?,
        None => Cubics::default(),
    };
    let lanes =
        child(node, "lanes").ok_or_else(|| owner.error("lanes", "an element", "nothing"))?;
    Ok(Road {
        length,
        junction,
        left_hand: node.attribute("rule") == Some("LHT"),
        plan: plan::read(node, owner)?,
        elevation,
        superelevation,
        lane_offset: owner.cubics(lanes, "laneOffset", "s")?,
        sections: lanes::read_sections(lanes, owner, length)?,
        speeds: read_types(node, owner)?,
        predecessor: linked("predecessor")?,
        successor: linked("successor")?,
    })
}

fn read_link(
    node: Node<'_, '_>,
    owner: Owner<'_>,
    roads: &Ids<'_>,
    junctions: &Ids<'_>,
) -> Result<Link, MapError> {
    let id = node.attribute("elementId").unwrap_or("").trim();
    let unknown = |expected| {
        let what = format!("{}/@elementId", node.tag_name().name());
        owner.error(&what, expected, id)
    };
    if node.attribute("elementType") == Some("junction") {
        let j = junctions.get(id).ok_or_else(|| unknown("the id of a junction of the file"))?;
        return Ok(Link::Junction(*j));
    }
    let road = *roads.get(id).ok_or_else(|| unknown("the id of a road of the file"))?;
    let at_end = match node.attribute("contactPoint") {
        Some("end") => true,
        Some("start") => false,
        // Not given: a successor usually goes on at the start, a predecessor ends at its end.
        _ => node.tag_name().name() == "predecessor",
    };
    Ok(Link::Road { road, at_end })
}

/// Speed limits of the road's types by s.
fn read_types(node: Node<'_, '_>, owner: Owner<'_>) -> Result<Vec<(f64, Option<f64>)>, MapError> {
    let mut out = Vec::new();
    for n in children(node, "type") {
        let speed = match child(n, "speed") {
            Some(speed) => read_speed(speed, owner)?,
            None => None,
        };
        out.push((owner.number_or(n, "s", 0.0)?, speed));
    }
    out.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(out)
}

/// `max` and `unit` of a speed element in m/s; `None` if it sets no limit.
pub(crate) fn read_speed(node: Node<'_, '_>, owner: Owner<'_>) -> Result<Option<f64>, MapError> {
    match node.attribute("max").map(str::trim) {
        None | Some("no limit" | "undefined" | "") => return Ok(None),
        Some(_) => {}
    }
    let factor = match node.attribute("unit").map(str::trim) {
        Some("mph") => 0.44704,
        Some("km/h" | "kmh" | "kph") => 1.0 / 3.6,
        None | Some("m/s" | "") => 1.0,
        Some(other) => return Err(owner.error("speed/@unit", "m/s, km/h or mph", other)),
    };
    let v = owner.required(node, "max")? * factor;
    Ok((v > 0.0).then_some(v))
}

fn read_junction(
    node: Node<'_, '_>,
    owner: Owner<'_>,
    roads: &Ids<'_>,
) -> Result<Junction, MapError> {
    let mut connections = Vec::new();
    for n in children(node, "connection") {
        let road = |name: &str| {
            let id = n.attribute(name).unwrap_or("").trim();
            roads.get(id).copied().ok_or_else(|| {
                owner.error(&format!("connection/@{name}"), "the id of a road of the file", id)
            })
        };
        // Direct and virtual junctions (1.7) have other attributes and no connecting road.
        if n.attribute("incomingRoad").is_none() || n.attribute("connectingRoad").is_none() {
            continue;
        }
        let mut lane_links = Vec::new();
        for l in children(n, "laneLink") {
            lane_links.push((lanes::id(l, owner, "from")?, lanes::id(l, owner, "to")?));
        }
        connections.push(Connection {
            incoming: road("incomingRoad")?,
            connecting: road("connectingRoad")?,
            at_end: n.attribute("contactPoint") == Some("end"),
            lane_links,
        });
    }
    Ok(Junction { connections })
}
