//! One frame: what the plant sends, and the controller sees, at one instant.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{CameraSpec, NavCommand, PixelOrder};

/// Number of a frame within an episode, given by the plant, rising.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FrameId(pub u64);

/// An image in memory: rows from the top, no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Order of the channels.
    pub order: PixelOrder,
    /// `width · height · order.bytes_per_pixel()` bytes.
    pub data: Vec<u8>,
}

impl Image {
    /// A black image as the camera delivers it.
    pub fn for_camera(camera: &CameraSpec) -> Self {
        Self {
            width: camera.width,
            height: camera.height,
            order: camera.order,
            data: alloc::vec![0; camera.image_bytes()],
        }
    }

    /// Whether `data` has exactly the bytes that size and order ask for.
    pub fn is_consistent(&self) -> bool {
        let pixels = self.width as usize * self.height as usize;
        self.width <= CameraSpec::MAX_SIDE
            && self.height <= CameraSpec::MAX_SIDE
            && self.data.len() == pixels * self.order.bytes_per_pixel()
    }
}

/// What the gate wants to know of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageCheck {
    /// Mean brightness of the samples, 0–255.
    pub mean_luma: f32,
    /// Equal for equal samples; different pictures differ but by rare accident.
    pub fingerprint: u64,
    /// Size and bytes do not fit together, or there is no pixel.
    pub malformed: bool,
}

impl ImageCheck {
    /// Of what is no picture.
    pub const MALFORMED: Self = Self { mean_luma: 0.0, fingerprint: 0, malformed: true };
}

/// Position and attitude of a body in the world, CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pose {
    /// East of the map's origin, metres.
    pub x_m: f64,
    /// South of it (CARLA's y), metres.
    pub y_m: f64,
    /// Up, metres.
    pub z_m: f64,
    /// Clockwise seen from above, 0 along +x, radians.
    pub yaw_rad: f64,
    /// Nose up is positive, radians.
    pub pitch_rad: f64,
    /// Right side down is positive, radians.
    pub roll_rad: f64,
}

/// What the vehicle's own sensors know.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EgoState {
    /// Along the vehicle, metres per second; backwards is negative.
    pub speed_mps: f32,
    /// Along the vehicle, m/s².
    pub accel_mps2: f32,
    /// Clockwise, radians per second.
    pub yaw_rate_radps: f32,
    /// Where it is (odometry or ground truth; the policy does not use it).
    pub pose: Pose,
}

impl EgoState {
    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        let mut ego = *self;
        ego.fields().iter().all(|f| f.value.is_finite())
            && ego.pose.fields().iter().all(|f| f.value.is_finite())
    }
}

/// Why an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EndReason {
    /// Within 4 m of the route's end.
    GoalReached = 1,
    /// More than ten collisions.
    Collisions = 2,
    /// Stood still for 120 s.
    Blocked = 3,
    /// Too far from the route to be driving it.
    LeftRoute = 4,
    /// Out of time.
    Timeout = 5,
    /// The asked number of frames was driven.
    FrameLimit = 6,
    /// Stopped by its user.
    Stopped = 7,
}

impl EndReason {
    /// From its wire code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::GoalReached,
            2 => Self::Collisions,
            3 => Self::Blocked,
            4 => Self::LeftRoute,
            5 => Self::Timeout,
            6 => Self::FrameLimit,
            7 => Self::Stopped,
            _ => return None,
        })
    }
}

/// What only the plant can know: labels for learning and marks for judging. The controller
/// records it and must never act on it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Truth {
    /// The expert's clean steer for this frame, CARLA scale [−1, 1].
    pub expert_steer: f32,
    /// The expert's target speed, m/s.
    pub expert_speed_mps: f32,
    /// Distance of the vehicle's origin from the route's lane centre, metres, right is positive.
    pub lane_deviation_m: f32,
    /// Vehicle's yaw less the lane's, radians, clockwise positive.
    pub heading_error_rad: f32,
    /// Curvature of the route here, 1/m, right turn positive.
    pub curvature_1pm: f32,
    /// Whole length of the route, metres.
    pub route_length_m: f32,
    /// Share of the route driven, 0–100.
    pub route_completion: f32,
    /// Distance driven so far off the road surface, metres.
    pub off_road_m: f32,
    /// Collisions so far.
    pub collisions: u32,
    /// Lane markings crossed so far where the route does not cross them.
    pub lane_invasions: u32,
}

/// One frame. The loop owns one and [`crate::World::observe`] fills it in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its number.
    pub id: FrameId,
    /// Time in the plant when the picture was taken, nanoseconds since the episode began.
    pub sim_time_ns: u64,
    /// Local monotonic time when it arrived here, nanoseconds.
    pub received_ns: u64,
    /// The picture.
    pub image: Image,
    /// The vehicle's own sensors.
    pub ego: EgoState,
    /// The navigation's command.
    pub nav: NavCommand,
    /// The navigation's advisory speed: the legal limit, lowered for the bend or junction ahead
    /// that its map knows, m/s. NaN if the plant has no such map.
    pub advisory_speed_mps: f32,
    /// Ground truth, where the plant has it.
    pub truth: Option<Truth>,
}

impl Frame {
    /// An empty frame with memory for the camera's image.
    pub fn for_camera(camera: &CameraSpec) -> Self {
        Self {
            id: FrameId(0),
            sim_time_ns: 0,
            received_ns: 0,
            image: Image::for_camera(camera),
            ego: EgoState::default(),
            nav: NavCommand::Follow,
            advisory_speed_mps: f32::NAN,
            truth: None,
        }
    }
}
