//! The only place where balances change.
//!
//! [`settle`] takes what a store locked and read, and a batch in arrival order, and says what
//! becomes of each item. It behaves as if the items came one after the other: A→B→C inside one
//! batch works. [`settle_bulk`] does the same for a group that has one key, and undoes it as one
//! when it is all or nothing. Every store calls them, so the rules exist once.

mod bulk;

use std::collections::HashMap;

pub use bulk::{BulkVerdict, settle_bulk};

use crate::{
    AccountKey, Asset, AssetId, Balance, CallbackDraft, Change, Commit, Entry, Expected,
    FieldValue, Fingerprint, IdempotencyKey, ItemResult, KeyScope, OnRefusal, Owner, Posting,
    Premise, Reason, Timestamp, Transfer, TransferId, UserStatus, Version,
};

/// The most that one account may hold or owe, in smallest units.
const LIMIT: i128 = crate::Amount::MAX.units();

/// What a store locked and read for one batch.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Every account that the batch touches or names.
    pub accounts: HashMap<AccountKey, Balance>,
    /// The assets of the batch.
    pub assets: HashMap<AssetId, Asset>,
    /// The transfers of the batch that exist, with their versions.
    pub versions: HashMap<TransferId, Version>,
    /// The keys of the batch that were claimed by an earlier request.
    pub keys: HashMap<(KeyScope, IdempotencyKey), StoredClaim>,
}

/// A key that was claimed before, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClaim {
    /// The first request's fingerprint.
    pub fingerprint: Fingerprint,
    /// The fields behind it.
    pub fields: Vec<FieldValue>,
    /// The id that the first request had; a transfer unless it was refused. Of a bulk, the id of
    /// the first transfer that it tried to make.
    pub transfer: TransferId,
    /// The refusal that the key remembers.
    pub refusal: Option<Reason>,
    /// What came of each item, when the first request was a bulk.
    pub results: Option<Vec<ItemResult>>,
}

/// What becomes of one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// This is to be written.
    Applied(Box<Applied>),
    /// An earlier try of this very item was written after all.
    Landed,
    /// The same request was made with this key before: the transfer that came of it.
    Replayed {
        /// That transfer.
        original: TransferId,
    },
    /// The same request was made with this key before and refused.
    RefusalReplayed {
        /// Why.
        reason: Reason,
    },
    /// The key belongs to another request.
    KeyReused {
        /// The first request's transfer, if it made one.
        original: Option<TransferId>,
        /// The fields in which the two differ.
        fields: Vec<String>,
    },
    /// The transfer is not at the version the change was made for.
    Stale {
        /// The version it is at; none when it does not exist.
        current: Option<Version>,
    },
    /// The ledger refuses; nothing is written but the key's memory of it.
    Refused {
        /// Why.
        reason: Reason,
    },
}

/// What is written for one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The transfer as it now is, with its times; possibly failed or rejected.
    pub next: Transfer,
    /// Its ledger lines, numbered.
    pub entries: Vec<Entry>,
    /// Its callbacks.
    pub callbacks: Vec<CallbackDraft>,
}

/// Decides a batch in arrival order and changes the balances in `books` accordingly.
///
/// A change whose account or asset is missing from `books` is refused like one that names a
/// disabled asset: a store that forgets to read something can never move money by it.
pub fn settle(books: &mut Books, batch: &[Commit], now: Timestamp) -> Vec<Verdict> {
    batch
        .iter()
        .map(|commit| settle_one(books, commit, now))
        .collect()
}

fn settle_one(books: &mut Books, commit: &Commit, now: Timestamp) -> Verdict {
    if let Some(verdict) = earlier_use_of_key(books, commit) {
        return verdict;
    }
    let change = &commit.change;
    let id = change.next.id();
    match (change.expected, books.versions.get(&id).copied()) {
        (Expected::Absent, None) => {}
        (Expected::Absent, Some(_)) => return Verdict::Landed,
        (Expected::At(expected), Some(current)) if expected == current => {}
        (Expected::At(_), current) => return Verdict::Stale { current },
    }
    let verdict = match judge(books, change) {
        Ok(()) => Verdict::Applied(Box::new(apply(books, change, now))),
        Err(reason) if change.on_refusal == OnRefusal::Record => {
            Verdict::Applied(Box::new(record_refusal(books, change, reason, now)))
        }
        Err(reason) => Verdict::Refused { reason },
    };
    remember_key(books, commit, &verdict);
    verdict
}

/// What an earlier request with the same key means for this one.
fn earlier_use_of_key(books: &Books, commit: &Commit) -> Option<Verdict> {
    let claim = commit.idempotency.as_ref()?;
    let stored = books.keys.get(&(claim.scope.clone(), claim.key.clone()))?;
    let original = stored.refusal.is_none().then_some(stored.transfer);
    let change = &commit.change;
    Some(if stored.fingerprint != claim.fingerprint {
        Verdict::KeyReused {
            original,
            fields: claim.differing_fields(&stored.fields),
        }
    } else if let Some(reason) = stored.refusal {
        Verdict::RefusalReplayed { reason }
    } else if change.expected == Expected::Absent && stored.transfer == change.next.id() {
        // Ids are made anew for every request, so this is this request's own earlier try.
        Verdict::Landed
    } else {
        Verdict::Replayed {
            original: stored.transfer,
        }
    })
}

fn remember_key(books: &mut Books, commit: &Commit, verdict: &Verdict) {
    let Some(claim) = &commit.idempotency else {
        return;
    };
    let refusal = match verdict {
        Verdict::Refused { reason } => Some(*reason),
        Verdict::Applied(_)
        | Verdict::Landed
        | Verdict::Replayed { .. }
        | Verdict::RefusalReplayed { .. }
        | Verdict::KeyReused { .. }
        | Verdict::Stale { .. } => None,
    };
    let stored = StoredClaim {
        fingerprint: claim.fingerprint,
        fields: claim.fields.clone(),
        transfer: commit.change.next.id(),
        refusal,
        results: None,
    };
    books
        .keys
        .insert((claim.scope.clone(), claim.key.clone()), stored);
}

/// Judges the premises in order, then whether every account can take its postings.
fn judge(books: &Books, change: &Change) -> Result<(), Reason> {
    for premise in &change.premises {
        holds(books, change, premise)?;
    }
    let mut after: HashMap<AccountKey, (i128, i128)> = HashMap::new();
    for posting in &change.postings {
        let balance = books
            .accounts
            .get(&posting.account)
            .ok_or(Reason::AssetDisabled)?;
        let (available, held) = after
            .entry(posting.account)
            .or_insert((balance.available, balance.held));
        (*available, *held) = posted(*available, *held, posting)?;
    }
    Ok(())
}

fn holds(books: &Books, change: &Change, premise: &Premise) -> Result<(), Reason> {
    let balance = |account: &AccountKey| books.accounts.get(account).ok_or(Reason::AssetDisabled);
    match premise {
        Premise::OwnerActive(account) => match balance(account)?.status {
            UserStatus::Active => Ok(()),
            UserStatus::Frozen => Err(Reason::AccountFrozen),
            UserStatus::Terminated => Err(Reason::AccountTerminated),
        },
        Premise::AssetAllows { asset, kind } => {
            // A transfer counts in the units it was made with: should the asset have got another
            // scale since, it is another asset.
            let scale = change.next.parts().scale;
            let allowed = books
                .assets
                .get(asset)
                .is_some_and(|asset| asset.allows(*kind) && asset.scale == scale);
            if allowed {
                Ok(())
            } else {
                Err(Reason::AssetDisabled)
            }
        }
        Premise::Funds { account, needed } => {
            if balance(account)?.available >= needed.units() {
                Ok(())
            } else {
                Err(Reason::BalanceInsufficient)
            }
        }
        Premise::Room { account, incoming } => {
            if has_room(balance(account)?, incoming.units()) {
                Ok(())
            } else {
                Err(Reason::BalanceOverflow)
            }
        }
        Premise::RecipientAble { account, incoming } => account
            .and_then(|account| books.accounts.get(&account))
            .filter(|balance| balance.status == UserStatus::Active)
            .filter(|balance| has_room(balance, incoming.units()))
            .map(|_| ())
            .ok_or(Reason::RecipientUnavailable),
    }
}

/// Held money counts: it may come back at any time and must then fit.
fn has_room(balance: &Balance, incoming: i128) -> bool {
    balance
        .available
        .checked_add(balance.held)
        .and_then(|total| total.checked_add(incoming))
        .is_some_and(|total| total <= LIMIT)
}

/// The balances after one posting, unless the account cannot have them.
fn posted(available: i128, held: i128, posting: &Posting) -> Result<(i128, i128), Reason> {
    let available = available
        .checked_add(posting.available)
        .ok_or(Reason::BalanceOverflow)?;
    let held = held
        .checked_add(posting.held)
        .ok_or(Reason::BalanceOverflow)?;
    let may_owe = posting.account.owner == Owner::World;
    if held < 0 || (available < 0 && !may_owe) {
        return Err(Reason::BalanceInsufficient);
    }
    if available > LIMIT || held > LIMIT || available < LIMIT.saturating_neg() {
        return Err(Reason::BalanceOverflow);
    }
    Ok((available, held))
}

/// Moves the money. [`judge`] has shown that every posting fits.
fn apply(books: &mut Books, change: &Change, now: Timestamp) -> Applied {
    if !change.writes_transfer() {
        return Applied {
            next: change.next.clone(),
            entries: vec![],
            callbacks: change.callbacks.clone(),
        };
    }
    let at = stamp(books, change, now);
    let next = change
        .next
        .clone()
        .stamped(at, change.expected == Expected::Absent);
    let mut entries = Vec::with_capacity(change.postings.len());
    for posting in &change.postings {
        let Some(balance) = books.accounts.get_mut(&posting.account) else {
            continue;
        };
        let Ok((available, held)) = posted(balance.available, balance.held, posting) else {
            continue;
        };
        balance.available = available;
        balance.held = held;
        balance.seq = balance.seq.saturating_add(1);
        entries.push(Entry {
            account: posting.account,
            seq: balance.seq,
            transfer: next.id(),
            available_delta: posting.available,
            held_delta: posting.held,
            available_after: available,
            held_after: held,
            at,
        });
    }
    books.versions.insert(next.id(), next.version());
    Applied {
        next,
        entries,
        callbacks: change.callbacks.clone(),
    }
}

/// Records the transfer as ended by the refusal; its callbacks say so too.
fn record_refusal(books: &mut Books, change: &Change, reason: Reason, now: Timestamp) -> Applied {
    let at = stamp(books, change, now);
    let next = change
        .next
        .clone()
        .refused(reason)
        .stamped(at, change.expected == Expected::Absent);
    books.versions.insert(next.id(), next.version());
    let callbacks = change
        .callbacks
        .iter()
        .cloned()
        .map(|draft| CallbackDraft {
            status: next.status(),
            error: Some(reason.message().to_owned()),
            ..draft
        })
        .collect();
    Applied {
        next,
        entries: vec![],
        callbacks,
    }
}

/// The time of a change: now, or just after the latest time that any of its users' accounts has
/// seen, so that a user's history never goes back whatever the clocks of the replicas say. System
/// accounts are left out, so that one fast clock cannot drag everybody along.
fn stamp(books: &mut Books, change: &Change, now: Timestamp) -> Timestamp {
    let users: Vec<AccountKey> = change
        .accounts()
        .into_iter()
        .filter(|account| account.owner.user().is_some())
        .collect();
    let at = users
        .iter()
        .filter_map(|account| books.accounts.get(account))
        .map(|balance| balance.stamped_at.tick())
        .max()
        .map_or(now, |earliest| earliest.max(now));
    for account in users {
        if let Some(balance) = books.accounts.get_mut(&account) {
            balance.stamped_at = at;
        }
    }
    at
}
