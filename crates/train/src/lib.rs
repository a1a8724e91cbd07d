//! Data sets over recordings, losses, the learner and calibration.

pub mod augment;
pub mod batch;

mod balance;
mod bench;
mod builder;
mod calibrate;
mod checkpoint;
mod curves;
pub mod dataset;
mod error;
mod evaluate;
mod exclude;
mod features;
pub mod geometry;
mod gradients;
mod identity;
mod learner;
mod load;
mod loss;
mod novelty;
mod optimiser;
mod options;
mod panel;
mod params;
mod pilot;
mod runner;
mod source;
mod synthetic;
mod train;

pub use balance::Balance;
pub use bench::{TrainBench, bench_train};
pub use builder::{DatasetBuilder, RawFrame};
pub use calibrate::{
    CALIBRATION_FRAMES_MIN, Fitted, Risk, WRONG_ABOVE, calibrate_predictions, hidden_samples,
};
pub use checkpoint::CHECKPOINT_FILE;
pub use dataset::{Dataset, Drive, Sample};
pub use error::TrainError;
pub use evaluate::{Predicted, Quality, predict, quality};
pub use exclude::Exclusions;
pub use learner::{fit, worker_pools};
pub use load::{load, load_selected, train as train_files};
pub use loss::{Loss, LossOutput};
pub use optimiser::{OptimiserOptions, Schedule};
pub use options::{Augmentation, Freeze, Progress, TrainEnd, TrainOptions, TrainSummary};
pub use panel::{FrameMark, LeftOut, Panel, Said, Watched};
pub use runner::{PredictOne, Runner};
pub use synthetic::synthetic;
pub use train::{calibrate_on, evaluate_pack, predict_pack, starting_card, train_on};
