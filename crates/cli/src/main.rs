//! The one binary, `caril`.
fn main() {}
