//! Recordings of others.
