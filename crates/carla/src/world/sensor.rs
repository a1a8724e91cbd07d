//! Sensors: what each sends in a frame.

use caril_core::{CameraSpec, Image, Mount, PixelOrder, Pose};
use caril_sim::camera::{BodyPose, Camera};
use rmpv::Value;

use super::blueprint::{Description, Kind};
use crate::wire::{ImageHead, SensorHeader, SensorType, Trouble, image_head};

/// A camera of the software renderer.
pub struct Eye {
    kind: Kind,
    camera: Camera,
    image: Image,
}

/// One sensor.
pub struct Sensor {
    /// What it is.
    pub kind: Kind,
    /// Its stream.
    pub stream: u32,
    /// Where it sits on its parent, or in the world without one.
    pub relative: Pose,
    /// Seconds between its measurements; 0 is each frame.
    pub period_s: f64,
    /// When it is due next, seconds of the episode.
    pub due_s: f64,
    /// When it measured first, seconds of the episode.
    pub begun_s: Option<f64>,
    /// Its camera, if it is one.
    pub eye: Option<Box<Eye>>,
}

impl Sensor {
    /// A sensor of a description.
    ///
    /// # Errors
    /// If an attribute makes no sense.
    pub fn new(
        kind: Kind,
        description: &Description,
        relative: &Pose,
        attached: bool,
        stream: u32,
        max_side: u32,
    ) -> Result<Self, Trouble> {
        // A camera on its own is its own base: the mount's numbers are those of a vehicle.
        let mount = if attached { *relative } else { Pose::default() };
        let eye = if matches!(kind, Kind::Rgb | Kind::Depth | Kind::Semantic) {
            let side = 1.0..=f64::from(max_side.min(CameraSpec::MAX_SIDE));
            let spec = CameraSpec {
                width: description.number("image_size_x", 800.0, side.clone())? as u32,
                height: description.number("image_size_y", 600.0, side)? as u32,
                fov_deg: description.number("fov", 90.0, 1.0..=170.0)? as f32,
                mount: Mount {
                    x_m: mount.x_m as f32,
                    y_m: mount.y_m as f32,
                    z_m: mount.z_m as f32,
                    pitch_deg: mount.pitch_rad.to_degrees() as f32,
                    yaw_deg: mount.yaw_rad.to_degrees() as f32,
                },
                order: PixelOrder::Bgra,
            };
            let image = Image { width: 0, height: 0, order: spec.order, data: Vec::new() };
            Some(Box::new(Eye { kind, camera: Camera::new(spec), image }))
        } else {
            None
        };
        let period_s = description.number("sensor_tick", 0.0, 0.0..=3600.0)?;
        Ok(Self { kind, stream, relative: *relative, period_s, due_s: 0.0, begun_s: None, eye })
    }

    /// Pixels that it draws in a frame.
    pub fn pixels(&self) -> usize {
        self.eye.as_ref().map_or(0, |e| {
            let s = e.camera.spec();
            s.width as usize * s.height as usize
        })
    }

    /// Its kind on the wire.
    pub fn wire_type(&self) -> SensorType {
        match self.kind {
            Kind::Rgb => SensorType::Rgb,
            Kind::Depth => SensorType::Depth,
            Kind::Semantic => SensorType::Semantic,
            Kind::Collision => SensorType::Collision,
            Kind::LaneInvasion => SensorType::LaneInvasion,
            Kind::Imu => SensorType::Imu,
            Kind::Gnss => SensorType::Gnss,
            Kind::Vehicle => SensorType::World,
        }
    }

    /// Whether it measures in a frame at this time; then the next is due a period later.
    pub fn is_due(&mut self, now_s: f64) -> bool {
        if now_s + 1e-6 < self.due_s {
            return false;
        }
        self.due_s = if self.due_s + self.period_s > now_s - self.period_s {
            self.due_s + self.period_s
        } else {
            now_s + self.period_s
        };
        true
    }
}

impl Eye {
    /// The message of a picture taken from a body at `base`, to which the camera is fixed.
    pub fn message(
        &mut self,
        head: &SensorHeader,
        what: &super::Surroundings<'_>,
        base: &Pose,
        bodies: &[BodyPose],
    ) -> Vec<u8> {
        let Self { kind, camera, image } = self;
        match kind {
            Kind::Depth => camera.depth(what.scene, base, bodies, image),
            Kind::Semantic => camera.semantic(what.scene, base, bodies, image),
            _ => camera.render(what.scene, what.weather, base, bodies, what.time_s, image),
        }
        let spec = camera.spec();
        let size = ImageHead { width: spec.width, height: spec.height, fov_deg: spec.fov_deg };
        let mut out = image_head(head, size);
        out.extend_from_slice(&image.data);
        out
    }
}

/// A MessagePack body.
pub fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = rmpv::encode::write_value(&mut out, value);
    out
}

/// Latitude, longitude (degrees) and altitude of a place, for a map whose origin lies at
/// `origin` (latitude, longitude). As the 0.9.16 client's own `transform_to_geolocation` has it, y
/// counts to the north here; Mercator instead of its projection, 4 cm apart over 100 m.
pub fn geolocation(origin: (f64, f64), at: [f64; 3]) -> [f64; 3] {
    const EARTH_RADIUS_M: f64 = 6_378_137.0;
    let scale = libm::cos(origin.0.to_radians());
    let half = core::f64::consts::FRAC_PI_4;
    let mx = scale * origin.1.to_radians() * EARTH_RADIUS_M + at[0];
    let my =
        scale * EARTH_RADIUS_M * libm::log(libm::tan(half + origin.0.to_radians() / 2.0)) + at[1];
    let lon = (mx / (EARTH_RADIUS_M * scale)).to_degrees();
    let lat = 2.0 * (libm::atan(libm::exp(my / (EARTH_RADIUS_M * scale))) - half);
    [lat.to_degrees(), lon, at[2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_of_two_frames_measures_each_second_one() {
        let d = Description::plain("sensor.other.imu");
        let mut s = Sensor::new(Kind::Imu, &d, &Pose::default(), true, 2, 4096).unwrap();
        s.period_s = 0.1;
        let due: Vec<bool> = (0..6).map(|i| s.is_due(f64::from(i) * 0.05)).collect();
        assert_eq!(due, [true, false, true, false, true, false]);
    }

    #[test]
    fn cameras_have_limits() {
        let mut d = Description::plain("sensor.camera.rgb");
        d.attributes.push(("image_size_x".into(), 2, "100000".into()));
        assert!(Sensor::new(Kind::Rgb, &d, &Pose::default(), true, 2, 4096).is_err());
        d.attributes[0].2 = "NaN".into();
        assert!(Sensor::new(Kind::Rgb, &d, &Pose::default(), true, 2, 4096).is_err());
    }

    #[test]
    fn north_is_y_as_the_client_has_it() {
        let [lat, lon, _] = geolocation((42.0, 2.0), [100.0, 100.0, 0.0]);
        assert!(lat > 42.0 && lat < 42.002 && lon > 2.0 && lon < 2.002, "{lat} {lon}");
    }
}
