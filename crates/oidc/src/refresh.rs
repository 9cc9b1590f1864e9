//! Keeps what is known of the provider fresh, in the background.

use std::{pin::Pin, sync::Arc, time::Duration};

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
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often the keys are fetched anew without being asked for.
const KEYS_INTERVAL: Duration = Duration::from_secs(300);

/// What is known of the provider.
pub(crate) struct Known {
    pub(crate) endpoints: Endpoints,
    pub(crate) signatures: Arc<IssuerSignatures>,
}

/// Keeps keys fresh for as long as it is polled.
type KeysWork = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is gone by, and the work that keeps its keys fresh.
struct Followed {
    known: Arc<Known>,
    keys_work: KeysWork,
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
/// then on from time to time. What was good last counts as long as nothing better comes: a document
/// that says that the keys are elsewhere is gone by once they are there, and looked at again soon
/// until then.
pub struct OidcRefresh {
    pub(crate) config: Arc<OidcConfig>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) known: watch::Sender<Option<Arc<Known>>>,
    pub(crate) retry: Duration,
    pub(crate) look: Duration,
}

impl OidcRefresh {
    /// Asks again this long after an answer that could not be gone by, or none.
    #[must_use]
    pub const fn retrying_after(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// Looks at the document again this long after one that is gone by.
    #[must_use]
    pub const fn looking_after(mut self, look: Duration) -> Self {
        self.look = look;
        self
    }

    /// Runs until it is dropped.
    pub async fn run(self) {
        let mut followed = self.first().await;
        loop {
            let known = Arc::clone(&followed.known);
            followed = tokio::select! {
                next = self.until_the_keys_move(known) => next,
                // It has no end of its own.
                () = &mut followed.keys_work => self.first().await,
            };
        }
    }

    /// Asks until the provider has said where everything is, and its keys are there.
    async fn first(&self) -> Followed {
        let mut told = self.told_other_than(None, self.retry).await;
        loop {
            match self.with_keys(told).await {
                Ok(followed) => {
                    tracing::info!("operators can sign in at the identity provider");
                    return followed;
                }
                Err(newer) => told = newer,
            }
        }
    }

    /// Goes by what the provider says for as long as its keys stay where they are; then by what it
    /// says next, as soon as that has led to keys.
    async fn until_the_keys_move(&self, mut known: Arc<Known>) -> Followed {
        loop {
            let mut told = self.changed(&known.endpoints, self.look).await;
            while told.jwks != known.endpoints.jwks {
                match self.with_keys(told).await {
                    Ok(followed) => {
                        tracing::info!("the identity provider has other endpoints now");
                        return followed;
                    }
                    Err(newer) => told = newer,
                }
            }
            // It may have gone back to what it said before.
            if told != known.endpoints {
                tracing::info!("the identity provider has other endpoints now");
                known = self.go_by(told, Arc::clone(&known.signatures));
            }
        }
    }

    /// Goes by what was told as soon as there are keys where it says; until then what was good last
    /// counts. What the provider says now, if it says something else before there are any.
    async fn with_keys(&self, told: Endpoints) -> Result<Followed, Endpoints> {
        let keys = JwksConfig {
            source: JwksSource::Url(told.jwks.clone()),
            algorithms: self.config.algorithms.clone(),
            refresh: KEYS_INTERVAL,
        };
        let made = IssuerSignatures::try_new(&keys, Arc::clone(&self.clock));
        let (signatures, refresh) = match made {
            Ok(made) => made,
            Err(error) => {
                tell(&error.into());
                tokio::time::sleep(self.retry).await;
                return Err(told);
            }
        };
        let mut keys_work: KeysWork = Box::pin(refresh.run());
        let newer = tokio::select! {
            () = signatures.fetched() => None,
            // Somebody may have mended it a minute later.
            newer = self.changed(&told, self.retry) => Some(newer),
            // It has no end of its own.
            () = &mut keys_work => Some(told.clone()),
        };
        match newer {
            None => Ok(Followed {
                known: self.go_by(told, Arc::new(signatures)),
                keys_work,
            }),
            Some(newer) => Err(newer),
        }
    }

    /// Has whoever signs in from now on go by this.
    fn go_by(&self, endpoints: Endpoints, signatures: Arc<IssuerSignatures>) -> Arc<Known> {
        let known = Arc::new(Known {
            endpoints,
            signatures,
        });
        self.known.send_replace(Some(Arc::clone(&known)));
        known
    }

    /// Looks from time to time, beginning some time from now, until the provider says something else.
    async fn changed(&self, last: &Endpoints, interval: Duration) -> Endpoints {
        tokio::time::sleep(interval).await;
        self.told_other_than(Some(last), interval).await
    }

    /// Asks at once, and again and again, until the provider says something else than it said last.
    async fn told_other_than(&self, last: Option<&Endpoints>, interval: Duration) -> Endpoints {
        let mut failing = false;
        loop {
            match self.fetch().await {
                Ok(endpoints) if last != Some(&endpoints) => return endpoints,
                Ok(_) => failing = false,
                Err(error) => {
                    // Once is enough: it goes on being true, and whoever signs in is told.
                    if !failing {
                        tell(&error);
                    }
                    failing = true;
                }
            }
            tokio::time::sleep(interval).await;
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
