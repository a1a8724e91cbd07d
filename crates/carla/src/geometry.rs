//! Between CARLA's transforms (metres, degrees) and our poses (radians).

use caril_core::Pose;
use rmpv::Value;

use crate::wire::{Fields, Trouble, list};

/// Further from the origin than this nothing can be put, metres: `f32` still resolves a
/// millimetre or so.
const FAR_M: f64 = 100_000.0;

/// `[[x, y, z], [pitch, yaw, roll]]` as a pose.
///
/// # Errors
/// If it is none, or lies absurdly far away.
pub fn read_transform(f: &Fields<'_>) -> Result<Pose, Trouble> {
    let [x_m, y_m, z_m] = read_location(f, 0)?;
    let [pitch, yaw, roll] = f.vector(1)?;
    // Whole turns would lose precision later.
    let radians = |deg: f64| libm::fmod(deg, 360.0).to_radians();
    Ok(Pose {
        x_m,
        y_m,
        z_m,
        yaw_rad: radians(yaw),
        pitch_rad: radians(pitch),
        roll_rad: radians(roll),
    })
}

/// A place.
///
/// # Errors
/// If it is none, or lies absurdly far away.
pub fn read_location(f: &Fields<'_>, i: usize) -> Result<[f64; 3], Trouble> {
    let at = f.vector(i)?;
    if at.iter().any(|v| v.abs() > FAR_M) {
        return Err("location out of the world".into());
    }
    Ok(at)
}

/// x, y, z in metres, pitch, yaw, roll in degrees.
pub fn transform_of(p: &Pose) -> [f32; 6] {
    [
        p.x_m as f32,
        p.y_m as f32,
        p.z_m as f32,
        p.pitch_rad.to_degrees() as f32,
        p.yaw_rad.to_degrees() as f32,
        p.roll_rad.to_degrees() as f32,
    ]
}

/// A pose as a value of the wire.
pub fn transform_value(p: &Pose) -> Value {
    let [x, y, z, pitch, yaw, roll] = transform_of(p);
    Value::Array(vec![list([x, y, z]), list([pitch, yaw, roll])])
}

/// Forward, right and up of a body in the world, as CARLA turns it.
pub fn axes(p: &Pose) -> [[f64; 3]; 3] {
    let (sy, cy) = (libm::sin(p.yaw_rad), libm::cos(p.yaw_rad));
    let (sp, cp) = (libm::sin(p.pitch_rad), libm::cos(p.pitch_rad));
    let (sr, cr) = (libm::sin(p.roll_rad), libm::cos(p.roll_rad));
    [
        [cp * cy, cp * sy, sp],
        [sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp],
        [-(cr * sp * cy + sr * sy), cy * sr - cr * sp * sy, cr * cp],
    ]
}

/// A vector of a body, seen from the world.
pub fn to_world(axes: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    let [f, r, u] = axes;
    [0, 1, 2].map(|i: usize| f[i] * v[0] + r[i] * v[1] + u[i] * v[2])
}

/// Where something is that is fixed to `base` at `relative`.
pub fn compose(base: &Pose, relative: &Pose) -> Pose {
    let outer = axes(base);
    let [x, y, z] = to_world(&outer, [relative.x_m, relative.y_m, relative.z_m]);
    let [forward, right, up] = axes(relative).map(|a| to_world(&outer, a));
    Pose {
        x_m: base.x_m + x,
        y_m: base.y_m + y,
        z_m: base.z_m + z,
        yaw_rad: libm::atan2(forward[1], forward[0]),
        pitch_rad: libm::asin(forward[2].clamp(-1.0, 1.0)),
        roll_rad: libm::atan2(-right[2], up[2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composing_with_nothing_changes_nothing_and_yaw_turns_the_mount() {
        let base =
            Pose { x_m: 3.0, y_m: -2.0, z_m: 1.0, yaw_rad: 0.7, pitch_rad: 0.2, roll_rad: -0.1 };
        let same = compose(&base, &Pose::default());
        for (a, b) in transform_of(&same).iter().zip(transform_of(&base)) {
            assert!((a - b).abs() < 1e-5);
        }
        let east = Pose { yaw_rad: core::f64::consts::FRAC_PI_2, ..Pose::default() };
        let ahead = compose(&east, &Pose { x_m: 2.0, ..Pose::default() });
        // Clockwise from above: forward of a body that looks along +y.
        assert!((ahead.y_m - 2.0).abs() < 1e-12 && ahead.x_m.abs() < 1e-12);
    }
}
