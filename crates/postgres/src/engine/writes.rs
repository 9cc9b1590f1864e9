//! From verdicts to the columns of the second round trip.

use std::collections::{HashMap, HashSet};

use bursar_domain::{
    AccountKey, AuditDraft, Change, Entry, Expected, Kind, Reason, Stage, Timestamp, Transfer,
    ledger::{Applied, Books},
};
use bursar_ports::StoreError;
use serde_json::json;

use super::{
    batch::{Batch, Claim},
    books::{Before, KeyColumns, KeyName, name_of},
    columns::{AccountColumns, AccountUses, CallbackColumns, EntryColumns, PayoutColumns},
    journal_columns::JournalColumns,
    rules::{ChangedUses, KnownRules},
    sealer::Sealer,
    transfer_columns::TransferColumns,
    writer::Remembered,
};
use crate::{
    audit_log::AuditColumns,
    faults::{Planted, is_planted},
    seal::TransferFields,
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
    /// What users have used of limits.
    pub(super) uses: ChangedUses,
    pub(super) audit: AuditColumns<'a>,
    pub(super) journal: JournalColumns,
    pub(super) payouts: PayoutColumns,
    /// Whether an item of the batch binds a key, whatever else it writes.
    binds_key: bool,
}

/// The books after and before a batch, and the rules that it was decided by.
pub(super) struct Changed<'a> {
    pub(super) before: &'a Before,
    pub(super) books: &'a Books,
    pub(super) known: &'a KnownRules,
    /// The ids of the accounts.
    pub(super) ids: &'a HashMap<AccountKey, i64>,
    /// The keys that are this transaction's.
    pub(super) claimed: &'a [KeyName],
    /// When it was decided.
    pub(super) now: Timestamp,
}

impl<'a> Writes<'a> {
    pub(super) fn of<B: Batch + ?Sized>(
        batch: &'a B,
        verdicts: &'a B::Verdicts,
        changed: &Changed<'a>,
        sealer: &mut Sealer<'_>,
    ) -> Result<Self, StoreError> {
        let Changed {
            before,
            books,
            known,
            ids,
            claimed,
            now,
        } = *changed;
        let mut writes = Self {
            uses: ChangedUses::of(&before.usage, &books.usage, known)?,
            ..Self::default()
        };
        for (change, applied) in batch.applied(verdicts) {
            writes.push(change, applied, ids, now, sealer);
        }
        for (draft, applied) in batch.audited(verdicts) {
            writes.push_audit(draft, &applied.next);
        }
        let accounts = books.accounts.iter();
        let mut changed: Vec<_> = accounts
            .filter_map(|(key, balance)| {
                Some((*ids.get(key)?, key, before.balances.get(key)?, balance))
            })
            .filter(|(_, _, before, balance)| before != balance)
            .collect();
        // A single writer locks them here, and so in the order in which everybody does.
        changed.sort_unstable_by_key(|(id, ..)| *id);
        for (id, key, before, balance) in changed {
            let uses = AccountUses {
                withdrawal: writes.uses.take(key, Kind::Withdrawal),
                internal: writes.uses.take(key, Kind::Internal),
            };
            let head = sealer.head(key);
            writes.accounts.push(id, before.seq, balance, head, uses);
        }
        writes.settle_keys(batch, books, claimed);
        Ok(writes)
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

    /// Has the single writer remember what it writes.
    pub(super) fn remember(&self, remembered: &mut Remembered) {
        self.accounts.remember(&mut remembered.accounts);
        self.uses.remember(&mut remembered.root_uses);
    }

    fn push(
        &mut self,
        change: &Change,
        applied: &'a Applied,
        ids: &HashMap<AccountKey, i64>,
        now: Timestamp,
        sealer: &mut Sealer<'_>,
    ) {
        if change.writes_transfer() {
            let fields = TransferFields::of(&applied.next);
            let added = entry_refs(&applied.entries, ids);
            let seal = sealer.transfer(&fields, &added);
            if change.expected == Expected::Absent {
                self.inserted.push(&fields, &added, seal);
            } else {
                self.updated.push(&fields, &added, seal);
                // Nothing but its end follows this stage, so it is entered.
                if applied.next.stage() == Some(Stage::Payout) {
                    self.payouts.push(&applied.next);
                }
            }
        }
        // The version stays the same when only callbacks or a key are written: nothing happened.
        if change.writes_transfer() {
            self.journal.push(&applied.next);
        }
        let lost = usize::from(is_planted(Planted::LosesLines));
        for entry in applied.entries.iter().skip(lost) {
            if let Some(id) = ids.get(&entry.account) {
                self.entries.push(entry, *id, sealer.entry(entry, *id));
            }
        }
        let made = (!change.writes_transfer()).then_some(now);
        for draft in &applied.callbacks {
            self.callbacks.push(&applied.next, draft, made);
        }
        if let Some(linked) = &applied.linked {
            // Nothing moves on it, but its row changes.
            let fields = TransferFields::of(&linked.next);
            let seal = sealer.transfer(&fields, &[]);
            self.updated.push(&fields, &[], seal);
            let at = applied.next.parts().updated_at;
            self.journal.push_reversed(&linked.next, at);
            for draft in &linked.callbacks {
                self.callbacks.push(&linked.next, draft, Some(now));
            }
        }
    }

    fn push_audit(&mut self, draft: &'a AuditDraft, next: &Transfer) {
        let parts = next.parts();
        let after = json!({
            "id": parts.id.get(),
            "version": parts.version.get(),
            "status": next.status().as_str(),
            "user_id": next.owner().to_string(),
            "asset": parts.asset.as_str(),
            "amount": parts.amount.to_plain(parts.scale),
            "fee": parts.fee.to_plain(parts.scale),
            "reason": next.reason().map(Reason::code),
        });
        self.audit.push(draft, parts.updated_at, None, Some(&after));
    }

    /// Claimed keys: kept as claimed, bound to what came of them, or given back.
    fn settle_keys<B: Batch + ?Sized>(&mut self, batch: &'a B, books: &Books, claimed: &[KeyName]) {
        let mut seen: HashSet<KeyName> = HashSet::new();
        let mut twice: HashSet<KeyName> = HashSet::new();
        for Claim { claim, .. } in batch.claims() {
            let name = name_of(claim);
            if !seen.insert(name.clone()) {
                twice.insert(name);
            }
        }
        for claim in batch.claims() {
            let name = name_of(claim.claim);
            if !claimed.contains(&name) {
                continue;
            }
            let key = (claim.claim.scope.clone(), claim.claim.key.clone());
            let Some(stored) = books.keys.get(&key) else {
                if seen.remove(&name) {
                    self.deleted.push(claim, None, None);
                }
                continue;
            };
            if stored.transfer != claim.id || stored.fingerprint != claim.claim.fingerprint {
                // Another item of this batch holds it: that item sees to it.
                continue;
            }
            // An acknowledgement writes nothing else, but its key must be kept.
            self.binds_key = true;
            let results = stored.results.as_deref();
            let changed = stored.refusal.is_some() || results != claim.results;
            if (changed || twice.contains(&name)) && seen.remove(&name) {
                self.rewritten.push(claim, stored.refusal, results);
            }
        }
    }
}

/// Account, seq, account, seq: the ledger lines of a transfer, found again without an index.
fn entry_refs(entries: &[Entry], ids: &HashMap<AccountKey, i64>) -> Vec<i64> {
    let found = entries
        .iter()
        .filter_map(|entry| Some([*ids.get(&entry.account)?, entry.seq]));
    found.flatten().collect()
}
