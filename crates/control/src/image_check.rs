//! A quick look at every picture: brightness and a fingerprint, from a sparse grid.

use caril_core::{Image, ImageCheck};

/// Samples across and down.
const GRID: usize = 64;
/// An odd 64-bit number with well-spread bits (2⁶⁴ divided by the golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Looks at up to 64×64 pixels spread evenly over the picture. Does not allocate.
pub fn check_image(image: &Image) -> ImageCheck {
    let (width, height) = (image.width as usize, image.height as usize);
    if !image.is_consistent() || image.data.is_empty() {
        return ImageCheck::MALFORMED;
    }
    let bytes = image.order.bytes_per_pixel();
    let [red, green, blue] = image.order.rgb_offsets();
    let (mut luma, mut count, mut hash) = (0_u64, 0_u64, 0_u64);
    for y in samples(height) {
        for x in samples(width) {
            let start = y.saturating_mul(width).saturating_add(x).saturating_mul(bytes);
            let channel =
                |offset: usize| image.data.get(start.saturating_add(offset)).copied().unwrap_or(0);
            let (r, g, b) = (channel(red), channel(green), channel(blue));
            // Rec. 601 weights in 1/256.
            for (value, weight) in [(r, 77), (g, 150), (b, 29)] {
                luma = luma.saturating_add(u64::from(value).wrapping_mul(weight));
            }
            count = count.saturating_add(1);
            let pixel = u64::from(u32::from_be_bytes([0, r, g, b]));
            hash = (hash ^ pixel).wrapping_mul(MULTIPLIER).rotate_left(29);
        }
    }
    ImageCheck {
        mean_luma: luma as f32 / (256.0 * count as f32),
        fingerprint: hash,
        malformed: false,
    }
}

/// The rows of a picture of `height` rows that [`check_image`] looks at.
pub fn checked_rows(height: u32) -> impl Iterator<Item = usize> {
    samples(height as usize)
}

/// Up to [`GRID`] positions, each in the middle of its share of `size`.
fn samples(size: usize) -> impl Iterator<Item = usize> {
    let n = size.min(GRID);
    (0..n).map(move |i| {
        let twice = i.saturating_mul(2).saturating_add(1).saturating_mul(size);
        twice.checked_div(n.saturating_mul(2)).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests;
