//! Accounts, ledger lines, callbacks and payouts as the columns of their statements.

use bursar_domain::{Balance, CallbackDraft, Entry, Timestamp, Transfer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::writer::Kept;
use crate::{
    callback_host::host_of,
    ids::time_ordered_id,
    row::AccountRow,
    seal::Seal,
    statement::{InsertCallbacks, InsertEntries, InsertPayouts, RowTypes, UpdateAccounts},
    value::{At, Units},
};

/// What an account's owner now has used of the limits of its asset; none where that did not change.
pub(super) struct AccountUses {
    pub(super) withdrawal: Option<Vec<u8>>,
    pub(super) internal: Option<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct AccountColumns {
    pub(super) ids: Vec<i64>,
    decided_by: Vec<i64>,
    available: Vec<Units>,
    held: Vec<Units>,
    seqs: Vec<i64>,
    stamped: Vec<At>,
    heads: Vec<Option<Seal>>,
    withdrawal_uses: Vec<Option<Vec<u8>>>,
    internal_uses: Vec<Option<Vec<u8>>>,
}

impl AccountColumns {
    pub(super) fn push(
        &mut self,
        id: i64,
        decided_by: i64,
        balance: &Balance,
        head: Option<Seal>,
        uses: AccountUses,
    ) {
        self.ids.push(id);
        self.decided_by.push(decided_by);
        self.available.push(Units(balance.available));
        self.held.push(Units(balance.held));
        self.seqs.push(balance.seq);
        self.stamped.push(At(balance.stamped_at));
        self.heads.push(head);
        self.withdrawal_uses.push(uses.withdrawal);
        self.internal_uses.push(uses.internal);
    }

    /// Brings rows up to date with what is written of them.
    pub(super) fn remember(&self, accounts: &mut Kept<i64, AccountRow>) {
        let balances = self.available.iter().zip(&self.held);
        let places = self.seqs.iter().zip(&self.stamped).zip(&self.heads);
        let uses = self.withdrawal_uses.iter().zip(&self.internal_uses);
        let rows = self.ids.iter().zip(balances).zip(places).zip(uses);
        for (((id, (available, held)), ((seq, stamped), head)), (withdrawal, internal)) in rows {
            let Some(row) = accounts.get(id) else {
                continue;
            };
            (row.available, row.held) = (*available, *held);
            (row.seq, row.stamped_at) = (*seq, *stamped);
            row.head.clone_from(head);
            if withdrawal.is_some() {
                row.withdrawal_uses.clone_from(withdrawal);
            }
            if internal.is_some() {
                row.internal_uses.clone_from(internal);
            }
        }
    }

    pub(super) fn statement(&self, types: &RowTypes) -> UpdateAccounts<'_> {
        UpdateAccounts {
            row_type: types.accounts,
            ids: &self.ids,
            decided_by: &self.decided_by,
            available: &self.available,
            held: &self.held,
            seqs: &self.seqs,
            stamped: &self.stamped,
            heads: &self.heads,
            withdrawal_uses: &self.withdrawal_uses,
            internal_uses: &self.internal_uses,
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
    seals: Vec<Option<Seal>>,
}

impl EntryColumns {
    pub(super) fn push(&mut self, entry: &Entry, id: i64, seal: Option<Seal>) {
        self.accounts.push(id);
        self.seqs.push(entry.seq);
        self.transfers.push(entry.transfer.get());
        self.available_deltas.push(Units(entry.available_delta));
        self.held_deltas.push(Units(entry.held_delta));
        self.available_after.push(Units(entry.available_after));
        self.held_after.push(Units(entry.held_after));
        self.created.push(At(entry.at));
        self.seals.push(seal);
    }

    pub(super) fn statement(&self, types: &RowTypes) -> InsertEntries<'_> {
        InsertEntries {
            row_type: types.entries,
            accounts: &self.accounts,
            seqs: &self.seqs,
            transfers: &self.transfers,
            available_deltas: &self.available_deltas,
            held_deltas: &self.held_deltas,
            available_after: &self.available_after,
            held_after: &self.held_after,
            created: &self.created,
            seals: &self.seals,
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
    subscribers: Vec<String>,
    hosts: Vec<String>,
    statuses: Vec<&'a str>,
    finals: Vec<bool>,
    errors: Vec<Option<&'a str>>,
    created: Vec<At>,
    made: Vec<Option<At>>,
}

impl<'a> CallbackColumns<'a> {
    /// Adds a callback of what a transfer is; one that is made later than that says when.
    pub(super) fn push(
        &mut self,
        transfer: &Transfer,
        draft: &'a CallbackDraft,
        made: Option<Timestamp>,
    ) {
        let at = transfer.parts().updated_at;
        self.ids.push(time_ordered_id(at));
        self.transfers.push(transfer.id().get());
        self.operations.push(draft.operation.as_str());
        self.urls.push(&draft.url);
        self.url_digests
            .push(Sha256::digest(draft.url.as_bytes()).to_vec());
        self.subscribers.push(draft.subscriber.to_string());
        self.hosts.push(host_of(&draft.url));
        self.statuses.push(draft.status.as_str());
        self.finals.push(draft.status.is_final());
        self.errors.push(draft.error.as_deref());
        self.created.push(At(at));
        self.made.push(made.filter(|made| *made > at).map(At));
    }

    pub(super) fn statement(&self) -> InsertCallbacks<'_> {
        InsertCallbacks {
            ids: &self.ids,
            transfers: &self.transfers,
            operations: &self.operations,
            urls: &self.urls,
            url_digests: &self.url_digests,
            subscribers: &self.subscribers,
            hosts: &self.hosts,
            statuses: &self.statuses,
            finals: &self.finals,
            errors: &self.errors,
            created: &self.created,
            made: &self.made,
        }
    }
}

/// Payouts that begin.
#[derive(Default)]
pub(super) struct PayoutColumns {
    pub(super) ids: Vec<i64>,
    began: Vec<At>,
}

impl PayoutColumns {
    pub(super) fn push(&mut self, transfer: &Transfer) {
        self.ids.push(transfer.id().get());
        self.began.push(At(transfer.parts().updated_at));
    }

    pub(super) fn statement(&self) -> InsertPayouts<'_> {
        InsertPayouts {
            ids: &self.ids,
            began: &self.began,
        }
    }
}
