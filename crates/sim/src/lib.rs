//! The embedded world: vehicle, camera, weather, expert, traffic.
