//! The one walk over the numbers of a vehicle's state and of ground truth. The wire, the recording
//! and the step hash all follow it, so that a field added here is sent, recorded and hashed.
//!
//! The order of the fields is the order of their bytes on the wire (docs/wire.md) and in the step
//! hash: a new field changes both, and the wire's version and its lengths with them (the round
//! trips of crates/link fail until they are right).

use crate::{EgoState, Pose, Truth};

/// One number of a record.
#[derive(Debug)]
pub struct Field<'a> {
    /// Its name with its unit: the key in recordings.
    pub name: &'static str,
    /// What it is, in a few words: for the schema of recordings.
    pub about: &'static str,
    /// The number itself.
    pub value: Number<'a>,
}

/// Where a number lies, to be read or written.
#[derive(Debug)]
pub enum Number<'a> {
    /// A count.
    U32(&'a mut u32),
    /// Single precision.
    F32(&'a mut f32),
    /// Double precision: positions, which may be kilometres from the origin.
    F64(&'a mut f64),
}

impl Number<'_> {
    /// Hands its little-endian bytes to `put`; a NaN keeps its bits.
    pub fn put_le(&self, put: impl FnOnce(&[u8])) {
        match self {
            Self::U32(v) => put(&v.to_le_bytes()),
            Self::F32(v) => put(&v.to_le_bytes()),
            Self::F64(v) => put(&v.to_le_bytes()),
        }
    }

    /// Whether it is neither NaN nor infinite.
    pub const fn is_finite(&self) -> bool {
        match self {
            Self::U32(_) => true,
            Self::F32(v) => v.is_finite(),
            Self::F64(v) => v.is_finite(),
        }
    }
}

const fn u32<'a>(name: &'static str, about: &'static str, v: &'a mut u32) -> Field<'a> {
    Field { name, about, value: Number::U32(v) }
}

const fn f32<'a>(name: &'static str, about: &'static str, v: &'a mut f32) -> Field<'a> {
    Field { name, about, value: Number::F32(v) }
}

const fn f64<'a>(name: &'static str, about: &'static str, v: &'a mut f64) -> Field<'a> {
    Field { name, about, value: Number::F64(v) }
}

// The patterns below name every field without `..`: a new one does not compile until it is listed.

impl Pose {
    /// All its numbers, in the order of the wire.
    pub const fn fields(&mut self) -> [Field<'_>; 6] {
        let Self { x_m, y_m, z_m, yaw_rad, pitch_rad, roll_rad } = self;
        [
            f64("x_m", "CARLA x, metres", x_m),
            f64("y_m", "CARLA y, metres", y_m),
            f64("z_m", "up, metres", z_m),
            f64("yaw_rad", "clockwise seen from above, radians", yaw_rad),
            f64("pitch_rad", "nose up, radians", pitch_rad),
            f64("roll_rad", "right side down, radians", roll_rad),
        ]
    }
}

impl EgoState {
    /// Its numbers but for those of its pose, in the order of the wire.
    pub const fn fields(&mut self) -> [Field<'_>; 3] {
        let Self { speed_mps, accel_mps2, yaw_rate_radps, pose: _ } = self;
        [
            f32("speed_mps", "speed along the vehicle, m/s", speed_mps),
            f32("accel_mps2", "acceleration along the vehicle, m/s²", accel_mps2),
            f32("yaw_rate_radps", "clockwise, rad/s", yaw_rate_radps),
        ]
    }
}

impl Truth {
    /// All its numbers, in the order of the wire.
    pub const fn fields(&mut self) -> [Field<'_>; 10] {
        let Self {
            expert_steer,
            expert_speed_mps,
            lane_deviation_m,
            heading_error_rad,
            curvature_1pm,
            route_length_m,
            route_completion,
            off_road_m,
            collisions,
            lane_invasions,
        } = self;
        [
            f32("expert_steer", "the expert's clean steer, CARLA scale", expert_steer),
            f32("expert_speed_mps", "the expert's target speed, m/s", expert_speed_mps),
            f32(
                "lane_deviation_m",
                "from the route's lane centre, right is positive",
                lane_deviation_m,
            ),
            f32("heading_error_rad", "yaw less the lane's, clockwise", heading_error_rad),
            f32("curvature_1pm", "of the route here, right turn positive", curvature_1pm),
            f32("route_length_m", "whole length of the route", route_length_m),
            f32("route_completion", "share of the route driven, 0 to 100", route_completion),
            f32("off_road_m", "driven so far off the road surface", off_road_m),
            u32("collisions", "so far", collisions),
            u32("lane_invasions", "markings crossed so far", lane_invasions),
        ]
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_written_field_is_the_one_named() {
        let mut truth = Truth::default();
        for (k, field) in truth.fields().into_iter().enumerate() {
            match field.value {
                Number::U32(v) => *v = k as u32,
                Number::F32(v) => *v = k as f32,
                Number::F64(v) => *v = k as f64,
            }
        }
        // serde knows the names on its own.
        let json = serde_json::to_value(truth).unwrap();
        for (k, field) in truth.fields().iter().enumerate() {
            assert_eq!(json[field.name].as_f64(), Some(k as f64), "{}", field.name);
        }
        assert_eq!(json.as_object().map(|o| o.len()), Some(truth.fields().len()));
    }

    #[test]
    fn bytes_are_little_endian_and_keep_the_bits_of_a_nan() {
        let nan = f32::from_bits(0x7fc0_1234);
        let mut ego = EgoState { speed_mps: nan, ..EgoState::default() };
        ego.pose.y_m = -0.0;
        let bytes = |fields: &[Field<'_>]| {
            let mut out = Vec::new();
            for field in fields {
                field.value.put_le(|b| out.extend_from_slice(b));
            }
            out
        };
        assert_eq!(bytes(&ego.fields())[..5], [0x34, 0x12, 0xc0, 0x7f, 0]);
        assert_eq!(bytes(&ego.pose.fields())[8..16], (-0.0f64).to_le_bytes());
        assert!(!ego.is_finite());
    }
}
