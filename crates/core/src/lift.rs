//! A dark picture, brightened for a second look.

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

#[cfg(test)]
mod tests {
    use super::*;

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
