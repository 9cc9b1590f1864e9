//! The only place where balances change.
//!
//! [`settle`] takes what a store locked and read, and a batch in arrival order, and says what
//! becomes of each item. It behaves as if the items came one after the other: A→B→C inside one
//! batch works. [`settle_bulk`] does the same for a group that has one key, and undoes it as one
//! when it is all or nothing. Every store calls them, so the rules exist once.

mod bulk;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

pub use bulk::{BulkVerdict, settle_bulk};

use crate::{
    AccountKey, ApprovalTerms, Asset, AssetId, Balance, CallbackDraft, Change, Commit, Entry,
    Expected, FieldValue, Fingerprint, IdempotencyKey, ItemResult, KeyScope, Linked, OnRefusal,
    Posting, Premise, Reason, Room, Rules, Timestamp, Transfer, TransferId, Usage, UsageKey,
    UserStatus, Version,
    rules::{Measured, Refusal},
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
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// What was used of the limits that the batch looks at or gives back to.
    pub usage: HashMap<UsageKey, Usage>,
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
    /// The transfer, or the one that would change with it, is not at the version the change was made for.
    Stale {
        /// The version that one is at; none when it does not exist.
        current: Option<Version>,
    },
    /// The ledger refuses; nothing is written but the key's memory of it.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// A limit refuses; nothing is written but the key's memory of it.
    OverLimit {
        /// Why.
        reason: Reason,
        /// What the limit leaves.
        room: Room,
    },
    /// Nothing moves right now, by an operator's word; nothing is written, and the key stays free.
    ReadOnly,
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
    /// The other transfer that changed with it.
    pub linked: Option<Box<Linked>>,
}

/// Decides a batch in arrival order and changes the balances in `books` accordingly.
///
/// A change with a line in an account, a premise about an asset or a question to a rolling limit of which
/// `books` lacks the account, the asset or what was used is refused like one that names a disabled asset:
/// a store that forgets to read them can never move money by it. The rules, the keys and the versions
/// are believed as they are.
#[must_use = "the balances have changed, and this says what is to be written"]
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
    let current = books.versions.get(&change.next.id()).copied();
    match (change.expected, current) {
        (Expected::Absent, None) => {}
        (Expected::Absent, Some(_)) => return Verdict::Landed,
        (Expected::At(expected), Some(current)) if expected == current => {}
        (Expected::At(_), current) => return Verdict::Stale { current },
    }
    if let Some(linked) = &change.linked {
        let current = books.versions.get(&linked.next.id()).copied();
        if current != Some(linked.expected) {
            return Verdict::Stale { current };
        }
    }
    if books.rules.stops.read_only {
        return Verdict::ReadOnly;
    }
    let verdict = match decide(books, change, now) {
        Ok(applied) => Verdict::Applied(Box::new(applied)),
        Err(Refusal {
            reason,
            room: Some(room),
        }) => Verdict::OverLimit { reason, room },
        Err(Refusal { reason, room: None }) => Verdict::Refused { reason },
    };
    remember_key(books, commit, &verdict);
    verdict
}

/// Applies a change or, where that is how it ends, records its refusal.
fn decide(books: &mut Books, change: &Change, now: Timestamp) -> Result<Applied, Refusal> {
    // The rules stay as they are while the books change.
    let rules = Arc::clone(&books.rules);
    // A refusal is recorded at the price as well, unless there is none that an account can hold.
    let (change, priced) = match change.priced(&rules) {
        Ok(priced) => (priced, Ok(())),
        Err(reason) => (Cow::Borrowed(change), Err(Refusal::from(reason))),
    };
    match priced.and_then(|()| judge(books, &change, now)) {
        Ok(()) => Ok(apply(books, &change, now)),
        Err(refusal) if change.on_refusal == OnRefusal::Record => {
            Ok(record_refusal(books, &change, refusal.reason, now))
        }
        Err(refusal) => Err(refusal),
    }
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
        Verdict::Refused { reason } | Verdict::OverLimit { reason, .. } => Some(*reason),
        Verdict::Applied(_)
        | Verdict::Landed
        | Verdict::Replayed { .. }
        | Verdict::RefusalReplayed { .. }
        | Verdict::KeyReused { .. }
        | Verdict::Stale { .. }
        | Verdict::ReadOnly => None,
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
fn judge(books: &Books, change: &Change, now: Timestamp) -> Result<(), Refusal> {
    for premise in &change.premises {
        if *premise == Premise::WithinLimits {
            let used = |key: UsageKey| books.usage.get(&key).cloned();
            let measured = Measured::of(&change.next);
            books.rules.admit(&measured, used, now)?;
        } else {
            holds(books, change, premise)?;
        }
    }
    let mut after: HashMap<AccountKey, (i128, i128)> = HashMap::new();
    for posting in &change.postings {
        let account = books.accounts.get(&posting.account);
        let balance = account.ok_or(Reason::AssetDisabled)?;
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
        Premise::OutgoingOpen(asset) if books.rules.stops.outgoing.contains(asset) => {
            Err(Reason::OutgoingStopped)
        }
        // Limits are judged by the caller, for they tell more than a reason.
        Premise::OutgoingOpen(_) | Premise::WithinLimits => Ok(()),
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
    // A fee that is given back may come from another of the rows that fees are split over.
    let may_owe = posting.account.owner.user().is_none();
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
            linked: None,
        };
    }
    let at = stamp(books, change, now);
    let next = change
        .next
        .clone()
        .stamped(at, change.expected == Expected::Absent);
    if let Some(terms) = change.approval
        && books.rules.needs_approval(&Measured::of(&next))
    {
        return Applied {
            next: await_approval(books, next, terms),
            entries: vec![],
            callbacks: vec![],
            linked: None,
        };
    }
    count_use(books, change, at);
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
    if let Some(linked) = &change.linked {
        let other = &linked.next;
        books.versions.insert(other.id(), other.version());
    }
    Applied {
        next,
        entries,
        callbacks: change.callbacks.clone(),
        linked: change.linked.clone(),
    }
}

/// The transfer waits for a second operator; nothing moves meanwhile.
fn await_approval(books: &mut Books, next: Transfer, terms: ApprovalTerms) -> Transfer {
    let next = next.held_for_approval(terms.expires_at);
    books.versions.insert(next.id(), next.version());
    next
}

/// Counts a transfer among the uses of the limits, or no longer.
fn count_use(books: &mut Books, change: &Change, at: Timestamp) {
    let (reserves, gives_back) = (change.is_limited(), change.gives_back());
    if !reserves && !gives_back {
        return;
    }
    let reserved_at = change.next.parts().created_at;
    for (key, amount) in books.rules.uses(&Measured::of(&change.next)) {
        let Some(usage) = books.usage.get_mut(&key) else {
            continue;
        };
        if gives_back {
            usage.give_back(reserved_at, amount, at);
        } else {
            usage.reserve(at, amount);
        }
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
        linked: None,
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
