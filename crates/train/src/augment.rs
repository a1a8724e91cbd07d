//! Random changes of a training picture, a pure function of (picture, generator).

use caril_core::{CameraSpec, CounterRng, InputSpec};

/// How far away flat ground is in every row of the network's picture, metres; infinite at and
/// above the horizon.
pub fn ground_distances(camera: &CameraSpec, input: &InputSpec) -> Vec<f32> {
    let (half_w, half_h) = (0.5 * camera.width as f32, 0.5 * camera.height as f32);
    let focal_px = half_w / libm::tanf(0.5 * camera.fov_deg.to_radians());
    let row = |i: u32| {
        let share = (i as f32 + 0.5) / input.height as f32;
        let v = camera.height as f32
            * (input.crop_top + share * (input.crop_bottom - input.crop_top))
            - half_h;
        let down = libm::atan2f(v, focal_px) - camera.mount.pitch_deg.to_radians();
        if down <= 0.0 { f32::INFINITY } else { camera.mount.z_m / libm::sinf(down) }
    };
    (0..input.height).map(row).collect()
}

/// Changes `rgb` (rows of `width` pixels, ground at `distances_m`) in place: brightness, contrast,
/// gamma, colour cast, a shadow, blur, noise; each with its own chance. Now and then most of the
/// picture is hidden (fog, noise, blots): the label stays, so that the class head learns to be
/// unsure where nothing is to be seen.
pub fn augment(rgb: &mut [u8], width: usize, distances_m: &[f32], rng: &mut CounterRng) {
    if rng.uniform() < 0.15 {
        hide(rgb, width, distances_m, rng);
    }
    tone(rgb, rng);
    if rng.uniform() < 0.25 {
        shadow(rgb, width, rng);
    }
    if rng.uniform() < 0.15 {
        blur(rgb);
    }
    if rng.uniform() < 0.35 {
        noise(rgb, rng.range(2.0, 24.0), rng);
    }
}

/// Hides more or less of a picture: fog, blots, or noise over little contrast.
pub fn hide(rgb: &mut [u8], width: usize, distances_m: &[f32], rng: &mut CounterRng) {
    match (rng.uniform() * 3.0) as u32 {
        0 => fog(rgb, width, distances_m, rng),
        1 => blots(rgb, width, rng),
        _ => {
            flatten(rgb, rng);
            noise(rgb, rng.range(30.0, 140.0), rng);
        }
    }
}

/// Extinction with distance towards one grey.
fn fog(rgb: &mut [u8], width: usize, distances_m: &[f32], rng: &mut CounterRng) {
    // From some 150 m of sight (3 extinction lengths) to 3 m.
    let extinction_1pm = libm::exp(rng.range(libm::log(0.02), libm::log(1.0))) as f32;
    let grey = rng.range(70.0, 235.0) as f32;
    let air: [f32; 3] = std::array::from_fn(|_| grey + rng.range(-8.0, 8.0) as f32);
    for (row, distance) in rgb.chunks_exact_mut(width * 3).zip(distances_m) {
        let clear = libm::expf(-extinction_1pm * distance);
        for pixel in row.chunks_exact_mut(3) {
            for (byte, air) in pixel.iter_mut().zip(&air) {
                *byte = (clear * f32::from(*byte) + (1.0 - clear) * air) as u8;
            }
        }
    }
}

/// Opaque round blots, as dirt on the lens.
fn blots(rgb: &mut [u8], width: usize, rng: &mut CounterRng) {
    let height = rgb.len() / (width * 3).max(1);
    for _ in 0..rng.range(2.0, 14.0) as u32 {
        let (x, y) = (rng.range(0.0, width as f64), rng.range(0.0, height as f64));
        let radius = width as f64 * rng.range(0.03, 0.16);
        let color: [u8; 3] = std::array::from_fn(|_| rng.range(10.0, 120.0) as u8);
        for (j, row) in rgb.chunks_exact_mut(width * 3).enumerate() {
            let reach = radius * radius - (j as f64 - y) * (j as f64 - y);
            if reach <= 0.0 {
                continue;
            }
            let (pixels, _) = row.as_chunks_mut::<3>();
            let from = (x - reach.sqrt()).max(0.0) as usize;
            let to = ((x + reach.sqrt()).max(0.0) as usize).min(pixels.len());
            if let Some(pixels) = pixels.get_mut(from..to) {
                pixels.fill(color);
            }
        }
    }
}

/// Takes contrast away.
fn flatten(rgb: &mut [u8], rng: &mut CounterRng) {
    let (keep, grey) = (rng.range(0.15, 1.0) as f32, rng.range(20.0, 200.0) as f32);
    for byte in rgb {
        *byte = (keep * f32::from(*byte) + (1.0 - keep) * grey) as u8;
    }
}

/// One look-up table per channel.
fn tone(rgb: &mut [u8], rng: &mut CounterRng) {
    let strong = rng.uniform() < 0.3;
    let spread = if strong { 0.45 } else { 0.2 };
    let gain = 1.0 + rng.range(-spread, spread);
    let contrast = 1.0 + rng.range(-spread, spread);
    let gamma = libm::exp(rng.range(-spread, spread));
    let lift = rng.range(-0.08, 0.08);
    let tables: [[u8; 256]; 3] = std::array::from_fn(|_| {
        let cast = 1.0 + rng.range(-0.1, 0.1);
        std::array::from_fn(|i| {
            let v = libm::pow(i as f64 / 255.0, gamma) * gain * cast;
            // The cast saturates at 0 and 255.
            (((v - 0.5) * contrast + 0.5 + lift) * 255.0 + 0.5) as u8
        })
    });
    for pixel in rgb.chunks_exact_mut(3) {
        for (byte, table) in pixel.iter_mut().zip(&tables) {
            *byte = table[usize::from(*byte)];
        }
    }
}

/// Darkens one side of a slanted line.
fn shadow(rgb: &mut [u8], width: usize, rng: &mut CounterRng) {
    let factor = (rng.range(0.45, 0.8) * 256.0) as u16;
    let (at, slope) = (rng.range(0.0, width as f64), rng.range(-3.0, 3.0));
    let right = rng.uniform() < 0.5;
    for (y, row) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let edge = (at + slope * y as f64).clamp(0.0, width as f64) as usize * 3;
        let (left_part, right_part) = row.split_at_mut(edge.min(width * 3));
        for byte in if right { right_part } else { left_part } {
            *byte = ((u16::from(*byte) * factor) >> 8) as u8;
        }
    }
}

/// Three pixels across, 1-2-1.
fn blur(rgb: &mut [u8]) {
    let mut before = [0u16; 3];
    if let Some(first) = rgb.first_chunk::<3>() {
        before = first.map(u16::from);
    }
    let (pixels, _) = rgb.as_chunks_mut::<3>();
    for i in 0..pixels.len().saturating_sub(1) {
        let (here, next) = (pixels[i].map(u16::from), pixels[i + 1].map(u16::from));
        for c in 0..3 {
            pixels[i][c] = ((before[c] + 2 * here[c] + next[c] + 2) >> 2) as u8;
        }
        before = here;
    }
}

/// Triangular noise, eight bytes per random number.
fn noise(rgb: &mut [u8], strength: f64, rng: &mut CounterRng) {
    let strength = strength as i16;
    for eight in rgb.chunks_mut(8) {
        let bits = rng.next_u64().to_le_bytes();
        for (byte, random) in eight.iter_mut().zip(bits) {
            // Two nibbles make −15..15 with most weight at 0.
            let n = i16::from(random & 15) - i16::from(random >> 4);
            *byte = (i16::from(*byte) + n * strength / 16).clamp(0, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_generator_same_picture_other_generator_another() {
        let make = |stream| {
            let mut rgb: Vec<u8> = (0..60 * 20 * 3).map(|i| (i % 200) as u8).collect();
            augment(&mut rgb, 60, &[9.0; 20], &mut CounterRng::new(1, stream));
            rgb
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        let grey = |stream| {
            let mut rgb = vec![128u8; 60 * 20 * 3];
            augment(&mut rgb, 60, &[9.0; 20], &mut CounterRng::new(1, stream));
            rgb.iter().map(|b| f64::from(*b)).sum::<f64>() / rgb.len() as f64
        };
        let means: Vec<f64> = (0..50).map(grey).collect();
        assert!(means.iter().all(|m| (8.0..250.0).contains(m)), "never black or white: {means:?}");
        assert!(means.iter().any(|m| *m < 110.0) && means.iter().any(|m| *m > 146.0));
    }

    #[test]
    fn ground_is_nearer_further_down_and_nowhere_above_the_horizon() {
        let input = InputSpec {
            crop_top: 0.45,
            crop_bottom: 1.0,
            height: 100,
            ..caril_policy::Architecture::PilotNet.default_input()
        };
        let d = ground_distances(&CameraSpec::PAPER, &input);
        assert!(d[0].is_infinite() && d[8].is_infinite() && d[10].is_finite());
        assert!(d[9..].windows(2).all(|w| w[1] < w[0]));
        // 110° of view: the lowest row looks down by 55°.
        assert!((d[99] - 2.4 / 55f32.to_radians().sin()).abs() < 0.03, "{}", d[99]);
    }
}
