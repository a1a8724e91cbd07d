//! Plain data, units, configuration and the two traits of caril.
//!
//! What may be here: values that cross crate boundaries, their validation, and [`World`] and
//! [`Policy`]. What may not: I/O, clocks, threads, global state, any heavy dependency. Only
//! [`Image`] and the start-up types (cards, descriptions) own memory; everything that a step
//! produces is `Copy`.
//!
//! Units are part of scalar names (`speed_mps`, `yaw_rad`, `period_ns`). Axes are CARLA's:
//! left-handed, x forward, y right, z up, yaw clockwise seen from above; steer +1 is full right.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

extern crate alloc;

mod architecture;
mod bins;
mod camera;
mod card;
mod command;
mod config;
mod fault;
mod fields;
mod frame;
mod lift;
mod memory;
mod nav;
mod prediction;
mod preprocess;
mod rng;
mod step;
mod traits;

pub use architecture::{Architecture, BRANCHES, EFFICIENTNET_LITE0_STAGES, branch_of, softmax};
pub use bins::{BIN_COUNT, BIN_WIDTH, STRAIGHT_BIN, bin_center, bin_edges, bin_of};
pub use camera::{CameraSpec, Mount, PixelOrder};
pub use card::{
    Calibration, CalibrationFacts, CardError, Conformal, InputSpec, PACK_FORMAT, PolicyCard,
    PolicyInputs, TrainingFacts,
};
pub use command::{Command, Mode};
pub use config::{
    Config, ConfigError, CorrectionConfig, CorrectionMode, GateConfig, LimitsConfig,
    LongitudinalConfig, LongitudinalMode, LoopConfig, Pacing, RecordConfig,
};
pub use fault::{Fault, FaultSet};
pub use fields::{Field, Number};
pub use frame::{EgoState, EndReason, Frame, FrameId, Image, ImageCheck, Pose, Truth};
pub use lift::{Colours, Lift};
pub use memory::{ControllerMemory, MEMORY_LAYOUT, MEMORY_WORDS};
pub use nav::NavCommand;
pub use prediction::{Prediction, PredictionError};
pub use preprocess::{Preprocessor, rgb_to_input};
pub use rng::CounterRng;
pub use step::{Correction, Regime, Stage, StageTimes, StepRecord};
pub use traits::{Observation, Observed, PlantInfo, Policy, World};
