use super::*;

const TWO: Quota = Quota {
    units: 2,
    window_ms: 1_000,
};

fn take(shard: &mut Shard, now: u64, key: &str) -> bool {
    shard.call(now, Verb::Take, key.to_owned(), 1, TWO).allowed
}

#[test]
fn what_no_longer_counts_is_swept() {
    let mut shard = Shard::default();
    assert!(take(&mut shard, 0, "early"));
    assert!(take(&mut shard, 900_000, "late"));
    shard.sweep(1_000_500);
    assert_eq!(shard.keys.keys().collect::<Vec<_>>(), ["late"]);
    assert_eq!(shard.entries, 1);
}

#[test]
fn looking_leaves_no_trace() {
    let mut shard = Shard::default();
    assert!(shard.call(0, Verb::Peek, "a".to_owned(), 1, TWO).allowed);
    assert!(shard.keys.is_empty());
}

#[test]
fn memory_is_bounded_whoever_comes() {
    let mut shard = Shard::default();
    for number in 0..SHARD_ENTRIES_MAX / KEY_COST * 2 {
        assert!(take(&mut shard, 0, &number.to_string()));
        assert!(shard.size() <= SHARD_ENTRIES_MAX);
    }
    let counted: usize = shard.keys.values().map(|counted| counted.log.len()).sum();
    assert_eq!(shard.entries, counted);
}

#[test]
fn a_full_guard_accepts_nothing_that_it_could_not_remember() {
    let guard = MemoryGuard::new();
    for number in 0..SIGNATURES_MAX {
        assert_eq!(guard.first_use(number.to_string(), 60_000), Some(true));
    }
    assert_eq!(guard.first_use("one more".to_owned(), 60_000), None);
    assert_eq!(guard.first_use("0".to_owned(), 60_000), Some(false));
}
