//! Other cars: on rails along their lanes, keeping distance, one at a time through a junction.

use caril_core::{CounterRng, Pose};
use caril_road::{LaneKey, RoadMap};

use crate::contact::Footprint;
use crate::expert::{Leader, follow_accel};
use crate::math::wrap_angle;
use crate::vehicle::{LENGTH_M, WIDTH_M};

/// No car begins nearer to the ego's start than this, metres.
pub const SPAWN_CLEAR_M: f64 = 25.0;
const QUEUE: usize = 6;
const LOOK_M: f64 = 45.0;
const HALF_LENGTH_M: f64 = LENGTH_M / 2.0;
const STEP_M: f64 = 1.0;

/// One other car.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrafficCar {
    /// Where it is.
    pub pose: Pose,
    /// Its speed, m/s.
    pub speed_mps: f64,
    /// Colour, RGB.
    pub color: [u8; 3],
    /// Lanes from the one it is on, as far as drawn.
    lanes: [Option<u32>; QUEUE],
    along_m: f64,
    wish: f64,
    /// Junction that it has reserved.
    holds: Option<u32>,
    /// Whether it has been inside since it reserved, and the way since it left, metres.
    entered: bool,
    clear_m: f64,
}

impl TrafficCar {
    /// The ground it covers.
    pub fn footprint(&self) -> Footprint {
        footprint(&self.pose)
    }
}

/// The ground that a car at a pose covers.
pub fn footprint(pose: &Pose) -> Footprint {
    Footprint {
        x_m: pose.x_m,
        y_m: pose.y_m,
        z_m: pose.z_m,
        yaw_rad: pose.yaw_rad,
        half_length_m: HALF_LENGTH_M,
        half_width_m: WIDTH_M / 2.0,
    }
}

#[derive(Debug, Clone, Copy)]
struct Rail {
    x_m: f64,
    y_m: f64,
    z_m: f64,
    yaw_rad: f64,
    pitch_rad: f64,
    speed_mps: f64,
}

#[derive(Debug, Clone)]
struct Lane {
    key: LaneKey,
    length_m: f64,
    junction: Option<u32>,
    /// Every [`STEP_M`], and the end.
    rails: Vec<Rail>,
    next: Vec<u32>,
}

/// What the other cars need to know of the ego.
#[derive(Debug, Clone, Copy)]
pub struct EgoView {
    /// Where it is.
    pub pose: Pose,
    /// Its speed, m/s.
    pub speed_mps: f64,
    /// Junction that it is in or about to enter (its lane's road), if any.
    pub junction: Option<u32>,
}

/// All other cars of a world.
#[derive(Debug, Clone)]
pub struct Traffic {
    lanes: Vec<Lane>,
    cars: Vec<TrafficCar>,
    rng: CounterRng,
}

/// Junctions nearer to each other than this are one: a car that waits between them would stand in
/// the way of those that leave the first.
const LINK_M: f64 = 20.0;

/// Gives junctions that are near to each other, and the lanes between them, one number.
fn join_junctions(lanes: &mut [Lane]) {
    fn root(of: &[u32], mut j: u32) -> u32 {
        while let Some(&up) = of.get(j as usize)
            && up != j
        {
            j = up;
        }
        j
    }
    let count = lanes.iter().filter_map(|l| l.junction).max().map_or(0, |j| j + 1);
    let mut of: Vec<u32> = (0..count).collect();
    let mut links: Vec<(u32, u32)> = Vec::new();
    // Ways of at most LINK_M from each junction: (lane, length so far, lanes of the way).
    for from in lanes.iter() {
        let Some(junction) = from.junction else { continue };
        let mut open: Vec<(u32, f64, Vec<u32>)> =
            from.next.iter().map(|n| (*n, 0.0, Vec::new())).collect();
        while let Some((i, length, mut way)) = open.pop() {
            let Some(lane) = lanes.get(i as usize) else { continue };
            if let Some(other) = lane.junction {
                let (a, b) = (root(&of, junction), root(&of, other));
                if let Some(slot) = of.get_mut(a.max(b) as usize) {
                    *slot = a.min(b);
                }
                links.extend(way.iter().map(|l| (*l, junction)));
                continue;
            }
            let length = length + lane.length_m;
            if length < LINK_M && way.len() < 8 {
                way.push(i);
                open.extend(lane.next.iter().map(|n| (*n, length, way.clone())));
            }
        }
    }
    for (i, junction) in links {
        if let Some(lane) = lanes.get_mut(i as usize) {
            lane.junction = Some(junction);
        }
    }
    for lane in lanes {
        lane.junction = lane.junction.map(|j| root(&of, j));
    }
}

impl Traffic {
    /// Puts up to `count` cars onto lanes that are not in `keep_free` and not near the ego. Fewer
    /// if the map has no room for them.
    pub fn new(map: &RoadMap, count: u32, seed: u64, ego: &Pose, keep_free: &[LaneKey]) -> Self {
        let mut traffic =
            Self { lanes: Vec::new(), cars: Vec::new(), rng: CounterRng::new(seed, 0x7AFF) };
        if count == 0 {
            return traffic;
        }
        let keys = map.driving_lanes();
        for &key in keys {
            let length_m = map.lane_length_m(key);
            let steps = libm::ceil(length_m / STEP_M).max(1.0) as usize;
            let rails = (0..=steps).map(|i| rail(map, key, (i as f64 * STEP_M).min(length_m)));
            let next = map.successors(key).iter();
            let next = next.filter_map(|k| keys.binary_search(k).ok()).map(|i| i as u32);
            traffic.lanes.push(Lane {
                key,
                length_m,
                junction: map
                    .is_junction(key)
                    .then(|| map.roads().get(key.road as usize).and_then(|r| r.junction))
                    .flatten(),
                rails: rails.collect(),
                next: next.collect(),
            });
        }
        join_junctions(&mut traffic.lanes);
        traffic.cars.reserve(count as usize);
        for _ in 0..count {
            for _ in 0..40 {
                if let Some(car) = traffic.draw_car(ego, keep_free) {
                    traffic.cars.push(car);
                    break;
                }
            }
        }
        traffic
    }

    /// The cars.
    pub fn cars(&self) -> &[TrafficCar] {
        &self.cars
    }

    fn draw_car(&mut self, ego: &Pose, keep_free: &[LaneKey]) -> Option<TrafficCar> {
        const COLORS: [[u8; 3]; 7] = [
            [200, 200, 205],
            [40, 42, 46],
            [150, 25, 28],
            [30, 60, 120],
            [235, 235, 230],
            [95, 100, 105],
            [60, 95, 70],
        ];
        let i = self.rng.below(self.lanes.len() as u64) as usize;
        let share = self.rng.range(0.1, 0.9);
        let wish = self.rng.range(0.75, 0.95);
        let color = COLORS.get(self.rng.below(7) as usize).copied().unwrap_or_default();
        let lane = self.lanes.get(i)?;
        if lane.junction.is_some() || lane.length_m < 12.0 || keep_free.contains(&lane.key) {
            return None;
        }
        let along_m = lane.length_m * share;
        let at = lane.at(along_m);
        let far = |x: f64, y: f64, d: f64| libm::hypot(at.x_m - x, at.y_m - y) > d;
        if !far(ego.x_m, ego.y_m, SPAWN_CLEAR_M)
            || self.cars.iter().any(|c| !far(c.pose.x_m, c.pose.y_m, 12.0))
        {
            return None;
        }
        let mut lanes = [None; QUEUE];
        lanes[0] = Some(i as u32);
        Some(TrafficCar {
            pose: at.pose(),
            speed_mps: 0.6 * at.speed_mps * wish,
            color,
            lanes,
            along_m,
            wish,
            holds: None,
            entered: false,
            clear_m: 0.0,
        })
    }

    /// Junction (or group of junctions) that a lane belongs to; `None` without traffic.
    pub fn junction_of(&self, lane: LaneKey) -> Option<u32> {
        let i = self.lanes.binary_search_by_key(&lane, |l| l.key).ok()?;
        self.lanes.get(i)?.junction
    }

    /// Whether a car is in the junction or has reserved it.
    pub fn holds(&self, junction: u32) -> bool {
        self.cars.iter().any(|c| self.has(c, junction))
    }

    fn has(&self, car: &TrafficCar, junction: u32) -> bool {
        let lane = car.lanes[0].and_then(|l| self.lanes.get(l as usize));
        car.holds == Some(junction) || lane.is_some_and(|l| l.junction == Some(junction))
    }

    /// Moves all cars by `dt_s`. Allocates nothing.
    pub fn advance(&mut self, dt_s: f64, ego: &EgoView) {
        for i in 0..self.cars.len() {
            let Some(&before) = self.cars.get(i) else { continue };
            let mut car = before;
            self.extend(&mut car);
            if car.lanes[1].is_none() && car.speed_mps < 0.1 && self.at_dead_end(&car) {
                self.respawn(i, ego);
                continue;
            }
            let accel = self.accel(i, &mut car, ego);
            let v = (car.speed_mps + accel * dt_s).max(0.0);
            car.along_m += 0.5 * (car.speed_mps + v) * dt_s;
            car.speed_mps = v;
            self.roll_over(&mut car);
            if let Some(lane) = car.lanes[0].and_then(|l| self.lanes.get(l as usize)) {
                car.along_m = car.along_m.min(lane.length_m);
                car.pose = lane.at(car.along_m).pose();
                // Gives a junction back when the rear bumper has left it.
                if car.holds.is_some() && lane.junction == car.holds {
                    car.entered = true;
                    car.clear_m = 0.0;
                } else if car.entered {
                    car.clear_m += car.speed_mps * dt_s;
                    if car.clear_m > HALF_LENGTH_M + 1.0 {
                        car.entered = false;
                        car.holds = None;
                    }
                }
            }
            if let Some(slot) = self.cars.get_mut(i) {
                *slot = car;
            }
        }
    }

    /// Draws the lanes to come.
    fn extend(&mut self, car: &mut TrafficCar) {
        for q in 1..QUEUE {
            if car.lanes[q].is_none() {
                let Some(lane) = car.lanes[q - 1].and_then(|l| self.lanes.get(l as usize)) else {
                    return;
                };
                let pick = self.rng.below(lane.next.len() as u64) as usize;
                car.lanes[q] = lane.next.get(pick).copied();
            }
        }
    }

    fn at_dead_end(&self, car: &TrafficCar) -> bool {
        car.lanes[0]
            .and_then(|l| self.lanes.get(l as usize))
            .is_some_and(|l| l.next.is_empty() && car.along_m > l.length_m - 8.0)
    }

    fn respawn(&mut self, i: usize, ego: &EgoView) {
        if let Some(fresh) = self.draw_car(&ego.pose, &[])
            && libm::hypot(fresh.pose.x_m - ego.pose.x_m, fresh.pose.y_m - ego.pose.y_m) > 80.0
            && let Some(slot) = self.cars.get_mut(i)
        {
            *slot = fresh;
        }
    }

    fn roll_over(&self, car: &mut TrafficCar) {
        for _ in 0..QUEUE {
            let Some(lane) = car.lanes[0].and_then(|l| self.lanes.get(l as usize)) else { return };
            if car.along_m <= lane.length_m || car.lanes[1].is_none() {
                return;
            }
            car.along_m -= lane.length_m;
            car.lanes.rotate_left(1);
            car.lanes[QUEUE - 1] = None;
        }
    }

    fn accel(&self, i: usize, car: &mut TrafficCar, ego: &EgoView) -> f64 {
        let v = car.speed_mps;
        let mut accel = f64::INFINITY;
        // Along its own rails: bends, junctions that others hold, bodies in the way.
        let mut d = 0.0;
        let mut at = car.along_m;
        let mut q = 0;
        let mut wish = f64::INFINITY;
        // Who is in a junction already goes on.
        let inside = car.lanes[0].and_then(|l| self.lanes.get(l as usize));
        let mut entered = inside.and_then(|l| l.junction);
        'ahead: while d < LOOK_M {
            let lane = loop {
                let lane = car.lanes.get(q).copied().flatten();
                let Some(lane) = lane.and_then(|l| self.lanes.get(l as usize)) else {
                    // Dead end.
                    let wall = Leader { gap_m: d - 1.0, speed_mps: 0.0 };
                    accel = accel.min(follow_accel(v, car.wish * 8.0, wall));
                    break 'ahead;
                };
                if at <= lane.length_m {
                    break lane;
                }
                at -= lane.length_m;
                q += 1;
            };
            if let Some(j) = lane.junction
                && entered != Some(j)
            {
                entered = Some(j);
                let gap = d - HALF_LENGTH_M;
                // Who has reserved but can still stop leaves the junction to the ego.
                if ego.junction == Some(j) && gap > 0.5 + v * v / 6.0 && car.holds == Some(j) {
                    car.holds = None;
                }
                // Near enough to take it, if nobody has it.
                let near = d < 8.0 + v * v / 4.0;
                if car.holds.is_none() && near && !self.is_held(i, j, ego) {
                    car.holds = Some(j);
                }
                if car.holds != Some(j) {
                    let line = Leader { gap_m: gap, speed_mps: 0.0 };
                    accel = accel.min(follow_accel(v, 30.0, line));
                    break;
                }
            }
            let here = lane.at(at);
            let allowed = here.speed_mps * car.wish;
            wish = wish.min((allowed * allowed + 2.0 * 1.5 * d).sqrt());
            if d > 0.5 {
                // Where the car will be: whatever stands there is in the way.
                let mut there = footprint(&here.pose());
                there.half_width_m += 0.25;
                let lead = |pose: &Pose, speed: f64| -> Option<f64> {
                    let (dx, dy) = (pose.x_m - here.x_m, pose.y_m - here.y_m);
                    if dx * dx + dy * dy > 30.0 {
                        return None;
                    }
                    there.overlap(&footprint(pose), 0.0)?;
                    Some((speed * libm::cos(pose.yaw_rad - here.yaw_rad)).max(0.0))
                };
                let mut slowest = lead(&ego.pose, ego.speed_mps);
                for (_, c) in self.cars.iter().enumerate().filter(|(k, _)| *k != i) {
                    if let Some(s) = lead(&c.pose, c.speed_mps) {
                        slowest = Some(slowest.map_or(s, |l| l.min(s)));
                    }
                }
                if let Some(speed_mps) = slowest {
                    let leader = Leader { gap_m: d, speed_mps };
                    accel = accel.min(follow_accel(v, 30.0, leader));
                    break;
                }
            }
            d += STEP_M;
            at += STEP_M;
        }
        let free = 1.5 * (wish.min(40.0) - v).clamp(-2.0, 1.0);
        accel.min(free)
    }

    fn is_held(&self, i: usize, junction: u32, ego: &EgoView) -> bool {
        let mut others = self.cars.iter().enumerate().filter(|(k, _)| *k != i);
        ego.junction == Some(junction) || others.any(|(_, c)| self.has(c, junction))
    }
}

fn rail(map: &RoadMap, key: LaneKey, along_m: f64) -> Rail {
    let p = map.lane_pose(key, along_m);
    let bend = (2.0 / p.curvature_1pm.abs().max(1e-6)).sqrt();
    Rail {
        x_m: p.x_m,
        y_m: p.y_m,
        z_m: p.z_m,
        yaw_rad: p.yaw_rad,
        pitch_rad: p.pitch_rad,
        speed_mps: map.speed_limit_mps(key, along_m).min(bend).max(2.0),
    }
}

impl Lane {
    fn at(&self, along_m: f64) -> Rail {
        let last = self.rails.len().saturating_sub(2);
        let i = ((along_m / STEP_M).max(0.0) as usize).min(last);
        let none =
            Rail { x_m: 0.0, y_m: 0.0, z_m: 0.0, yaw_rad: 0.0, pitch_rad: 0.0, speed_mps: 2.0 };
        let a = self.rails.get(i).copied().unwrap_or(none);
        let b = self.rails.get(i + 1).copied().unwrap_or(a);
        let from = i as f64 * STEP_M;
        let step = (self.length_m - from).clamp(1e-6, STEP_M);
        let t = ((along_m - from) / step).clamp(0.0, 1.0);
        let mix = |x: f64, y: f64| x + t * (y - x);
        Rail {
            x_m: mix(a.x_m, b.x_m),
            y_m: mix(a.y_m, b.y_m),
            z_m: mix(a.z_m, b.z_m),
            yaw_rad: wrap_angle(a.yaw_rad + t * wrap_angle(b.yaw_rad - a.yaw_rad)),
            pitch_rad: mix(a.pitch_rad, b.pitch_rad),
            speed_mps: a.speed_mps.min(b.speed_mps),
        }
    }
}

impl Rail {
    fn pose(&self) -> Pose {
        Pose {
            x_m: self.x_m,
            y_m: self.y_m,
            z_m: self.z_m,
            yaw_rad: self.yaw_rad,
            pitch_rad: self.pitch_rad,
            roll_rad: 0.0,
        }
    }
}
