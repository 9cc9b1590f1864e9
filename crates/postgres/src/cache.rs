//! Bounded copies of what was read lately, so that requests do not ask the database for the same
//! user, asset or token thousands of times a second.
//!
//! What an entry says was true within the cache's time to live: it was read since, or nobody has
//! written it since as far as [`Heard`] knows. This process's own writes show at once, also when a
//! read of the old value is still under way while the write commits: every key has a mark, a write
//! moves it on, and an entry counts only while it bears the mark that stood before its read began.

use std::{
    future::Future,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bursar_ports::StoreError;
use moka::sync::Cache;

use crate::heard::{Heard, ReadAt};

/// Keys share marks: a write then drops a few entries too many, which costs a read each.
const MARKS: usize = 1_024;

/// How long an entry is kept of which nobody has heard that it was written.
const UNWRITTEN_MAX: Duration = Duration::from_secs(60);

/// The mark of a key before a read, and when that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    number: u64,
    read: ReadAt,
}

/// What was found when its key had this mark.
struct Kept<V> {
    mark: Mark,
    value: Arc<V>,
}

impl<V> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self {
            mark: self.mark,
            value: Arc::clone(&self.value),
        }
    }
}

/// Values by key, each of them true within the time to live.
pub(crate) struct ReadCache<K, V> {
    time_to_live: Duration,
    heard: Arc<Heard>,
    entries: Cache<K, Kept<V>>,
    /// Keys that had no value. Apart, so that no flood of them drives values out.
    absent: Option<Cache<K, Mark>>,
    marks: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl<K, V> ReadCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A cache of what is never heard of.
    pub(crate) fn new(entries_max: u64, time_to_live: Duration) -> Self {
        Self::build(entries_max, time_to_live, time_to_live, Arc::default())
    }

    /// A cache of what [`Heard`] knows to be written: whoever hears of it calls [`Self::forget`].
    pub(crate) fn hearing(entries_max: u64, time_to_live: Duration, heard: Arc<Heard>) -> Self {
        Self::build(entries_max, time_to_live, UNWRITTEN_MAX, heard)
    }

    fn build(
        entries_max: u64,
        time_to_live: Duration,
        kept_for: Duration,
        heard: Arc<Heard>,
    ) -> Self {
        Self {
            time_to_live,
            heard,
            entries: Cache::builder()
                .max_capacity(entries_max)
                .time_to_live(kept_for)
                .build(),
            absent: None,
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The same cache, which also remembers for some time that there was no value.
    pub(crate) fn remembering_absence(self, keys_max: u64, time_to_live: Duration) -> Self {
        let absent = Cache::builder()
            .max_capacity(keys_max)
            .time_to_live(time_to_live)
            .build();
        Self {
            absent: Some(absent),
            ..self
        }
    }

    /// Whether there was no value lately, and none was written since.
    fn is_absent(&self, key: &K) -> bool {
        let mark = self.absent.as_ref().and_then(|absent| absent.get(key));
        mark.is_some_and(|mark| mark.number == self.number(key))
    }

    /// The value, if it was read lately and not written since.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        let kept = self.entries.get(key)?;
        let stands = kept.mark.number == self.number(key)
            && self.heard.is_recent(kept.mark.read, self.time_to_live);
        stands.then_some(kept.value)
    }

    /// The key's mark, to be taken before the read whose result is kept.
    pub(crate) fn mark(&self, key: &K) -> Mark {
        Mark {
            number: self.number(key),
            read: self.heard.read_now(),
        }
    }

    fn number(&self, key: &K) -> u64 {
        self.mark_of(key).map_or(0, |m| m.load(Ordering::SeqCst))
    }

    /// Keeps what a read found that began after `mark` was taken.
    pub(crate) fn keep(&self, key: K, mark: Mark, value: Arc<V>) {
        self.entries.insert(key, Kept { mark, value });
    }

    /// The value, from here or from the database.
    pub(crate) async fn get_or_load<F, L>(
        &self,
        key: K,
        load: F,
    ) -> Result<Option<Arc<V>>, StoreError>
    where
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<V>, StoreError>>,
    {
        if let Some(value) = self.get(&key) {
            return Ok(Some(value));
        }
        if self.is_absent(&key) {
            return Ok(None);
        }
        let mark = self.mark(&key);
        let Some(value) = load().await?.map(Arc::new) else {
            if let Some(absent) = &self.absent {
                absent.insert(key, mark);
            }
            return Ok(None);
        };
        self.keep(key, mark, Arc::clone(&value));
        Ok(Some(value))
    }

    /// Call when a write of this key is over, however it ended, or was heard of.
    pub(crate) fn forget(&self, key: &K) {
        if let Some(mark) = self.mark_of(key) {
            mark.fetch_add(1, Ordering::SeqCst);
        }
        self.entries.invalidate(key);
    }

    /// Call when a write is over that may have been one of any key.
    pub(crate) fn forget_all(&self) {
        for mark in &self.marks {
            mark.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn mark_of(&self, key: &K) -> Option<&AtomicU64> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default();
        self.marks.get(hash.checked_rem(MARKS)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn cache() -> ReadCache<u32, &'static str> {
        ReadCache::new(100, Duration::from_secs(60))
    }

    #[tokio::test]
    async fn what_was_found_is_not_loaded_again() {
        let cache = cache();
        let found = cache.get_or_load(1, async || Ok(Some("one"))).await;
        assert_eq!(found.unwrap().as_deref(), Some(&"one"));
        let again = cache.get_or_load(1, async || Ok(Some("other"))).await;
        assert_eq!(again.unwrap().as_deref(), Some(&"one"));
    }

    #[tokio::test]
    async fn what_nobody_has_written_is_kept_while_writes_are_heard_of() {
        let heard = Arc::new(Heard::default());
        let cache = ReadCache::hearing(100, Duration::ZERO, Arc::clone(&heard));
        let keep = |value| cache.keep(1, cache.mark(&1), Arc::new(value));
        keep("read in silence");
        assert_eq!(cache.get(&1), None);
        let session = heard.begin().unwrap();
        assert_eq!(cache.get(&1), None, "it may have been written before");
        keep("read while listening");
        session.heard_all_until(Instant::now() + Duration::from_secs(60));
        assert_eq!(cache.get(&1).as_deref(), Some(&"read while listening"));
        cache.forget(&1);
        assert_eq!(cache.get(&1), None);
        keep("read again");
        assert_eq!(cache.get(&1).as_deref(), Some(&"read again"));
        drop(session);
        assert_eq!(cache.get(&1), None);
    }

    #[tokio::test]
    async fn a_write_of_nobody_knows_what_outdates_everything() {
        let cache = cache();
        let late = cache.mark(&3);
        for key in [1, 2] {
            cache.keep(key, cache.mark(&key), Arc::new("before"));
        }
        cache.forget_all();
        cache.keep(3, late, Arc::new("read before"));
        for key in [1, 2, 3] {
            assert_eq!(cache.get(&key), None, "{key}");
        }
        cache.keep(1, cache.mark(&1), Arc::new("after"));
        assert_eq!(cache.get(&1).as_deref(), Some(&"after"));
    }

    #[tokio::test]
    async fn that_there_is_none_is_not_kept() {
        let cache = cache();
        assert_eq!(cache.get_or_load(1, async || Ok(None)).await.unwrap(), None);
        let found = cache.get_or_load(1, async || Ok(Some("one"))).await;
        assert_eq!(found.unwrap().as_deref(), Some(&"one"));
    }

    #[tokio::test]
    async fn that_there_is_none_is_kept_where_asked_for_until_it_is_written() {
        let cache = cache().remembering_absence(2, Duration::from_secs(60));
        assert_eq!(cache.get_or_load(1, async || Ok(None)).await.unwrap(), None);
        let again = cache.get_or_load(1, async || Ok(Some("one"))).await;
        assert_eq!(again.unwrap(), None);
        cache.forget(&1);
        let written = cache.get_or_load(1, async || Ok(Some("one"))).await;
        assert_eq!(written.unwrap().as_deref(), Some(&"one"));
    }

    #[tokio::test]
    async fn a_flood_of_keys_without_values_takes_no_room_from_values() {
        let cache = cache().remembering_absence(10, Duration::from_secs(60));
        let found = cache.get_or_load(0, async || Ok(Some("zero"))).await;
        assert!(found.unwrap().is_some());
        for key in 1..1_000 {
            assert_eq!(
                cache.get_or_load(key, async || Ok(None)).await.unwrap(),
                None
            );
        }
        let absent = cache.absent.as_ref().unwrap();
        absent.run_pending_tasks();
        assert!(absent.entry_count() <= 10, "{}", absent.entry_count());
        assert!(cache.get(&0).is_some());
    }

    #[tokio::test]
    async fn a_write_during_a_read_outdates_what_the_read_found() {
        let cache = cache();
        let found = cache
            .get_or_load(1, async || {
                cache.forget(&1);
                Ok(Some("old"))
            })
            .await;
        assert_eq!(found.unwrap().as_deref(), Some(&"old"));
        assert_eq!(cache.get(&1), None);
    }
}
