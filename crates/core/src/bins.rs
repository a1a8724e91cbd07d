//! The eleven steering classes over the normalised steer [−1, 1].

/// Number of steering classes.
pub const BIN_COUNT: usize = 11;
/// Width of one class on the normalised steer scale.
pub const BIN_WIDTH: f32 = 2.0 / BIN_COUNT as f32;
/// The class that holds 0: straight ahead.
pub const STRAIGHT_BIN: usize = BIN_COUNT / 2;

/// Class of a normalised steer: equal bins, right-closed, lowest edge included, as the paper's
/// labels. Values beyond the rim belong to the outermost class. `None` if `steer` is not finite.
///
/// ```
/// use caril_core::bin_of;
/// assert_eq!(bin_of(0.0), Some(5));
/// assert_eq!(bin_of(-1.0), Some(0));
/// assert_eq!(bin_of(7.0), Some(10));
/// assert_eq!(bin_of(f32::NAN), None);
/// ```
pub fn bin_of(steer: f32) -> Option<usize> {
    if !steer.is_finite() {
        return None;
    }
    // Compared with the same edges that `bin_edges` gives, so that label and rule never disagree.
    let mut k = 0;
    while k < BIN_COUNT - 1 && steer > bin_edges(k).1 {
        k += 1;
    }
    Some(k)
}

/// Lower and upper edge of class `k`; `k` beyond the last class is the last class.
pub fn bin_edges(k: usize) -> (f32, f32) {
    let k = k.min(BIN_COUNT - 1);
    (edge(k), edge(k + 1))
}

fn edge(i: usize) -> f32 {
    ((2 * i) as f64 / BIN_COUNT as f64 - 1.0) as f32
}

/// Centre of class `k` on the normalised steer scale.
pub fn bin_center(k: usize) -> f32 {
    let (lo, hi) = bin_edges(k);
    0.5 * (lo + hi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_right_closed_and_rim_is_clamped() {
        assert_eq!(bin_of(bin_edges(4).1), Some(4));
        assert_eq!(bin_of(bin_edges(4).1 + 1e-6), Some(5));
        assert_eq!(bin_of(1.0), Some(10));
        assert_eq!(bin_of(-1.0), Some(0));
        assert_eq!(bin_of(f32::INFINITY), None);
    }

    #[test]
    fn mirrored_steer_is_mirrored_class() {
        for i in -100..=100 {
            let s = i as f32 / 100.0 + 0.001;
            let (Some(a), Some(b)) = (bin_of(s), bin_of(-s)) else { unreachable!() };
            assert_eq!(a, BIN_COUNT - 1 - b, "steer {s}");
        }
    }

    #[test]
    fn every_center_is_in_its_bin() {
        for k in 0..BIN_COUNT {
            assert_eq!(bin_of(bin_center(k)), Some(k));
        }
    }
}
