//! What the book's only writer keeps of it in memory.

use std::{collections::HashMap, hash::Hash};

use uuid::Uuid;

use crate::row::AccountRow;

/// How many accounts, and how many users' uses, are kept. An account takes some 300 bytes.
const KEPT_MAX: usize = 200_000;

/// Rows as the last batch left them, whether or not that is committed yet.
pub(in crate::engine) struct Remembered {
    pub(in crate::engine) accounts: Kept<i64, AccountRow>,
    /// What users have used in the root asset, by user and kind; none when it was never counted.
    pub(in crate::engine) root_uses: Kept<(Uuid, &'static str), Option<Vec<u8>>>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        Self {
            accounts: Kept::new(KEPT_MAX),
            root_uses: Kept::new(KEPT_MAX),
        }
    }

    /// Grows whenever something was forgotten.
    pub(super) const fn forgotten(&self) -> u64 {
        self.accounts
            .forgotten
            .wrapping_add(self.root_uses.forgotten)
    }

    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.root_uses.clear();
    }
}

/// A bounded map that forgets what was not asked for lately: what is asked for is young, and when
/// there are many young ones, those before them are old, and those before these are forgotten.
///
/// So what a batch has asked for is there until as many others were asked for as half of the bound,
/// which is more than all batches that are under way can ask for.
pub(in crate::engine) struct Kept<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_max: usize,
    forgotten: u64,
}

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    fn new(max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_max: max.div_euclid(2).max(1),
            forgotten: 0,
        }
    }

    /// Whether it is there; that asks for it.
    pub(super) fn has(&mut self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(in crate::engine) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.put(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.young_max {
            self.old = std::mem::take(&mut self.young);
            self.forgotten = self.forgotten.wrapping_add(1);
        }
        self.young.insert(key, value);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_lately_is_kept_and_the_rest_forgotten() {
        let mut kept = Kept::new(4);
        for key in 0..3 {
            kept.put(key, key * 10);
        }
        // Two are young, the others old, and asking makes them young again.
        assert_eq!(kept.forgotten, 1);
        assert_eq!(kept.get(&0), Some(&mut 0));
        kept.put(3, 30);
        assert_eq!(kept.forgotten, 2);
        assert!(kept.has(&0));
        assert!(kept.has(&2));
        assert!(!kept.has(&1));
    }

    #[test]
    fn what_is_changed_stays_changed() {
        let mut kept = Kept::new(4);
        kept.put("a", 1);
        *kept.get(&"a").unwrap() = 2;
        kept.put("b", 3);
        kept.put("c", 4);
        assert_eq!(kept.get(&"a"), Some(&mut 2));
        kept.clear();
        assert!(!kept.has(&"a"));
    }
}
