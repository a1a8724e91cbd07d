//! Faults are data: one bit each, gathered in a set.

use serde::{Deserialize, Serialize};

/// Everything that can be wrong in one step. docs/safety.md holds the table
/// fault → mode → manoeuvre → recovery that `caril-control`'s gate applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Fault {
    /// No frame arrived within one deadline.
    FrameLate = 0,
    /// No frame arrived for so long that the last command must not be held.
    FrameMissing = 1,
    /// The frame was older than allowed when it arrived.
    FrameStale = 2,
    /// The same frame id again.
    FrameRepeated = 3,
    /// A frame id, or its time, lower than one already seen.
    FrameOutOfOrder = 4,
    /// Frame ids were skipped.
    FrameGap = 5,
    /// New frame ids, but the picture does not change while the car moves.
    ImageFrozen = 6,
    /// The picture is black.
    ImageBlack = 7,
    /// The picture is blown out.
    ImageBlownOut = 8,
    /// Image size or pixel order is not what the handshake said.
    ImageMalformed = 9,
    /// Ego state missing or not finite.
    EgoInvalid = 10,
    /// The prediction holds a number that is not finite.
    PredictionNonFinite = 11,
    /// The prediction's probabilities are not a distribution, or the steer is absurd.
    PredictionMalformed = 12,
    /// The step took longer than its deadline.
    DeadlineOverrun = 13,
    /// The plant is gone or the link is down.
    PlantGone = 14,
    /// A message that could not be decoded arrived.
    MessageMalformed = 15,
    /// A bug was caught at the drive thread's boundary.
    Internal = 16,
    /// The driver or Ctrl-C asked for a stop.
    StopRequested = 17,
}

impl Fault {
    /// Number of faults.
    pub const COUNT: usize = 18;
    /// All faults, in the order of their codes.
    pub const ALL: [Self; Self::COUNT] = [
        Self::FrameLate,
        Self::FrameMissing,
        Self::FrameStale,
        Self::FrameRepeated,
        Self::FrameOutOfOrder,
        Self::FrameGap,
        Self::ImageFrozen,
        Self::ImageBlack,
        Self::ImageBlownOut,
        Self::ImageMalformed,
        Self::EgoInvalid,
        Self::PredictionNonFinite,
        Self::PredictionMalformed,
        Self::DeadlineOverrun,
        Self::PlantGone,
        Self::MessageMalformed,
        Self::Internal,
        Self::StopRequested,
    ];

    /// Its name, as in records and docs/safety.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameLate => "frame_late",
            Self::FrameMissing => "frame_missing",
            Self::FrameStale => "frame_stale",
            Self::FrameRepeated => "frame_repeated",
            Self::FrameOutOfOrder => "frame_out_of_order",
            Self::FrameGap => "frame_gap",
            Self::ImageFrozen => "image_frozen",
            Self::ImageBlack => "image_black",
            Self::ImageBlownOut => "image_blown_out",
            Self::ImageMalformed => "image_malformed",
            Self::EgoInvalid => "ego_invalid",
            Self::PredictionNonFinite => "prediction_non_finite",
            Self::PredictionMalformed => "prediction_malformed",
            Self::DeadlineOverrun => "deadline_overrun",
            Self::PlantGone => "plant_gone",
            Self::MessageMalformed => "message_malformed",
            Self::Internal => "internal",
            Self::StopRequested => "stop_requested",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultSet(u32);

impl FaultSet {
    /// No fault.
    pub const EMPTY: Self = Self(0);

    /// The set with one fault.
    pub const fn of(fault: Fault) -> Self {
        Self(fault.bit())
    }

    /// Adds a fault.
    pub const fn insert(&mut self, fault: Fault) {
        self.0 |= fault.bit();
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the fault is in the set.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Whether the sets share a fault.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no fault.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits, for records.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From bits; unknown ones are an error.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits >> Fault::COUNT == 0 { Some(Self(bits)) } else { None }
    }

    /// The faults in the set, in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut set = Self::EMPTY;
        faults.into_iter().for_each(|f| set.insert(f));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_positions_in_all() {
        for (i, f) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(f as usize, i);
        }
    }

    #[test]
    fn set_holds_what_was_put_in() {
        let set: FaultSet = [Fault::ImageBlack, Fault::PlantGone].into_iter().collect();
        assert!(set.contains(Fault::ImageBlack) && !set.contains(Fault::FrameLate));
        assert_eq!(FaultSet::from_bits(set.bits()), Some(set));
        assert_eq!(FaultSet::from_bits(1 << 31), None);
    }
}
