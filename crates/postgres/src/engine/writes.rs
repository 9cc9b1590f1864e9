//! From verdicts to the columns of the second round trip.

use std::collections::{HashMap, HashSet};

use bursar_domain::{
    AccountKey, Commit, Entry, Expected,
    ledger::{Applied, Books, Verdict},
};

use super::{
    books::{Balances, KeyColumns, KeyName, name_of},
    columns::{AccountColumns, CallbackColumns, EntryColumns},
    transfer_columns::TransferColumns,
};

/// Everything that one batch writes.
#[derive(Default)]
pub(super) struct Writes<'a> {
    pub(super) accounts: AccountColumns,
    pub(super) inserted: TransferColumns<'a>,
    pub(super) updated: TransferColumns<'a>,
    pub(super) entries: EntryColumns,
    pub(super) rewritten: KeyColumns<'a>,
    pub(super) deleted: KeyColumns<'a>,
    pub(super) callbacks: CallbackColumns<'a>,
    /// Whether an item of the batch binds a key, whatever else it writes.
    binds_key: bool,
}

impl<'a> Writes<'a> {
    pub(super) fn of(
        batch: &'a [Commit],
        verdicts: &'a [Verdict],
        books: &Books,
        before: &Balances,
        ids: &HashMap<AccountKey, i64>,
        claimed: &[KeyName],
    ) -> Self {
        let mut writes = Self::default();
        for (commit, verdict) in batch.iter().zip(verdicts) {
            if let Verdict::Applied(applied) = verdict {
                writes.push(commit, applied, ids);
            }
        }
        for (key, balance) in &books.accounts {
            if let Some(id) = ids.get(key)
                && before.get(key) != Some(balance)
            {
                writes.accounts.push(*id, balance);
            }
        }
        writes.settle_keys(batch, books, claimed);
        writes
    }

    /// Whether the transaction has nothing to commit. Keys that are only given back need no commit.
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.ids.is_empty()
            && self.inserted.is_empty()
            && self.updated.is_empty()
            && self.rewritten.is_empty()
            && self.callbacks.ids.is_empty()
            && !self.binds_key
    }

    fn push(&mut self, commit: &'a Commit, applied: &'a Applied, ids: &HashMap<AccountKey, i64>) {
        let refs = entry_refs(&applied.entries, ids);
        if commit.change.expected == Expected::Absent {
            self.inserted.push(&applied.next, refs);
        } else if commit.change.writes_transfer() {
            self.updated.push(&applied.next, refs);
        }
        // An acknowledgement writes nothing else, but its key must be kept.
        self.binds_key |= commit.idempotency.is_some();
        for entry in &applied.entries {
            self.entries.push(entry, ids);
        }
        for draft in &applied.callbacks {
            self.callbacks.push(&applied.next, draft);
        }
    }

    /// Claimed keys: kept as claimed, bound to what came of them, or given back.
    fn settle_keys(&mut self, batch: &'a [Commit], books: &Books, claimed: &[KeyName]) {
        let mut seen: HashSet<KeyName> = HashSet::new();
        let mut twice: HashSet<KeyName> = HashSet::new();
        let claims = || {
            batch
                .iter()
                .filter_map(|commit| Some((commit, commit.idempotency.as_ref()?)))
        };
        for (_, claim) in claims() {
            let name = name_of(claim);
            if !seen.insert(name.clone()) {
                twice.insert(name);
            }
        }
        for (commit, claim) in claims() {
            let name = name_of(claim);
            if !claimed.contains(&name) {
                continue;
            }
            let id = commit.change.next.id();
            match books.keys.get(&(claim.scope.clone(), claim.key.clone())) {
                // Another item of this batch holds it: that item sees to it.
                Some(stored)
                    if stored.transfer != id || stored.fingerprint != claim.fingerprint => {}
                Some(stored) if stored.refusal.is_some() || twice.contains(&name) => {
                    if seen.remove(&name) {
                        self.rewritten.push(claim, id, stored.refusal);
                    }
                }
                Some(_) => {}
                None => {
                    if seen.remove(&name) {
                        self.deleted.push(claim, id, None);
                    }
                }
            }
        }
    }
}

/// `{account,seq,account,seq}`: the ledger lines of a transfer, found again without an index.
fn entry_refs(entries: &[Entry], ids: &HashMap<AccountKey, i64>) -> String {
    let mut refs = String::from("{");
    for entry in entries {
        let Some(id) = ids.get(&entry.account) else {
            continue;
        };
        if refs.len() > 1 {
            refs.push(',');
        }
        refs.push_str(&id.to_string());
        refs.push(',');
        refs.push_str(&entry.seq.to_string());
    }
    refs.push('}');
    refs
}
