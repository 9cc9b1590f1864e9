//! The issuer's keys as they were last seen, and the asking for newer ones.

use std::{future, sync::Arc, time::Duration};

use bursar_domain::Timestamp;
use bursar_ports::Clock;
use tokio::sync::{Notify, watch};

use crate::{jwks::KeySet, source::FETCH_TIMEOUT};

/// How often a name that nobody has heard of may cause a fetch.
const UNKNOWN_KEY_INTERVAL_US: i64 = 60_000_000;
/// A fetch under way ends before this.
const PATIENCE: Duration = FETCH_TIMEOUT.saturating_add(Duration::from_secs(1));

/// What the fetches so far came to.
#[derive(Clone, Default)]
pub(crate) struct Fetched {
    /// How many there were, good and bad.
    pub(crate) attempts: u64,
    /// When the last one began.
    pub(crate) attempted_at: Option<Timestamp>,
    /// The last good set, and how many good ones there were before it.
    pub(crate) keys: Option<(u64, Arc<KeySet>)>,
}

impl Fetched {
    /// Whether a name that is not in the set may cause a fetch already.
    pub(crate) fn may_be_asked_again(&self, now: Timestamp) -> bool {
        self.attempted_at
            .is_none_or(|at| at.plus_micros(UNKNOWN_KEY_INTERVAL_US) <= now)
    }
}

/// No set of keys was ever fetched.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's keys could not be fetched yet")]
pub(crate) struct NeverFetched;

/// The keys, as seen by those who verify.
pub(crate) struct IssuerKeys {
    pub(crate) fetched: watch::Receiver<Fetched>,
    pub(crate) asked: Arc<Notify>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl IssuerKeys {
    /// The set to verify with: the last one, if `has` finds its key in it, else a newer one if it
    /// may be asked for now. Everybody who asks meanwhile waits for the same fetch.
    pub(crate) async fn set_with(
        &self,
        has: impl Fn(&KeySet) -> bool,
    ) -> Result<(u64, Arc<KeySet>), NeverFetched> {
        let seen = self.fetched.borrow().clone();
        let settled = match &seen.keys {
            Some((_, keys)) => has(keys) || !seen.may_be_asked_again(self.clock.now()),
            // The refresh tries again and again by itself.
            None => seen.attempts > 0,
        };
        if settled {
            return seen.keys.ok_or(NeverFetched);
        }
        self.asked.notify_one();
        let mut fetched = self.fetched.clone();
        let newer = fetched.wait_for(|now| now.attempts > seen.attempts);
        let newer = match tokio::time::timeout(PATIENCE, newer).await {
            Ok(Ok(newer)) => newer.keys.clone(),
            // Nobody fetches, or not in time: then what was seen is all there is.
            Ok(Err(_)) | Err(_) => None,
        };
        newer.or(seen.keys).ok_or(NeverFetched)
    }

    /// Waits until there is a set.
    pub(crate) async fn fetched(&self) {
        let mut fetched = self.fetched.clone();
        let first = fetched.wait_for(|now| now.keys.is_some()).await.is_ok();
        if !first {
            // Nobody fetches any more.
            future::pending::<()>().await;
        }
    }

    /// How many good sets were fetched before the one in use.
    pub(crate) fn generation(&self) -> Option<u64> {
        let fetched = self.fetched.borrow();
        fetched.keys.as_ref().map(|(generation, _)| *generation)
    }
}
