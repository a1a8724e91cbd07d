//! A server of CARLA's client protocol, release 0.9.16, over the embedded world.
//!
//! The genuine Python client connects to it, so that a bridge or any CARLA script runs end to end
//! on a laptop or in CI. It is not CARLA: see docs/carla.md for what it does and does not.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod batch;
mod fault;
mod geometry;
mod hub;
mod methods;
mod server;
pub mod wire;
mod world;

pub use fault::{FAULTS, Faults};
// The world without its sockets is for the fuzz targets.
pub use methods::{Context, answer};
pub use server::{Server, ServerError, ServerOptions};
pub use world::{Library, Limits, Simulation, Sink};
