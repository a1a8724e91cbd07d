//! The network as the file describes it, and points on it; OpenDRIVE's axes until `Frame3`.

use crate::curve::{Geometry, PlanPoint};
use crate::poly::Cubics;
use crate::{LaneType, Mark};

/// What a road's end is tied to; indices, not the file's ids.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Link {
    /// Another road, at its end if `at_end`, else at its start.
    Road {
        road: usize,
        at_end: bool,
    },
    Junction(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub id: i32,
    pub lane_type: LaneType,
    /// Whether the type is literally `driving`: only these get CARLA waypoints.
    pub plain_driving: bool,
    /// By distance from the section's start.
    pub widths: Cubics,
    /// Only where there are no widths.
    pub borders: Cubics,
    /// (distance from the section's start, mark).
    pub marks: Vec<(f64, Mark)>,
    /// (distance from the section's start, limit in m/s).
    pub speeds: Vec<(f64, f64)>,
    pub predecessors: Vec<i32>,
    pub successors: Vec<i32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub s0: f64,
    pub s1: f64,
    /// Ids 1, 2, …
    pub left: Vec<Lane>,
    /// Ids −1, −2, …
    pub right: Vec<Lane>,
    pub center_marks: Vec<(f64, Mark)>,
}

impl Section {
    /// The lanes on the side of `id`.
    pub fn side(&self, id: i32) -> &[Lane] {
        if id < 0 { &self.right } else { &self.left }
    }

    pub fn lane(&self, id: i32) -> Option<&Lane> {
        self.side(id).iter().find(|l| l.id == id)
    }

    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        // Rising ids, as LaneKey orders them.
        self.right.iter().rev().chain(&self.left)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Road {
    pub length: f64,
    pub junction: Option<usize>,
    /// Traffic keeps left: lanes with positive ids run with s.
    pub left_hand: bool,
    pub plan: Vec<Geometry>,
    pub elevation: Cubics,
    pub superelevation: Cubics,
    pub lane_offset: Cubics,
    pub sections: Vec<Section>,
    /// (s, limit in m/s, if the file gives one from there on).
    pub speeds: Vec<(f64, Option<f64>)>,
    pub predecessor: Option<Link>,
    pub successor: Option<Link>,
}

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub incoming: usize,
    pub connecting: usize,
    /// The incoming road meets the connecting road's end.
    pub at_end: bool,
    pub lane_links: Vec<(i32, i32)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Junction {
    pub connections: Vec<Connection>,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub roads: Vec<Road>,
    pub junctions: Vec<Junction>,
}

/// A point beside the reference line, CARLA's axes, in the direction of rising s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
    pub yaw: f64,
    pub pitch: f64,
    pub curvature: f64,
}

impl Road {
    /// Whether a lane is driven in the direction of rising s.
    pub fn runs_forward(&self, lane: i32) -> bool {
        (lane < 0) != self.left_hand
    }

    fn plan_at(&self, s: f64) -> PlanPoint {
        let i = self.plan.partition_point(|g| g.s0 <= s).saturating_sub(1);
        self.plan.get(i).map_or(
            PlanPoint { x: 0.0, y: 0.0, hdg: 0.0, curvature: 0.0, curvature_rate: 0.0 },
            |g| g.at(s - g.s0),
        )
    }

    /// Lateral position t (left positive) of a lane's inner and outer edge with two derivatives.
    pub fn edges(&self, section: &Section, lane: i32, s: f64) -> [[f64; 3]; 2] {
        let offset = self.lane_offset.at(s);
        let sign = if lane < 0 { -1.0 } else { 1.0 };
        let (mut inner, mut outer) = (offset, offset);
        for l in section.side(lane).iter().take_while(|l| l.id.abs() <= lane.abs()) {
            inner = outer;
            let ds = s - section.s0;
            let (base, w) = if l.widths.is_empty() && !l.borders.is_empty() {
                (offset, l.borders.at(ds).map(|v| v * sign))
            } else {
                (inner, l.widths.at(ds))
            };
            // Rounding makes closing lanes a little negative.
            let w = if w[0] < 0.0 { [0.0; 3] } else { w };
            outer = [0, 1, 2].map(|i| base[i] + sign * w[i]);
        }
        [inner, outer]
    }

    /// The point at lateral position `t` (with derivatives), CARLA's axes.
    pub fn point(&self, s: f64, t: [f64; 3]) -> Frame3 {
        let p = self.plan_at(s);
        let (sin, cos) = libm::sincos(p.hdg);
        let [z, dz, _] = self.elevation.at(s);
        let [roll, droll, _] = self.superelevation.at(s);
        let forward = 1.0 - p.curvature * t[0];
        let speed2 = forward * forward + t[1] * t[1];
        let speed = libm::sqrt(speed2).max(1e-6);
        let turn = libm::atan2(t[1], forward);
        let dturn = (t[2] * forward + t[1] * (p.curvature_rate * t[0] + p.curvature * t[1]))
            / speed2.max(1e-12);
        let (roll_sin, roll_cos) = libm::sincos(roll);
        let slope = dz + t[1] * roll_sin + t[0] * roll_cos * droll;
        Frame3 {
            x: p.x - t[0] * sin,
            y: -(p.y + t[0] * cos),
            z: z + t[0] * roll_sin,
            yaw: -(p.hdg + turn),
            pitch: libm::atan2(slope, speed),
            curvature: -(p.curvature + dturn) / speed,
        }
    }

    /// Yaw of a lane's centre as CARLA reckons it for waypoints: heading plus slope of the lane,
    /// which differs from the true direction by up to a degree where widths change in bends.
    pub fn carla_yaw(&self, section: &Section, lane: i32, s: f64) -> f64 {
        let [inner, outer] = self.edges(section, lane, s);
        let slope = 0.5 * (inner[1] + outer[1]);
        let back = if self.runs_forward(lane) { 0.0 } else { std::f64::consts::PI };
        back - (self.plan_at(s).hdg + slope)
    }

    /// Road s within a section where anything may change abruptly, ends included, rising.
    pub fn breaks(&self, section: &Section) -> Vec<f64> {
        let lanes = || section.left.iter().chain(&section.right);
        let local = lanes()
            .flat_map(|l| l.widths.starts().chain(l.borders.starts()))
            .chain(lanes().flat_map(|l| l.marks.iter().map(|m| m.0)))
            .chain(section.center_marks.iter().map(|m| m.0))
            .map(|ds| section.s0 + ds);
        let plan = within(&self.plan, |g| g.s0, section).map(|g| g.s0);
        let profiles = [&self.elevation, &self.superelevation, &self.lane_offset];
        let mut all: Vec<f64> = profiles
            .into_iter()
            .flat_map(|c| within(&c.0, |c| c.s0, section).map(|c| c.s0))
            .chain(plan)
            .chain(local)
            .filter(|s| *s > section.s0 + 1e-3 && *s < section.s1 - 1e-3)
            .chain([section.s0, section.s1])
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|b, a| *b - *a < 1e-3 && *b < section.s1);
        all
    }

    /// Samples of a section at most `step` apart, denser in curves, breaks included.
    pub fn samples(&self, section: &Section, step: f64) -> Vec<f64> {
        let breaks = self.breaks(section);
        let mut out = Vec::new();
        for w in breaks.windows(2) {
            let [a, b] = *w else { continue };
            let bend = [a, 0.5 * (a + b), b]
                .map(|s| self.plan_at(s).curvature.abs())
                .into_iter()
                .fold(0.0, f64::max);
            // At most 0.1 rad of turn between samples, at most 16 times as dense.
            let fine = step.min((0.1 / bend.max(1e-9)).max(step / 16.0));
            let n = libm::ceil((b - a) / fine - 1e-9).clamp(1.0, 1e6);
            let mut i = 0.0;
            while i < n {
                out.push(a + (b - a) * i / n);
                i += 1.0;
            }
        }
        out.push(section.s1);
        out
    }
}

/// The records of a sorted list that begin within a section.
fn within<'a, T>(
    records: &'a [T],
    s0: impl Fn(&T) -> f64,
    section: &Section,
) -> impl Iterator<Item = &'a T> {
    let a = records.partition_point(|r| s0(r) < section.s0);
    let b = records.partition_point(|r| s0(r) < section.s1);
    records.get(a..b).unwrap_or_default().iter()
}

/// The mark at `ds` of records (ds, mark).
pub(crate) fn mark_at(marks: &[(f64, Mark)], ds: f64) -> Mark {
    let i = marks.partition_point(|m| m.0 <= ds).saturating_sub(1);
    marks.get(i).map_or(Mark::NONE, |m| m.1)
}
