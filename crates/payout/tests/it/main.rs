//! Tries against a real server on this machine, one for each way in which it can go wrong.
//!
//! `cfg(test)` is always true here; it tells clippy that these modules are test code too, which may
//! unwrap.

#[cfg(test)]
mod scene;
#[cfg(test)]
mod tries;
