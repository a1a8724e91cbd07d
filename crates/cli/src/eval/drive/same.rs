//! Drives that need not be driven: another arm's, in which this one would have given every command.
//!
//! A step's record holds all that its controller was told but for the pixels, and what the network
//! said of these. As long as two arms with one pack give the same commands they see the same
//! pictures; so if the second would have given every command of the first's drive, that drive is its
//! own too, to the bit, with its own records.

use caril_core::{Command, Mode as Driving, PolicyCard};
use caril_eval::suite::{Driver, Mode};
use caril_runtime::{Decider, StepHash, recorded_looks};

use super::cast::Role;
use super::episode::Drive;

/// `drive`, which `of` drove, with the records that `role` would have left: `None` where it would
/// have given another command in any step, or would have looked again where `of` did not.
///
/// * `card` – that of `role`'s pack
pub fn as_driven(drive: &Drive, of: &Role, role: &Role, card: &PolicyCard) -> Option<Drive> {
    if !drive.every_step || !hears_the_same(of, role) {
        return None;
    }
    let mut decider = Decider::new(card, &role.config).ok()?;
    let first_driver = Decider::new(card, &of.config).ok()?;
    let mut hash = StepHash::default();
    let mut steps = Vec::with_capacity(drive.steps.len());
    for then in &drive.steps {
        let looks_again = decider.asks_again(&then.image);
        if then.predicted && looks_again && !then.second_look {
            return None;
        }
        // Where the network failed, the record does not tell which of two looks did.
        if !then.predicted && (looks_again || first_driver.asks_again(&then.image)) {
            return None;
        }
        let (first, second) = recorded_looks(then);
        let mut now = decider.decide(then, first, second);
        if bits(&now.command) != bits(&then.command) {
            return None;
        }
        now.actuate_faults = then.actuate_faults;
        now.faults = now.faults.union(then.actuate_faults);
        hash.add(&now);
        steps.push(now);
    }
    Some(Drive {
        steps,
        last: drive.last,
        end: drive.end,
        step_hash: hash.hex(),
        route: drive.route.clone(),
        pictures: Vec::new(),
        every_step: true,
    })
}

/// Whether two arms are told the same of the same picture, equally often.
fn hears_the_same(a: &Role, b: &Role) -> bool {
    // The other modes put words into the network's mouth.
    let as_said = |role: &Role| match role.arm.driver {
        Driver::Network { mode, .. } => matches!(mode, Mode::Off | Mode::Paper | Mode::Calibrated),
        Driver::Expert => false,
    };
    let rate = |role: &Role| role.config.drive_loop.rate_hz.to_bits();
    as_said(a)
        && as_said(b)
        && (&a.pack, &a.weights_sha256, a.backend) == (&b.pack, &b.weights_sha256, b.backend)
        && rate(a) == rate(b)
}

/// What the car is given, to the bit: −0 is not 0.
fn bits(c: &Command) -> (u64, [u32; 3], Driving) {
    (c.frame_id.0, [c.steer, c.throttle, c.brake].map(f32::to_bits), c.mode)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::BackendArg;
    use crate::eval::drive::episode::Stage;
    use crate::eval::drive::{cast, testing};
    use crate::scenario;

    #[test]
    fn a_drive_stands_for_every_arm_that_would_have_driven_it() {
        let arms = ["off", "calibrated", "classification", "paper"].map(str::to_owned);
        let config = caril_core::Config::default();
        let roles = cast::roles(&arms, "default", BackendArg::Cpu, &config).unwrap();
        let [off, calibrated, classification, paper] = [0, 1, 2, 3].map(|i| &roles[i]);
        let card = scenario::load_card("default").unwrap();
        let mut stage = Stage::new(roles.clone());
        let mut episode = testing::results(1).remove(0).episode;
        let mut drive = |weather: &str, role, frames| {
            episode.weather = weather.to_owned();
            stage.drive(&episode, role, BTreeSet::new(), Some(frames)).unwrap()
        };

        let by_day = drive("ClearNoon", off, 120);
        let same = as_driven(&by_day, off, calibrated, &card).unwrap();
        assert_eq!(same.step_hash, drive("ClearNoon", calibrated, 120).step_hash);
        assert!(as_driven(&by_day, off, paper, &card).is_none(), "it steers otherwise");
        assert!(as_driven(&by_day, off, classification, &card).is_none());
        assert!(as_driven(&by_day, classification, off, &card).is_none());

        let at_night = drive("HardRainNight", off, 5);
        assert!(as_driven(&at_night, off, calibrated, &card).is_none(), "it looks again");
        let looked = drive("HardRainNight", calibrated, 60);
        let again = as_driven(&looked, calibrated, calibrated, &card).unwrap();
        assert_eq!(again.step_hash, looked.step_hash);
        assert!(as_driven(&looked, calibrated, off, &card).is_none());
        let gap = Drive { every_step: false, ..looked };
        assert!(as_driven(&gap, calibrated, calibrated, &card).is_none());
    }
}
