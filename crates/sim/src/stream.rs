//! Faults of the camera's stream: pictures that freeze, go black, get lost, come late or twice.

use caril_core::CounterRng;

use crate::fault::{CameraFault, FaultSpec};

/// What happens to one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamEffect {
    /// First frame of the frozen block, whose picture is shown.
    pub frozen: bool,
    /// Black picture.
    pub black: bool,
    /// Lost.
    pub dropped: bool,
    /// The previous frame again.
    pub duplicated: bool,
    /// Frames of delay.
    pub delay: usize,
}

/// What the faults do to a frame.
pub fn effect(faults: &[FaultSpec], seed: u64, frame_id: u64) -> StreamEffect {
    let mut e = StreamEffect::default();
    for spec in faults {
        let severity = f64::from(spec.severity.clamp(0.0, 1.0));
        let chance = |block: u64, salt: u64| {
            CounterRng::new(seed ^ (0x5EED_FA17 + salt), frame_id / block).uniform()
        };
        match spec.fault {
            // A block's first picture is always new, so that there is something to freeze at.
            CameraFault::Freeze => {
                e.frozen |= !frame_id.is_multiple_of(20) && chance(20, 1) < severity;
            }
            CameraFault::Black => e.black |= chance(10, 2) < severity,
            CameraFault::Drop => e.dropped |= chance(1, 3) < 0.9 * severity,
            CameraFault::Duplicate => e.duplicated |= chance(1, 4) < 0.9 * severity,
            CameraFault::Delay => {
                let frames = libm::round(severity * CameraFault::DELAY_MAX as f64) as usize;
                e.delay = e.delay.max(frames);
            }
            // The picture's own faults are the lens's.
            _ => {}
        }
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_probability_and_seed_decides() {
        let spec = [FaultSpec { fault: CameraFault::Drop, severity: 0.5 }];
        let count = |seed| (0..2000).filter(|i| effect(&spec, seed, *i).dropped).count();
        assert!((800..1000).contains(&count(1)), "{}", count(1));
        assert_eq!(count(1), count(1));
        assert_ne!(
            (0..64).map(|i| effect(&spec, 1, i).dropped).collect::<Vec<_>>(),
            (0..64).map(|i| effect(&spec, 2, i).dropped).collect::<Vec<_>>()
        );
        let none = [FaultSpec { fault: CameraFault::Freeze, severity: 0.0 }];
        assert!((0..100).all(|i| effect(&none, 1, i) == StreamEffect::default()));
    }
}
