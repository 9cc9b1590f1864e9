//! The exchange's own provider of identities, where operators may sign in.

use std::fmt;

use async_trait::async_trait;

use crate::{Identity, StoreError};

/// What a sign-in at the provider begins with. Everything comes back, or is proved, at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginIdentification {
    /// What the provider gives back with the browser.
    pub state: String,
    /// What the provider writes into what it says about who it is.
    pub nonce: String,
    /// The SHA-256 of what only whoever began can show (PKCE, S256).
    pub challenge: String,
}

/// What ends it.
#[derive(Clone, PartialEq, Eq)]
pub struct EndIdentification {
    /// What the provider gave the browser, good once.
    pub code: String,
    /// Which provider that was, as the browser says (RFC 9207).
    pub issuer: Option<String>,
    /// The nonce that it began with.
    pub nonce: String,
    /// What the challenge is the hash of.
    pub verifier: String,
}

impl fmt::Debug for EndIdentification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndIdentification(..)")
    }
}

/// What the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identified {
    /// It is this one.
    As(Identity),
    /// What came back is not the provider's word, or not for us, or not of this sign-in. Why, for the
    /// log: neither codes nor tokens are in it.
    Refused(String),
    /// It is somebody, who did not show enough (`acr`).
    TooWeak(Identity),
}

/// The provider in the configuration.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The issuer, to the byte.
    fn issuer(&self) -> String;

    /// Where the browser goes to sign in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] as long as the provider has not said where that is.
    async fn begin(&self, begin: BeginIdentification) -> Result<String, StoreError>;

    /// Whom the provider means. A code is asked about once, whatever comes of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the provider does not answer, or does not know us;
    /// [`StoreError::Overloaded`] when too many are being asked about.
    async fn end(&self, end: EndIdentification) -> Result<Identified, StoreError>;
}
