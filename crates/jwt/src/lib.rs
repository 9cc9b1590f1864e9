//! The adapter that verifies JWT access tokens.
//!
//! [`JwtVerifier`] answers the port. What is accepted is decided by the configuration alone: a
//! token's header chooses among the configured algorithms and the issuer's keys, and nothing else.
//! Keys come from a shared secret, or from a JWKS whose [`JwksRefresh`] runs in the background, so
//! that no request ever fetches anything itself: a client that hangs up cuts nothing short, and a
//! thousand unknown keys at once are one fetch.
//!
//! [`IssuerSignatures`] is the part of it that ID tokens need too: signatures by an issuer's keys.
#![warn(clippy::missing_errors_doc)]

mod claims;
mod config;
mod jwks;
mod keys;
mod refresh;
mod refusal;
mod signatures;
mod source;
mod token;
mod verifier;

pub use claims::{Claims, numeric_date};
pub use config::{JwksAlgorithm, JwksConfig, JwksSource, JwtConfig, KeyConfig};
pub use refresh::JwksRefresh;
pub use refusal::Refusal;
pub use signatures::{IssuerSignatures, TokenKind};
pub use source::SourceError;
pub use verifier::JwtVerifier;
