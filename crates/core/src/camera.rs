//! What a camera is: its size, field of view, mount and pixel order.

use serde::{Deserialize, Serialize};

/// Order of the channels of a pixel, four or three bytes each. Part of the type of every image:
/// CARLA delivers BGRA, picture files are RGB, and a network trained on one fails on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelOrder {
    /// Blue, green, red, alpha: CARLA's raw camera data.
    Bgra,
    /// Red, green, blue.
    Rgb,
}

impl PixelOrder {
    /// Bytes of one pixel.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Bgra => 4,
            Self::Rgb => 3,
        }
    }

    /// Byte offsets of red, green and blue within a pixel.
    pub const fn rgb_offsets(self) -> [usize; 3] {
        match self {
            Self::Bgra => [2, 1, 0],
            Self::Rgb => [0, 1, 2],
        }
    }
}

/// Where the camera sits on the vehicle, relative to the vehicle's origin (on the ground, midway
/// between the axles), CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Forward, metres.
    pub x_m: f32,
    /// To the right, metres.
    pub y_m: f32,
    /// Up, metres.
    pub z_m: f32,
    /// Nose up is positive, degrees.
    pub pitch_deg: f32,
    /// Clockwise seen from above, degrees.
    pub yaw_deg: f32,
}

/// A pinhole camera with CARLA's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSpec {
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Horizontal field of view, degrees.
    pub fov_deg: f32,
    /// Where it sits.
    pub mount: Mount,
    /// Pixel order of the images that it delivers.
    pub order: PixelOrder,
}

impl CameraSpec {
    /// Largest width and height that any part of caril accepts.
    pub const MAX_SIDE: u32 = 4096;

    /// The paper's camera: 448×448, 110°, 1.5 m forward, 2.4 m up, level, BGRA.
    pub const PAPER: Self = Self {
        width: 448,
        height: 448,
        fov_deg: 110.0,
        mount: Mount { x_m: 1.5, y_m: 0.0, z_m: 2.4, pitch_deg: 0.0, yaw_deg: 0.0 },
        order: PixelOrder::Bgra,
    };

    /// Bytes of one image.
    pub const fn image_bytes(&self) -> usize {
        self.width as usize * self.height as usize * self.order.bytes_per_pixel()
    }

    /// Focal length in pixels (square pixels, principal point in the middle).
    pub fn focal_px(&self) -> f32 {
        self.width as f32 / (2.0 * libm::tanf(self.fov_deg.to_radians() / 2.0))
    }

    /// Whether size, field of view and mount are numbers a camera can have.
    pub fn is_valid(&self) -> bool {
        let side = 1..=Self::MAX_SIDE;
        side.contains(&self.width)
            && side.contains(&self.height)
            && (1.0..=170.0).contains(&self.fov_deg)
            && [self.mount.x_m, self.mount.y_m, self.mount.z_m].iter().all(|v| v.abs() <= 100.0)
            && self.mount.pitch_deg.abs() <= 90.0
            && self.mount.yaw_deg.abs() <= 180.0
    }
}

impl Default for CameraSpec {
    fn default() -> Self {
        Self::PAPER
    }
}
