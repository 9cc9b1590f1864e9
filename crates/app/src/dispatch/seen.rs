//! Which hosts a replica leaves alone, for whoever asks it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
        self.locked().get(host).copied()
    }

    /// Leaves those that are open now, and no others.
    pub fn tell(&self, open: BTreeMap<String, OpenBreaker>) {
        *self.locked() = open;
    }

    /// Leaves how the breaker of one host is now.
    pub(super) fn note(&self, host: &str, opening: Option<OpenBreaker>) {
        let mut seen = self.locked();
        match opening {
            Some(opening) => {
                seen.insert(host.to_owned(), opening);
            }
            None => {
                seen.remove(host);
            }
        }
    }

    /// Takes those back whose hosts are not kept.
    pub(super) fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        self.locked().retain(|host, _| is_kept(host));
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.locked().len()
    }

    /// All that are open.
    #[cfg(test)]
    pub(super) fn all(&self) -> BTreeMap<String, OpenBreaker> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, OpenBreaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed_at(micros: i64) -> OpenBreaker {
        OpenBreaker {
            probe_at: Some(Timestamp::from_micros(micros)),
        }
    }

    fn open(hosts: &[(&str, OpenBreaker)]) -> BTreeMap<String, OpenBreaker> {
        let hosts = hosts.iter().copied();
        hosts
            .map(|(host, breaker)| (host.to_owned(), breaker))
            .collect()
    }

    #[test]
    fn whoever_looks_finds_what_was_told_last() {
        let told = BreakersSeen::default();
        let seen = told.clone();
        told.tell(open(&[("a", probed_at(1)), ("b", probed_at(2))]));
        assert_eq!(seen.of("a"), Some(probed_at(1)));
        assert_eq!(seen.of("c"), None);
        told.tell(open(&[("c", probed_at(3))]));
        assert_eq!(seen.of("a"), None);
        assert_eq!(seen.of("c"), Some(probed_at(3)));
    }

    #[test]
    fn what_is_told_of_one_host_leaves_the_others_as_they_were() {
        let told = BreakersSeen::default();
        told.note("a", None);
        assert_eq!(told.count(), 0);
        told.note("a", Some(probed_at(1)));
        told.note("b", Some(probed_at(2)));
        told.note("a", Some(probed_at(3)));
        let both = open(&[("a", probed_at(3)), ("b", probed_at(2))]);
        assert_eq!((told.all(), told.count()), (both, 2));
        told.note("a", None);
        assert_eq!(told.all(), open(&[("b", probed_at(2))]));
    }

    #[test]
    fn hosts_that_are_forgotten_are_open_no_more() {
        let told = BreakersSeen::default();
        told.tell(open(&[("a", probed_at(1)), ("b", probed_at(2))]));
        told.retain(|host| host == "b");
        assert_eq!(told.all(), open(&[("b", probed_at(2))]));
    }
}
