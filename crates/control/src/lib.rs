//! The safety core: correction, longitudinal control, limits and the command gate. no_std, no alloc.
