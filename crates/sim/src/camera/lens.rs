//! What lens and sensor do to a finished picture: the picture's faults.

use std::sync::Arc;

use caril_core::{CounterRng, Image, Mount};

use super::blur::Blur;
use crate::fault::{CameraFault, FaultSpec};

/// Spoils pictures as its faults say. Allocates only at the first picture of a size.
pub struct Lens {
    faults: Vec<FaultSpec>,
    seed: u64,
    spots: Vec<Spot>,
    /// Rows that somebody looks at; what takes long may leave the others as they are. `None`: all.
    pub(crate) seen_rows: Option<Arc<[bool]>>,
    blur: Blur,
}

/// Dirt, in shares of the picture's width and height.
#[derive(Debug, Clone, Copy)]
struct Spot {
    at: [f32; 2],
    radius: f32,
    cover: f32,
}

const DIRT: [f32; 3] = [70.0, 62.0, 50.0];
const SALT: u64 = 0x1E45;

impl Lens {
    /// A lens with those of the faults that are its own. The seed decides spots, casts and
    /// directions; with the frame's id, the noise.
    pub fn new(faults: &[FaultSpec], seed: u64) -> Self {
        let mut rng = CounterRng::new(seed ^ SALT, 1);
        let dirt = severity(faults, CameraFault::Dirt);
        let count = if dirt > 0.0 { 4 + (20.0 * dirt) as usize } else { 0 };
        let spots = (0..count)
            .map(|_| Spot {
                at: [rng.uniform() as f32, rng.uniform() as f32],
                radius: rng.range(0.015, 0.03 + 0.09 * f64::from(dirt)) as f32,
                cover: rng.range(0.4, 0.97) as f32,
            })
            .collect();
        Self { faults: faults.to_vec(), seed, spots, seen_rows: None, blur: Blur::default() }
    }

    /// Where the camera really is and points.
    pub fn mount(&self, mount: &Mount) -> Mount {
        let mut rng = CounterRng::new(self.seed ^ SALT, 2);
        let mut sign = || if rng.uniform() < 0.5 { -1.0 } else { 1.0 };
        Mount {
            yaw_deg: mount.yaw_deg + 8.0 * sign() * severity(&self.faults, CameraFault::YawOffset),
            pitch_deg: mount.pitch_deg
                + 5.0 * sign() * severity(&self.faults, CameraFault::PitchOffset),
            ..*mount
        }
    }

    /// Whether a row of the spoilt picture depends on other rows.
    pub(crate) fn mixes_rows(&self) -> bool {
        severity(&self.faults, CameraFault::Blur) > 0.0
    }

    /// Spoils a picture of a (consistent) size.
    pub fn spoil(&mut self, image: &mut Image, frame_id: u64) {
        if !image.is_consistent() {
            return;
        }
        for i in 0..self.faults.len() {
            let Some(&FaultSpec { fault, severity }) = self.faults.get(i) else { return };
            if severity <= 0.0 {
                continue;
            }
            match fault {
                CameraFault::Noise => {
                    let rows = self.seen_rows.as_deref();
                    noise(image, severity, self.seed ^ SALT, frame_id, rows);
                }
                CameraFault::Blur => self.blur.spoil(image, severity),
                CameraFault::Dirt => self.dirt(image),
                CameraFault::Overexposed => gain(image, [1.0 + 3.0 * severity; 3]),
                CameraFault::Underexposed => gain(image, [1.0 / (1.0 + 7.0 * severity); 3]),
                CameraFault::ColorCast => {
                    let mut rng = CounterRng::new(self.seed ^ SALT, 3);
                    // One channel up, one down, the third between.
                    let first = rng.below(3) as usize;
                    let second = (first + 1 + rng.below(2) as usize) % 3;
                    let mut by = [1.0 + 0.2 * severity * (rng.uniform() as f32 - 0.5); 3];
                    for (c, v) in by.iter_mut().enumerate() {
                        if c == first {
                            *v = 1.0 + 0.5 * severity;
                        } else if c == second {
                            *v = 1.0 - 0.5 * severity;
                        }
                    }
                    gain(image, by);
                }
                _ => {}
            }
        }
    }

    fn dirt(&self, image: &mut Image) {
        let (w, h) = (image.width as usize, image.height as usize);
        let (bytes, rgb) = (image.order.bytes_per_pixel(), image.order.rgb_offsets());
        for s in &self.spots {
            let r = s.radius * w as f32;
            let (cx, cy) = (s.at[0] * w as f32, s.at[1] * h as f32);
            let range = |c: f32, n: usize| {
                let lo = (c - r).clamp(0.0, n as f32) as usize;
                (lo, ((c + r).clamp(0.0, n as f32) as usize + 1).min(n))
            };
            let ((x0, x1), (y0, y1)) = (range(cx, w), range(cy, h));
            for y in y0..y1 {
                let Some(row) = image.data.get_mut((y * w + x0) * bytes..(y * w + x1) * bytes)
                else {
                    continue;
                };
                for (i, p) in row.chunks_exact_mut(bytes).enumerate() {
                    let (dx, dy) = ((x0 + i) as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
                    let d = (1.0 - (dx * dx + dy * dy) / (r * r)).max(0.0);
                    // Opaque in the middle, soft at the rim.
                    let a = s.cover * (2.0 * d).min(1.0);
                    for (c, k) in rgb.iter().zip(DIRT) {
                        if let Some(v) = p.get_mut(*c) {
                            *v = (f32::from(*v) * (1.0 - a) + k * a + 0.5) as u8;
                        }
                    }
                }
            }
        }
    }
}

fn severity(faults: &[FaultSpec], of: CameraFault) -> f32 {
    faults.iter().filter(|f| f.fault == of).fold(0.0, |m: f32, f| m.max(f.severity.clamp(0.0, 1.0)))
}

fn gain(image: &mut Image, by: [f32; 3]) {
    let rgb = image.order.rgb_offsets();
    for p in image.data.chunks_exact_mut(image.order.bytes_per_pixel()) {
        for (c, k) in rgb.iter().zip(by) {
            if let Some(v) = p.get_mut(*c) {
                *v = (f32::from(*v) * k + 0.5).min(255.0) as u8;
            }
        }
    }
}

fn noise(image: &mut Image, severity: f32, seed: u64, frame_id: u64, rows: Option<&[bool]>) {
    let mut rng = CounterRng::new(seed, frame_id.wrapping_add(16));
    let rgb = image.order.rgb_offsets();
    let bytes = image.order.bytes_per_pixel();
    let width = image.width as usize;
    // The sum of two bytes has a deviation of 104.
    let scale = severity * 50.0 / 104.0;
    for (y, row) in image.data.chunks_exact_mut(width * bytes).enumerate() {
        if rows.is_some_and(|rows| rows.get(y) == Some(&false)) {
            rng.skip(width as u64);
            continue;
        }
        for p in row.chunks_exact_mut(bytes) {
            let b = rng.next_u64().to_le_bytes();
            for (c, pair) in rgb.iter().zip(b.chunks_exact(2)) {
                let n = pair.iter().map(|v| f32::from(*v)).sum::<f32>() - 255.0;
                if let Some(v) = p.get_mut(*c) {
                    *v = (f32::from(*v) + n * scale + 0.5).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}
