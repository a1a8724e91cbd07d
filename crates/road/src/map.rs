//! A loaded road network.

use std::path::Path;

use caril_core::CounterRng;

use crate::graph::{Graph, index_of};
use crate::grid::bounds_of;
use crate::lanes::{LaneTable, sample, tables, wrap};
use crate::locate::{LaneIndex, SurfaceIndex};
use crate::model::Model;
use crate::{
    LaneKey, LanePose, LaneStrip, LaneType, MapError, RoadInfo, Route, RouteError, Surface,
    Waypoint, plan, reader, strips,
};

/// Speed limit where the file gives none: 30 mph in m/s.
const DEFAULT_LIMIT_MPS: f64 = 30.0 * 0.44704;

/// A loaded road network. All coordinates are CARLA's.
#[derive(Debug, Clone)]
pub struct RoadMap {
    name: String,
    infos: Vec<RoadInfo>,
    model: Model,
    bounds: ([f64; 2], [f64; 2]),
    pub(crate) tables: Vec<LaneTable>,
    keys: Vec<LaneKey>,
    pub(crate) graph: Graph,
    lane_index: LaneIndex,
    surface_index: SurfaceIndex,
}

impl RoadMap {
    /// Reads the text of an OpenDRIVE file.
    ///
    /// # Errors
    /// [`MapError`] if the text is no usable OpenDRIVE 1.4–1.7 network.
    pub fn from_xodr(name: &str, xml: &str) -> Result<Self, MapError> {
        let (infos, model) = reader::read(xml)?;
        let names: Vec<String> = infos.iter().map(|i| i.id.to_string()).collect();
        let tables = tables(&model, &names)?;
        if tables.is_empty() {
            return Err(MapError::NoRoads);
        }
        let graph = Graph::build(&model, &tables);
        let strips = strips::strips(&model, &infos, 1.0);
        let edge = |s: &LaneStrip| -> Vec<[f64; 2]> {
            s.inner.iter().chain(&s.outer).map(|p| [p[0], p[1]]).collect()
        };
        Ok(Self {
            name: name.to_owned(),
            bounds: bounds_of(strips.iter().flat_map(edge)),
            keys: tables.iter().map(|t| t.key).collect(),
            lane_index: LaneIndex::build(&tables),
            surface_index: SurfaceIndex::build(&strips),
            infos,
            model,
            tables,
            graph,
        })
    }

    /// Reads an OpenDRIVE file; the map is named after it.
    ///
    /// # Errors
    /// [`MapError`] if the file cannot be read or is no usable OpenDRIVE 1.4–1.7 network.
    pub fn load(path: &Path) -> Result<Self, MapError> {
        let io = |source| MapError::Io { source, path: path.to_owned() };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > reader::MAX_BYTES {
            let limit = reader::MAX_BYTES;
            return Err(MapError::TooLarge { what: "bytes", limit, got: bytes });
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self::from_xodr(&name, &text)
            .map_err(|e| MapError::File { error: Box::new(e), path: path.to_owned() })
    }

    /// The map's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The roads, in the file's order.
    pub fn roads(&self) -> &[RoadInfo] {
        &self.infos
    }

    /// Smallest and largest x, y of all lanes, metres.
    pub fn bounds(&self) -> ([f64; 2], [f64; 2]) {
        self.bounds
    }

    /// Waypoints of all driving lanes as CARLA's `generate_waypoints`: every `spacing_m` of the
    /// reference line from each road's start (at least 0.05 m apart).
    pub fn waypoints(&self, spacing_m: f64) -> Vec<Waypoint> {
        let spacing = if spacing_m > 0.05 { spacing_m } else { 0.05 };
        // CARLA begins this little after the start and ends as little before the end.
        let margin = 10.0 * f64::EPSILON;
        let mut out = Vec::new();
        for (road, info) in self.model.roads.iter().zip(&self.infos) {
            let mut s = margin;
            while s < road.length - margin {
                let n = road.sections.partition_point(|x| x.s0 <= s).saturating_sub(1);
                let Some(section) = road.sections.get(n) else { break };
                for lane in section.lanes().filter(|l| l.plain_driving) {
                    let p = sample(road, section, lane.id, s);
                    out.push(Waypoint {
                        road_id: info.id,
                        section: n as u32,
                        lane: lane.id,
                        s_m: s,
                        x_m: p.x,
                        y_m: p.y,
                        z_m: p.z,
                        yaw_rad: wrap(road.carla_yaw(section, lane.id, s)),
                    });
                }
                s += spacing;
            }
        }
        out
    }

    /// All lanes of every type as strips, sampled at most `step_m` apart and denser in bends.
    pub fn strips(&self, step_m: f64) -> Vec<LaneStrip> {
        strips::strips(&self.model, &self.infos, step_m)
    }

    /// All driving lanes in order.
    pub fn driving_lanes(&self) -> &[LaneKey] {
        &self.keys
    }

    pub(crate) fn index(&self, lane: LaneKey) -> Option<usize> {
        index_of(&self.tables, lane)
    }

    pub(crate) fn table(&self, lane: LaneKey) -> Option<&LaneTable> {
        self.tables.get(self.index(lane)?)
    }

    /// Length of a driving lane's centre in plan, metres; 0 for what is no driving lane.
    pub fn lane_length_m(&self, lane: LaneKey) -> f64 {
        self.table(lane).map_or(0.0, LaneTable::length)
    }

    /// Pose on a driving lane's centre, `along_m` from its start in driving direction (clamped).
    /// All zero for what is no driving lane.
    pub fn lane_pose(&self, lane: LaneKey, along_m: f64) -> LanePose {
        self.table(lane).and_then(|t| t.at(along_m)).map_or(
            LanePose {
                x_m: 0.0,
                y_m: 0.0,
                z_m: 0.0,
                yaw_rad: 0.0,
                pitch_rad: 0.0,
                curvature_1pm: 0.0,
                width_m: 0.0,
            },
            |s| s.pose(),
        )
    }

    /// The lanes that follow in driving direction.
    pub fn successors(&self, lane: LaneKey) -> &[LaneKey] {
        self.index(lane).and_then(|i| self.graph.successor_keys.get(i)).map_or(&[], |v| v)
    }

    /// Whether the lane lies in a junction.
    pub fn is_junction(&self, lane: LaneKey) -> bool {
        self.infos.get(lane.road as usize).is_some_and(|r| r.junction.is_some())
    }

    /// The driving lane beside, if it has the same direction.
    pub fn neighbour(&self, lane: LaneKey, right: bool) -> Option<LaneKey> {
        let road = self.model.roads.get(lane.road as usize)?;
        // Right of a lane that runs with s is the smaller id.
        let step = if right == road.runs_forward(lane.lane) { -1 } else { 1 };
        let other = LaneKey { lane: lane.lane.checked_add(step)?, ..lane };
        let same_side = (other.lane < 0) == (lane.lane < 0) && other.lane != 0;
        (same_side && self.index(other).is_some()).then_some(other)
    }

    /// Speed limit, m/s: the lane's, else the road's, in junctions else that of the lane before,
    /// else 30 mph.
    pub fn speed_limit_mps(&self, lane: LaneKey, along_m: f64) -> f64 {
        let Some(i) = self.index(lane) else { return DEFAULT_LIMIT_MPS };
        if let Some(v) = self.own_limit(i, along_m) {
            return v;
        }
        // In a junction that says nothing the limit of the way in goes on.
        let before = self.graph.predecessors.get(i).and_then(|p| p.first());
        match before {
            Some(p) if self.is_junction(lane) => {
                self.own_limit(*p as usize, f64::INFINITY).unwrap_or(DEFAULT_LIMIT_MPS)
            }
            _ => DEFAULT_LIMIT_MPS,
        }
    }

    fn own_limit(&self, index: usize, along_m: f64) -> Option<f64> {
        let table = self.tables.get(index)?;
        let road = self.model.roads.get(table.key.road as usize)?;
        let section = road.sections.get(table.key.section as usize)?;
        let s = table.at(along_m.min(table.length()))?.s;
        let speeds = &section.lane(table.key.lane)?.speeds;
        let n = speeds.partition_point(|v| v.0 <= s - section.s0);
        if let Some(v) = n.checked_sub(1).and_then(|n| speeds.get(n)) {
            return Some(v.1);
        }
        let n = road.speeds.partition_point(|v| v.0 <= s).saturating_sub(1);
        road.speeds.get(n)?.1
    }

    /// What the lane of a section is for, driving or not.
    pub fn lane_type(&self, lane: LaneKey) -> Option<LaneType> {
        let road = self.model.roads.get(lane.road as usize)?;
        Some(road.sections.get(lane.section as usize)?.lane(lane.lane)?.lane_type)
    }

    /// The nearest driving lane centre within 100 m: (lane, along_m, lateral_m right-positive).
    /// Lanes within 4 m of `z_hint_m` are preferred, which separates bridges.
    pub fn nearest_lane(&self, x_m: f64, y_m: f64, z_hint_m: f64) -> Option<(LaneKey, f64, f64)> {
        let (i, along, lateral) = self.lane_index.nearest(&self.tables, x_m, y_m, z_hint_m)?;
        Some((self.tables.get(i)?.key, along, lateral))
    }

    /// What lies under a point; of several lanes on the hint's level the best to drive on.
    pub fn surface(&self, x_m: f64, y_m: f64, z_hint_m: f64) -> Option<Surface> {
        self.surface_index.at(x_m, y_m, z_hint_m)
    }

    /// The shortest route between two places given as (lane, along_m).
    ///
    /// # Errors
    /// [`RouteError`] if a lane is unknown or there is no way.
    pub fn plan(&self, from: (LaneKey, f64), to: (LaneKey, f64)) -> Result<Route, RouteError> {
        plan::plan(self, from, to)
    }

    /// The shortest route between the lanes nearest to two points (x, y in metres).
    ///
    /// # Errors
    /// [`RouteError`] if no lane is near a point or there is no way.
    pub fn plan_between(
        &self,
        from_xy: (f64, f64),
        to_xy: (f64, f64),
    ) -> Result<Route, RouteError> {
        let near = |(x_m, y_m): (f64, f64)| {
            let (lane, along, _) =
                self.nearest_lane(x_m, y_m, 0.0).ok_or(RouteError::NoLaneNear { x_m, y_m })?;
            Ok((lane, along))
        };
        self.plan(near(from_xy)?, near(to_xy)?)
    }

    /// A random drive from a random place outside junctions, without lane changes, without
    /// U-turns where another way exists.
    ///
    /// # Errors
    /// [`RouteError::NoRandomRoute`] if none of that length was found.
    pub fn random_route(
        &self,
        rng: &mut CounterRng,
        min_len_m: f64,
        max_len_m: f64,
    ) -> Result<Route, RouteError> {
        plan::random(self, rng, min_len_m, max_len_m)
    }
}
