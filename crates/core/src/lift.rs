//! A dark picture, brightened for a second look.

/// Mean brightness of pictures in daylight, 0 to 255: what packs are trained on has 70 to 130.
const BRIGHT: f32 = 100.0;
/// A picture whose mean brightness is below this is dark.
const DARK: f32 = 0.5 * BRIGHT;

/// The gamma curve that lifts a dark picture to the brightness of daylight. A curve rather than a
/// factor: what is bright already, lamps and lane markings in their light, stays within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift([u8; 256]);

impl Lift {
    /// For a picture of this mean brightness ([`crate::ImageCheck::mean_luma`], 0 to 255); `None`
    /// if it is not dark. libm's functions: the same bytes on every host.
    pub fn of(mean_luma: f32) -> Option<Self> {
        if !(0.0..DARK).contains(&mean_luma) {
            return None;
        }
        // Below 1 the curve would make noise of nothing.
        let gamma = libm::logf(BRIGHT / 255.0) / libm::logf(mean_luma.max(1.0) / 255.0);
        let mut table = [0; 256];
        for (value, lifted) in (0_u8..=255).zip(&mut table) {
            let share = libm::powf(f32::from(value) / 255.0, gamma);
            *lifted = libm::roundf(255.0 * share) as u8;
        }
        Some(Self(table))
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
    fn only_dark_pictures_are_lifted_and_to_daylight() {
        for luma in [50.0, 100.0, 255.0, f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(Lift::of(luma), None, "{luma}");
        }
        for luma in [1_u8, 12, 25, 49] {
            let lift = Lift::of(f32::from(luma)).unwrap();
            assert_eq!(lift.byte(luma), 100, "{luma}");
            assert_eq!((lift.byte(0), lift.byte(255)), (0, 255));
            assert!((0..255).all(|v| lift.byte(v) <= lift.byte(v + 1)), "order stays");
            assert!((0..=255).all(|v| lift.byte(v) >= v), "nothing gets darker");
        }
        assert_eq!(Lift::of(0.0), Lift::of(1.0));
    }
}
