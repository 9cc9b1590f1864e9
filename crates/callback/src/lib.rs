//! The adapter that POSTs callbacks, signed, and only to where they may go.
//!
//! [`HttpNotifier`] makes one attempt per call and reports what came of it in the port's words; when
//! to try again is the application's business. Neither the URL nor its receiver is trusted. The URL
//! is judged by its form, each address of its name by [`is_public`], and the one connection of the
//! attempt goes to an address that was judged. No redirect is followed and no proxy used, every
//! attempt ends within its time limit, and of an answer only its status, its `Retry-After` and a
//! bounded number of bytes are read.
//!
//! [`sign`] and [`verify`] are the two sides of a callback's signature.
#![warn(clippy::missing_errors_doc)]

mod address;
mod connect;
mod exchange;
mod notifier;
mod resolve;
mod retry_after;

pub use address::{AddressPolicy, is_public};
pub use bursar_webhook::{
    SignatureHeaders, TOLERANCE, Unverified, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
    sign, verify,
};
pub use connect::Connections;
pub use notifier::{HttpNotifier, NotifierConfig, NotifierError};
pub use resolve::{Resolve, SystemResolver};
