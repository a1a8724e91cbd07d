//! The versioned wire between plant and controller, and its ZeroMQ ends.
