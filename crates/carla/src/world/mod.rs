//! The server's world: actors on a map, moved by ticks.

pub mod blueprint;
mod car;
mod place;
mod sensor;
pub mod weather;

use std::collections::BTreeMap;
use std::time::Instant;

use caril_core::Pose;
use caril_sim::camera::BodyPose;
use caril_sim::contact::Footprint;
use caril_sim::{Scene, Weather};
use rmpv::Value;

pub use self::blueprint::{Description, Kind};
pub use self::car::{Ackermann, Car, Control};
pub use self::place::{Library, Place};
pub use self::sensor::Sensor;
use crate::geometry;
use crate::wire::{
    ActorState, Dynamic, EPISODE_STREAM, EpisodeState, Fields, SensorHeader, Token, Trouble,
    episode_state, list, sensor_message,
};

/// Where messages go.
pub trait Sink {
    /// Whether anybody listens to a stream.
    fn wanted(&self, stream: u32) -> bool;
    /// Sends a message down a stream.
    fn send(&mut self, stream: u32, frame: u64, message: Vec<u8>);
}

/// Most of what a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actors at once.
    pub actors: usize,
    /// Pixels of one side of a camera.
    pub image_side: u32,
    /// Pixels of all cameras together.
    pub pixels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { actors: 500, image_side: 4096, pixels: 1 << 25 }
    }
}

/// CARLA's episode settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Whether the world waits for ticks.
    pub synchronous: bool,
    /// Whether cameras stay silent.
    pub no_rendering: bool,
    /// Seconds of a tick.
    pub fixed_delta_s: Option<f64>,
    /// The other fields, kept and told.
    pub rest: [f64; 8],
}

impl Default for Settings {
    fn default() -> Self {
        let rest = [1.0, 0.01, 10.0, 0.0, 1.0, 3000.0, 2000.0, 1.0];
        Self { synchronous: false, no_rendering: false, fixed_delta_s: None, rest }
    }
}

impl Settings {
    /// Seconds of a tick without a fixed delta.
    pub const VARIABLE_S: f64 = 0.05;

    /// Reads them.
    ///
    /// # Errors
    /// If they are none, or the delta is not within 1 ms to 1 s.
    pub fn read(f: &Fields<'_>) -> Result<Self, Trouble> {
        let delta = f.fields(2)?;
        let fixed_delta_s = if delta.bool(0)? { Some(delta.f64(1)?) } else { None };
        // The client sends 0 for none.
        let fixed_delta_s = fixed_delta_s.filter(|d| *d > 0.0);
        if fixed_delta_s.is_some_and(|d| !(0.001..=1.0).contains(&d)) {
            return Err("fixed_delta_seconds: expected 0.001 to 1".into());
        }
        let flag = |i| f.bool(i).map(f64::from);
        Ok(Self {
            synchronous: f.bool(0)?,
            no_rendering: f.bool(1)?,
            fixed_delta_s,
            rest: [
                flag(3)?,
                f.f64(4)?,
                f64::from(f.i32(5)?),
                f.f64(6)?,
                flag(7)?,
                f.f64(8)?,
                f.f64(9)?,
                flag(10)?,
            ],
        })
    }

    /// As a value of the wire.
    pub fn value(&self) -> Value {
        let delta = match self.fixed_delta_s {
            Some(d) => Value::Array(vec![true.into(), d.into()]),
            None => Value::Array(vec![false.into()]),
        };
        let r = self.rest;
        Value::Array(vec![
            self.synchronous.into(),
            self.no_rendering.into(),
            delta,
            (r[0] != 0.0).into(),
            r[1].into(),
            (r[2] as i64).into(),
            (r[3] as f32).into(),
            (r[4] != 0.0).into(),
            (r[5] as f32).into(),
            (r[6] as f32).into(),
            (r[7] != 0.0).into(),
        ])
    }

    /// Seconds of a tick.
    pub fn delta_s(&self) -> f64 {
        self.fixed_delta_s.unwrap_or(Self::VARIABLE_S)
    }
}

/// What an actor is made of.
pub enum Body {
    /// The free camera of the world.
    Spectator(Pose),
    /// A vehicle.
    Car(Box<Car>),
    /// A sensor.
    Sensor(Box<Sensor>),
}

/// One actor.
pub struct Actor {
    /// Its number.
    pub id: u32,
    /// What it is fixed to; 0 is nothing.
    pub parent: u32,
    /// What it was spawned as.
    pub description: Description,
    /// What it is made of.
    pub body: Body,
}

/// What a camera looks at.
pub struct Surroundings<'a> {
    /// The static world.
    pub scene: &'a Scene,
    /// Light and air.
    pub weather: &'a Weather,
    /// Seconds since the camera's first picture, which move the clouds.
    pub time_s: f64,
}

/// The world.
pub struct Simulation {
    /// Maps that can be loaded.
    pub library: Library,
    /// The map now.
    pub place: Place,
    /// Its settings.
    pub settings: Settings,
    /// CARLA's weather parameters.
    pub weather: weather::Parameters,
    sky: Weather,
    /// Number of the episode; another with each map that is loaded.
    pub episode: u64,
    /// The frame that was broadcast last.
    pub frame: u64,
    /// Seconds since the episode began.
    pub elapsed_s: f64,
    delta_s: f64,
    /// All actors, the spectator among them.
    pub actors: BTreeMap<u32, Actor>,
    /// The spectator's number.
    pub spectator: u32,
    next_id: u32,
    next_stream: u32,
    map_changed: bool,
    limits: Limits,
    appearance_seed: u64,
    begun: Instant,
    /// Streaming port, for tokens.
    pub stream_port: u16,
    /// Traffic managers that said that they run: port and host.
    pub traffic_managers: BTreeMap<u16, String>,
    /// OpenDRIVE text that the client sent, for the next episode.
    pub sent_map: Option<String>,
    /// So many spawns are refused still (fault injection).
    pub refuse_spawns: u32,
}

impl Simulation {
    /// A world on a map of the library.
    ///
    /// # Errors
    /// If the map cannot be used.
    pub fn new(
        library: Library,
        map: &str,
        appearance_seed: u64,
        limits: Limits,
    ) -> Result<Self, String> {
        let (name, xodr) = library.read(map)?;
        let weather = weather::parameters("ClearNoon").unwrap_or_default();
        let mut world = Self {
            place: Place::build(&name, xodr, appearance_seed)?,
            library,
            settings: Settings::default(),
            sky: weather::nearest(&weather),
            weather,
            episode: 1,
            frame: 1,
            elapsed_s: 0.0,
            delta_s: 0.0,
            actors: BTreeMap::new(),
            spectator: 0,
            next_id: 24,
            next_stream: EPISODE_STREAM + 1,
            map_changed: false,
            limits,
            appearance_seed,
            begun: Instant::now(),
            stream_port: 0,
            traffic_managers: BTreeMap::new(),
            sent_map: None,
            refuse_spawns: 0,
        };
        world.add_spectator();
        Ok(world)
    }

    fn add_spectator(&mut self) {
        let at = self.place.spawn_points.first().copied().unwrap_or_default();
        let at = Pose { z_m: at.z_m + 20.0, ..at };
        self.spectator = self.add(0, Description::plain("spectator"), Body::Spectator(at));
    }

    fn add(&mut self, parent: u32, description: Description, body: Body) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.actors.insert(id, Actor { id, parent, description, body });
        id
    }

    /// Loads another map, or the same anew when `name` is empty: all actors are gone.
    ///
    /// # Errors
    /// If there is no such map; then everything stays as it is.
    pub fn load(&mut self, name: &str, reset_settings: bool) -> Result<(), Trouble> {
        if name == "OpenDriveMap" || name.ends_with("/OpenDriveMap") {
            let Some(text) = self.sent_map.take() else { return Err("no OpenDRIVE file".into()) };
            self.place = Place::build("OpenDriveMap", text, self.appearance_seed)?;
        } else if !name.is_empty() {
            let (name, text) = self.library.read(name)?;
            self.place = Place::build(&name, text, self.appearance_seed)?;
        }
        if reset_settings {
            self.settings = Settings::default();
        }
        self.actors.clear();
        self.episode += 1;
        self.elapsed_s = 0.0;
        self.map_changed = true;
        self.add_spectator();
        Ok(())
    }

    /// Sets the weather.
    pub fn set_weather(&mut self, p: weather::Parameters) {
        self.weather = p;
        self.sky = weather::nearest(&p);
    }

    /// Spawns an actor.
    ///
    /// # Errors
    /// If there is no such blueprint, no room, or the place is taken.
    pub fn spawn(
        &mut self,
        description: &Fields<'_>,
        at: &Pose,
        parent: u32,
    ) -> Result<u32, Trouble> {
        let (description, kind) = Description::read(description)?;
        if self.actors.len() >= self.limits.actors {
            return Err(format!("too many actors: at most {}", self.limits.actors).into());
        }
        if parent != 0 && !self.actors.contains_key(&parent) {
            return Err("unable to attach actor: parent actor not found".into());
        }
        let body = if kind == Kind::Vehicle {
            if self.refuse_spawns > 0 {
                self.refuse_spawns -= 1;
                return Err(TAKEN.into());
            }
            let car = Car::new(&self.place.map, at, description.color());
            if self.is_taken(&car.footprint()) {
                return Err(TAKEN.into());
            }
            Body::Car(Box::new(car))
        } else {
            let stream = self.next_stream;
            let side = self.limits.image_side;
            let sensor = Sensor::new(kind, &description, at, parent != 0, stream, side)?;
            if self.pixels() + sensor.pixels() > self.limits.pixels {
                return Err(format!("too many pixels: at most {}", self.limits.pixels).into());
            }
            self.next_stream += 1;
            Body::Sensor(Box::new(sensor))
        };
        Ok(self.add(parent, description, body))
    }

    fn is_taken(&self, place: &Footprint) -> bool {
        let mut taken = false;
        self.place.obstacles.near(place.x_m, place.y_m, 4.0, |_, b| {
            taken |= place.overlap(b, 0.0).is_some();
        });
        taken || self.cars().any(|(_, c)| place.overlap(&c.footprint(), 0.1).is_some())
    }

    fn pixels(&self) -> usize {
        let sensors = self.actors.values().filter_map(|a| match &a.body {
            Body::Sensor(s) => Some(s.pixels()),
            _ => None,
        });
        sensors.sum()
    }

    /// Takes an actor and what is fixed to it out of the world.
    pub fn destroy(&mut self, id: u32) -> bool {
        if id == self.spectator || self.actors.remove(&id).is_none() {
            return false;
        }
        self.actors.retain(|_, a| a.parent != id);
        true
    }

    /// All cars.
    pub fn cars(&self) -> impl Iterator<Item = (u32, &Car)> {
        self.actors.values().filter_map(|a| match &a.body {
            Body::Car(c) => Some((a.id, &**c)),
            _ => None,
        })
    }

    /// A car.
    ///
    /// # Errors
    /// If there is no actor of this number, or it is no vehicle.
    pub fn car(&mut self, id: u32) -> Result<&mut Car, Trouble> {
        match self.actors.get_mut(&id).map(|a| &mut a.body) {
            Some(Body::Car(c)) => Ok(c),
            Some(_) => Err("actor is not a vehicle".into()),
            None => Err(NO_ACTOR.into()),
        }
    }

    /// Where an actor is.
    pub fn pose(&self, actor: &Actor) -> Pose {
        match &actor.body {
            Body::Spectator(p) => *p,
            Body::Car(c) => c.pose,
            Body::Sensor(s) => match self.actors.get(&actor.parent) {
                Some(parent) if parent.id != actor.id => {
                    geometry::compose(&self.pose(parent), &s.relative)
                }
                _ => s.relative,
            },
        }
    }

    /// Puts an actor elsewhere; a sensor that is fixed to something moves on it.
    ///
    /// # Errors
    /// If there is no actor of this number.
    pub fn put(&mut self, id: u32, at: &Pose) -> Result<(), Trouble> {
        let Some(actor) = self.actors.get_mut(&id) else { return Err(NO_ACTOR.into()) };
        match &mut actor.body {
            Body::Spectator(p) => *p = *at,
            Body::Car(c) => c.put(&self.place.map, at),
            // The camera's mount is part of its specification: a new one.
            Body::Sensor(s) => {
                let side = self.limits.image_side;
                let fixed = actor.parent != 0;
                let moved = Sensor::new(s.kind, &actor.description, at, fixed, s.stream, side)?;
                **s = moved;
            }
        }
        Ok(())
    }

    /// Drives the world on by one frame and sends what everybody sees of it.
    pub fn tick(&mut self, out: &mut dyn Sink) {
        let dt_s = self.settings.delta_s();
        self.delta_s = dt_s;
        self.frame += 1;
        self.elapsed_s += dt_s;
        let Self { actors, sky, .. } = self;
        for a in actors.values_mut() {
            if let Body::Car(c) = &mut a.body {
                c.advance(sky, dt_s);
            }
        }
        let mut standing: Vec<(u32, Footprint)> =
            self.cars().map(|(i, c)| (i, c.footprint())).collect();
        let Self { actors, place, .. } = self;
        for k in 0..standing.len() {
            let Some(&(id, _)) = standing.get(k) else { break };
            let Some(Body::Car(c)) = actors.get_mut(&id).map(|a| &mut a.body) else { continue };
            let others: Vec<(u32, Footprint)> =
                standing.iter().filter(|o| o.0 != id).copied().collect();
            c.collide(&place.obstacles, &others);
            c.settle(&place.map, dt_s);
            if let Some(slot) = standing.get_mut(k) {
                slot.1 = c.footprint();
            }
        }
        self.publish(out);
    }

    /// Sends the present state once more or for the first time.
    pub fn publish(&mut self, out: &mut dyn Sink) {
        if out.wanted(EPISODE_STREAM) {
            out.send(EPISODE_STREAM, self.frame, episode_state(&self.state()));
        }
        self.map_changed = false;
        self.measure(out);
    }

    fn state(&self) -> EpisodeState {
        let actors = self.actors.values().map(|a| {
            let (v, w, acc, dynamic) = match &a.body {
                Body::Car(c) => (
                    c.velocity(),
                    [0.0, 0.0, c.model.yaw_rate_radps.to_degrees()],
                    c.acceleration(),
                    Dynamic::Vehicle(c.state()),
                ),
                _ => ([0.0; 3], [0.0; 3], [0.0; 3], Dynamic::Plain),
            };
            ActorState {
                id: a.id,
                transform: geometry::transform_of(&self.pose(a)),
                velocity: v.map(|v| v as f32),
                angular_velocity: w.map(|v| v as f32),
                acceleration: acc.map(|v| v as f32),
                dynamic,
            }
        });
        EpisodeState {
            frame: self.frame,
            elapsed_s: self.elapsed_s,
            episode: self.episode,
            platform_s: self.begun.elapsed().as_secs_f64(),
            delta_s: self.delta_s as f32,
            map_change: self.map_changed,
            actors: actors.collect(),
        }
    }

    /// Lets every sensor that somebody listens to measure.
    fn measure(&mut self, out: &mut dyn Sink) {
        let sensors: Vec<u32> = self
            .actors
            .values()
            .filter(|a| matches!(&a.body, Body::Sensor(s) if out.wanted(s.stream)))
            .map(|a| a.id)
            .collect();
        for id in sensors {
            // Taken out while it looks at the others.
            let Some(mut actor) = self.actors.remove(&id) else { continue };
            let pose = self.pose(&actor);
            if let Body::Sensor(sensor) = &mut actor.body
                && sensor.is_due(self.elapsed_s)
            {
                self.sense(sensor, actor.parent, &pose, out);
            }
            self.actors.insert(id, actor);
        }
    }

    fn sense(&self, sensor: &mut Sensor, parent: u32, pose: &Pose, out: &mut dyn Sink) {
        let head = SensorHeader {
            kind: sensor.wire_type(),
            frame: self.frame,
            elapsed_s: self.elapsed_s,
            transform: geometry::transform_of(pose),
        };
        let car = match self.actors.get(&parent).map(|a| &a.body) {
            Some(Body::Car(c)) => Some(c),
            _ => None,
        };
        let stream = sensor.stream;
        let mut send = |value: Value| {
            out.send(stream, self.frame, sensor_message(&head, &sensor::packed(&value)));
        };
        match sensor.kind {
            Kind::Rgb if !self.settings.no_rendering => {
                let base = self.actors.get(&parent).map_or(*pose, |a| self.pose(a));
                let bodies: Vec<BodyPose> = self
                    .cars()
                    .filter(|(id, _)| *id != parent)
                    .map(|(_, c)| BodyPose::car(c.pose, c.color))
                    .collect();
                // Clouds and rain begin with the camera's first picture, as they begin with the
                // drive in the embedded world: the same drive sees the same sky.
                let begun_s = *sensor.begun_s.get_or_insert(self.elapsed_s);
                let what = Surroundings {
                    scene: &self.place.scene,
                    weather: &self.sky,
                    time_s: self.elapsed_s - begun_s,
                };
                if let Some(eye) = &mut sensor.eye {
                    out.send(stream, self.frame, eye.message(&head, &what, &base, &bodies));
                }
            }
            Kind::Imu => {
                let (felt, turn) =
                    car.map_or(([0.0, 0.0, 9.81], 0.0), |c| (c.felt(), c.model.yaw_rate_radps));
                // The compass is 0 to the north, which is −y.
                let compass = pose.yaw_rad + core::f64::consts::FRAC_PI_2;
                let compass = compass.rem_euclid(core::f64::consts::TAU);
                let floats = |v: [f64; 3]| list(v.map(|v| v as f32));
                send(Value::Array(vec![
                    floats(felt),
                    floats([0.0, 0.0, turn]),
                    (compass as f32).into(),
                ]));
            }
            Kind::Gnss => {
                send(list(sensor::geolocation(self.place.origin, [pose.x_m, pose.y_m, pose.z_m])));
            }
            Kind::Collision => {
                for hit in car.iter().flat_map(|c| &c.hits) {
                    let mine = self.actors.get(&parent).map_or(Value::Nil, |a| self.actor_value(a));
                    let other = match self.actors.get(&hit.other) {
                        Some(a) => self.actor_value(a),
                        None => thing(),
                    };
                    let impulse = list(hit.impulse.map(|v| v as f32));
                    send(Value::Array(vec![mine, other, impulse]));
                }
            }
            _ => {}
        }
    }

    /// An actor as a value of the wire.
    pub fn actor_value(&self, a: &Actor) -> Value {
        let (tags, token) = match &a.body {
            // 14 is the semantic tag of cars.
            Body::Car(_) => (vec![14], Vec::new()),
            Body::Sensor(s) => {
                (Vec::new(), Token { stream: s.stream, port: self.stream_port }.bytes())
            }
            Body::Spectator(_) => (Vec::new(), Vec::new()),
        };
        Value::Array(vec![
            a.id.into(),
            a.parent.into(),
            a.description.value(),
            self.box_value(a),
            Value::Binary(tags),
            Value::Binary(token),
        ])
    }

    /// An actor's bounding box as a value of the wire.
    pub fn box_value(&self, a: &Actor) -> Value {
        let (at, half) = match &a.body {
            Body::Car(_) => Car::bounding_box(),
            _ => ([0.0; 3], [0.0; 3]),
        };
        let floats = |v: [f64; 3]| list(v.map(|v| v as f32));
        Value::Array(vec![floats(at), floats(half), floats([0.0; 3]), a.id.into()])
    }
}

/// Something beside the road, as the other party of a collision.
fn thing() -> Value {
    let zero = || list([0.0f32; 3]);
    Value::Array(vec![
        0.into(),
        0.into(),
        Description::plain("static.unlabeled").value(),
        Value::Array(vec![zero(), zero(), zero(), 0.into()]),
        Value::Binary(Vec::new()),
        Value::Binary(Vec::new()),
    ])
}

/// What CARLA says when a spawn point is taken.
pub const TAKEN: &str = "Spawn failed because of collision at spawn position";
/// What CARLA says of a number that no actor has.
pub const NO_ACTOR: &str = "actor not found";
