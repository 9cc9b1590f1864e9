//! What is known of others' writes: whether this process listens, and until when it has heard all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Whether others' writes are heard of here, and until when all of them have been.
#[derive(Debug)]
pub(crate) struct Heard {
    base: Instant,
    /// The number of the session, which is odd, while there is one. None that comes later has it.
    session: AtomicU64,
    /// Microseconds behind `base`.
    until: AtomicU64,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            session: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }
}

/// When something was read, and in which session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadAt {
    at: Instant,
    session: u64,
}

impl Heard {
    /// For what is about to be read.
    pub(crate) fn read_now(&self) -> ReadAt {
        ReadAt {
            at: Instant::now(),
            session: self.session.load(Ordering::SeqCst),
        }
    }

    /// Whether it was true within this time what was read then, if no write of it was heard of.
    pub(crate) fn is_recent(&self, read: ReadAt, within: Duration) -> bool {
        let now = Instant::now();
        if now.duration_since(read.at) < within {
            return true;
        }
        // Before the session: if that has not changed, this is of no later one.
        let until = Duration::from_micros(self.until.load(Ordering::SeqCst));
        let session = self.session.load(Ordering::SeqCst);
        let heard = self.base.checked_add(until);
        !session.is_multiple_of(2)
            && session == read.session
            && heard.is_some_and(|heard| now.saturating_duration_since(heard) <= within)
    }

    /// Begins a session, once every write from now on will be heard of. None while there is one.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Session> {
        let last = self.session.load(Ordering::SeqCst);
        let began = last.is_multiple_of(2)
            && self
                .session
                .compare_exchange(last, last + 1, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        began.then(|| Session(Arc::clone(self)))
    }
}

/// Somebody listens, until this is dropped.
pub(crate) struct Session(Arc<Heard>);

impl Session {
    /// Every write that was over by then has been heard of.
    pub(crate) fn heard_all_until(&self, then: Instant) {
        let until = then.saturating_duration_since(self.0.base).as_micros();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.0.until.store(until, Ordering::SeqCst);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.session.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_listens_at_a_time_and_nobody_takes_up_what_another_heard() {
        let heard = Arc::new(Heard::default());
        let first = heard.begin().unwrap();
        assert!(heard.begin().is_none());
        let read = heard.read_now();
        let later = Instant::now() + Duration::from_secs(60);
        first.heard_all_until(later);
        assert!(heard.is_recent(read, Duration::ZERO));
        drop(first);
        let second = heard.begin().unwrap();
        second.heard_all_until(later);
        assert!(!heard.is_recent(read, Duration::ZERO));
    }

    #[test]
    fn silence_for_too_long_is_no_news() {
        let heard = Arc::new(Heard::default());
        let session = heard.begin().unwrap();
        let read = heard.read_now();
        session.heard_all_until(Instant::now());
        assert!(heard.is_recent(read, Duration::from_secs(60)));
        assert!(!heard.is_recent(read, Duration::ZERO));
    }
}
