//! The port, and the memory of tokens that were found good lately.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_ports::{Clock, StoreError, TokenVerifier, VerifiedToken};
use jsonwebtoken::{Algorithm, DecodingKey};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};

use crate::{
    JwksAlgorithm, JwksRefresh, JwtConfig, KeyConfig, SourceError,
    claims::{self, Accepted},
    keys::{Fetched, IssuerKeys},
    refusal::Refusal,
    source::Source,
    token,
};

/// A signature costs some ten microseconds and more to verify, a hash one.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
const REMEMBERED_MAX: u64 = 10_000;

/// Verifies JWT access tokens.
pub struct JwtVerifier {
    config: JwtConfig,
    keys: Keys,
    clock: Arc<dyn Clock>,
    good: Cache<[u8; 32], Remembered>,
}

enum Keys {
    Secret(DecodingKey),
    Issuer {
        keys: IssuerKeys,
        algorithms: Vec<JwksAlgorithm>,
    },
}

/// A token that was found good, and the set of keys it was verified with.
#[derive(Clone)]
struct Remembered {
    accepted: Arc<Accepted>,
    generation: Option<u64>,
}

impl JwtVerifier {
    /// A verifier, and with a JWKS the work that keeps its keys fresh: until that runs, there are
    /// no keys.
    ///
    /// # Errors
    /// [`SourceError::Client`] when TLS cannot be set up, above all without any CA certificate.
    pub fn try_new(
        config: JwtConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<JwksRefresh>), SourceError> {
        let (keys, refresh) = match &config.keys {
            KeyConfig::Secret(secret) => (Keys::Secret(DecodingKey::from_secret(secret)), None),
            KeyConfig::Jwks(jwks) => {
                let (sender, fetched) = watch::channel(Fetched::default());
                let asked = Arc::new(Notify::new());
                let refresh = JwksRefresh {
                    source: Source::try_new(jwks.source.clone())?,
                    algorithms: jwks.algorithms.clone(),
                    interval: jwks.refresh,
                    fetched: sender,
                    asked: Arc::clone(&asked),
                    clock: Arc::clone(&clock),
                };
                let keys = IssuerKeys {
                    fetched,
                    asked,
                    clock: Arc::clone(&clock),
                };
                let algorithms = jwks.algorithms.clone();
                (Keys::Issuer { keys, algorithms }, Some(refresh))
            }
        };
        let verifier = Self {
            config,
            keys,
            clock,
            good: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(REMEMBERED_FOR)
                .build(),
        };
        Ok((verifier, refresh))
    }

    /// The token, if it was found good lately, has not expired since, and its issuer's keys are
    /// still the same.
    fn recall(&self, hash: &[u8; 32]) -> Option<VerifiedToken> {
        let known = self.good.get(hash)?;
        let same_keys = known.generation == self.generation();
        (same_keys && self.clock.now() < known.accepted.until).then(|| known.accepted.token.clone())
    }

    fn generation(&self) -> Option<u64> {
        match &self.keys {
            Keys::Secret(_) => None,
            Keys::Issuer { keys, .. } => keys.generation(),
        }
    }

    async fn examine(&self, token: &str) -> Result<Result<Remembered, Refusal>, StoreError> {
        let header = match token::read_header(token) {
            Ok(header) => header,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (claims, generation) = match &self.keys {
            Keys::Secret(key) if header.alg == Algorithm::HS256 => {
                (token::verify(token, key, Algorithm::HS256), None)
            }
            Keys::Secret(_) => return Ok(Err(Refusal::Algorithm)),
            Keys::Issuer { keys, algorithms } => {
                let fits = |one: &&JwksAlgorithm| as_verified(**one) == header.alg;
                let Some(algorithm) = algorithms.iter().find(fits).copied() else {
                    return Ok(Err(Refusal::Algorithm));
                };
                let kid = header.kid.as_deref();
                let (generation, set) = keys
                    .set_with(|set| set.find(kid, algorithm).is_some())
                    .await
                    .map_err(|never| StoreError::Unavailable(never.into()))?;
                let claims = match set.find(kid, algorithm) {
                    Some(key) => token::verify(token, key, as_verified(algorithm)),
                    None => Err(Refusal::KeyUnknown),
                };
                (claims, Some(generation))
            }
        };
        let accepted = claims.and_then(|claims| {
            claims::check(
                &claims,
                header.kid.as_deref(),
                &self.config,
                self.clock.now(),
            )
            .map(Arc::new)
        });
        Ok(accepted.map(|accepted| Remembered {
            accepted,
            generation,
        }))
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

#[async_trait]
impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: String) -> Result<Option<VerifiedToken>, StoreError> {
        if token.len() > token::TOKEN_BYTES_MAX {
            tracing::debug!(reason = %Refusal::TooLarge, "a JWT was refused");
            return Ok(None);
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.recall(&hash) {
            return Ok(Some(known));
        }
        match self.examine(&token).await? {
            Ok(remembered) => {
                let token = remembered.accepted.token.clone();
                self.good.insert(hash, remembered);
                Ok(Some(token))
            }
            Err(refusal) => {
                tracing::debug!(reason = %refusal, "a JWT was refused");
                Ok(None)
            }
        }
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
