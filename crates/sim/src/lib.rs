//! The embedded world: vehicle, camera, weather, expert, traffic.

pub mod camera;
pub mod weather;
