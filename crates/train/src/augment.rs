//! Random changes of a training picture, a pure function of (picture, generator).

use caril_core::CounterRng;

/// Changes `rgb` (rows of `width` pixels) in place: brightness, contrast, gamma, colour cast, a
/// shadow, blur, noise; each with its own chance.
pub fn augment(rgb: &mut [u8], width: usize, rng: &mut CounterRng) {
    tone(rgb, rng);
    if rng.uniform() < 0.25 {
        shadow(rgb, width, rng);
    }
    if rng.uniform() < 0.15 {
        blur(rgb);
    }
    if rng.uniform() < 0.35 {
        noise(rgb, rng);
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
fn noise(rgb: &mut [u8], rng: &mut CounterRng) {
    let strength = rng.range(2.0, 24.0) as i16;
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
            augment(&mut rgb, 60, &mut CounterRng::new(1, stream));
            rgb
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        let grey = |stream| {
            let mut rgb = vec![128u8; 60 * 20 * 3];
            augment(&mut rgb, 60, &mut CounterRng::new(1, stream));
            rgb.iter().map(|b| f64::from(*b)).sum::<f64>() / rgb.len() as f64
        };
        let means: Vec<f64> = (0..50).map(grey).collect();
        assert!(means.iter().all(|m| (8.0..250.0).contains(m)), "never black or white: {means:?}");
        assert!(means.iter().any(|m| *m < 110.0) && means.iter().any(|m| *m > 146.0));
    }
}
