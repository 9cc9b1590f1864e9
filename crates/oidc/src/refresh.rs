//! Keeps what is known of the provider fresh, in the background.

use std::{sync::Arc, time::Duration};

use bursar_jwt::{IssuerSignatures, JwksConfig, JwksSource, SourceError};
use bursar_ports::{Clock, chain};
use reqwest::{Client, StatusCode};
use tokio::sync::watch;

use crate::{
    OidcConfig,
    discovery::{self, DocumentError, Endpoints},
    http::{self, FetchError},
};

/// When to ask again after an answer that could not be gone by, or none.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How often the document is looked at again. Endpoints move once in years, and not without a word.
const LOOK_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often the keys are fetched anew without being asked for.
const KEYS_INTERVAL: Duration = Duration::from_secs(300);

/// What is known of the provider.
pub(crate) struct Known {
    pub(crate) endpoints: Endpoints,
    pub(crate) signatures: IssuerSignatures,
}

#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the discovery document is answered with status {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Keys(#[from] SourceError),
}

/// Fetches the provider's discovery document and its keys: at once and again until it works, and from
/// then on from time to time. What was good last counts as long as nothing better comes.
pub struct OidcRefresh {
    pub(crate) config: Arc<OidcConfig>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) known: watch::Sender<Option<Arc<Known>>>,
    pub(crate) retry: Duration,
}

impl OidcRefresh {
    /// Asks again this long after an answer that could not be gone by, or none.
    #[must_use]
    pub const fn retrying_after(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// Runs until it is dropped.
    pub async fn run(self) {
        let mut endpoints = self.first().await;
        loop {
            let keys = JwksConfig {
                source: JwksSource::Url(endpoints.jwks.clone()),
                algorithms: self.config.algorithms.clone(),
                refresh: KEYS_INTERVAL,
            };
            let made = IssuerSignatures::try_new(&keys, Arc::clone(&self.clock));
            let (signatures, refresh) = match made {
                Ok(made) => made,
                Err(error) => {
                    tell(&error.into());
                    tokio::time::sleep(self.retry).await;
                    continue;
                }
            };
            self.known.send_replace(Some(Arc::new(Known {
                endpoints: endpoints.clone(),
                signatures,
            })));
            endpoints = tokio::select! {
                // It has no end of its own.
                () = refresh.run() => endpoints,
                changed = self.changed(&endpoints) => changed,
            };
        }
    }

    /// Asks until the provider has said where everything is.
    async fn first(&self) -> Endpoints {
        let mut failing = false;
        loop {
            match self.fetch().await {
                Ok(endpoints) => {
                    tracing::info!("operators can sign in at the identity provider");
                    return endpoints;
                }
                Err(error) => {
                    // Once is enough: it goes on being true, and whoever signs in is told.
                    if !failing {
                        tell(&error);
                    }
                    failing = true;
                }
            }
            tokio::time::sleep(self.retry).await;
        }
    }

    /// Waits until the provider says something else.
    async fn changed(&self, known: &Endpoints) -> Endpoints {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            match self.fetch().await {
                Ok(endpoints) if endpoints != *known => {
                    tracing::info!("the identity provider has other endpoints now");
                    return endpoints;
                }
                Ok(_) => {}
                Err(error) => tell(&error),
            }
        }
    }

    async fn fetch(&self) -> Result<Endpoints, RefreshError> {
        let request = self.client.get(discovery::address(&self.config.issuer));
        let (status, json) = http::send(request).await?;
        if status != StatusCode::OK {
            return Err(RefreshError::Status(status));
        }
        Ok(discovery::read(&json, &self.config)?)
    }
}

fn tell(error: &RefreshError) {
    let cause = chain(error);
    tracing::warn!(
        cause,
        "what the identity provider says about itself was not renewed; what it said last counts"
    );
}

impl std::fmt::Debug for OidcRefresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcRefresh")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
