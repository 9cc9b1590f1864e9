//! The adapter that has withdrawals paid out by a gateway over HTTP.
//!
//! [`HttpGateway`] makes one signed POST per try to the URL that the operator configured, and says
//! what is certain after it: paid, refused or under way; whatever else comes back, or does not, is
//! unknown, and the application asks again. A try has a connection of its own and is bounded in time
//! and size; no redirect is followed and no proxy used.
//!
//! What a gateway must do is told in `docs/PAYOUTS.md`.
#![warn(clippy::missing_errors_doc)]

mod answer;
mod gateway;

pub use gateway::{GatewayConfig, GatewayError, HttpGateway};
