//! The CPU executor: runs a policy pack without Burn and, after it is made, without allocating.
//!
//! * [`CpuPolicy`] – a pack behind [`caril_core::Policy`]: from camera frame to prediction.
//! * [`Options`], [`Isa`] – threads and kernels.
//!
//! * [`export_onnx`] – a pack for other runtimes; [`invent_pack`] – one with random weights.
//!
//! How it is made: `bpk` reads the tensors of a pack, `tensors` takes them out (folding
//! BatchNorm), `net` describes a backbone as layers, `build` places their maps in one arena and
//! rearranges weights, and `kernel` runs the resulting list of operations.

mod bpk;
mod build;
mod error;
mod invent;
mod kernel;
mod net;
mod onnx;
mod policy;
mod tensors;

pub use error::InferError;
pub use invent::invent_pack;
pub use kernel::Isa;
pub use onnx::export_onnx;
pub use policy::{CpuPolicy, Options, StageTime};
