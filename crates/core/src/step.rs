//! What one step decided: fixed-size, `Copy`, and the unit of every recording and replay.

use serde::{Deserialize, Serialize};

use crate::{BIN_COUNT, Command, EgoState, FaultSet, FrameId, ImageCheck, Mode, NavCommand, Truth};

/// Which rule of the correction applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Regime {
    /// No correction: mode `off`, or the prediction was sure (paper rule 1).
    #[default]
    Kept = 0,
    /// Paper rule 2: sure class elsewhere, action sampled inside its bin.
    PaperBinMean = 1,
    /// Paper rule 3: no confidence, regression kept.
    PaperUnsureKept = 2,
    /// Paper rule 4: regression with noise.
    PaperNoise = 3,
    /// Calibrated until 2026-11-30: a steer made of both heads'. Only recordings hold it.
    Fused = 4,
    /// No usable prediction: the last steer is held.
    NoPrediction = 5,
    /// Calibrated: the regression of a second look, at the brightened picture.
    SecondLook = 6,
    /// Calibrated: in doubt the regression is kept and the speed capped.
    Slowed = 7,
}

impl Regime {
    /// Number of regimes.
    pub const COUNT: usize = 8;
    /// All regimes in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Kept,
        Self::PaperBinMean,
        Self::PaperUnsureKept,
        Self::PaperNoise,
        Self::Fused,
        Self::NoPrediction,
        Self::SecondLook,
        Self::Slowed,
    ];

    /// Its name, as in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::PaperBinMean => "paper_bin_mean",
            Self::PaperUnsureKept => "paper_unsure_kept",
            Self::PaperNoise => "paper_noise",
            Self::Fused => "fused",
            Self::NoPrediction => "no_prediction",
            Self::SecondLook => "second_look",
            Self::Slowed => "slowed",
        }
    }

    /// Whether it is a rule that changes the steer.
    pub const fn is_correction(self) -> bool {
        matches!(self, Self::PaperBinMean | Self::PaperNoise | Self::Fused | Self::SecondLook)
    }
}

/// Result of the correction.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Correction {
    /// Corrected steer, normalised scale [−1, 1] of the network.
    pub steer: f32,
    /// Which rule gave it.
    pub regime: Regime,
    /// Cap on the speed because of doubt, m/s; infinite if there is none.
    pub speed_cap_mps: f32,
    /// The confidence that decided (calibrated argmax ± 1 mass, or max probability in mode
    /// `paper`), [0, 1].
    pub confidence: f32,
    /// Standard deviation of the steer as the correction believes it, normalised scale.
    pub sigma: f32,
}

/// Stages of one frame, for timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Stage {
    /// Waiting for and receiving the frame.
    Observe = 0,
    /// Image checks.
    Check = 1,
    /// The network, both looks where there are two.
    Infer = 2,
    /// Correction, longitudinal control, gate.
    Decide = 3,
    /// Sending the command.
    Actuate = 4,
    /// Handing the step before over to the recorder.
    Record = 5,
}

impl Stage {
    /// Number of stages.
    pub const COUNT: usize = 6;
    /// All stages in order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Observe, Self::Check, Self::Infer, Self::Decide, Self::Actuate, Self::Record];
}

/// The clock of one step: when it was judged, and how long each stage took, nanoseconds. Never part
/// of a step hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StageTimes {
    /// By [`Stage`].
    pub ns: [u64; Stage::COUNT],
    /// From the frame's arrival to the command handed to the link, nanoseconds.
    pub age_ns: u64,
    /// When the frame arrived, on the clock that the step was judged by (the plant's in lockstep).
    pub received_ns: u64,
    /// The controller's "now" of this step, on the same clock.
    pub judged_ns: u64,
}

/// Everything one step saw and decided, but for the picture: enough to decide it again. The default
/// is all zero, without truth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StepRecord {
    /// The frame.
    pub frame_id: FrameId,
    /// Plant time of the frame, nanoseconds.
    pub sim_time_ns: u64,
    /// Older frames thrown away before this one.
    pub dropped: u32,
    /// The vehicle.
    pub ego: EgoState,
    /// The navigation's command.
    pub nav: NavCommand,
    /// The navigation's advisory speed, m/s; NaN if unknown.
    pub advisory_speed_mps: f32,
    /// What the picture's check found.
    pub image: ImageCheck,
    /// Faults that others had found before the step: the world's observation, the driver.
    pub observe_faults: FaultSet,
    /// Whether the network gave a usable prediction; if not, the next fields are zero.
    pub predicted: bool,
    /// Regression head, normalised steer.
    pub regression: f32,
    /// Class probabilities as the network gave them.
    pub probs: [f32; BIN_COUNT],
    /// Highest class probability; this and the next two are of the first look.
    pub confidence: f32,
    /// Entropy of the classes, nats.
    pub entropy_nats: f32,
    /// Mass of argmax ± 1.
    pub neighbour_mass: f32,
    /// Whether the network looked a second time, at the brightened picture, and that counts; if
    /// not, the next two are zero.
    pub second_look: bool,
    /// Regression head of the second look, normalised steer.
    pub second_regression: f32,
    /// Class probabilities of the second look as the network gave them.
    pub second_probs: [f32; BIN_COUNT],
    /// The correction's result.
    pub correction: Correction,
    /// Steer asked for without correction, CARLA scale: the counterfactual.
    pub steer_raw: f32,
    /// Steer asked for with correction, CARLA scale, before limits.
    pub steer_corrected: f32,
    /// Target speed of the longitudinal control, m/s.
    pub target_speed_mps: f32,
    /// What went to the plant.
    pub command: Command,
    /// The controller's mode.
    pub mode: Mode,
    /// Faults of this step, those that others found among them.
    pub faults: FaultSet,
    /// Faults of sending the command, known only after the step.
    pub actuate_faults: FaultSet,
    /// Ground truth, where the plant has it.
    pub truth: Option<Truth>,
    /// How long it took.
    pub times: StageTimes,
}

impl StepRecord {
    /// The record of a frame that an expert drove and no policy saw: the truth's steer and speed
    /// are what was asked for, there is no prediction, no fault and no advisory speed.
    pub fn labelled(
        frame_id: FrameId,
        sim_time_ns: u64,
        ego: EgoState,
        nav: NavCommand,
        truth: Truth,
        command: Command,
    ) -> Self {
        Self {
            frame_id,
            sim_time_ns,
            ego,
            nav,
            advisory_speed_mps: f32::NAN,
            correction: Correction {
                regime: Regime::NoPrediction,
                speed_cap_mps: f32::INFINITY,
                ..Correction::default()
            },
            steer_raw: truth.expert_steer,
            steer_corrected: truth.expert_steer,
            target_speed_mps: truth.expert_speed_mps,
            command,
            truth: Some(truth),
            ..Self::default()
        }
    }
}
