//! Dual-head networks in Burn, preprocessing and the policy pack.
//!
//! * [`Net`] – the three backbones with a regression and a classification head.
//! * [`Preprocessor`] – camera image to network input, the same for training and driving.
//! * [`Pack`] – a folder with `card.toml` and `weights.bpk`; refuses what does not fit.
//! * [`BurnPolicy`] – a pack behind [`caril_core::Policy`].

mod backend;
mod error;
mod init;
pub mod net;
mod pack;
mod policy;
mod preprocess;

pub use backend::Backend;
pub use error::PackError;
pub use net::{Architecture, BRANCHES, Net, NetInput, NetOutput, branch_of};
pub use pack::{CARD_FILE, Pack, WEIGHTS_FILE, new_card};
pub use policy::{BurnPolicy, softmax};
pub use preprocess::{Preprocessor, rgb_to_input};
