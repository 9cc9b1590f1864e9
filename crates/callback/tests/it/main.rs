//! The notifier against real sockets, and its judges against others.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod acceptance;
mod addresses;
mod answers;
mod denied;
mod faults;
mod names;
mod random;
mod receiver;
mod scene;
mod tls;
