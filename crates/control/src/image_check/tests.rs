//! Tests of the quick look at a picture.

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
fn every_bit_of_every_colour_counts_in_the_fingerprint() {
    let mut base = grey(64, 64, 0);
    for (i, byte) in base.data.iter_mut().enumerate() {
        *byte = (i * 37 % 251) as u8;
    }
    let print = check_image(&base).fingerprint;
    // The same picture gave this in every version: recordings hold it.
    assert_eq!(print, 0x64C4_CE39_CC07_C93B);
    for at in (0..64 * 64).step_by(97) {
        for bit in (0..24).map(|bit| (at * 4 + bit / 8, 1 << (bit % 8))) {
            let mut other = base.clone();
            other.data[bit.0] ^= bit.1;
            assert_ne!(check_image(&other).fingerprint, print, "pixel {at}, {bit:?}");
        }
        let mut alpha = base.clone();
        alpha.data[at * 4 + 3] ^= 1;
        assert_eq!(check_image(&alpha).fingerprint, print, "alpha is no colour");
    }
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

#[test]
fn checked_rows_are_those_whose_change_is_noticed() {
    for height in [1, 40, 64, 448] {
        let mut image = grey(3, height, 9);
        let before = check_image(&image);
        let noticed = (0..height as usize).filter(|row| {
            let row = &mut image.data[row * 12..(row + 1) * 12];
            row.fill(200);
            let noticed = check_image(&image) != before;
            image.data.fill(9);
            noticed
        });
        assert!(noticed.eq(checked_rows(height)), "{height}");
    }
}
