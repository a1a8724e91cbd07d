//! The plain values of a road network: lanes, marks, poses, strips.

/// A lane of a lane section of a road. Ordered by road index, section, lane id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// Index into [`crate::RoadMap::roads`] (not the file's road id).
    pub road: u32,
    /// Index of the lane section within the road.
    pub section: u32,
    /// OpenDRIVE lane id: negative lies to the right of the reference line.
    pub lane: i32,
}

/// What a road is called and how long it is.
#[derive(Debug, Clone, PartialEq)]
pub struct RoadInfo {
    /// The file's road id; the road's index if not every id of the file is a number.
    pub id: u32,
    /// The file's road name, often empty.
    pub name: String,
    /// Length of the reference line, metres.
    pub length_m: f64,
    /// Index of the junction that the road is part of.
    pub junction: Option<u32>,
}

/// What a lane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneType {
    /// Cars drive here (ramps, entries and exits included).
    Driving,
    /// Hard shoulder.
    Shoulder,
    /// Pavement for people on foot.
    Sidewalk,
    /// Parking bays.
    Parking,
    /// Bicycles.
    Biking,
    /// The border of the road.
    Border,
    /// Between the two carriageways.
    Median,
    /// Not to be driven on.
    Restricted,
    /// Kerb stones.
    Curb,
    /// Type `none`: space without a use.
    None_,
    /// Any other.
    Other,
}

/// Shape of a road mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// No mark.
    None,
    /// One solid line.
    Solid,
    /// One broken line.
    Broken,
    /// Two solid lines.
    SolidSolid,
    /// Solid inside, broken outside (for the centre line: solid on the right).
    SolidBroken,
    /// Broken inside, solid outside (for the centre line: broken on the right).
    BrokenSolid,
    /// Two broken lines.
    BrokenBroken,
    /// Raised dots.
    BottsDots,
    /// A kerb, no paint.
    Curb,
    /// The edge of the grass, no paint.
    Grass,
    /// Any other.
    Other,
}

/// Colour of a road mark; OpenDRIVE's `standard` is white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkColor {
    /// White.
    White,
    /// Yellow.
    Yellow,
    /// Red.
    Red,
    /// Blue.
    Blue,
    /// Green.
    Green,
    /// Orange.
    Orange,
    /// Any other.
    Other,
}

/// A road mark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Shape.
    pub kind: MarkKind,
    /// Colour.
    pub color: MarkColor,
    /// Width of one line of it, metres.
    pub width_m: f64,
}

impl Mark {
    /// No mark.
    pub const NONE: Self = Self { kind: MarkKind::None, color: MarkColor::White, width_m: 0.0 };
}

/// A place on a lane's centre, CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanePose {
    /// East, metres.
    pub x_m: f64,
    /// South, metres.
    pub y_m: f64,
    /// Up, metres.
    pub z_m: f64,
    /// Driving direction, clockwise seen from above, in (−π, π].
    pub yaw_rad: f64,
    /// Uphill in driving direction is positive.
    pub pitch_rad: f64,
    /// Of the lane's centre, right turn positive, 1/m.
    pub curvature_1pm: f64,
    /// Width of the lane, metres.
    pub width_m: f64,
}

/// A waypoint as of CARLA's `generate_waypoints`.
#[derive(Debug, Clone, PartialEq)]
pub struct Waypoint {
    /// [`RoadInfo::id`].
    pub road_id: u32,
    /// Lane section.
    pub section: u32,
    /// OpenDRIVE lane id.
    pub lane: i32,
    /// OpenDRIVE s on the reference line, metres.
    pub s_m: f64,
    /// East, metres.
    pub x_m: f64,
    /// South, metres.
    pub y_m: f64,
    /// Up, metres.
    pub z_m: f64,
    /// Driving direction, clockwise seen from above.
    pub yaw_rad: f64,
}

/// One lane of one section as a strip for drawing, in order of rising road s. All vectors of
/// samples are equally long, those of marks one shorter (one entry per interval).
#[derive(Debug, Clone, PartialEq)]
pub struct LaneStrip {
    /// The lane.
    pub key: LaneKey,
    /// [`RoadInfo::id`].
    pub road_id: u32,
    /// Whether the road is part of a junction.
    pub junction: bool,
    /// What the lane is for.
    pub lane_type: LaneType,
    /// OpenDRIVE s of the samples, metres.
    pub s_m: Vec<f64>,
    /// x, y, z of the edge nearer to the road's reference line, CARLA axes, metres.
    pub inner: Vec<[f64; 3]>,
    /// x, y, z of the other edge.
    pub outer: Vec<[f64; 3]>,
    /// For lanes ±1 the road's centre mark (both carry the same), else no mark; per interval.
    pub inner_mark: Vec<Mark>,
    /// Mark of the outer edge per interval.
    pub outer_mark: Vec<Mark>,
}

/// What lies under a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surface {
    /// Height of the road there, metres.
    pub z_m: f64,
    /// What the lane is for.
    pub lane_type: LaneType,
    /// The lane.
    pub key: LaneKey,
}
