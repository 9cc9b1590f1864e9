//! Signing in at the exchange's identity provider.
//!
//! Nothing about a sign-in under way is kept here, so that any replica ends what another began: all of
//! it hangs on 32 random bytes that the browser keeps. What goes to the provider and must come back is
//! derived from them, so whoever has not begun it here can end nothing, and no word of the provider is
//! good for another sign-in than the one that it was given for.

mod seed;

use std::{error::Error as _, fmt};

use bursar_ports::{
    BeginIdentification, EndIdentification, Identified, Identity, IdentityProvider, Operator,
    SignInProof, StoreError, chain,
};

pub use self::seed::ProviderSeed;
use super::{
    Caller, OpenedSession,
    opening::{TooMany, count, failure},
};
use crate::{App, keyring::equal};

/// What the audit log calls the provider's word.
const CREDENTIAL: &str = "identity_provider";
/// The longest that is logged of what the provider says went wrong, in characters.
const ERROR_MAX: usize = 64;

/// A sign-in that was begun.
#[derive(Debug)]
pub struct BegunSignIn {
    /// What the browser keeps.
    pub seed: ProviderSeed,
    /// Where it goes.
    pub location: String,
}

/// What the browser brings back from the provider.
#[derive(Clone)]
pub enum ProviderAnswer {
    /// A code, and which provider it is from, where that is told.
    Code {
        /// The code.
        code: String,
        /// The issuer.
        issuer: Option<String>,
    },
    /// An error of OAuth 2.0 or OpenID Connect, by its code.
    Error(String),
}

impl fmt::Debug for ProviderAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderAnswer(..)")
    }
}

/// What ends a sign-in at the provider.
#[derive(Clone, Debug)]
pub struct ProviderSignIn {
    /// What the browser kept.
    pub seed: Option<ProviderSeed>,
    /// What the provider gave back.
    pub state: String,
    /// What it says.
    pub answer: ProviderAnswer,
    /// What the browser calls itself.
    pub user_agent: String,
    /// The request.
    pub caller: Caller,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum ProviderSignInError {
    /// This browser began no such sign-in.
    #[error("this browser began no such sign-in")]
    NotBegun,
    /// Whoever sat there, or the provider, said no.
    #[error("the provider says that somebody said no")]
    Denied,
    /// The provider says that something is wrong.
    #[error("the provider says that something is wrong")]
    Failed,
    /// What came back is not the provider's word for this sign-in.
    #[error("what came back from the provider is not accepted")]
    NotAccepted,
    /// The provider was shown less than is asked for.
    #[error("the provider was shown less than is asked for")]
    TooWeak,
    /// Nobody here is whom the provider means.
    #[error("no operator is whom the provider means")]
    Unlinked(Identity),
    /// The operator is disabled, or has changed meanwhile.
    #[error("the sign-in was not accepted")]
    Refused,
    /// Too many have tried from this address.
    #[error("there were too many tries from this address")]
    TooManyTries {
        /// When another try is worth it, in seconds from now.
        retry_after_s: u32,
    },
    /// The provider does not answer.
    #[error("the identity provider does not answer")]
    Away(#[source] StoreError),
    /// It could not be found out.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

impl From<TooMany> for ProviderSignInError {
    fn from(many: TooMany) -> Self {
        match many {
            TooMany::Tries { retry_after_s } => Self::TooManyTries { retry_after_s },
            TooMany::Trouble(error) => Self::Trouble(error),
        }
    }
}

impl App {
    /// Begins a sign-in at the identity provider.
    ///
    /// # Errors
    /// [`ProviderSignInError::Away`] when nobody knows where that is.
    pub async fn begin_provider_sign_in(&self) -> Result<BegunSignIn, ProviderSignInError> {
        let seed = ProviderSeed::from_random(self.ports.ids.random_bytes());
        let begin = BeginIdentification {
            state: seed.state(),
            nonce: seed.nonce(),
            challenge: seed.challenge(),
        };
        let begun = self.provider()?.begin(begin).await;
        let location = begun.map_err(away)?;
        Ok(BegunSignIn { seed, location })
    }

    /// Opens a session for the operator whom the provider means.
    ///
    /// # Errors
    /// See [`ProviderSignInError`].
    pub async fn end_provider_sign_in(
        &self,
        given: ProviderSignIn,
    ) -> Result<OpenedSession, ProviderSignInError> {
        let ended = self.identified(given).await;
        if let Err(error) = &ended
            && !matches!(error, ProviderSignInError::TooManyTries { .. })
        {
            count("refused");
        }
        ended
    }

    async fn identified(
        &self,
        given: ProviderSignIn,
    ) -> Result<OpenedSession, ProviderSignInError> {
        // Before anything is counted: what another site sends a browser to is nobody's try.
        let seed = given.seed.filter(|seed| {
            let expected = seed.state();
            equal(expected.as_bytes(), given.state.as_bytes())
        });
        let Some(seed) = seed else {
            tracing::info!("the end of a sign-in at the provider that began elsewhere was refused");
            return Err(ProviderSignInError::NotBegun);
        };
        self.take_sign_in_try(&given.caller).await?;
        let (code, issuer) = match given.answer {
            ProviderAnswer::Code { code, issuer } => (code, issuer),
            ProviderAnswer::Error(error) => return Err(told(&error)),
        };
        let end = EndIdentification {
            code,
            issuer,
            nonce: seed.nonce(),
            verifier: seed.verifier(),
        };
        let identified = self.provider()?.end(end).await;
        match identified.map_err(away)? {
            Identified::As(identity) => {
                let operator = self.operator_of(&identity).await?;
                self.let_in(operator, identity, given.user_agent, &given.caller)
                    .await
            }
            Identified::TooWeak(identity) => {
                let operator = self.operator_of(&identity).await?;
                tracing::info!(
                    operator = operator.name,
                    "a sign-in at the provider was refused: it was shown less than oidc.acr"
                );
                self.note_provider_failure(&operator, &given.caller).await?;
                Err(ProviderSignInError::TooWeak)
            }
            Identified::Refused(reason) => {
                tracing::warn!(reason, "what came back from the provider was refused");
                Err(ProviderSignInError::NotAccepted)
            }
        }
    }

    async fn let_in(
        &self,
        operator: Operator,
        identity: Identity,
        user_agent: String,
        caller: &Caller,
    ) -> Result<OpenedSession, ProviderSignInError> {
        if operator.is_active {
            let proof = SignInProof::Identity(identity);
            let opened = self.open_session(&operator, proof, user_agent, caller);
            if let Some(opened) = opened.await? {
                return Ok(opened);
            }
        }
        tracing::info!(
            operator = operator.name,
            "a sign-in at the provider of an operator who is disabled or has changed was refused"
        );
        self.note_provider_failure(&operator, caller).await?;
        Err(ProviderSignInError::Refused)
    }

    async fn note_provider_failure(
        &self,
        operator: &Operator,
        caller: &Caller,
    ) -> Result<(), StoreError> {
        let audit = failure(operator, CREDENTIAL, caller);
        self.ports.operators.note_failure(self.now(), audit).await
    }

    async fn operator_of(&self, identity: &Identity) -> Result<Operator, ProviderSignInError> {
        let operators = &self.ports.operators;
        let found = operators.find_by_identity(identity.clone()).await?;
        found.ok_or_else(|| {
            let Identity { issuer, subject } = identity;
            tracing::info!(
                issuer,
                subject,
                "a sign-in at the provider of somebody who is no operator was refused"
            );
            ProviderSignInError::Unlinked(identity.clone())
        })
    }

    fn provider(&self) -> Result<&dyn IdentityProvider, ProviderSignInError> {
        let provider = self.ports.identity_provider.as_deref();
        provider.ok_or_else(|| {
            let none = StoreError::Unavailable("there is no identity provider".into());
            ProviderSignInError::Away(none)
        })
    }
}

/// Tells the log why the provider does not answer.
fn away(error: StoreError) -> ProviderSignInError {
    let cause = error.source().map(chain).unwrap_or_default();
    tracing::warn!(%error, cause, "nobody can sign in at the identity provider");
    ProviderSignInError::Away(error)
}

/// What an error of the provider means. Those that are nobody's no are for the log: somebody must look
/// at them.
fn told(error: &str) -> ProviderSignInError {
    if error == "access_denied" {
        tracing::info!("the provider says that a sign-in was denied");
        return ProviderSignInError::Denied;
    }
    let error: String = error
        .chars()
        .filter(char::is_ascii_graphic)
        .take(ERROR_MAX)
        .collect();
    tracing::warn!(error, "the provider says that a sign-in failed");
    ProviderSignInError::Failed
}

#[cfg(test)]
mod tests;
