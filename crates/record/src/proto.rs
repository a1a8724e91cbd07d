//! The two protobuf messages that a recording holds, `foxglove.CompressedImage` and
//! `foxglove.FrameTransform`, written by hand: five wire rules are less than a dependency.

use caril_core::Pose;

use crate::bytes::Bytes;

/// Names and contents of the schemas.
pub(crate) const IMAGE_SCHEMA: &str = "foxglove.CompressedImage";
pub(crate) const POSE_SCHEMA: &str = "foxglove.FrameTransform";

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LEN: u32 = 2;

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn number(out: &mut Vec<u8>, field: u32, v: u64) {
    tag(out, field, VARINT);
    varint(out, v);
}

fn double(out: &mut Vec<u8>, field: u32, v: f64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&v.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u32, v: &[u8]) {
    tag(out, field, LEN);
    varint(out, v.len() as u64);
    out.extend_from_slice(v);
}

fn message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(out, field, &inner);
}

fn timestamp(out: &mut Vec<u8>, field: u32, ns: u64) {
    message(out, field, |m| {
        number(m, 1, ns / 1_000_000_000);
        number(m, 2, ns % 1_000_000_000);
    });
}

/// `foxglove.CompressedImage` at `time_ns` in the coordinate frame `camera`.
pub(crate) fn compressed_image(out: &mut Vec<u8>, time_ns: u64, format: &str, data: &[u8]) {
    out.clear();
    timestamp(out, 1, time_ns);
    bytes(out, 4, b"camera");
    bytes(out, 3, format.as_bytes());
    bytes(out, 2, data);
}

/// Format and data of a `foxglove.CompressedImage`; `None` if it is none.
pub(crate) fn read_compressed_image(message: &[u8]) -> Option<(&str, &[u8])> {
    let mut rest = Bytes::new(message);
    let (mut format, mut data) = (None, None);
    while !rest.is_empty() {
        let key = rest.varint()?;
        let field = key >> 3;
        match (key & 7) as u32 {
            VARINT => drop(rest.varint()?),
            FIXED64 => drop(rest.take(8)?),
            LEN => {
                let len = usize::try_from(rest.varint()?).ok()?;
                let value = rest.take(len)?;
                match field {
                    2 => data = Some(value),
                    3 => format = std::str::from_utf8(value).ok(),
                    _ => {}
                }
            }
            _ => return None,
        }
    }
    Some((format?, data?))
}

/// `foxglove.FrameTransform` from `map` to `ego`. Foxglove's axes are right-handed (y left, yaw
/// anticlockwise), CARLA's are not.
pub(crate) fn frame_transform(out: &mut Vec<u8>, time_ns: u64, pose: &Pose) {
    out.clear();
    timestamp(out, 1, time_ns);
    bytes(out, 2, b"map");
    bytes(out, 3, b"ego");
    message(out, 4, |m| {
        double(m, 1, pose.x_m);
        double(m, 2, -pose.y_m);
        double(m, 3, pose.z_m);
    });
    // Nose up is a negative turn about the left axis; right side down a positive one about x.
    let half = |a: f64| libm::sincos(a * 0.5);
    let ((sr, cr), (sp, cp), (sy, cy)) =
        (half(pose.roll_rad), half(-pose.pitch_rad), half(-pose.yaw_rad));
    message(out, 5, |m| {
        double(m, 1, sr * cp * cy - cr * sp * sy);
        double(m, 2, cr * sp * cy + sr * cp * sy);
        double(m, 3, cr * cp * sy - sr * sp * cy);
        double(m, 4, cr * cp * cy + sr * sp * sy);
    });
}

/// `FileDescriptorSet` of `foxglove.CompressedImage`.
pub(crate) fn image_descriptor() -> Vec<u8> {
    let mut set = Vec::new();
    timestamp_file(&mut set);
    file(&mut set, "foxglove/CompressedImage.proto", "foxglove", &[TIMESTAMP], |m| {
        struct_type(
            m,
            "CompressedImage",
            &[
                ("timestamp", 1, Kind::Message(".google.protobuf.Timestamp")),
                ("frame_id", 4, Kind::String),
                ("data", 2, Kind::Bytes),
                ("format", 3, Kind::String),
            ],
        );
    });
    set
}

/// `FileDescriptorSet` of `foxglove.FrameTransform`.
pub(crate) fn pose_descriptor() -> Vec<u8> {
    let (vector, quaternion) = ("foxglove/Vector3.proto", "foxglove/Quaternion.proto");
    let xyz = [("x", 1, Kind::Double), ("y", 2, Kind::Double), ("z", 3, Kind::Double)];
    let mut set = Vec::new();
    timestamp_file(&mut set);
    file(&mut set, vector, "foxglove", &[], |m| struct_type(m, "Vector3", &xyz));
    file(&mut set, quaternion, "foxglove", &[], |m| {
        let [x, y, z] = xyz;
        struct_type(m, "Quaternion", &[x, y, z, ("w", 4, Kind::Double)]);
    });
    let needs = [quaternion, vector, TIMESTAMP];
    file(&mut set, "foxglove/FrameTransform.proto", "foxglove", &needs, |m| {
        struct_type(
            m,
            "FrameTransform",
            &[
                ("timestamp", 1, Kind::Message(".google.protobuf.Timestamp")),
                ("parent_frame_id", 2, Kind::String),
                ("child_frame_id", 3, Kind::String),
                ("translation", 4, Kind::Message(".foxglove.Vector3")),
                ("rotation", 5, Kind::Message(".foxglove.Quaternion")),
            ],
        );
    });
    set
}

const TIMESTAMP: &str = "google/protobuf/timestamp.proto";

/// Type of a field, as `FieldDescriptorProto` numbers them.
#[derive(Clone, Copy)]
enum Kind {
    Double,
    Int64,
    Int32,
    String,
    Bytes,
    Message(&'static str),
}

fn timestamp_file(set: &mut Vec<u8>) {
    file(set, TIMESTAMP, "google.protobuf", &[], |m| {
        struct_type(m, "Timestamp", &[("seconds", 1, Kind::Int64), ("nanos", 2, Kind::Int32)]);
    });
}

fn file(
    set: &mut Vec<u8>,
    name: &str,
    package: &str,
    needs: &[&str],
    types: impl FnOnce(&mut Vec<u8>),
) {
    message(set, 1, |m| {
        bytes(m, 1, name.as_bytes());
        bytes(m, 2, package.as_bytes());
        needs.iter().for_each(|n| bytes(m, 3, n.as_bytes()));
        types(m);
        bytes(m, 12, b"proto3");
    });
}

fn struct_type(file: &mut Vec<u8>, name: &str, fields: &[(&str, u64, Kind)]) {
    const OPTIONAL: u64 = 1;
    message(file, 4, |m| {
        bytes(m, 1, name.as_bytes());
        for (name, field, kind) in fields {
            message(m, 2, |f| {
                bytes(f, 1, name.as_bytes());
                number(f, 3, *field);
                number(f, 4, OPTIONAL);
                let code = match kind {
                    Kind::Double => 1,
                    Kind::Int64 => 3,
                    Kind::Int32 => 5,
                    Kind::String => 9,
                    Kind::Message(_) => 11,
                    Kind::Bytes => 12,
                };
                number(f, 5, code);
                if let Kind::Message(name) = kind {
                    bytes(f, 6, name.as_bytes());
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_message_reads_back_and_garbage_does_not() {
        let mut out = vec![1, 2, 3];
        compressed_image(&mut out, 12_345_678_901, "jpeg", b"data");
        assert_eq!(read_compressed_image(&out), Some(("jpeg", &b"data"[..])));
        for cut in 1..out.len() {
            assert_ne!(read_compressed_image(&out[..cut]), Some(("jpeg", &b"data"[..])));
        }
        assert_eq!(read_compressed_image(&[0xff; 40]), None);
    }

    #[test]
    fn yaw_clockwise_is_negative_about_up() {
        let mut out = Vec::new();
        let pose = Pose { yaw_rad: 1.0, ..Pose::default() };
        frame_transform(&mut out, 0, &pose);
        let w = f64::from_le_bytes(out[out.len() - 8..].try_into().unwrap());
        let z = f64::from_le_bytes(out[out.len() - 17..out.len() - 9].try_into().unwrap());
        assert!((w - 0.5f64.cos()).abs() < 1e-12 && (z + 0.5f64.sin()).abs() < 1e-12);
    }
}
