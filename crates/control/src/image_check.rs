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
            let channel = |offset: usize| {
                u64::from(image.data.get(start.saturating_add(offset)).copied().unwrap_or(0))
            };
            let (r, g, b) = (channel(red), channel(green), channel(blue));
            // Rec. 601 weights in 1/256.
            luma = luma.saturating_add(r.wrapping_mul(77)).saturating_add(g.wrapping_mul(150));
            luma = luma.saturating_add(b.wrapping_mul(29));
            count = count.saturating_add(1);
            hash = (hash ^ (r << 16 | g << 8 | b)).wrapping_mul(MULTIPLIER).rotate_left(29);
        }
    }
    ImageCheck {
        mean_luma: luma as f32 / (256.0 * count as f32),
        fingerprint: hash,
        malformed: false,
    }
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
mod tests {
    use super::*;
    use caril_core::PixelOrder;
    use std::vec;

    fn grey(width: u32, height: u32, value: u8) -> Image {
        let order = PixelOrder::Bgra;
        Image { width, height, order, data: vec![value; (width * height * 4) as usize] }
    }

    #[test]
    fn brightness_of_a_grey_picture_is_its_value() {
        for (w, h) in [(448, 448), (64, 64), (1, 1), (63, 5), (200, 3)] {
            for v in [0, 1, 4, 128, 255] {
                let check = check_image(&grey(w, h, v));
                assert!((check.mean_luma - f32::from(v)).abs() < 1e-3, "{w}×{h} {v}: {check:?}");
                assert!(!check.malformed);
            }
        }
    }

    #[test]
    fn colours_weigh_as_the_eye_sees_them_in_both_orders() {
        let rgb = |data: [u8; 3]| {
            let (width, height, order) = (1, 1, PixelOrder::Rgb);
            check_image(&Image { width, height, order, data: data.to_vec() })
        };
        for (data, weight) in [([200, 0, 0], 77.0), ([0, 200, 0], 150.0), ([0, 0, 200], 29.0)] {
            assert!((rgb(data).mean_luma - 200.0 * weight / 256.0).abs() < 1e-3);
        }
        let (width, height, order) = (1, 1, PixelOrder::Bgra);
        let bgra = check_image(&Image { width, height, order, data: vec![30, 20, 10, 0] });
        assert_eq!(bgra, rgb([10, 20, 30]), "same colours, same check");
    }

    #[test]
    fn samples_are_spread_in_the_middle_of_their_shares() {
        assert_eq!(samples(3).collect::<vec::Vec<_>>(), [0, 1, 2]);
        let wide: vec::Vec<_> = samples(448).collect();
        assert_eq!((wide.len(), wide[0], wide[1], wide[63]), (64, 3, 10, 444));
        assert_eq!(samples(0).count(), 0);
    }

    #[test]
    fn a_changed_sample_or_two_swapped_ones_change_the_fingerprint() {
        let base = grey(64, 64, 100);
        let mut one = base.clone();
        one.data[4 * 1000] = 101;
        let mut other = base.clone();
        other.data[4 * 1001] = 101;
        let prints = [&base, &one, &other].map(|i| check_image(i).fingerprint);
        assert!(prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2]);
        assert_eq!(prints[0], check_image(&grey(64, 64, 100)).fingerprint);
    }

    #[test]
    fn what_is_no_picture_is_malformed() {
        let mut short = grey(8, 8, 9);
        short.data.pop();
        let empty = grey(0, 0, 0);
        let flat = grey(0, 8, 0);
        for image in [short, empty, flat] {
            assert_eq!(check_image(&image), ImageCheck::MALFORMED);
        }
    }
}
