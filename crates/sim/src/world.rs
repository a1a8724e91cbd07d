//! The world: one car, its road and its camera, as a [`World`].

mod ahead;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use caril_core::{
    Command, CounterRng, EgoState, EndReason, Fault, Frame, FrameId, Observation, Observed, Pacing,
    PlantInfo, Pose, Truth, World,
};
use caril_road::{RoadMap, Route};

use crate::config::{SimConfig, SimError};
use crate::contact::{self, ContactTally, Footprint, Obstacles};
use crate::expert::{self, ExpertAction, Place};
use crate::judge::Judge;
use crate::math::wrap_angle;
use crate::plan::RoutePlan;
use crate::sight::Sight;
use crate::traffic::{self, EgoView, Traffic};
use crate::vehicle::{FRICTION_DRY, Ground, Pedals, Vehicle};

/// Without a fresh command for so long the plant brakes by itself, seconds.
pub const WATCHDOG_S: f64 = 0.5;
/// So near to the route's end is the goal, metres.
pub const GOAL_M: f64 = 4.0;
const BLOCKED_S: f64 = 120.0;
const LEFT_ROUTE_M: f64 = 20.0;
const COLLISIONS_MAX: u32 = 10;

/// The embedded world. Lockstep by nature: [`World::observe`] gives the present state,
/// [`World::actuate`] drives on by one period. A free-running server calls [`Self::tick`] itself
/// and only observes.
pub struct SimWorld {
    info: PlantInfo,
    map: Arc<RoadMap>,
    route: Arc<Route>,
    plan: RoutePlan,
    pacing: Pacing,
    rate_hz: f64,
    dt_s: f64,
    friction: f64,
    frame_limit: Option<u64>,
    time_limit_s: f64,
    car: Vehicle,
    pose: Pose,
    judge: Judge,
    obstacles: Obstacles,
    contacts: ContactTally,
    traffic: Traffic,
    action: ExpertAction,
    /// Junction that others leave to the ego.
    claim: Option<u32>,
    sight: Sight,
    carla_floats: bool,
    frame: u64,
    held: Command,
    since_command_s: f64,
    standing_s: f64,
    ended: Option<EndReason>,
    hash: u64,
}

impl SimWorld {
    /// Puts a car at the start of its route.
    ///
    /// # Errors
    /// [`SimError`] if there is no such route, or a number of the config makes no sense.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        let check = |ok: bool, field, expected, got: String| {
            if ok { Ok(()) } else { Err(SimError::Value { field, expected, got }) }
        };
        let rate = config.rate_hz;
        check((1.0..=240.0).contains(&rate), "rate_hz", "1 to 240", rate.to_string())?;
        let spec = config.camera;
        check(
            spec.is_valid(),
            "camera",
            "a size up to 4096 and a field of view 1–170°",
            format!("{}×{}, {}°", spec.width, spec.height, spec.fov_deg),
        )?;
        check(config.traffic <= 500, "traffic", "at most 500 cars", config.traffic.to_string())?;
        for f in &config.faults {
            let got = f.severity.to_string();
            check((0.0..=1.0).contains(&f.severity), "fault severity", "0 to 1", got)?;
        }

        let route = config.route.plan(&config.map, config.seed)?;
        let plan = RoutePlan::new(&route);
        let length = route.length_m();
        let (car, mut pose) = start(&config, &route, &plan);
        let mut judge = Judge::new(Place::default());
        judge.settle(&config.map, &route, &car, &mut pose);
        let keep_free: Vec<_> =
            route.points().iter().take_while(|p| p.s_m < 60.0).map(|p| p.lane).collect();
        let traffic = Traffic::new(&config.map, config.traffic, config.seed, &pose, &keep_free);
        let sight = Sight::new(&config, traffic.cars().len());
        let info = PlantInfo {
            name: concat!("caril-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
            map: config.map.name().to_owned(),
            weather: config.weather.name.to_owned(),
            camera: spec,
            rate_hz: rate,
            pacing: config.pacing,
            route: route.points().iter().step_by(4).map(|p| (p.x_m as f32, p.y_m as f32)).collect(),
        };
        let mut world = Self {
            info,
            pacing: config.pacing,
            rate_hz: f64::from(rate),
            dt_s: 1.0 / f64::from(rate),
            // Water halves what rubber holds.
            friction: FRICTION_DRY - 0.4 * f64::from(config.weather.wetness.clamp(0.0, 1.0)),
            frame_limit: config.frame_limit,
            time_limit_s: config.time_limit_s.unwrap_or(length / (5.0 / 3.6) + 20.0),
            car,
            pose,
            judge,
            obstacles: sight.obstacles(),
            contacts: ContactTally::default(),
            traffic,
            action: ExpertAction::default(),
            claim: None,
            sight,
            carla_floats: config.carla_floats,
            frame: 1,
            held: Command::default(),
            since_command_s: 0.0,
            standing_s: 0.0,
            ended: None,
            hash: 0xCBF2_9CE4_8422_2325,
            map: config.map,
            route,
            plan,
        };
        world.finish_tick();
        Ok(world)
    }

    /// Drives on by one period. Without a command the last one is held; after
    /// [`WATCHDOG_S`] without one the plant brakes by itself. A command with a number that is
    /// not finite or out of range counts as none. Does nothing once the episode has ended.
    pub fn tick(&mut self, command: Option<&Command>) {
        if self.ended.is_some() {
            return;
        }
        match command.filter(|c| c.is_valid()) {
            Some(c) => {
                self.held = *c;
                self.since_command_s = 0.0;
            }
            None => self.since_command_s += self.dt_s,
        }
        let mut pedals = Pedals {
            steer: f64::from(self.held.steer),
            throttle: f64::from(self.held.throttle),
            brake: f64::from(self.held.brake),
        };
        if self.since_command_s >= WATCHDOG_S {
            pedals = Pedals { throttle: 0.0, brake: 1.0, ..pedals };
        }
        let ground = Ground { pitch_rad: self.pose.pitch_rad, friction: self.friction };
        self.car.advance(&pedals, &ground, self.dt_s);
        let ego = EgoView { pose: self.pose, speed_mps: self.car.speed_mps, junction: self.claim };
        self.traffic.advance(self.dt_s, &ego);
        self.collide();
        self.judge.look(&self.map, &self.route, &self.car, &mut self.pose, self.dt_s);
        self.frame += 1;
        let standing = self.car.speed_mps < 0.1;
        self.standing_s = if standing { self.standing_s + self.dt_s } else { 0.0 };
        self.finish_tick();
    }

    /// What follows from a new state: expert, end, hash.
    fn finish_tick(&mut self) {
        let (leader, claim) = self.look_ahead();
        self.claim = claim;
        self.action = expert::act(&self.plan, &self.car, self.judge.place, leader, self.dt_s);
        self.ended = self.end();
        let c = &self.car;
        for v in [c.x_m, c.y_m, c.yaw_rad, c.speed_mps, c.wheel_rad, self.action.steer] {
            self.hash = (self.hash ^ v.to_bits()).wrapping_mul(0x0000_0100_0000_01B3);
        }
        for car in self.traffic.cars() {
            let bits = car.pose.x_m.to_bits() ^ car.pose.y_m.to_bits().rotate_left(17);
            self.hash = (self.hash ^ bits).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn end(&self) -> Option<EndReason> {
        let length = self.route.length_m();
        let goal = self.route.at(length);
        let to_goal = libm::hypot(self.car.x_m - goal.x_m, self.car.y_m - goal.y_m);
        let place = self.judge.place;
        // Past the lane's end sideways still is off the route: only what is near counts.
        if place.s_m > length - 30.0 && (to_goal < GOAL_M || place.s_m >= length && to_goal < 8.0) {
            return Some(EndReason::GoalReached);
        }
        if self.contacts.count > COLLISIONS_MAX {
            return Some(EndReason::Collisions);
        }
        if self.standing_s >= BLOCKED_S {
            return Some(EndReason::Blocked);
        }
        if place.lateral_m.abs() > LEFT_ROUTE_M || to_goal.is_nan() || self.judge.lost {
            return Some(EndReason::LeftRoute);
        }
        if place.s_m >= length && to_goal > LEFT_ROUTE_M {
            return Some(EndReason::LeftRoute);
        }
        if self.time_s() >= self.time_limit_s {
            return Some(EndReason::Timeout);
        }
        self.frame_limit.filter(|n| self.frame > *n).map(|_| EndReason::FrameLimit)
    }

    /// Counts contacts and keeps the car out of what it hits.
    fn collide(&mut self) {
        self.contacts.begin();
        let mut pose = self.pose;
        (pose.x_m, pose.y_m, pose.yaw_rad) = (self.car.x_m, self.car.y_m, self.car.yaw_rad);
        let mut ego = traffic::footprint(&pose);
        let mut push = (0.0, 0.0);
        let contacts = &mut self.contacts;
        let mut meet = |ego: &mut Footprint, other: &Footprint, id: u64| {
            if let Some((dx, dy)) = ego.overlap(other, 0.0) {
                contacts.touch(id);
                ego.x_m += dx;
                ego.y_m += dy;
                push = (push.0 + dx, push.1 + dy);
            } else if ego.overlap(other, 0.4).is_some() {
                contacts.near(id);
            }
        };
        self.obstacles.near(ego.x_m, ego.y_m, 4.0, |i, b| meet(&mut ego, b, u64::from(i)));
        for (i, car) in self.traffic.cars().iter().enumerate() {
            meet(&mut ego, &car.footprint(), (1 << 32) + i as u64);
        }
        self.contacts.end();
        if push != (0.0, 0.0) {
            contact::push_out(&mut self.car, &ego, push);
        }
    }

    /// What the expert would do now: its clean steer, throttle and brake for this frame.
    pub fn expert_command(&self) -> Command {
        let p = expert::pedals(&self.action, self.car.speed_mps, self.pose.pitch_rad);
        Command {
            frame_id: FrameId(self.frame),
            steer: p.steer as f32,
            throttle: p.throttle as f32,
            brake: p.brake as f32,
            ..Command::default()
        }
    }

    /// The vehicle's own sensors.
    pub fn ego(&self) -> EgoState {
        EgoState {
            speed_mps: self.car.speed_mps as f32,
            accel_mps2: self.car.accel_mps2 as f32,
            yaw_rate_radps: self.car.yaw_rate_radps as f32,
            pose: self.told_pose(),
        }
    }

    /// Where the car says that it is.
    fn told_pose(&self) -> Pose {
        if self.carla_floats { carried(&self.pose) } else { self.pose }
    }

    /// Labels and marks of the present state.
    pub fn truth(&self) -> Truth {
        let place = self.judge.place;
        let here = self.route.at(place.s_m);
        let length = self.route.length_m();
        let done = if self.ended == Some(EndReason::GoalReached) {
            1.0
        } else {
            (self.judge.furthest_m / length).clamp(0.0, 1.0)
        };
        Truth {
            expert_steer: self.action.steer as f32,
            expert_speed_mps: self.action.speed_mps as f32,
            lane_deviation_m: place.lateral_m as f32,
            heading_error_rad: wrap_angle(self.car.yaw_rad - here.yaw_rad) as f32,
            curvature_1pm: here.curvature_1pm as f32,
            route_length_m: length as f32,
            route_completion: (100.0 * done) as f32,
            off_road_m: self.judge.off_road_m as f32,
            collisions: self.contacts.count,
            lane_invasions: self.judge.lane_invasions,
        }
    }

    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Where the car is on its route.
    pub fn place(&self) -> Place {
        self.judge.place
    }

    /// The car.
    pub fn vehicle(&self) -> &Vehicle {
        &self.car
    }

    /// The other cars.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Why the episode ended, if it did.
    pub fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// Ends the episode.
    pub fn stop(&mut self) {
        self.ended = self.ended.or(Some(EndReason::Stopped));
    }

    /// Seconds since the episode began.
    pub fn time_s(&self) -> f64 {
        (self.frame - 1) as f64 / self.rate_hz
    }

    /// Frames so far, the present one included.
    pub fn frame_count(&self) -> u64 {
        self.frame
    }

    /// Hash over all states so far: equal for equal drives, to the bit.
    pub fn state_hash(&self) -> u64 {
        self.hash
    }

    /// Whether the plant brakes by itself because no command came.
    pub fn watchdog_active(&self) -> bool {
        self.since_command_s >= WATCHDOG_S
    }

    /// Everything of the present frame but its picture.
    fn describe(&self, frame: &mut Frame) {
        let mut s_m = self.judge.place.s_m;
        if self.carla_floats {
            let told = self.told_pose();
            (s_m, _) = self.route.project(told.x_m, told.y_m, s_m);
        }
        let here = self.route.at(s_m);
        frame.id = FrameId(self.frame);
        frame.sim_time_ns = libm::round(self.time_s() * 1e9) as u64;
        frame.ego = self.ego();
        frame.nav = here.nav;
        frame.advisory_speed_mps = self.plan.at(s_m).speed_mps as f32;
        frame.truth = Some(self.truth());
    }
}

/// A pose as CARLA's transforms carry it: metres and degrees in 32-bit floats.
pub fn carried(p: &Pose) -> Pose {
    let metres = |v: f64| f64::from(v as f32);
    let angle = |v: f64| f64::from(v.to_degrees() as f32).to_radians();
    Pose {
        x_m: metres(p.x_m),
        y_m: metres(p.y_m),
        z_m: metres(p.z_m),
        yaw_rad: angle(p.yaw_rad),
        pitch_rad: angle(p.pitch_rad),
        roll_rad: angle(p.roll_rad),
    }
}

/// The car at the start of its route, disturbed if asked.
fn start(config: &SimConfig, route: &Route, plan: &RoutePlan) -> (Vehicle, Pose) {
    let p = route.at(0.0);
    let (mut lateral, mut turn, mut speed) = (0.0, 0.0, 0.0);
    if let Some(d) = &config.disturbance {
        let mut rng = CounterRng::new(config.seed, 0x57A7);
        lateral = rng.range(-1.0, 1.0) * d.start_lateral_m;
        turn = (rng.range(-1.0, 1.0) * d.start_yaw_deg).to_radians();
        speed = rng.uniform() * d.start_speed_mps.min(plan.at(0.0).speed_mps);
    }
    let (s, c) = (libm::sin(p.yaw_rad), libm::cos(p.yaw_rad));
    let mut car = Vehicle {
        x_m: p.x_m - lateral * s,
        y_m: p.y_m + lateral * c,
        yaw_rad: wrap_angle(p.yaw_rad + turn),
        speed_mps: speed,
        ..Vehicle::default()
    };
    if config.carla_floats {
        let at = carried(&Pose { x_m: car.x_m, y_m: car.y_m, yaw_rad: car.yaw_rad, ..p.pose() });
        (car.x_m, car.y_m, car.yaw_rad) = (at.x_m, at.y_m, at.yaw_rad);
    }
    let pose = Pose { x_m: car.x_m, y_m: car.y_m, yaw_rad: car.yaw_rad, ..p.pose() };
    (car, pose)
}

impl World for SimWorld {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        // A lost frame cannot be answered: the car drives on with the last command.
        let mut lost = 0;
        while self.ended.is_none() && self.sight.is_lost(self.frame) {
            if self.pacing == Pacing::Free || lost >= 200 {
                return Observation::plain(Observed::Nothing);
            }
            self.tick(None);
            lost += 1;
        }
        if let Some(end) = self.ended {
            self.describe(frame);
            return Observation::plain(Observed::Ended(end));
        }
        self.describe(frame);
        frame.received_ns = frame.sim_time_ns;
        let time_s = self.time_s();
        self.sight.take(frame, &self.pose, &self.traffic, time_s);
        Observation::plain(Observed::Fresh)
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        let valid = command.is_valid();
        match self.pacing {
            Pacing::Lockstep => self.tick(Some(command)),
            // The server's clock drives; the newest command is taken at its next tick.
            Pacing::Free if valid => {
                self.held = *command;
                self.since_command_s = 0.0;
            }
            Pacing::Free => {}
        }
        if valid { Ok(()) } else { Err(Fault::MessageMalformed) }
    }
}
