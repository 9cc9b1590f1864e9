//! Keeps the issuer's keys fresh, in the background.

use std::{sync::Arc, time::Duration};

use bursar_ports::{Clock, chain};
use tokio::sync::{Notify, watch};

use crate::{
    JwksAlgorithm,
    jwks::KeySet,
    keys::Fetched,
    source::{Source, SourceError},
};

/// When to try again after a fetch that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Fetches the issuer's keys: at once, then from time to time, and when somebody meets a name that
/// is not among them, for that at most once a minute. The last good set is kept when a fetch fails.
pub struct JwksRefresh {
    pub(crate) source: Source,
    pub(crate) algorithms: Vec<JwksAlgorithm>,
    pub(crate) interval: Duration,
    pub(crate) fetched: watch::Sender<Fetched>,
    pub(crate) asked: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl JwksRefresh {
    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut failing = false;
        loop {
            let wait = match self.fetch().await {
                Ok(()) => {
                    if failing {
                        tracing::info!("the JWKS can be fetched again");
                    }
                    failing = false;
                    self.interval
                }
                Err(error) => {
                    // Once is enough: it goes on being true, and the metric counts.
                    if !failing {
                        let cause = chain(&error);
                        tracing::warn!(cause, "the JWKS was not renewed; the last good one counts");
                    }
                    failing = true;
                    self.interval.min(RETRY_INTERVAL)
                }
            };
            // At its end it is time anyway.
            let _elapsed = tokio::time::timeout(wait, self.asked_in_earnest()).await;
        }
    }

    /// Fetches once and tells what came of it.
    async fn fetch(&mut self) -> Result<(), SourceError> {
        let began = self.clock.now();
        let keys =
            self.source.read().await.and_then(|bytes| {
                KeySet::parse(&bytes, &self.algorithms).ok_or(SourceError::NoKey)
            });
        let (keys, outcome, result) = match keys {
            Ok(keys) => (Some(keys), Ok(()), "ok"),
            Err(error) => (None, Err(error), "failed"),
        };
        metrics::counter!("bursar_jwks_fetches_total", "result" => result).increment(1);
        self.fetched.send_modify(|fetched| {
            fetched.attempts = fetched.attempts.saturating_add(1);
            fetched.attempted_at = Some(began);
            if let Some(keys) = keys {
                let before = fetched
                    .keys
                    .as_ref()
                    .map_or(0, |(generation, _)| *generation);
                fetched.keys = Some((before.saturating_add(1), Arc::new(keys)));
            }
        });
        outcome
    }

    /// Waits until somebody asks who is not answered by what was fetched meanwhile.
    async fn asked_in_earnest(&self) {
        loop {
            self.asked.notified().await;
            if self.fetched.borrow().may_be_asked_again(self.clock.now()) {
                return;
            }
        }
    }
}

impl std::fmt::Debug for JwksRefresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwksRefresh")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
