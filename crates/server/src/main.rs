//! The Bursar binary.
fn main() {}
