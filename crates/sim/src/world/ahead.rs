//! What lies ahead of the car on its route: other cars, and junctions with others in them.

use caril_core::Pose;

use super::SimWorld;
use crate::expert::Leader;
use crate::traffic;
use crate::vehicle::LENGTH_M;

impl SimWorld {
    /// The junction that the car is in or coming to, and the way to its begin, metres.
    pub(super) fn junction_ahead(&self) -> Option<(u32, f64)> {
        let s = self.judge.place.s_m;
        // Four seconds ahead: who is in it has time to leave.
        let reach = 12.0 + 4.0 * self.car.speed_mps;
        let mut d = -4.0;
        while d < reach {
            let p = self.route.at(s + d);
            if let Some(j) = self.traffic.junction_of(p.lane) {
                return Some((j, d));
            }
            d += 2.0;
        }
        None
    }

    /// What the expert must keep a distance to on the way ahead, and the junction that the car
    /// claims for itself.
    pub(super) fn look_ahead(&self) -> (Option<Leader>, Option<u32>) {
        if self.traffic.cars().is_empty() {
            return (None, None);
        }
        let s = self.judge.place.s_m;
        let mut best: Option<Leader> = None;
        for other in self.traffic.cars() {
            let (dx, dy) = (other.pose.x_m - self.car.x_m, other.pose.y_m - self.car.y_m);
            if dx * dx + dy * dy > 50.0 * 50.0 {
                continue;
            }
            let body = traffic::footprint(&other.pose);
            let mut d = 1.0;
            while d < best.map_or(45.0, |b| b.gap_m).min(self.route.length_m() - s) {
                let p = self.route.at(s + d);
                let pose =
                    Pose { x_m: p.x_m, y_m: p.y_m, z_m: p.z_m, yaw_rad: p.yaw_rad, ..self.pose };
                let mut there = traffic::footprint(&pose);
                there.half_width_m += 0.25;
                if there.overlap(&body, 0.0).is_some() {
                    let along = other.speed_mps * libm::cos(other.pose.yaw_rad - p.yaw_rad);
                    best = Some(Leader { gap_m: d, speed_mps: along.max(0.0) });
                    break;
                }
                d += 1.0;
            }
        }
        let Some((junction, d)) = self.junction_ahead() else { return (best, None) };
        let gap_m = (d - LENGTH_M / 2.0).max(0.05);
        if best.is_some_and(|b| b.gap_m < gap_m) {
            // Behind another car: that one's turn.
            return (best, None);
        }
        // A junction with another car in it is waited for.
        if d > LENGTH_M / 2.0 && self.traffic.holds(junction) {
            best = Some(Leader { gap_m, speed_mps: 0.0 });
        }
        (best, Some(junction))
    }
}
