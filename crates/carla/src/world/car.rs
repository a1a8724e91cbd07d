//! A vehicle of the server's world: the embedded vehicle model under CARLA's controls.

use caril_core::Pose;
use caril_road::RoadMap;
use caril_sim::contact::{self, Footprint, Obstacles};
use caril_sim::expert::{self, ExpertAction};
use caril_sim::traffic;
use caril_sim::vehicle::{
    FRICTION_DRY, GRAVITY_MPS2, Ground, HEIGHT_M, LENGTH_M, MASS_KG, Pedals, Vehicle,
    WHEEL_ANGLE_MAX_RAD, WIDTH_M,
};
use caril_sim::{Weather, ride};

use crate::geometry;
use crate::wire::{Fields, Trouble, VehicleState};

/// Beyond this the vehicle model makes no sense, m/s.
const FAST_MPS: f64 = 100.0;

/// CARLA's `VehicleControl`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Control {
    /// [0, 1].
    pub throttle: f64,
    /// [−1, 1].
    pub steer: f64,
    /// [0, 1].
    pub brake: f64,
    /// Holds the car.
    pub hand_brake: bool,
    /// The vehicle model has no reverse gear: such a car stands.
    pub reverse: bool,
    /// Kept and told, without effect.
    pub manual_gear_shift: bool,
    /// Kept and told, without effect.
    pub gear: i32,
}

impl Control {
    /// Reads it; values out of range are brought to the nearest, as CARLA does.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(f: &Fields<'_>) -> Result<Self, Trouble> {
        Ok(Self {
            throttle: f.f64(0)?.clamp(0.0, 1.0),
            steer: f.f64(1)?.clamp(-1.0, 1.0),
            brake: f.f64(2)?.clamp(0.0, 1.0),
            hand_brake: f.bool(3)?,
            reverse: f.bool(4)?,
            manual_gear_shift: f.bool(5)?,
            gear: f.i32(6)?,
        })
    }

    fn pedals(&self) -> Pedals {
        let held = self.hand_brake || self.reverse;
        Pedals {
            steer: self.steer,
            throttle: if held { 0.0 } else { self.throttle },
            brake: if held { 1.0 } else { self.brake },
        }
    }
}

/// CARLA's `VehicleAckermannControl`: angles in radians, m/s, m/s².
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ackermann {
    /// Angle of the wheels.
    pub steer_rad: f64,
    /// Speed to reach.
    pub speed_mps: f64,
    /// Most acceleration; 0 leaves it to the vehicle.
    pub accel_mps2: f64,
}

/// What is hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The other actor; 0 is what stands beside the road.
    pub other: u32,
    /// Impulse on the vehicle, N·s, CARLA axes.
    pub impulse: [f64; 3],
}

/// One vehicle.
#[derive(Debug, Clone)]
pub struct Car {
    /// The model.
    pub model: Vehicle,
    /// Where it is.
    pub pose: Pose,
    /// What it was told last.
    pub control: Control,
    /// What it was told instead, if so.
    pub ackermann: Option<Ackermann>,
    /// Whether it moves by itself.
    pub physics: bool,
    /// Paint.
    pub color: [u8; 3],
    /// CARLA's bits of its lamps, kept and told.
    pub lights: u32,
    /// Hits of the last tick.
    pub hits: Vec<Hit>,
    speed_limit_mps: f64,
}

impl Car {
    /// A car that stands at a pose, on the ground.
    pub fn new(map: &RoadMap, at: &Pose, color: [u8; 3]) -> Self {
        let mut car = Self {
            model: Vehicle::default(),
            pose: *at,
            control: Control::default(),
            ackermann: None,
            physics: true,
            color,
            lights: 0,
            hits: Vec::new(),
            speed_limit_mps: 0.0,
        };
        car.put(map, at);
        car
    }

    /// Puts it elsewhere; it stands there.
    pub fn put(&mut self, map: &RoadMap, at: &Pose) {
        self.model =
            Vehicle { x_m: at.x_m, y_m: at.y_m, yaw_rad: at.yaw_rad, ..Vehicle::default() };
        self.pose = *at;
        if self.physics {
            ride::follow_ground(map, &self.model, &mut self.pose, 1e9);
        }
        self.read_limit(map);
    }

    fn read_limit(&mut self, map: &RoadMap) {
        let p = &self.pose;
        if let Some((lane, along, _)) = map.nearest_lane(p.x_m, p.y_m, p.z_m) {
            self.speed_limit_mps = map.speed_limit_mps(lane, along);
        }
    }

    /// Gives it a velocity of the world, m/s, as far as the vehicle model knows such. It keeps what
    /// points forward.
    pub fn set_velocity(&mut self, v: [f64; 3]) {
        let [f, r, _] = geometry::axes(&self.pose);
        let dot = |a: &[f64; 3]| a.iter().zip(v).map(|(a, v)| a * v).sum::<f64>();
        self.model.speed_mps = dot(&f).clamp(0.0, FAST_MPS);
        self.model.lateral_mps = dot(&r).clamp(-FAST_MPS, FAST_MPS);
    }

    /// Turns it at a rate, rad/s, at most ten.
    pub fn set_yaw_rate(&mut self, rate_radps: f64) {
        self.model.yaw_rate_radps = rate_radps.clamp(-10.0, 10.0);
    }

    /// Drives on by one tick.
    pub fn advance(&mut self, weather: &Weather, dt_s: f64) {
        self.hits.clear();
        if !self.physics {
            return;
        }
        // Water halves what rubber holds, as in the embedded world.
        let friction = FRICTION_DRY - 0.4 * f64::from(weather.wetness.clamp(0.0, 1.0));
        let pedals = match &self.ackermann {
            None => self.control.pedals(),
            Some(a) => self.follow(a),
        };
        self.model.advance(&pedals, &Ground { pitch_rad: self.pose.pitch_rad, friction }, dt_s);
    }

    fn follow(&self, a: &Ackermann) -> Pedals {
        let v = self.model.speed_mps;
        let most = if a.accel_mps2.abs() > 0.0 { a.accel_mps2.abs() } else { 4.0 };
        let action = ExpertAction {
            steer: (a.steer_rad / WHEEL_ANGLE_MAX_RAD).clamp(-1.0, 1.0),
            speed_mps: a.speed_mps,
            accel_mps2: (2.0 * (a.speed_mps.max(0.0) - v)).clamp(-most, most),
        };
        expert::pedals(&action, v, self.pose.pitch_rad)
    }

    /// The ground that it covers.
    pub fn footprint(&self) -> Footprint {
        let mut pose = self.pose;
        let m = &self.model;
        (pose.x_m, pose.y_m, pose.yaw_rad) = (m.x_m, m.y_m, m.yaw_rad);
        traffic::footprint(&pose)
    }

    /// Keeps it out of what it hits.
    pub fn collide(&mut self, obstacles: &Obstacles, others: &[(u32, Footprint)]) {
        if !self.physics {
            return;
        }
        let mut me = self.footprint();
        let mut push = (0.0, 0.0);
        let before = [self.model.speed_mps, self.model.lateral_mps];
        let mut hit: Option<u32> = None;
        let mut meet = |me: &mut Footprint, other: &Footprint, id: u32| {
            if let Some((dx, dy)) = me.overlap(other, 0.0) {
                me.x_m += dx;
                me.y_m += dy;
                push = (push.0 + dx, push.1 + dy);
                hit = Some(id);
            }
        };
        obstacles.near(me.x_m, me.y_m, 4.0, |_, b| meet(&mut me, b, 0));
        for (id, other) in others {
            meet(&mut me, other, *id);
        }
        let Some(other) = hit.filter(|_| push != (0.0, 0.0)) else { return };
        contact::push_out(&mut self.model, &me, push);
        let lost = [self.model.speed_mps - before[0], self.model.lateral_mps - before[1], 0.0];
        let impulse = geometry::to_world(&geometry::axes(&self.pose), lost);
        self.hits.push(Hit { other, impulse: impulse.map(|v| v * MASS_KG) });
    }

    /// Sets it on the ground after it has moved.
    pub fn settle(&mut self, map: &RoadMap, dt_s: f64) {
        if self.physics {
            ride::follow_ground(map, &self.model, &mut self.pose, dt_s);
            self.read_limit(map);
        }
    }

    /// m/s, CARLA axes.
    pub fn velocity(&self) -> [f64; 3] {
        let v = [self.model.speed_mps, self.model.lateral_mps, 0.0];
        geometry::to_world(&geometry::axes(&self.pose), v)
    }

    /// The velocity in the floats of the protocol. Each component rounded by itself would put the
    /// last bit of the speed along the body wrong, and that is enough for two drives to part in the
    /// end. So two components make up for it: the part along the told forward direction is the
    /// speed, to a 32-bit float's precision.
    pub fn told_velocity(&self) -> [f32; 3] {
        let [.., pitch_deg, yaw_deg, _] = geometry::transform_of(&self.pose);
        let [forward, ..] = geometry::axes(&Pose {
            pitch_rad: f64::from(pitch_deg).to_radians(),
            yaw_rad: f64::from(yaw_deg).to_radians(),
            ..Pose::default()
        });
        let speed = f64::from(self.model.speed_mps as f32);
        let mut v = self.velocity().map(|v| v as f32);
        // The larger one to within its own last bit, the smaller one to within that of the sum.
        let order = if forward[0].abs() > forward[1].abs() { [0, 1] } else { [1, 0] };
        for i in order {
            let along: f64 = v.iter().zip(forward).map(|(v, f)| f64::from(*v) * f).sum();
            let change = (speed - along) / forward[i];
            if change.abs() < 1e-3 {
                v[i] = (f64::from(v[i]) + change) as f32;
            }
        }
        v
    }

    /// m/s² without gravity, CARLA axes.
    pub fn acceleration(&self) -> [f64; 3] {
        let m = &self.model;
        let a = [m.accel_mps2, m.speed_mps * m.yaw_rate_radps, 0.0];
        geometry::to_world(&geometry::axes(&self.pose), a)
    }

    /// What an accelerometer in the body feels, m/s².
    pub fn felt(&self) -> [f64; 3] {
        let m = &self.model;
        let up = geometry::axes(&self.pose).map(|a| a[2] * GRAVITY_MPS2);
        [m.accel_mps2 + up[0], m.speed_mps * m.yaw_rate_radps + up[1], up[2]]
    }

    /// Its part of the episode state.
    pub fn state(&self) -> VehicleState {
        let c = &self.control;
        VehicleState {
            throttle: c.throttle as f32,
            steer: c.steer as f32,
            brake: c.brake as f32,
            hand_brake: c.hand_brake,
            reverse: c.reverse,
            manual_gear_shift: c.manual_gear_shift,
            gear: if c.gear != 0 { c.gear } else { 1 },
            speed_limit_kmh: (3.6 * self.speed_limit_mps) as f32,
        }
    }

    /// Centre and half extent of its box, metres, from its origin.
    pub fn bounding_box() -> ([f64; 3], [f64; 3]) {
        ([0.0, 0.0, HEIGHT_M / 2.0], [LENGTH_M / 2.0, WIDTH_M / 2.0, HEIGHT_M / 2.0])
    }
}

#[cfg(test)]
mod tests {
    use caril_core::CounterRng;

    use super::*;

    #[test]
    fn the_told_velocity_tells_the_speed_to_the_last_bit() {
        let map = include_str!("../../../../maps/town_blocks.xodr");
        let map = RoadMap::from_xodr("town_blocks", map).unwrap();
        let mut car = Car::new(&map, &Pose::default(), [0; 3]);
        let mut rng = CounterRng::new(5, 5);
        for i in 0..20_000 {
            // Just below a power of two the components have fewer bits behind the point.
            let speed = if i % 2 == 0 { rng.range(0.01, 15.0) } else { rng.range(3.9, 4.0) };
            car.model.speed_mps = speed;
            car.model.lateral_mps = rng.range(-0.1, 0.1) * speed;
            car.pose.yaw_rad = rng.range(-3.2, 3.2);
            car.pose.pitch_rad = rng.range(-0.1, 0.1);
            // As a client works it out of what it is told.
            let [.., pitch, yaw, _] = geometry::transform_of(&car.pose);
            let (pitch, yaw) = (f64::from(pitch).to_radians(), f64::from(yaw).to_radians());
            let [x, y, z] = car.told_velocity().map(f64::from);
            let along = x * pitch.cos() * yaw.cos() + y * pitch.cos() * yaw.sin() + z * pitch.sin();
            assert_eq!(along as f32, speed as f32, "{:?}", car.model);
            for (told, v) in car.told_velocity().iter().zip(car.velocity()) {
                assert!((f64::from(*told) - v).abs() < 1e-3);
            }
        }
    }
}
