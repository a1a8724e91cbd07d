//! What the world tells its clients: episode states, measurements, actors as values.

use caril_core::Pose;
use caril_sim::camera::{BodyPose, Tag};
use rmpv::Value;

use super::sensor::{self, Sensor};
use super::{Actor, Body, Car, Description, Kind, Simulation, Sink, Surroundings};
use crate::geometry;
use crate::wire::{
    ActorState, Dynamic, EPISODE_STREAM, EpisodeState, SensorHeader, Token, episode_state, list,
    sensor_message,
};

impl Simulation {
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
                    c.told_velocity(),
                    [0.0, 0.0, c.model.yaw_rate_radps.to_degrees()],
                    c.acceleration(),
                    Dynamic::Vehicle(c.state()),
                ),
                _ => ([0.0f32; 3], [0.0; 3], [0.0; 3], Dynamic::Plain),
            };
            ActorState {
                id: a.id,
                transform: geometry::transform_of(&self.pose(a)),
                velocity: v,
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
            Kind::Rgb | Kind::Depth | Kind::Semantic if !self.settings.no_rendering => {
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
                    time_s: libm::round((self.elapsed_s - begun_s) * 1e6) / 1e6,
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
            Body::Car(_) => (vec![Tag::Car as u8], Vec::new()),
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
