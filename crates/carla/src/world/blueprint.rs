//! The blueprint library: what can be spawned, with CARLA's attributes.

use rmpv::Value;

use crate::wire::{Fields, Trouble, list};

/// What an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A car.
    Vehicle,
    /// Camera pictures.
    Rgb,
    /// Distances as a picture.
    Depth,
    /// Tags as a picture.
    Semantic,
    /// Contacts of the parent.
    Collision,
    /// Lane marks that the parent crosses; the client computes it.
    LaneInvasion,
    /// Acceleration, angular velocity, compass.
    Imu,
    /// Latitude, longitude, altitude.
    Gnss,
}

/// CARLA's types of attributes, by their numbers.
const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const TEXT: u8 = 4;
const COLOR: u8 = 5;

/// An attribute: name, type, default, recommended values, whether it may be changed.
type Attribute = (&'static str, u8, &'static str, &'static [&'static str], bool);

const ROLE: Attribute =
    ("role_name", TEXT, "autopilot", &["autopilot", "scenario", "ego_vehicle"], true);
const SENSOR_ROLE: Attribute =
    ("role_name", TEXT, "front", &["front", "back", "left", "right"], true);
const TICK: Attribute = ("sensor_tick", FLOAT, "0.0", &[], true);

const CAR: &[Attribute] = &[
    ("color", COLOR, "180,180,180", &["180,180,180", "20,20,22", "150,25,28", "30,60,120"], true),
    ("driver_id", INT, "0", &["0"], true),
    ROLE,
    ("sticky_control", BOOL, "True", &["True", "False"], true),
    ("object_type", TEXT, "", &[], false),
    ("base_type", TEXT, "car", &[], false),
    ("special_type", TEXT, "", &[], false),
    ("has_lights", BOOL, "true", &[], false),
    ("has_dynamic_doors", BOOL, "false", &[], false),
    ("number_of_wheels", INT, "4", &[], false),
    ("generation", INT, "2", &[], false),
];
/// What every camera has.
const VIEW: &[Attribute] = &[
    SENSOR_ROLE,
    ("image_size_x", INT, "800", &[], true),
    ("image_size_y", INT, "600", &[], true),
    ("fov", FLOAT, "90.0", &[], true),
    TICK,
    // Accepted as the real server does; the software camera is a pinhole.
    ("lens_circle_falloff", FLOAT, "5.0", &[], true),
    ("lens_circle_multiplier", FLOAT, "0.0", &[], true),
    ("lens_k", FLOAT, "-1.0", &[], true),
    ("lens_kcube", FLOAT, "0.0", &[], true),
    ("lens_x_size", FLOAT, "0.08", &[], true),
    ("lens_y_size", FLOAT, "0.08", &[], true),
];
/// What the rgb camera has beside it; accepted, as the lens is.
const OPTICS: &[Attribute] = &[
    ("enable_postprocess_effects", BOOL, "True", &["True", "False"], true),
    ("gamma", FLOAT, "2.2", &[], true),
    ("motion_blur_intensity", FLOAT, "0.45", &[], true),
    ("exposure_mode", TEXT, "histogram", &["histogram", "manual"], true),
    ("exposure_compensation", FLOAT, "0.0", &[], true),
    ("shutter_speed", FLOAT, "200.0", &[], true),
    ("iso", FLOAT, "100.0", &[], true),
    ("fstop", FLOAT, "1.4", &[], true),
    ("lens_flare_intensity", FLOAT, "0.1", &[], true),
    ("bloom_intensity", FLOAT, "0.675", &[], true),
];
const EVENTS: &[Attribute] = &[SENSOR_ROLE];
const IMU: &[Attribute] = &[SENSOR_ROLE, TICK];

/// One blueprint.
#[derive(Debug, Clone, Copy)]
pub struct Blueprint {
    /// CARLA's number of it.
    pub uid: u32,
    /// CARLA's name.
    pub id: &'static str,
    /// What it is.
    pub kind: Kind,
    attributes: &'static [&'static [Attribute]],
}

const fn blueprint(
    uid: u32,
    id: &'static str,
    kind: Kind,
    attributes: &'static [&'static [Attribute]],
) -> Blueprint {
    Blueprint { uid, id, kind, attributes }
}

/// All that can be spawned. Both cars drive as the one vehicle model there is.
pub const LIBRARY: &[Blueprint] = &[
    blueprint(1, "vehicle.tesla.model3", Kind::Vehicle, &[CAR]),
    blueprint(2, "vehicle.lincoln.mkz_2020", Kind::Vehicle, &[CAR]),
    blueprint(3, "sensor.camera.rgb", Kind::Rgb, &[VIEW, OPTICS]),
    blueprint(4, "sensor.other.collision", Kind::Collision, &[EVENTS]),
    blueprint(5, "sensor.other.lane_invasion", Kind::LaneInvasion, &[EVENTS]),
    blueprint(6, "sensor.other.imu", Kind::Imu, &[IMU]),
    blueprint(7, "sensor.other.gnss", Kind::Gnss, &[IMU]),
    blueprint(8, "sensor.camera.depth", Kind::Depth, &[VIEW]),
    blueprint(9, "sensor.camera.semantic_segmentation", Kind::Semantic, &[VIEW]),
];

/// All definitions as the client reads them.
pub fn definitions() -> Value {
    list(LIBRARY.iter().map(|b| {
        let attributes = b.attributes.iter().copied().flatten().map(
            |(id, kind, value, recommended, modifiable)| {
                Value::Array(vec![
                    Value::from(*id),
                    Value::from(*kind),
                    Value::from(*value),
                    list(recommended.iter().copied()),
                    Value::from(*modifiable),
                    Value::from(false),
                ])
            },
        );
        Value::Array(vec![
            Value::from(b.uid),
            Value::from(b.id),
            Value::from(b.id.replace('.', ",")),
            list(attributes),
        ])
    }))
}

/// What was asked to be spawned: `[uid, id, [[id, type, value]]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The blueprint's number.
    pub uid: u32,
    /// Its name.
    pub id: String,
    /// Attributes: name, type, value.
    pub attributes: Vec<(String, u8, String)>,
}

/// Longest attribute text, bytes.
const MAX_TEXT: usize = 1024;

impl Description {
    /// Reads it and finds its blueprint.
    ///
    /// # Errors
    /// If there is no such blueprint.
    pub fn read(f: &Fields<'_>) -> Result<(Self, Kind), Trouble> {
        let id = f.text(1)?;
        let known = LIBRARY.iter().find(|b| b.id == id);
        let Some(blueprint) = known else { return Err("unknown blueprint".into()) };
        let mut attributes = Vec::new();
        for a in f.fields(2)?.iter() {
            let a = Fields::of(a)?;
            let (name, value) = (a.text(0)?, a.text(2)?);
            if name.len() + value.len() > MAX_TEXT || attributes.len() >= 64 {
                return Err("attribute too long".into());
            }
            attributes.push((name.to_owned(), a.u32(1)? as u8, value.to_owned()));
        }
        Ok((Self { uid: f.u32(0)?, id: id.to_owned(), attributes }, blueprint.kind))
    }

    /// One without attributes.
    pub fn plain(id: &str) -> Self {
        Self { uid: 0, id: id.to_owned(), attributes: Vec::new() }
    }

    /// Value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.0 == name).map(|a| a.2.as_str())
    }

    /// A number of an attribute, or its default.
    ///
    /// # Errors
    /// If it is no finite number within the range.
    pub fn number(
        &self,
        name: &str,
        default: f64,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, Trouble> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let v: f64 = text.trim().parse().map_err(|_| format!("{name}: no number: {text}"))?;
        if !range.contains(&v) {
            let (lo, hi) = (range.start(), range.end());
            return Err(format!("{name}: expected {lo} to {hi}, got {text}").into());
        }
        Ok(v)
    }

    /// Its colour, or grey.
    pub fn color(&self) -> [u8; 3] {
        let mut parts = self.get("color").unwrap_or_default().split(',').map(|t| t.trim().parse());
        let mut next = || parts.next().and_then(Result::ok).unwrap_or(180);
        [next(), next(), next()]
    }

    /// As a value of the wire.
    pub fn value(&self) -> Value {
        let attributes = self.attributes.iter().map(|(id, kind, value)| {
            Value::Array(vec![
                Value::from(id.as_str()),
                Value::from(*kind),
                Value::from(value.as_str()),
            ])
        });
        Value::Array(vec![Value::from(self.uid), Value::from(self.id.as_str()), list(attributes)])
    }
}
