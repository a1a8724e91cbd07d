//! The one table fault → class, manoeuvre, steering, recovery. docs/safety.md holds the same
//! table for people; a test compares every row.

use caril_core::Fault;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Tolerable for a few frames: `Degraded`, and a comfortable stop if it lasts.
    Latent,
    /// One is enough: `SafeStop` at once.
    SinglePoint,
}

impl Class {
    /// Its name, as in docs/safety.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latent => "latent",
            Self::SinglePoint => "single_point",
        }
    }
}

/// What the car does about it, from the mildest to the hardest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manoeuvre {
    /// Drive on, under the speed cap of `Degraded`.
    Slow,
    /// Brake to a stand with `gate.comfort_decel_mps2`.
    ComfortStop,
    /// Brake to a stand with `gate.hard_decel_mps2`.
    HardStop,
}

impl Manoeuvre {
    /// Its name, as in docs/safety.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::ComfortStop => "comfort_stop",
            Self::HardStop => "hard_stop",
        }
    }
}

/// Where the steer comes from while the fault is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// From this step's prediction, if there is one.
    Live,
    /// The last steer is held: this step's prediction must not be believed.
    Held,
}

impl Steering {
    /// Its name, as in docs/safety.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Held => "held",
        }
    }
}

/// How the mode is left again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// `gate.recover_frames` clean frames in a row.
    CleanFrames,
    /// As many clean frames in a row at a standstill; then `Degraded`.
    Standstill,
    /// Never: a new controller must be made.
    Never,
}

impl Recovery {
    /// Its name, as in docs/safety.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CleanFrames => "clean_frames",
            Self::Standstill => "standstill",
            Self::Never => "never",
        }
    }
}

/// What is done about one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The fault.
    pub fault: Fault,
    /// How bad it is.
    pub class: Class,
    /// What the car does.
    pub manoeuvre: Manoeuvre,
    /// Where the steer comes from.
    pub steering: Steering,
    /// How it ends.
    pub recovery: Recovery,
}

const fn latent(fault: Fault, steering: Steering) -> Rule {
    let (class, manoeuvre) = (Class::Latent, Manoeuvre::Slow);
    Rule { fault, class, manoeuvre, steering, recovery: Recovery::CleanFrames }
}

const fn stop(fault: Fault, manoeuvre: Manoeuvre, steering: Steering, recovery: Recovery) -> Rule {
    Rule { fault, class: Class::SinglePoint, manoeuvre, steering, recovery }
}

/// The table, in the order of the faults' codes.
pub const TABLE: [Rule; Fault::COUNT] = {
    use Manoeuvre::{ComfortStop, HardStop};
    use Recovery::{Never, Standstill};
    use Steering::{Held, Live};
    [
        latent(Fault::FrameLate, Live),
        stop(Fault::FrameMissing, HardStop, Live, Standstill),
        latent(Fault::FrameStale, Live),
        latent(Fault::FrameRepeated, Held),
        latent(Fault::FrameOutOfOrder, Held),
        latent(Fault::FrameGap, Live),
        stop(Fault::ImageFrozen, HardStop, Held, Standstill),
        stop(Fault::ImageBlack, HardStop, Held, Standstill),
        stop(Fault::ImageBlownOut, HardStop, Held, Standstill),
        stop(Fault::ImageMalformed, HardStop, Held, Standstill),
        stop(Fault::EgoInvalid, ComfortStop, Live, Standstill),
        stop(Fault::PredictionNonFinite, HardStop, Held, Standstill),
        stop(Fault::PredictionMalformed, HardStop, Held, Standstill),
        latent(Fault::DeadlineOverrun, Live),
        stop(Fault::PlantGone, HardStop, Live, Standstill),
        latent(Fault::MessageMalformed, Live),
        stop(Fault::Internal, HardStop, Held, Never),
        stop(Fault::StopRequested, ComfortStop, Live, Never),
    ]
};

/// The rule of one fault.
pub const fn rule(fault: Fault) -> Rule {
    // In range by construction: a fault's code is its position (tested in caril-core).
    #[allow(clippy::indexing_slicing)]
    TABLE[fault as usize]
}

#[cfg(test)]
mod tests;
