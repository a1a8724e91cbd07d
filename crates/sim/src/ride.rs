//! How a car stands on the ground: height, pitch and roll from the surfaces under its wheels.

use caril_core::Pose;
use caril_road::{LaneType, RoadMap};

use crate::vehicle::{TRACK_M, Vehicle, WHEELBASE_M};

/// Whether cars may roll on it.
pub fn is_road(kind: LaneType) -> bool {
    use LaneType::{Biking, Driving, Parking, Shoulder};
    matches!(kind, Driving | Parking | Shoulder | Biking)
}

/// Puts `pose` where the car is, with height, pitch and roll by the ground under its wheels,
/// `dt_s` after the last look (springs take some 150 ms; a long time settles at once). Says
/// whether a wheel is beyond what cars may roll on.
pub fn follow_ground(map: &RoadMap, car: &Vehicle, pose: &mut Pose, dt_s: f64) -> bool {
    pose.x_m = car.x_m;
    pose.y_m = car.y_m;
    pose.yaw_rad = car.yaw_rad;
    let hint = pose.z_m + car.speed_mps * dt_s * libm::sin(pose.pitch_rad);
    let mut heights = [hint; 4];
    let mut all = true;
    let mut off = false;
    for (height, (x, y)) in heights.iter_mut().zip(car.wheels()) {
        match map.surface(x, y, hint) {
            Some(surface) => {
                *height = surface.z_m;
                off |= !is_road(surface.lane_type);
            }
            None => {
                all = false;
                off = true;
            }
        }
    }
    // Beyond the map's surfaces the land is as high and as steep as where they ended.
    if all {
        let [fl, fr, rl, rr] = heights;
        let pitch = libm::atan2((fl + fr - rl - rr) / 2.0, WHEELBASE_M);
        let roll = libm::atan2((fl + rl - fr - rr) / 2.0, TRACK_M);
        // Springs: steps (kerbs, lanes that do not quite meet) take some 150 ms.
        let share = 1.0 - libm::exp(-dt_s / 0.15);
        pose.z_m = hint + share * ((fl + fr + rl + rr) / 4.0 - hint);
        pose.pitch_rad += share * (pitch - pose.pitch_rad);
        pose.roll_rad += share * (roll - pose.roll_rad);
    } else {
        pose.z_m = hint;
    }
    off
}
