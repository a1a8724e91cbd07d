//! A dark picture, brightened for a second look, and its colours balanced.

use serde::{Deserialize, Serialize};

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

/// The colours that a network was trained on: of red, green and blue over the pixels that it sees,
/// 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colours {
    /// Means.
    pub mean: [f64; 3],
    /// Standard deviations.
    pub deviation: [f64; 3],
}

impl Colours {
    /// For packs whose card does not tell: the embedded world by day, the pixels of 125 crops, of a
    /// drive on `winding_suburb` in each of the five weathers that packs are trained in.
    pub const EMBEDDED_WORLD: Self =
        Self { mean: [83.2, 83.8, 71.2], deviation: [32.3, 34.9, 43.9] };

    /// Of RGB pixels, any number of slices of them. `None` if there is no pixel.
    pub fn of<'a>(pictures: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let sums = pictures.into_iter().fold([Sums::default(); 3], |mut sums, rgb| {
            let (pixels, _) = rgb.as_chunks::<3>();
            for (c, sums) in sums.iter_mut().enumerate() {
                sums.add(pixels, c);
            }
            sums
        });
        let [r, g, b] = sums.map(|s| s.mean_and_deviation());
        (sums.iter().all(|s| s.count > 0))
            .then_some(Self { mean: [r.0, g.0, b.0], deviation: [r.1, g.1, b.1] })
    }

    /// Whether every value can be that of bytes.
    pub fn is_valid(&self) -> bool {
        self.mean.iter().chain(&self.deviation).all(|v| (0.0..=255.0).contains(v))
    }
}

/// Of bytes: integers, whose sums do not depend on their order.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u64,
    sum: u64,
    squares: u64,
}

impl Sums {
    /// Adds channel `c` of RGB pixels.
    fn add(&mut self, pixels: &[[u8; 3]], c: usize) {
        self.count = self.count.saturating_add(pixels.len() as u64);
        for pixel in pixels {
            let value = pixel.get(c).copied().map_or(0, u64::from);
            self.sum = self.sum.saturating_add(value);
            self.squares = self.squares.saturating_add(value.saturating_mul(value));
        }
    }

    /// Of no bytes 0.
    fn mean_and_deviation(&self) -> (f64, f64) {
        let count = self.count.max(1) as f64;
        let mean = self.sum as f64 / count;
        // Rounding may make it negative, and its root no number; `max` passes that over.
        let variance = self.squares as f64 / count - mean * mean;
        (mean, libm::sqrt(variance).max(0.0))
    }
}

/// So far of the way to the colours trained on. More makes too much of what dirt and noise have
/// left, and misses turns where the headlights do not reach; less leaves a tint that misleads
/// (docs/correction.md).
const SHARE: f64 = 0.25;
/// A deviation below this is taken for it, or the rounding of a picture in one colour would be made
/// a pattern.
const FLAT: f64 = 1.0;

/// Brings every channel of RGB pixels nearer to the mean and deviation trained on. What noise adds
/// to a dark picture is the same in all channels, and in daylight blue is the weakest: that tint
/// misleads a network more than the noise itself. Sums are of integers, and libm's functions are
/// everybody's: the same bytes on every host.
pub(crate) fn balance(rgb: &mut [u8], trained_on: &Colours) {
    let (pixels, _) = rgb.as_chunks_mut::<3>();
    let Colours { mean, deviation } = *trained_on;
    for (c, (mean, deviation)) in mean.into_iter().zip(deviation).enumerate() {
        let mut sums = Sums::default();
        sums.add(pixels, c);
        let (was, spread) = sums.mean_and_deviation();
        let spread = spread.max(FLAT);
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
    fn colours_come_a_quarter_of_the_way_to_those_trained_on_and_a_plain_picture_stays_plain() {
        // Grey and noisy.
        let mut rng = CounterRng::new(2, 1);
        let mut rgb: Vec<u8> = (0..3 * 5000).map(|_| 30 + rng.below(90) as u8).collect();
        let before = rgb.clone();
        let day = Colours::EMBEDDED_WORLD;
        balance(&mut rgb, &day);
        for c in 0..3 {
            let (was, is) = (statistics(&before, c), statistics(&rgb, c));
            let quarter = |was: f64, to: f64| was + 0.25 * (to - was);
            let (mean, deviation) = (quarter(was.0, day.mean[c]), quarter(was.1, day.deviation[c]));
            assert!((is.0 - mean).abs() < 0.5, "channel {c}: {was:?} {is:?}");
            assert!((is.1 - deviation).abs() < 0.5, "channel {c}: {was:?} {is:?}");
        }
        for (i, j) in [(0, 3), (3, 6), (1, 4)] {
            assert_eq!(before[i].cmp(&before[j]), rgb[i].cmp(&rgb[j]), "order stays");
        }
        let mut plain = [7; 30];
        balance(&mut plain, &day);
        assert_eq!(plain[..3], [26, 26, 23]);
        assert!(plain.chunks(3).all(|p| p == &plain[..3]));
        balance(&mut [], &day);
        let other = Colours { mean: [107.0, 7.0, 7.0], ..day };
        let mut plain = [7; 30];
        balance(&mut plain, &other);
        assert_eq!(plain[..3], [32, 7, 7], "it is the card's colours that count");
    }

    /// Mean and deviation of a channel, by the book.
    fn statistics(rgb: &[u8], c: usize) -> (f64, f64) {
        let values: Vec<f64> = rgb.iter().skip(c).step_by(3).map(|v| f64::from(*v)).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        (mean, libm::sqrt(variance))
    }

    #[test]
    fn colours_are_of_all_pixels_together() {
        let mut rng = CounterRng::new(3, 1);
        let mut noise =
            |from: u8| -> Vec<u8> { (0..300).map(|_| from + rng.below(60) as u8).collect() };
        let (dark, bright) = (noise(0), noise(150));
        let got = Colours::of([&dark[..], &bright[..]]).unwrap();
        let all = [dark, bright].concat();
        for c in 0..3 {
            let (mean, deviation) = statistics(&all, c);
            assert!((got.mean[c] - mean).abs() < 1e-9, "{got:?}");
            assert!((got.deviation[c] - deviation).abs() < 1e-9, "{got:?}");
        }
        assert!(got.is_valid() && Colours::EMBEDDED_WORLD.is_valid());
        assert_eq!(Colours::of([]), None);
        assert_eq!(Colours::of([&[][..], &[1, 2]]), None, "not a whole pixel");
        let flat = Colours::of([&[9, 8, 7][..]]).unwrap();
        assert_eq!((flat.mean, flat.deviation), ([9.0, 8.0, 7.0], [0.0; 3]));
        for wrong in [f64::NAN, -1.0, 256.0, f64::INFINITY] {
            let mut colours = got;
            colours.deviation[1] = wrong;
            assert!(!colours.is_valid(), "{wrong}");
            colours = got;
            colours.mean[2] = wrong;
            assert!(!colours.is_valid(), "{wrong}");
        }
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
