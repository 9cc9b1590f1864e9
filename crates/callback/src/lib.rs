//! The reqwest adapter that POSTs callbacks.
//!
//! [`HttpNotifier`] makes one attempt per call and reports what came of it in the port's words; when
//! to try again is the application's business. A receiver is never trusted: no redirect is
//! followed, no proxy is used, every attempt ends within its time limit, and of an answer only its
//! status, its `Retry-After` and a bounded number of bytes are read.
#![warn(clippy::missing_errors_doc)]

mod address;
mod notifier;
mod retry_after;

pub use notifier::{HttpNotifier, NotifierConfig, NotifierError};
