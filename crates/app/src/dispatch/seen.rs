//! Which hosts a replica leaves alone, for whoever asks it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bursar_domain::Timestamp;

/// An open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBreaker {
    /// When the next probe may go out; none while one is under way.
    pub probe_at: Option<Timestamp>,
}

/// Where whoever delivers callbacks leaves the breakers that are open, by host. Copies are the same
/// place. Each replica has its own: it knows what it has met itself.
#[derive(Clone, Debug, Default)]
pub struct BreakersSeen(Arc<Mutex<BTreeMap<String, OpenBreaker>>>);

impl BreakersSeen {
    /// The breaker of a host, if it is open.
    pub fn of(&self, host: &str) -> Option<OpenBreaker> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(host).copied()
    }

    /// Leaves those that are open now.
    pub fn tell(&self, open: BTreeMap<String, OpenBreaker>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }
}
