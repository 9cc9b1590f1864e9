//! The event feed: in which order what happened is told, and what each step is called.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{Kind, Status, Timestamp, TransferId, Version};

/// What was committed together, as far as its place in the feed depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its id, which decides nothing but between two with the same time.
    pub id: Uuid,
    /// A moment at which its locks were held, by the clock of whoever gave them.
    pub locked_at: Timestamp,
    /// The transfers that changed, in order, and the version that each came to.
    pub steps: Vec<(TransferId, Version)>,
}

/// Puts entries in an order in which no effect comes before its cause.
///
/// Of two entries that depend on each other the later one waits for the locks of the earlier one, so
/// the time at which the locks were held orders them. A clock can be set back; of one transfer the
/// lower version comes first all the same.
#[must_use]
pub fn in_causal_order(mut entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    entries.sort_by_key(|entry| (entry.locked_at, entry.id));
    let bounds = bounds(&entries);
    if bounds.iter().all(|(before, after)| before < after) {
        return entries;
    }
    let order = places(entries.len(), &bounds);
    let mut entries: BTreeMap<usize, JournalEntry> = entries.into_iter().enumerate().collect();
    order
        .iter()
        .filter_map(|place| entries.remove(place))
        .collect()
}

/// Pairs of places of which the first comes before the second, whatever the time says.
fn bounds(entries: &[JournalEntry]) -> BTreeSet<(usize, usize)> {
    let mut lives: BTreeMap<TransferId, Vec<(Version, usize)>> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        for (transfer, version) in &entry.steps {
            lives.entry(*transfer).or_default().push((*version, place));
        }
    }
    let mut bounds = BTreeSet::new();
    for life in lives.values_mut() {
        life.sort_unstable();
        for (before, after) in life.iter().zip(life.iter().skip(1)) {
            if before.1 != after.1 {
                bounds.insert((before.1, after.1));
            }
        }
    }
    bounds
}

/// All places, each after those that it is bound to and otherwise as early as it can be. Where bounds
/// go round in a circle, which nothing that was committed does, the first place breaks it.
fn places(count: usize, bounds: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut causes: BTreeMap<usize, BTreeSet<usize>> =
        (0..count).map(|place| (place, BTreeSet::new())).collect();
    let mut effects: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (before, after) in bounds {
        causes.entry(*after).or_default().insert(*before);
        effects.entry(*before).or_default().push(*after);
    }
    let is_free = |(place, causes): (&usize, &BTreeSet<usize>)| causes.is_empty().then_some(*place);
    let mut free: BTreeSet<usize> = causes.iter().filter_map(is_free).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(place) = free.pop_first().or_else(|| causes.keys().next().copied()) {
        causes.remove(&place);
        order.push(place);
        for effect in effects.remove(&place).unwrap_or_default() {
            if let Some(left) = causes.get_mut(&effect) {
                left.remove(&place);
                if left.is_empty() {
                    free.insert(effect);
                }
            }
        }
    }
    order
}

/// What the feed calls a step of a transfer of a kind: the status that it came to, the version of it,
/// and whether some of it was taken back.
#[must_use]
pub fn event_type(kind: Kind, status: Status, version: Version, reversed: bool) -> String {
    let step = match status {
        _ if reversed => "reversed",
        // Confirmed, and waiting for a second operator or for its payout.
        Status::Pending | Status::AwaitingConfirmation if version != Version::FIRST => "confirmed",
        Status::Pending | Status::AwaitingConfirmation => "created",
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
        Status::Success => "succeeded",
        Status::Rejected => "rejected",
    };
    format!("{}.{step}", kind.as_str())
}
