//! The port.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bursar_jwt::TokenKind;
use bursar_ports::{
    BeginIdentification, Clock, EndIdentification, Identified, IdentityProvider, StoreError,
};
use reqwest::Client;
use tokio::sync::{Semaphore, watch};

use crate::{
    ClientError, OidcConfig, OidcRefresh, claims,
    exchange::{self, ExchangeError},
    http,
    refresh::{Known, LOOK_INTERVAL, RETRY_INTERVAL},
};

/// How many codes are asked about at once. Operators are few.
const CODES_AT_ONCE: usize = 16;
/// The longest code. Some providers put a lot into theirs.
const CODE_BYTES_MAX: usize = 4 * 1024;

/// The identity provider of the configuration.
pub struct OidcProvider {
    config: Arc<OidcConfig>,
    client: Client,
    clock: Arc<dyn Clock>,
    known: watch::Receiver<Option<Arc<Known>>>,
    places: Semaphore,
}

impl OidcProvider {
    /// The provider, and the work that finds out where its endpoints are, and its keys: until that
    /// runs, nobody knows.
    ///
    /// # Errors
    /// [`ClientError`] when TLS cannot be set up, above all without any CA certificate.
    pub fn try_new(
        config: OidcConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OidcRefresh), ClientError> {
        let config = Arc::new(config);
        let client = http::client(config.allow_http)?;
        let (sender, known) = watch::channel(None);
        let refresh = OidcRefresh {
            config: Arc::clone(&config),
            client: client.clone(),
            clock: Arc::clone(&clock),
            known: sender,
            retry: RETRY_INTERVAL,
            look: LOOK_INTERVAL,
        };
        let provider = Self {
            config,
            client,
            clock,
            known,
            places: Semaphore::new(CODES_AT_ONCE),
        };
        Ok((provider, refresh))
    }

    fn known(&self) -> Result<Arc<Known>, StoreError> {
        let known = self.known.borrow().clone();
        let why = "the identity provider's endpoints and keys are not known yet";
        known.ok_or_else(|| StoreError::Unavailable(why.into()))
    }

    /// Whether an answer may be this provider's, as far as it says (RFC 9207).
    fn is_ours(&self, known: &Known, told: Option<&str>) -> bool {
        match told {
            Some(issuer) => issuer == self.config.issuer,
            None => !known.endpoints.says_issuer,
        }
    }
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn issuer(&self) -> String {
        self.config.issuer.clone()
    }

    async fn begin(&self, begin: BeginIdentification) -> Result<String, StoreError> {
        let known = self.known()?;
        let config = &self.config;
        let mut location = known.endpoints.authorization.clone();
        {
            let mut query = location.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &config.client_id)
                .append_pair("redirect_uri", config.redirect_url.as_str())
                .append_pair("scope", &config.scopes.join(" "))
                .append_pair("state", &begin.state)
                .append_pair("nonce", &begin.nonce)
                .append_pair("code_challenge", &begin.challenge)
                .append_pair("code_challenge_method", "S256");
            if let Some(acr) = &config.acr {
                query.append_pair("acr_values", acr);
            }
        }
        Ok(location.into())
    }

    async fn end(&self, end: EndIdentification) -> Result<Identified, StoreError> {
        let known = self.known()?;
        if !self.is_ours(&known, end.issuer.as_deref()) {
            return Ok(refused("it is another provider's answer"));
        }
        if end.code.is_empty() || end.code.len() > CODE_BYTES_MAX {
            return Ok(refused("there is no code, or one that is too long"));
        }
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| StoreError::Overloaded)?;
        let redeemed = exchange::redeem(
            &self.client,
            &self.config,
            &known.endpoints,
            &end.code,
            &end.verifier,
        );
        let token = match redeemed.await {
            Ok(token) => token,
            Err(error @ (ExchangeError::Code | ExchangeError::NoToken)) => {
                return Ok(refused(error));
            }
            Err(error @ (ExchangeError::Fetch(_) | ExchangeError::Trouble { .. })) => {
                return Err(StoreError::Unavailable(error.into()));
            }
        };
        let claims = match known.signatures.verify(&token, TokenKind::Id).await? {
            Ok(claims) => claims,
            Err(refusal) => return Ok(refused(format_args!("the ID token: {refusal}"))),
        };
        let now = self.clock.now();
        let checked = claims::check(&claims, &self.config, &end.nonce, now);
        Ok(checked.unwrap_or_else(|refusal| refused(format_args!("the ID token: {refusal}"))))
    }
}

fn refused(why: impl fmt::Display) -> Identified {
    Identified::Refused(why.to_string())
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
