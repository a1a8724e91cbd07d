//! Dual-head networks in Burn, preprocessing and the policy pack.
//!
//! * [`Net`] – the three backbones with a regression and a classification head.
//! * [`Pack`] – a folder with `card.toml` and `weights.bpk`; refuses what does not fit.
//! * [`BurnPolicy`] – a pack behind [`caril_core::Policy`].

mod backend;
mod init;
pub mod net;
mod pack;
mod policy;

pub use backend::Backend;
pub use caril_core::{Architecture, BRANCHES, Preprocessor, branch_of, rgb_to_input, softmax};
pub use caril_pack::{CARD_FILE, PackError, WEIGHTS_FILE};
pub use net::{Net, NetInput, NetOutput};
pub use pack::Pack;
pub use policy::BurnPolicy;
