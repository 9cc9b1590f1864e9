//! The port, and the memory of tokens that were found good lately.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_ports::{Clock, StoreError, TokenVerifier, VerifiedToken};
use jsonwebtoken::{Algorithm, DecodingKey};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    IssuerSignatures, JwksRefresh, JwtConfig, KeyConfig, Refusal, SourceError, TokenKind,
    claims::{self, Accepted},
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
    Issuer(IssuerSignatures),
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
                let (keys, refresh) = IssuerSignatures::try_new(jwks, Arc::clone(&clock))?;
                (Keys::Issuer(keys), Some(refresh))
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
            Keys::Issuer(keys) => keys.generation(),
        }
    }

    async fn examine(&self, token: &str) -> Result<Result<Remembered, Refusal>, StoreError> {
        let header = match token::read_header(token, TokenKind::Access) {
            Ok(header) => header,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (claims, generation) = match &self.keys {
            Keys::Secret(key) if header.alg == Algorithm::HS256 => {
                (token::verify(token, key, Algorithm::HS256), None)
            }
            Keys::Secret(_) => return Ok(Err(Refusal::Algorithm)),
            Keys::Issuer(keys) => match keys.verify_with(token, &header).await? {
                Ok((claims, generation)) => (Ok(claims), Some(generation)),
                Err(refusal) => return Ok(Err(refusal)),
            },
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

#[async_trait]
impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: String) -> Result<Option<VerifiedToken>, StoreError> {
        if token.len() > TokenKind::Access.bytes_max() {
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
