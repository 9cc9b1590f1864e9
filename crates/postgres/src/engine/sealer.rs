//! Seals what a batch writes: each entry is chained to the one before it in its account.

use std::collections::HashMap;

use bursar_domain::{AccountKey, Entry};
use bursar_ports::StoreError;
use uuid::Uuid;

use super::books::Read;
use crate::{
    row::name_of,
    seal::{Line, Link, Seal, SealKeys, TransferFields},
};

/// Where the chains of a batch's accounts and transfers stand.
pub(super) struct Sealer<'k> {
    keys: &'k SealKeys,
    /// Of each account the owner's column of its row, which of fees there are several, and its
    /// last seal.
    heads: HashMap<AccountKey, (Uuid, Option<Seal>)>,
    /// The references to their entries that transfers have so far.
    entry_refs: HashMap<i64, Vec<i64>>,
}

impl<'k> Sealer<'k> {
    /// Begins where the locked rows end.
    pub(super) fn new(keys: &'k SealKeys, read: &Read) -> Result<Self, StoreError> {
        let mut heads = HashMap::with_capacity(read.accounts.len());
        for row in &read.accounts {
            heads.insert(row.key()?, (row.owner, row.head.clone()));
        }
        Ok(Self {
            keys,
            heads,
            entry_refs: read.entry_refs.iter().cloned().collect(),
        })
    }

    /// The seal of an account's next entry.
    pub(super) fn entry(&mut self, entry: &Entry, id: i64) -> Option<Seal> {
        let (owner, head) = self.heads.get(&entry.account)?;
        let owner = *owner;
        let first = Link::First(name_of(id, &entry.account, owner));
        let link = match head {
            // Before the first entry the head seals what names the account.
            Some(head) if entry.seq > 1 => Link::After(head),
            Some(_) | None => first,
        };
        let line = Line {
            account: id,
            seq: entry.seq,
            transfer: entry.transfer.get(),
            available_delta: entry.available_delta,
            held_delta: entry.held_delta,
            available_after: entry.available_after,
            held_after: entry.held_after,
            created_at: entry.at,
        };
        let seal = self.keys.entry(link, &line)?;
        self.heads
            .insert(entry.account, (owner, Some(seal.clone())));
        Some(seal)
    }

    /// The last seal of an account.
    pub(super) fn head(&self, account: &AccountKey) -> Option<Seal> {
        self.heads.get(account).and_then(|(_, head)| head.clone())
    }

    /// The seal of a transfer's row, which gets these references.
    pub(super) fn transfer(&mut self, fields: &TransferFields<'_>, added: &[i64]) -> Option<Seal> {
        let refs = self.entry_refs.entry(fields.id).or_default();
        refs.extend_from_slice(added);
        self.keys.transfer(fields, refs)
    }
}
