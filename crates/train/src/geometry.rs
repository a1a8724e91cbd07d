//! The view, and the steer, of a car that stands a little beside its place or looks a little
//! aside.

use caril_core::{CameraSpec, InputSpec};

/// Wheelbase and largest wheel angle of the car that CARLA and the embedded world drive.
const WHEELBASE_M: f32 = 2.875;
const WHEEL_MAX_RAD: f32 = 1.221_730_5;
/// The way back of the embedded world's expert: damping, steepest approach, reach over speed, and
/// the lateral acceleration that it allows itself.
const DAMPING: f32 = 0.9;
const APPROACH_MAX_RAD: f32 = 0.4;
const REACH_M: (f32, f32) = (3.0, 0.55);
const LATERAL_MAX_MPS2: f32 = 3.0;

/// Where the car is instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Displacement {
    /// Further to the right, metres.
    pub right_m: f32,
    /// Turned further clockwise, radians.
    pub yaw_rad: f32,
}

impl Displacement {
    /// The normalised steer that leads back, from the one that was right in place: what the
    /// expert's feedback adds for the offset and the angle. Not more than the lateral
    /// acceleration that the expert allows itself, unless the label had more.
    pub fn steer(&self, steer: f32, steer_scale: f32, speed_mps: f32) -> f32 {
        let tangent = libm::tanf(steer * steer_scale * WHEEL_MAX_RAD);
        let reach = REACH_M.0 + REACH_M.1 * speed_mps.max(0.0);
        let approach = -APPROACH_MAX_RAD
            * libm::tanhf(self.right_m / (2.0 * DAMPING * reach * APPROACH_MAX_RAD));
        let back = -2.0 * DAMPING / reach * (self.yaw_rad - approach) * WHEELBASE_M;
        let limit =
            (LATERAL_MAX_MPS2 * WHEELBASE_M / (speed_mps * speed_mps).max(1.0)).max(tangent.abs());
        let wheel = libm::atanf((tangent + back).clamp(-limit, limit));
        (wheel / WHEEL_MAX_RAD / steer_scale).clamp(-1.0, 1.0)
    }
}

/// Draws pictures from displaced places: what is below the horizon lies on flat ground, what is
/// above it is infinitely far.
#[derive(Debug, Clone)]
pub struct View {
    camera: CameraSpec,
    input: InputSpec,
}

impl View {
    /// Of pictures that `input` makes from this camera's.
    pub const fn new(camera: CameraSpec, input: InputSpec) -> Self {
        Self { camera, input }
    }

    /// Changes `rgb` (at the input's size) to what the displaced car would see. `mirrored` says
    /// that the picture is a mirror's already. Pixels that were not in the picture are those of
    /// its rim.
    pub fn displace(&self, rgb: &mut [u8], displacement: Displacement, mirrored: bool) {
        let (columns, rows) = (self.input.width as usize, self.input.height as usize);
        let (camera, mount) = (&self.camera, &self.camera.mount);
        let (w, h) = (camera.width as f32, camera.height as f32);
        let (top, tall) =
            (self.input.crop_top * h, (self.input.crop_bottom - self.input.crop_top) * h);
        let focal = camera.focal_px();
        let (sp, cp) = sin_cos(mount.pitch_deg.to_radians());
        let (sy, cy) = sin_cos(displacement.yaw_rad);
        // Where the camera comes to be, in its old level frame (forward, right).
        let side = if mirrored { -1.0 } else { 1.0 };
        let (x, y) = (mount.x_m, side * mount.y_m);
        let (dx, dy) = (cy * x - sy * y - x, displacement.right_m + sy * x + cy * y - y);
        let (sm, cm) = sin_cos(side * mount.yaw_deg.to_radians());
        let (dx, dy) = (cm * dx + sm * dy, cm * dy - sm * dx);

        let old = rgb.to_vec();
        let pixel = |i: usize, j: usize| {
            let at = (j * columns + i) * 3;
            old.get(at..at + 3).unwrap_or(&[0; 3])
        };
        for (j, row) in rgb.chunks_exact_mut(columns * 3).enumerate() {
            let v = (top + (j as f32 + 0.5) / rows as f32 * tall - 0.5 * h) / focal;
            let (forward, down) = (cp + v * sp, v * cp - sp);
            // Scale of the ray to the ground; 0 stands for infinitely far.
            let far = if down > 1e-4 { mount.z_m / down } else { 0.0 };
            for (i, out) in row.chunks_exact_mut(3).enumerate() {
                let right = ((i as f32 + 0.5) / columns as f32 * w - 0.5 * w) / focal;
                let (mut x, mut y) = (cy * forward - sy * right, sy * forward + cy * right);
                let mut z = down;
                if far > 0.0 {
                    (x, y, z) = (x * far + dx, y * far + dy, mount.z_m);
                }
                let depth = (cp * x - sp * z).max(1e-3);
                let u = (y / depth * focal + 0.5 * w) / w * columns as f32 - 0.5;
                let v = (sp * x + cp * z) / depth * focal + 0.5 * h;
                let v = (v - top) / tall * rows as f32 - 0.5;
                let (u, v) = (u.clamp(0.0, (columns - 1) as f32), v.clamp(0.0, (rows - 1) as f32));
                let (i0, j0) = (u as usize, v as usize);
                let (a, b) = (u - i0 as f32, v - j0 as f32);
                let (i1, j1) = ((i0 + 1).min(columns - 1), (j0 + 1).min(rows - 1));
                let (p00, p10) = (pixel(i0, j0), pixel(i1, j0));
                let (p01, p11) = (pixel(i0, j1), pixel(i1, j1));
                for (c, byte) in out.iter_mut().enumerate() {
                    let upper = f32::from(p00[c]) * (1.0 - a) + f32::from(p10[c]) * a;
                    let lower = f32::from(p01[c]) * (1.0 - a) + f32::from(p11[c]) * a;
                    *byte = (upper * (1.0 - b) + lower * b + 0.5) as u8;
                }
            }
        }
    }
}

fn sin_cos(angle: f32) -> (f32, f32) {
    (libm::sinf(angle), libm::cosf(angle))
}

#[cfg(test)]
mod tests {
    use caril_core::Mount;
    use caril_policy::Architecture;

    use super::*;

    fn input() -> InputSpec {
        Architecture::PilotNet.default_input()
    }

    /// A bright line on the ground parallel to the car, `right_m` from its middle.
    fn line(camera: &CameraSpec, right_m: f32, yaw_rad: f32) -> Vec<u8> {
        let input = input();
        let mut rgb = vec![20; (input.width * input.height * 3) as usize];
        let focal = camera.focal_px();
        for (j, row) in rgb.chunks_exact_mut(input.width as usize * 3).enumerate() {
            let share = (j as f32 + 0.5) / input.height as f32;
            let h = camera.height as f32;
            let v = h * (input.crop_top + share * (input.crop_bottom - input.crop_top)) - 0.5 * h;
            if v <= 4.0 {
                continue;
            }
            let depth = camera.mount.z_m * focal / v;
            for (i, pixel) in row.chunks_exact_mut(3).enumerate() {
                let u = ((i as f32 + 0.5) / input.width as f32 - 0.5) * camera.width as f32;
                // The point on the ground in the frame of the car that does not stand askew.
                let (x, y) = (depth + camera.mount.x_m, u / focal * depth);
                let across = yaw_rad.sin() * x + yaw_rad.cos() * y;
                if (across - right_m).abs() < 0.4 {
                    pixel.fill(220);
                }
            }
        }
        rgb
    }

    fn apart(a: &[u8], b: &[u8]) -> f32 {
        a.iter().zip(b).map(|(x, y)| f32::from(x.abs_diff(*y))).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn a_displaced_picture_is_the_one_drawn_from_there() {
        let camera = CameraSpec::PAPER;
        let view = View::new(camera, input());
        for (right_m, yaw_rad) in [(0.5, 0.0), (-0.4, 0.0), (0.0, 0.05), (0.3, -0.04)] {
            let mut got = line(&camera, 0.2, 0.0);
            let before = got.clone();
            view.displace(&mut got, Displacement { right_m, yaw_rad }, false);
            let want = line(&camera, 0.2 - right_m, yaw_rad);
            let (off, unmoved) = (apart(&got, &want), apart(&before, &want));
            assert!(off < 0.25 * unmoved, "{right_m} {yaw_rad}: {off} of {unmoved}");
        }
    }

    #[test]
    fn nothing_moves_without_displacement_whatever_the_mount() {
        let mount = Mount { pitch_deg: -8.0, yaw_deg: 3.0, y_m: 0.3, ..CameraSpec::PAPER.mount };
        let camera = CameraSpec { mount, ..CameraSpec::PAPER };
        let before = line(&CameraSpec::PAPER, 1.0, 0.02);
        let mut after = before.clone();
        let none = Displacement { right_m: 0.0, yaw_rad: 0.0 };
        View::new(camera, input()).displace(&mut after, none, true);
        assert!(apart(&before, &after) < 0.01, "{}", apart(&before, &after));
    }

    #[test]
    fn steer_leads_back_and_less_so_at_speed() {
        let right = Displacement { right_m: 0.5, yaw_rad: 0.0 };
        let askew = Displacement { right_m: 0.0, yaw_rad: 0.05 };
        for d in [right, askew] {
            let (slow, fast) = (d.steer(0.0, 0.25, 3.0), d.steer(0.0, 0.25, 15.0));
            assert!(slow < fast && fast < -0.005, "{slow} {fast}");
            let mirror = Displacement { right_m: -d.right_m, yaw_rad: -d.yaw_rad };
            assert!((mirror.steer(-0.3, 0.25, 6.0) + d.steer(0.3, 0.25, 6.0)).abs() < 1e-6);
        }
        let none = Displacement { right_m: 0.0, yaw_rad: 0.0 };
        assert!((none.steer(0.4, 0.5, 8.0) - 0.4).abs() < 1e-5);
    }
}
