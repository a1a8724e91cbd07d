//! The CPU executor: runs a policy pack without Burn and, after it is made, without allocating.
//!
//! * [`CpuPolicy`] – a pack behind [`caril_core::Policy`]: from camera frame to prediction.
//! * [`Options`], [`Isa`] – threads and kernels.
//!
//! How it is made: `bpk` reads the tensors of a pack, `tensors` takes them out (folding
//! BatchNorm), `net` describes a backbone as layers, `build` places their maps in one arena and
//! rearranges weights, and `kernel` runs the resulting list of operations.

mod bpk;
mod build;
mod error;
mod kernel;
mod net;
mod policy;
mod tensors;

pub use error::InferError;
pub use kernel::Isa;
pub use policy::{CpuPolicy, Options, StageTime};
