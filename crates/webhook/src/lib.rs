//! Both sides of a signature to Standard Webhooks: of callbacks to customers, of orders to a payout
//! gateway, and of what the gateway says.
#![warn(clippy::missing_errors_doc)]

mod signature;

pub use signature::{
    SignatureHeaders, TOLERANCE, Unverified, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
    sign, verify,
};
