//! The judge: where the car is on its route, and what it did wrong.

use caril_core::{NavCommand, Pose};
use caril_road::{RoadMap, Route, RoutePoint};

use crate::expert::Place;
use crate::ride;
use crate::vehicle::Vehicle;

/// Beyond the lane's edge by this much, a wheel has crossed it; back by as much, it is back.
const EDGE_MARGIN_M: f64 = 0.05;

/// What is known of the car's place and of its marks so far.
#[derive(Debug, Clone)]
pub struct Judge {
    /// On the route.
    pub place: Place,
    /// The furthest place so far, metres along the route.
    pub furthest_m: f64,
    /// Driven with a wheel beyond the road's surface, metres.
    pub off_road_m: f64,
    /// Lane edges crossed.
    pub lane_invasions: u32,
    /// Whether a wheel is beyond the road's surface.
    pub off_road: bool,
    /// Whether the car is more than 5 m beyond any surface to drive on.
    pub lost: bool,
    /// Edges now between a wheel and the route's lane, to the left and to the right.
    crossed: [u32; 2],
}

impl Judge {
    /// A judge of a car at a place of the route.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            furthest_m: place.s_m,
            off_road_m: 0.0,
            lane_invasions: 0,
            off_road: false,
            lost: false,
            crossed: [0; 2],
        }
    }

    /// Looks at the car after it has moved. Sets height, pitch and roll of `pose` by the ground
    /// under the wheels; x, y and yaw are the vehicle's.
    pub fn look(
        &mut self,
        map: &RoadMap,
        route: &Route,
        car: &Vehicle,
        pose: &mut Pose,
        dt_s: f64,
    ) {
        let (s_m, lateral_m) = route.project(car.x_m, car.y_m, self.place.s_m);
        self.place = Place { s_m, lateral_m };
        self.furthest_m = self.furthest_m.max(s_m);
        let here = route.at(s_m);

        let moved = car.speed_mps * dt_s;
        let off = ride::follow_ground(map, car, pose, dt_s);
        self.off_road = off;
        if off {
            self.off_road_m += moved;
        }
        self.lost = off
            && match map.nearest_lane(car.x_m, car.y_m, pose.z_m) {
                Some((lane, along, lateral)) => {
                    let width = map.lane_pose(lane, along).width_m;
                    lateral.abs() > width / 2.0 + 5.0
                }
                None => true,
            };
        self.watch_edges(route, &here, &car.wheels());
    }

    /// Puts the car's attitude at once to that of the road (a start, not a ride).
    pub fn settle(&mut self, map: &RoadMap, route: &Route, car: &Vehicle, pose: &mut Pose) {
        self.look(map, route, car, pose, 1e9);
        self.off_road_m = 0.0;
        self.lane_invasions = 0;
    }

    fn watch_edges(&mut self, route: &Route, here: &RoutePoint, wheels: &[(f64, f64); 4]) {
        let changes = matches!(here.nav, NavCommand::ChangeLeft | NavCommand::ChangeRight);
        if here.in_junction || changes {
            self.crossed = [0; 2];
            return;
        }
        let (mut left, mut right) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (x, y) in wheels {
            let (s, lateral) = route.project(*x, *y, here.s_m);
            // A wheel still in the junction crosses no edge.
            if !route.at(s).in_junction {
                right = right.max(lateral);
                left = left.max(-lateral);
            }
        }
        let width = here.lane_width_m.max(2.0);
        for (crossed, reach) in self.crossed.iter_mut().zip([left, right]) {
            // Lanes beside are taken to be as wide as this one.
            let edges = |reach: f64| (reach + width / 2.0) / width;
            let out = edges(reach - EDGE_MARGIN_M).clamp(0.0, 20.0) as u32;
            let back = edges(reach + EDGE_MARGIN_M).clamp(0.0, 20.0) as u32;
            if out > *crossed {
                self.lane_invasions += out - *crossed;
                *crossed = out;
            } else if back < *crossed {
                *crossed = back;
            }
        }
    }
}
