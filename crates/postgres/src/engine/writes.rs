//! From verdicts to the columns of the second round trip.

use std::collections::{HashMap, HashSet};

use bigdecimal::BigDecimal;
use bursar_domain::{
    AccountKey, Body, CallbackDraft, Commit, Entry, Expected, Transfer,
    ledger::{Applied, Books, Verdict},
};
use rand::RngExt as _;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::books::{Balances, KeyColumns, KeyName, name_of};
use crate::{
    statement::{InsertCallbacks, InsertEntries, InsertTransfers, UpdateAccounts, UpdateTransfers},
    value::{At, Units},
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
                writes.accounts.ids.push(*id);
                writes.accounts.available.push(Units(balance.available));
                writes.accounts.held.push(Units(balance.held));
                writes.accounts.seqs.push(balance.seq);
                writes.accounts.stamped.push(At(balance.stamped_at));
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

#[derive(Default)]
pub(super) struct AccountColumns {
    pub(super) ids: Vec<i64>,
    available: Vec<Units>,
    held: Vec<Units>,
    seqs: Vec<i64>,
    stamped: Vec<At>,
}

impl AccountColumns {
    pub(super) fn statement(&self) -> UpdateAccounts<'_> {
        UpdateAccounts {
            ids: &self.ids,
            available: &self.available,
            held: &self.held,
            seqs: &self.seqs,
            stamped: &self.stamped,
        }
    }
}

#[derive(Default)]
pub(super) struct EntryColumns {
    pub(super) accounts: Vec<i64>,
    seqs: Vec<i64>,
    transfers: Vec<i64>,
    available_deltas: Vec<Units>,
    held_deltas: Vec<Units>,
    available_after: Vec<Units>,
    held_after: Vec<Units>,
    created: Vec<At>,
}

impl EntryColumns {
    fn push(&mut self, entry: &Entry, ids: &HashMap<AccountKey, i64>) {
        let Some(id) = ids.get(&entry.account) else {
            return;
        };
        self.accounts.push(*id);
        self.seqs.push(entry.seq);
        self.transfers.push(entry.transfer.get());
        self.available_deltas.push(Units(entry.available_delta));
        self.held_deltas.push(Units(entry.held_delta));
        self.available_after.push(Units(entry.available_after));
        self.held_after.push(Units(entry.held_after));
        self.created.push(At(entry.at));
    }

    pub(super) fn statement(&self) -> InsertEntries<'_> {
        InsertEntries {
            accounts: &self.accounts,
            seqs: &self.seqs,
            transfers: &self.transfers,
            available_deltas: &self.available_deltas,
            held_deltas: &self.held_deltas,
            available_after: &self.available_after,
            held_after: &self.held_after,
            created: &self.created,
        }
    }
}

#[derive(Default)]
pub(super) struct CallbackColumns<'a> {
    pub(super) ids: Vec<Uuid>,
    transfers: Vec<i64>,
    operations: Vec<&'a str>,
    urls: Vec<&'a str>,
    url_digests: Vec<Vec<u8>>,
    statuses: Vec<&'a str>,
    errors: Vec<Option<&'a str>>,
    created: Vec<At>,
}

impl<'a> CallbackColumns<'a> {
    fn push(&mut self, transfer: &Transfer, draft: &'a CallbackDraft) {
        let at = transfer.parts().updated_at;
        self.ids
            .push(time_ordered_id(at.as_micros().div_euclid(1_000)));
        self.transfers.push(transfer.id().get());
        self.operations.push(draft.operation.as_str());
        self.urls.push(&draft.url);
        self.url_digests
            .push(Sha256::digest(draft.url.as_bytes()).to_vec());
        self.statuses.push(draft.status.as_str());
        self.errors.push(draft.error.as_deref());
        self.created.push(At(at));
    }

    pub(super) fn statement(&self) -> InsertCallbacks<'_> {
        InsertCallbacks {
            ids: &self.ids,
            transfers: &self.transfers,
            operations: &self.operations,
            urls: &self.urls,
            url_digests: &self.url_digests,
            statuses: &self.statuses,
            errors: &self.errors,
            created: &self.created,
        }
    }
}

/// A UUID of version 7. It goes to customers, so it tells the time and nothing else.
fn time_ordered_id(millis: i64) -> Uuid {
    let random: [u8; 10] = rand::rng().random();
    Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &random)
        .into_uuid()
}

#[derive(Default)]
pub(super) struct TransferColumns<'a> {
    ids: Vec<i64>,
    versions: Vec<i32>,
    kinds: Vec<&'a str>,
    states: Vec<&'a str>,
    assets: Vec<&'a str>,
    scales: Vec<i16>,
    amounts: Vec<Units>,
    fees: Vec<Units>,
    users: Vec<Uuid>,
    recipients: Vec<Option<Uuid>>,
    recipients_typed: Vec<Option<&'a str>>,
    code_salts: Vec<Option<&'a [u8]>>,
    custom_ids: Vec<Option<&'a str>>,
    notes: Vec<Option<&'a str>>,
    callback_urls: Vec<Option<&'a str>>,
    reasons: Vec<Option<&'a str>>,
    creators: Vec<&'a str>,
    finishers: Vec<Option<&'a str>>,
    root_assets: Vec<Option<&'a str>>,
    root_scales: Vec<Option<i16>>,
    root_rates: Vec<Option<&'a BigDecimal>>,
    created: Vec<At>,
    updated: Vec<At>,
    entry_refs: Vec<String>,
}

impl<'a> TransferColumns<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn push(&mut self, transfer: &'a Transfer, entry_refs: String) {
        let parts = transfer.parts();
        self.ids.push(parts.id.get());
        self.versions.push(parts.version.get());
        self.kinds.push(transfer.kind().as_str());
        self.states.push(transfer.status().as_str());
        self.assets.push(parts.asset.as_str());
        self.scales.push(parts.scale.get().into());
        self.amounts.push(Units(parts.amount.units()));
        self.fees.push(Units(parts.fee.units()));
        self.users.push(transfer.owner().as_uuid());
        let (recipient, salt, custom_id) = match &parts.body {
            Body::Internal {
                recipient,
                salt,
                custom_id,
                ..
            } => (
                Some(recipient),
                Some(salt.as_bytes().as_slice()),
                custom_id.as_deref(),
            ),
            Body::Deposit { .. } | Body::Withdrawal { .. } => (None, None, None),
        };
        let recipient_user = recipient.and_then(bursar_domain::Recipient::user);
        self.recipients
            .push(recipient_user.map(|user| user.as_uuid()));
        self.recipients_typed
            .push(recipient.and_then(|recipient| recipient.typed()));
        self.code_salts.push(salt);
        self.custom_ids.push(custom_id);
        self.notes.push(parts.note.as_deref());
        self.callback_urls.push(parts.callback_url.as_deref());
        self.reasons
            .push(transfer.reason().map(bursar_domain::Reason::code));
        self.creators.push(parts.created_by.as_str());
        self.finishers
            .push(transfer.finished_by().map(bursar_domain::ActorId::as_str));
        let root = parts.root_rate.as_ref();
        self.root_assets.push(root.map(|root| root.asset.as_str()));
        self.root_scales
            .push(root.map(|root| root.scale.get().into()));
        self.root_rates.push(root.map(|root| &root.rate));
        self.created.push(At(parts.created_at));
        self.updated.push(At(parts.updated_at));
        self.entry_refs.push(entry_refs);
    }

    pub(super) fn insert(&self) -> InsertTransfers<'_> {
        InsertTransfers {
            ids: &self.ids,
            versions: &self.versions,
            kinds: &self.kinds,
            states: &self.states,
            assets: &self.assets,
            scales: &self.scales,
            amounts: &self.amounts,
            fees: &self.fees,
            users: &self.users,
            recipients: &self.recipients,
            recipients_typed: &self.recipients_typed,
            code_salts: &self.code_salts,
            custom_ids: &self.custom_ids,
            notes: &self.notes,
            callback_urls: &self.callback_urls,
            reasons: &self.reasons,
            creators: &self.creators,
            finishers: &self.finishers,
            root_assets: &self.root_assets,
            root_scales: &self.root_scales,
            root_rates: &self.root_rates,
            created: &self.created,
            updated: &self.updated,
            entry_refs: &self.entry_refs,
        }
    }

    pub(super) fn update(&self) -> UpdateTransfers<'_> {
        UpdateTransfers {
            ids: &self.ids,
            versions: &self.versions,
            states: &self.states,
            reasons: &self.reasons,
            finishers: &self.finishers,
            updated: &self.updated,
            entry_refs: &self.entry_refs,
        }
    }
}
