//! Data sets over recordings, losses, the learner and calibration.

pub mod augment;
pub mod batch;

mod builder;
mod calibrate;
pub mod dataset;
mod evaluate;
mod learner;
mod load;
mod loss;
mod options;
mod panel;
mod params;
mod pilot;
mod synthetic;
mod train;

pub use builder::{DatasetBuilder, RawFrame};
pub use calibrate::{
    CALIBRATION_FRAMES_MIN, Fitted, RISK_BUDGET, WRONG_ABOVE, calibrate_predictions, hidden_samples,
};
pub use dataset::{Dataset, Drive, Sample};
pub use evaluate::{Predicted, Quality, predict, quality};
pub use learner::{fit, worker_pools};
pub use load::{load, train as train_files};
pub use loss::{Loss, LossOutput};
pub use options::{Progress, TrainError, TrainOptions, TrainSummary};
pub use panel::{FrameMark, LeftOut, Panel, Said, Watched};
pub use synthetic::synthetic;
pub use train::{calibrate_on, evaluate_pack, predict_pack, starting_card, train_on};
