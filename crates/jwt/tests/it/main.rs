//! The verifier with real keys, a real JWKS server and a clock that tests move.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod claims;
mod issuer;
mod jwks_server;
mod memory;
mod refresh;
mod signatures;
