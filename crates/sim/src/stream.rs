//! Faults of the camera's stream: pictures that freeze, go black, get lost, come late or twice.

use caril_core::CounterRng;

/// What goes wrong with the stream. Every one is a pure function of (seed, frame id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamFault {
    /// The picture stands still while ids and ego state go on: each block of 20 frames does so
    /// with the severity as probability.
    Freeze,
    /// The picture is black: each block of 10 frames with the severity as probability.
    Black,
    /// The frame is lost, the car drives on for one period: each with 0.9 · severity.
    Drop,
    /// Every frame is round(10 · severity) frames old when it comes.
    Delay,
    /// The frame before comes once more, with its old id: each with 0.9 · severity.
    Duplicate,
}

/// A fault with its severity.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StreamFaultSpec {
    /// Which.
    pub fault: StreamFault,
    /// [0, 1]; 0 does nothing.
    pub severity: f32,
}

impl StreamFault {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Freeze, Self::Black, Self::Drop, Self::Delay, Self::Duplicate];
    /// Most frames that [`StreamFault::Delay`] holds back.
    pub const DELAY_MAX: usize = 10;

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Black => "black",
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Duplicate => "duplicate",
        }
    }

    /// The fault of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

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
pub fn effect(faults: &[StreamFaultSpec], seed: u64, frame_id: u64) -> StreamEffect {
    let mut e = StreamEffect::default();
    for spec in faults {
        let severity = f64::from(spec.severity.clamp(0.0, 1.0));
        let chance = |block: u64, salt: u64| {
            CounterRng::new(seed ^ (0x5EED_FA17 + salt), frame_id / block).uniform()
        };
        match spec.fault {
            // A block's first picture is always new, so that there is something to freeze at.
            StreamFault::Freeze => {
                e.frozen |= !frame_id.is_multiple_of(20) && chance(20, 1) < severity;
            }
            StreamFault::Black => e.black |= chance(10, 2) < severity,
            StreamFault::Drop => e.dropped |= chance(1, 3) < 0.9 * severity,
            StreamFault::Duplicate => e.duplicated |= chance(1, 4) < 0.9 * severity,
            StreamFault::Delay => {
                let frames = libm::round(severity * StreamFault::DELAY_MAX as f64) as usize;
                e.delay = e.delay.max(frames);
            }
        }
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_probability_and_seed_decides() {
        let spec = [StreamFaultSpec { fault: StreamFault::Drop, severity: 0.5 }];
        let count = |seed| (0..2000).filter(|i| effect(&spec, seed, *i).dropped).count();
        assert!((800..1000).contains(&count(1)), "{}", count(1));
        assert_eq!(count(1), count(1));
        assert_ne!(
            (0..64).map(|i| effect(&spec, 1, i).dropped).collect::<Vec<_>>(),
            (0..64).map(|i| effect(&spec, 2, i).dropped).collect::<Vec<_>>()
        );
        let none = [StreamFaultSpec { fault: StreamFault::Freeze, severity: 0.0 }];
        assert!((0..100).all(|i| effect(&none, 1, i) == StreamEffect::default()));
    }
}
