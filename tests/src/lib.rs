//! Tests of the whole house live in `tests/`.
