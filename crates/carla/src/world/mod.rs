//! The server's world: actors on a map, moved by ticks.

pub mod blueprint;
mod car;
mod place;
mod sensor;
mod settings;
mod tell;
pub mod weather;

use std::collections::BTreeMap;
use std::time::Instant;

use caril_core::Pose;
use caril_sim::contact::Footprint;
use caril_sim::{Scene, Weather};

pub use self::blueprint::{Description, Kind};
pub use self::car::{Ackermann, Car, Control};
pub use self::place::{Library, Place};
pub use self::sensor::Sensor;
pub use self::settings::Settings;
use crate::geometry;
use crate::wire::{EPISODE_STREAM, Fields, Trouble};

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
        // What sits on it goes too, and what sits on that.
        let mut gone = vec![id];
        while let Some(parent) = gone.pop() {
            gone.extend(self.actors.values().filter(|a| a.parent == parent).map(|a| a.id));
            self.actors.retain(|_, a| a.parent != parent);
        }
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
}

/// What CARLA says when a spawn point is taken.
pub const TAKEN: &str = "Spawn failed because of collision at spawn position";
/// What CARLA says of a number that no actor has.
pub const NO_ACTOR: &str = "actor not found";
