//! A dark picture, brightened for a second look, and its colours balanced.

/// What a dark picture's mean brightness becomes, 0 to 255. Of the pictures that packs are trained
/// on, whole as the check sees them, it is 70 to 130.
const BRIGHT: f32 = 100.0;
/// A picture whose mean brightness is below this is dark.
const DARK: f32 = 0.5 * BRIGHT;

/// The gamma curve that takes the mean brightness of a dark picture to that of daylight. A curve
/// rather than a factor: what is bright already, lamps and lane markings in their light, stays
/// within its bounds. (The mean of the picture comes out a little lower, since the curve is concave.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift([u8; 256]);

impl Lift {
    /// Whether a picture of this mean brightness ([`crate::ImageCheck::mean_luma`], 0 to 255) is
    /// dark.
    pub fn is_for(mean_luma: f32) -> bool {
        (0.0..DARK).contains(&mean_luma)
    }

    /// For a picture of this mean brightness; changes nothing if it is not dark. libm's functions:
    /// the same bytes on every host.
    pub fn of(mean_luma: f32) -> Self {
        let mean_luma = if Self::is_for(mean_luma) { mean_luma } else { BRIGHT };
        // Below 1 the curve would make noise of nothing.
        let gamma = libm::logf(BRIGHT / 255.0) / libm::logf(mean_luma.max(1.0) / 255.0);
        let mut table = [0; 256];
        for (value, lifted) in (0_u8..=255).zip(&mut table) {
            let share = libm::powf(f32::from(value) / 255.0, gamma);
            *lifted = libm::roundf(255.0 * share) as u8;
        }
        Self(table)
    }

    /// The lifted value of a colour's byte.
    pub fn byte(&self, value: u8) -> u8 {
        self.0.get(usize::from(value)).copied().unwrap_or(value)
    }
}

/// Mean and standard deviation of red, green and blue in what networks see by day: the pixels of 125
/// crops, of a drive on `winding_suburb` in each of the five weathers that packs are trained in.
const DAYLIGHT: [(f64, f64); 3] = [(83.2, 32.3), (83.8, 34.9), (71.2, 43.9)];
/// So far of the way to daylight. All of it makes too much of what dirt and noise have left: it
/// steered better on most routes, and left the road on more (docs/correction.md).
const SHARE: f64 = 0.5;
/// A deviation below this is taken for it, or the rounding of a picture in one colour would be made
/// a pattern.
const FLAT: f64 = 1.0;

/// Brings every channel of RGB pixels half of the way to daylight's mean and deviation. What noise
/// adds to a dark picture is the same in all channels, and in daylight blue is the weakest: that
/// tint misleads a network more than the noise itself. Sums are of integers, and libm's functions
/// are everybody's: the same bytes on every host.
pub(crate) fn balance(rgb: &mut [u8]) {
    let (pixels, _) = rgb.as_chunks_mut::<3>();
    let count = pixels.len().max(1) as f64;
    for (c, (mean, deviation)) in DAYLIGHT.into_iter().enumerate() {
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for pixel in pixels.iter() {
            let value = pixel.get(c).copied().map_or(0, u64::from);
            sum = sum.saturating_add(value);
            squares = squares.saturating_add(value.saturating_mul(value));
        }
        let was = sum as f64 / count;
        let variance = squares as f64 / count - was * was;
        // Rounding may make it negative, and its root no number: flat, too.
        let spread = libm::sqrt(variance).max(FLAT);
        let wanted = was + SHARE * (mean - was);
        let factor = 1.0 + SHARE * (deviation / spread - 1.0);
        let mut table = [0; 256];
        for (value, balanced) in (0_u8..=255).zip(&mut table) {
            // The cast saturates.
            *balanced = libm::round((f64::from(value) - was) * factor + wanted) as u8;
        }
        for value in pixels.iter_mut().filter_map(|pixel| pixel.get_mut(c)) {
            *value = table.get(usize::from(*value)).copied().unwrap_or(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CounterRng;
    use alloc::vec::Vec;

    #[test]
    fn colours_come_half_of_the_way_to_daylights_and_a_plain_picture_stays_plain() {
        // Grey and noisy.
        let mut rng = CounterRng::new(2, 1);
        let mut rgb: Vec<u8> = (0..3 * 5000).map(|_| 30 + rng.below(90) as u8).collect();
        let before = rgb.clone();
        let statistics = |rgb: &[u8], c: usize| {
            let values = rgb.iter().skip(c).step_by(3).map(|v| f64::from(*v));
            let mean = values.clone().sum::<f64>() / 5000.0;
            let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / 5000.0;
            (mean, libm::sqrt(variance))
        };
        balance(&mut rgb);
        for (c, (mean, deviation)) in DAYLIGHT.into_iter().enumerate() {
            let (was, is) = (statistics(&before, c), statistics(&rgb, c));
            assert!((is.0 - 0.5 * (was.0 + mean)).abs() < 0.5, "channel {c}: {was:?} {is:?}");
            assert!((is.1 - 0.5 * (was.1 + deviation)).abs() < 0.5, "channel {c}: {was:?} {is:?}");
        }
        for (i, j) in [(0, 3), (3, 6), (1, 4)] {
            assert_eq!(before[i].cmp(&before[j]), rgb[i].cmp(&rgb[j]), "order stays");
        }
        let mut plain = [7; 30];
        balance(&mut plain);
        assert_eq!(plain[..3], [45, 45, 39]);
        assert!(plain.chunks(3).all(|p| p == &plain[..3]));
        balance(&mut []);
    }

    #[test]
    fn the_mean_of_dark_pictures_goes_to_daylight_and_others_stay() {
        for luma in [50.0, 100.0, 255.0, f32::NAN, f32::INFINITY, -1.0] {
            assert!(!Lift::is_for(luma), "{luma}");
            assert!((0..=255).all(|v| Lift::of(luma).byte(v) == v), "{luma}");
        }
        for luma in [1_u8, 12, 25, 49] {
            assert!(Lift::is_for(luma.into()));
            let lift = Lift::of(luma.into());
            assert_eq!(lift.byte(luma), 100, "{luma}");
            assert_eq!((lift.byte(0), lift.byte(255)), (0, 255));
            assert!((0..255).all(|v| lift.byte(v) <= lift.byte(v + 1)), "order stays");
            assert!((0..=255).all(|v| lift.byte(v) >= v), "nothing gets darker");
        }
        assert_eq!(Lift::of(0.0), Lift::of(1.0));
    }
}
