//! Signatures by an issuer's published keys.

use std::{fmt, sync::Arc};

use bursar_ports::{Clock, StoreError};
use jsonwebtoken::{Algorithm, Header};
use tokio::sync::{Notify, watch};

pub use crate::token::TokenKind;
use crate::{
    Claims, JwksAlgorithm, JwksConfig, JwksRefresh, Refusal, SourceError,
    keys::{Fetched, IssuerKeys},
    source::Source,
    token,
};

/// The published keys of an issuer, and what they may be used with. What a token claims is for
/// whoever asks to judge.
pub struct IssuerSignatures {
    keys: IssuerKeys,
    algorithms: Vec<JwksAlgorithm>,
}

impl IssuerSignatures {
    /// Nobody's keys yet, and the work that fetches them and keeps them fresh.
    ///
    /// # Errors
    /// [`SourceError::Client`] when TLS cannot be set up, above all without any CA certificate.
    pub fn try_new(
        config: &JwksConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, JwksRefresh), SourceError> {
        let (sender, fetched) = watch::channel(Fetched::default());
        let asked = Arc::new(Notify::new());
        let refresh = JwksRefresh {
            source: Source::try_new(config.source.clone())?,
            algorithms: config.algorithms.clone(),
            interval: config.refresh,
            fetched: sender,
            asked: Arc::clone(&asked),
            clock: Arc::clone(&clock),
        };
        let signatures = Self {
            keys: IssuerKeys {
                fetched,
                asked,
                clock,
            },
            algorithms: config.algorithms.clone(),
        };
        Ok((signatures, refresh))
    }

    /// Waits until there are keys: for ever, if their refresh never brings any.
    pub async fn fetched(&self) {
        self.keys.fetched().await;
    }

    /// What a token of this kind claims, if its signature is the issuer's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no keys were ever fetched.
    pub async fn verify(
        &self,
        token: &str,
        kind: TokenKind,
    ) -> Result<Result<Claims, Refusal>, StoreError> {
        let header = match token::read_header(token, kind) {
            Ok(header) => header,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let verified = self.verify_with(token, &header).await?;
        Ok(verified.map(|(claims, _)| claims))
    }

    /// The same for a header that was read, with the number of the set of keys.
    pub(crate) async fn verify_with(
        &self,
        token: &str,
        header: &Header,
    ) -> Result<Result<(Claims, u64), Refusal>, StoreError> {
        let fits = |one: &&JwksAlgorithm| as_verified(**one) == header.alg;
        let Some(algorithm) = self.algorithms.iter().find(fits).copied() else {
            return Ok(Err(Refusal::Algorithm));
        };
        let kid = header.kid.as_deref();
        let (generation, set) = self
            .keys
            .set_with(|set| set.find(kid, algorithm).is_some())
            .await
            .map_err(|never| StoreError::Unavailable(never.into()))?;
        let claims = match set.find(kid, algorithm) {
            Some(key) => token::verify(token, key, as_verified(algorithm)),
            None => Err(Refusal::KeyUnknown),
        };
        Ok(claims.map(|claims| (claims, generation)))
    }

    /// How many good sets were fetched before the one in use.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.keys.generation()
    }
}

/// The algorithm as the library that verifies calls it.
const fn as_verified(algorithm: JwksAlgorithm) -> Algorithm {
    match algorithm {
        JwksAlgorithm::Rs256 => Algorithm::RS256,
        JwksAlgorithm::Es256 => Algorithm::ES256,
        JwksAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

impl fmt::Debug for IssuerSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerSignatures")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
