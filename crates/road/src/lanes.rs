//! The centre of every driving lane as a table, so that poses are cheap on every tick.

use crate::model::{Model, Road, Section};
use crate::{LaneKey, LanePose, MapError};

/// Distance of samples on the reference line, metres.
const STEP_M: f64 = 0.5;
/// Most samples of one map (a lane each): about 4000 km of lanes.
const MAX_SAMPLES: u64 = 8_000_000;
/// Nothing on Earth lies further from its map's origin, metres.
const MAX_COORDINATE_M: f64 = 1e7;

/// A place on a lane's centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// OpenDRIVE s.
    pub s: f64,
    /// Distance from the lane's start in driving direction, in plan.
    pub along: f64,
    pub x: f64,
    pub y: f64,
    pub z: f64,
    /// Driving direction, continuous along the lane.
    pub yaw: f64,
    pub pitch: f64,
    pub curvature: f64,
    pub width: f64,
}

/// A driving lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneTable {
    pub key: LaneKey,
    pub junction: Option<usize>,
    /// At least two, in driving direction.
    pub samples: Vec<Sample>,
}

/// The angle, wrapped into (−π, π].
pub(crate) fn wrap(angle: f64) -> f64 {
    let turns = libm::round(angle / std::f64::consts::TAU);
    angle - turns * std::f64::consts::TAU
}

/// From one place with heading to another, as a curve of even curvature.
fn arc_length(chord: f64, turn: f64) -> f64 {
    let half = 0.5 * turn.abs().min(3.0);
    if half < 1e-6 { chord } else { chord * half / libm::sin(half) }
}

impl Sample {
    /// Between two samples, `u` in [0, 1]: cubic in place, linear in everything else.
    pub fn between(a: &Self, b: &Self, u: f64) -> Self {
        let length = b.along - a.along;
        let (a_sin, a_cos) = libm::sincos(a.yaw);
        let (b_sin, b_cos) = libm::sincos(b.yaw);
        let (u2, u3) = (u * u, u * u * u);
        let (h00, h10, h01, h11) =
            (2.0 * u3 - 3.0 * u2 + 1.0, u3 - 2.0 * u2 + u, 3.0 * u2 - 2.0 * u3, u3 - u2);
        let mix = |p: f64, q: f64| p + u * (q - p);
        Self {
            s: mix(a.s, b.s),
            along: mix(a.along, b.along),
            x: h00 * a.x + h10 * length * a_cos + h01 * b.x + h11 * length * b_cos,
            y: h00 * a.y + h10 * length * a_sin + h01 * b.y + h11 * length * b_sin,
            z: mix(a.z, b.z),
            yaw: a.yaw + u * wrap(b.yaw - a.yaw),
            pitch: mix(a.pitch, b.pitch),
            curvature: mix(a.curvature, b.curvature),
            width: mix(a.width, b.width),
        }
    }

    pub fn pose(&self) -> LanePose {
        LanePose {
            x_m: self.x,
            y_m: self.y,
            z_m: self.z,
            yaw_rad: wrap(self.yaw),
            pitch_rad: self.pitch,
            curvature_1pm: self.curvature,
            width_m: self.width,
        }
    }
}

/// The centre of a lane at `s`, in driving direction.
pub(crate) fn sample(road: &Road, section: &Section, lane: i32, s: f64) -> Sample {
    let [inner, outer] = road.edges(section, lane, s);
    let center = [0, 1, 2].map(|i| 0.5 * (inner[i] + outer[i]));
    let f = road.point(s, center);
    let sign = if road.runs_forward(lane) { 1.0 } else { -1.0 };
    let back = if sign > 0.0 { 0.0 } else { std::f64::consts::PI };
    Sample {
        s,
        along: 0.0,
        x: f.x,
        y: f.y,
        z: f.z,
        yaw: f.yaw + back,
        pitch: sign * f.pitch,
        curvature: sign * f.curvature,
        width: (outer[0] - inner[0]).abs(),
    }
}

/// Orders samples by driving direction and makes `along` and `yaw` continuous.
pub(crate) fn finish(samples: &mut [Sample]) {
    let mut last: Option<Sample> = None;
    for b in samples {
        if let Some(a) = last {
            let turn = wrap(b.yaw - a.yaw);
            b.yaw = a.yaw + turn;
            b.along = a.along + arc_length(libm::hypot(b.x - a.x, b.y - a.y), turn);
        } else {
            b.along = 0.0;
        }
        last = Some(*b);
    }
}

impl LaneTable {
    pub fn length(&self) -> f64 {
        self.samples.last().map_or(0.0, |s| s.along)
    }

    /// The place `along` metres from the start; clamped to the lane.
    pub fn at(&self, along: f64) -> Option<Sample> {
        let n = self.samples.len();
        let i = self.samples.partition_point(|s| s.along <= along).clamp(1, n.max(2) - 1);
        let (a, b) = (self.samples.get(i - 1)?, self.samples.get(i)?);
        let length = b.along - a.along;
        let u = if length > 1e-9 { ((along - a.along) / length).clamp(0.0, 1.0) } else { 0.0 };
        Some(Sample::between(a, b, u))
    }

    /// Distance along the lane of the road's `s`.
    pub fn along_of_s(&self, s: f64) -> f64 {
        let first = self.samples.first().map_or(0.0, |a| a.s);
        let rising = self.samples.last().is_some_and(|b| b.s >= first);
        let before = |p: &Sample| if rising { p.s <= s } else { p.s >= s };
        let i = self.samples.partition_point(before).clamp(1, self.samples.len().max(2) - 1);
        let (Some(a), Some(b)) = (self.samples.get(i - 1), self.samples.get(i)) else { return 0.0 };
        let ds = b.s - a.s;
        let u = if ds.abs() > 1e-12 { ((s - a.s) / ds).clamp(0.0, 1.0) } else { 0.0 };
        a.along + u * (b.along - a.along)
    }

    /// Change of heading from start to end, radians, right positive.
    pub fn turn(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(a), Some(b)) => b.yaw - a.yaw,
            _ => 0.0,
        }
    }
}

/// Tables of all driving lanes in the order of their keys.
pub(crate) fn tables(model: &Model, names: &[String]) -> Result<Vec<LaneTable>, MapError> {
    let mut out = Vec::new();
    let mut total = 0_u64;
    for (r, road) in model.roads.iter().enumerate() {
        for (n, section) in road.sections.iter().enumerate() {
            let s = road.samples(section, STEP_M);
            total += s.len() as u64 * section.lanes().count().max(1) as u64;
            if total > MAX_SAMPLES {
                let what = "half metres of lanes";
                return Err(MapError::TooLarge { what, limit: MAX_SAMPLES, got: total });
            }
            for lane in section.lanes() {
                let mut samples: Vec<Sample> =
                    s.iter().map(|s| sample(road, section, lane.id, *s)).collect();
                if let Some(bad) = samples.iter().find(|p| !is_sane(p)) {
                    return Err(MapError::Road {
                        road: names.get(r).cloned().unwrap_or_default(),
                        what: format!("lane {} at s = {:.1}", lane.id, bad.s),
                        expected: "a place within 10 000 km, a width of at most 100 m",
                        got: format!(
                            "({:.1}, {:.1}, {:.1}), {:.1} m",
                            bad.x, bad.y, bad.z, bad.width
                        ),
                    });
                }
                if lane.lane_type != crate::LaneType::Driving {
                    continue;
                }
                if !road.runs_forward(lane.id) {
                    samples.reverse();
                }
                finish(&mut samples);
                let key = LaneKey { road: r as u32, section: n as u32, lane: lane.id };
                out.push(LaneTable { key, junction: road.junction, samples });
            }
        }
    }
    Ok(out)
}

fn is_sane(p: &Sample) -> bool {
    [p.x, p.y, p.z].iter().all(|v| v.abs() <= MAX_COORDINATE_M)
        && p.width <= 100.0
        && [p.yaw, p.pitch, p.curvature].iter().all(|v| v.is_finite())
}
