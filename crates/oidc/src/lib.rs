//! The adapter to the exchange's identity provider, by OpenID Connect: the authorization code flow with
//! PKCE, as a confidential client.
//!
//! [`OidcProvider`] answers the port. What is accepted is decided by the configuration: issuer, client,
//! algorithms. Where the provider's endpoints are it says itself, in its discovery document, which
//! [`OidcRefresh`] fetches in the background together with its keys (`bursar-jwt`); a provider that is
//! away keeps nobody but those who would sign in there.
//!
//! The provider is asked one thing on a request's behalf, what a code stands for, bounded in time, size
//! and number. Nothing is redirected, no proxy used. Of its answer the ID token alone is looked at; no
//! access token is kept or used.
#![warn(clippy::missing_errors_doc)]

mod claims;
mod config;
mod discovery;
mod exchange;
mod http;
mod provider;
mod refresh;

pub use config::OidcConfig;
pub use http::ClientError;
pub use provider::OidcProvider;
pub use refresh::OidcRefresh;
