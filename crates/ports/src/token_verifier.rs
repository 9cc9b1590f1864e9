//! Tokens that somebody else issued.

use async_trait::async_trait;
use bursar_domain::UserId;

use crate::{Permission, StoreError};

/// What a JWT access token says, once its signature and its claims were found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// `sub`: whom it stands for, 1 to 255 characters without control characters.
    pub subject: String,
    /// `jti`, or else the name of the key that it is signed with: what tells it from others in the
    /// audit log. None when it has neither that could be kept.
    pub id: Option<String>,
    /// The user it acts for, if it names one. Nobody has looked whether there is such a user.
    pub user: Option<UserId>,
    /// What it allows, as far as its names are known here.
    pub permissions: Vec<Permission>,
}

/// Verifies JWT access tokens of the issuer in the configuration.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// What the token says; none when it is malformed, badly signed, expired, not valid yet, or
    /// meant for somebody else. A token that was found good may be taken for good for up to 30
    /// seconds, but never after it has expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there are no keys to verify with, because they could not
    /// be fetched since the start.
    async fn verify(&self, token: String) -> Result<Option<VerifiedToken>, StoreError>;
}
