//! Tests of the workspace and of the binary as a whole.
//!
//! `cfg(test)` is always true here; it tells clippy that the helpers of these modules are test
//! code too, which may unwrap.

#[cfg(test)]
mod e2e;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod readme;
