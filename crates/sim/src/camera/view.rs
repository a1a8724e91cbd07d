//! Where the camera is and how a ray leaves each pixel.

use caril_core::{CameraSpec, Mount, Pose};

type V = [f64; 3];

/// Forward, right and up of a body in the world.
pub(crate) fn axes(yaw: f64, pitch: f64, roll: f64) -> [V; 3] {
    let (sy, cy) = (libm::sin(yaw), libm::cos(yaw));
    let (sp, cp) = (libm::sin(pitch), libm::cos(pitch));
    let (sr, cr) = (libm::sin(roll), libm::cos(roll));
    // Columns of CARLA's (Unreal's) rotation: forward, right, up.
    [
        [cp * cy, cp * sy, sp],
        [sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp],
        [-(cr * sp * cy + sr * sy), cy * sr - cr * sp * sy, cr * cp],
    ]
}

fn combine(base: &[V; 3], v: V) -> V {
    [0, 1, 2].map(|i| base[0][i] * v[0] + base[1][i] * v[1] + base[2][i] * v[2])
}

/// A pinhole camera in the world: pixel (i, j) has the ray
/// `forward + (i + 0.5 − cx)/focal · right + (j + 0.5 − cy)/focal · down`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub eye: V,
    pub forward: [f32; 3],
    pub right: [f32; 3],
    pub down: [f32; 3],
    pub focal: f32,
    pub center: [f32; 2],
    pub size: [usize; 2],
}

impl View {
    /// The view of a camera on a vehicle.
    pub(crate) fn new(spec: &CameraSpec, mount: &Mount, pose: &Pose) -> Self {
        let body = axes(pose.yaw_rad, pose.pitch_rad, pose.roll_rad);
        let head = axes(
            f64::from(mount.yaw_deg).to_radians(),
            f64::from(mount.pitch_deg).to_radians(),
            0.0,
        );
        let offset =
            combine(&body, [f64::from(mount.x_m), f64::from(mount.y_m), f64::from(mount.z_m)]);
        let [forward, right, up] = head.map(|v| combine(&body, v).map(|c| c as f32));
        Self {
            eye: [pose.x_m + offset[0], pose.y_m + offset[1], pose.z_m + offset[2]],
            forward,
            right,
            down: up.map(|c| -c),
            focal: spec.focal_px(),
            center: [spec.width as f32 * 0.5, spec.height as f32 * 0.5],
            size: [spec.width as usize, spec.height as usize],
        }
    }

    /// Into the camera's axes: right, down, forward.
    #[inline(always)]
    pub(crate) fn camera(&self, p: [f32; 3]) -> [f32; 3] {
        let d = |a: &[f32; 3]| p[0] * a[0] + p[1] * a[1] + p[2] * a[2];
        [d(&self.right), d(&self.down), d(&self.forward)]
    }

    /// A function `g · ray` of the pixel: value at (0, 0), per column, per row.
    #[inline(always)]
    pub(crate) fn along_rays(&self, g: [f32; 3]) -> [f32; 3] {
        let [r, d, f] = self.camera(g);
        let k = 1.0 / self.focal;
        [f + (0.5 - self.center[0]) * k * r + (0.5 - self.center[1]) * k * d, k * r, k * d]
    }

    /// A place relative to the eye.
    #[inline(always)]
    pub(crate) fn relative(&self, origin: V) -> [f32; 3] {
        [0, 1, 2].map(|i: usize| (origin[i] - self.eye[i]) as f32)
    }

    /// Whether a sphere (relative to the eye) may be in the picture.
    pub(crate) fn sees(&self, center: [f32; 3], radius: f32) -> bool {
        let [x, y, z] = self.camera(center);
        let (hx, hy) = (self.center[0] / self.focal, self.center[1] / self.focal);
        // Distance behind each side plane of the frustum.
        let side = |a: f32, h: f32| (a.abs() - h * z) <= radius * (1.0 + h * h).sqrt();
        z > -radius && side(x, hx) && side(y, hy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_carlas() {
        let near = |a: V, b: V| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-12);
        let h = core::f64::consts::FRAC_PI_2;
        // Yaw clockwise from above: x turns to y (south); the right of south is west.
        assert!(near(axes(h, 0.0, 0.0)[0], [0.0, 1.0, 0.0]));
        assert!(near(axes(h, 0.0, 0.0)[1], [-1.0, 0.0, 0.0]));
        assert!(near(axes(0.0, h, 0.0)[0], [0.0, 0.0, 1.0]), "nose up");
        assert!(near(axes(0.0, 0.0, h)[1], [0.0, 0.0, -1.0]), "right side down");
    }
}
