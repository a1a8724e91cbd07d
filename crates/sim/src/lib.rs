//! The embedded world: vehicle, camera, weather, expert, traffic.
//!
//! Deterministic to the bit from (map, route, seed, weather, faults): `f64` arithmetic in a fixed
//! order, `libm` for every transcendental function, random numbers as functions of the seed.
//! [`SimWorld`] is the [`caril_core::World`]; everything else is what it is made of.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod camera;
mod config;
pub mod contact;
pub mod expert;
mod fault;
mod judge;
mod math;
pub mod plan;
pub mod ride;
mod sight;
pub mod stream;
mod summary;
pub mod traffic;
pub mod vehicle;
pub mod weather;
mod world;

pub use camera::Scene;
pub use config::{Disturbance, RouteSpec, SimConfig, SimError, turns};
pub use fault::{CameraFault, FaultError, FaultSpec, fault_names, parse_fault};
pub use summary::{Summary, drive_expert};
pub use weather::Weather;
pub use world::{GOAL_M, SimWorld, WATCHDOG_S, carried};
