//! Deciding a bulk: several new transfers with one key.

use std::{borrow::Cow, sync::Arc};

use super::{Applied, Books, StoredClaim, apply, count_use, judge, record_refusal};
use crate::{
    AccountKey, Balance, Bulk, BulkClaim, BulkMode, Change, Expected, ItemRefusal, ItemResult,
    Premise, Reason, Timestamp, TransferId, Usage, UsageKey,
};

/// What becomes of a bulk. The vectors have an element for every change, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum BulkVerdict {
    /// All of this is to be written.
    Applied(Vec<Applied>),
    /// An earlier try of this very bulk was written after all.
    Landed,
    /// All or nothing, and not all of it can be; nothing is written but the key's memory of it.
    Refused {
        /// Why, for each change that its sender's side refuses. Nothing of the recipients is here:
        /// where no money moves, nobody may learn who can be paid.
        reasons: Vec<Option<Reason>>,
        /// The places of the changes whose recipients cannot be paid.
        unable: Vec<usize>,
        /// The places of the changes whose recipients' accounts are not in the books, so that
        /// nobody knows yet.
        unseen: Vec<usize>,
    },
    /// Too many recipients of an independent bulk cannot be paid; nothing is written.
    TooManyUnable {
        /// How many.
        unable: usize,
        /// The places of those among them whose accounts are not in the books, so that nobody
        /// knows yet.
        unseen: Vec<usize>,
    },
    /// The same request was made with this key before.
    Replayed {
        /// What came of each item of that request.
        results: Vec<ItemResult>,
    },
    /// The key belongs to another request.
    KeyReused {
        /// The first request's transfers.
        originals: Vec<TransferId>,
        /// The fields in which the two differ.
        fields: Vec<String>,
    },
    /// Nothing moves right now, by an operator's word; nothing is written, and the key stays free.
    ReadOnly,
}

impl BulkVerdict {
    /// How many recipients of a refused bulk cannot be paid: none when its sender's side refuses
    /// it, which is judged first.
    pub fn recipients_unable(&self) -> usize {
        match self {
            Self::Refused {
                reasons, unable, ..
            } if reasons.iter().all(Option::is_none) => unable.len(),
            Self::Refused { .. }
            | Self::TooManyUnable { .. }
            | Self::Applied(_)
            | Self::Landed
            | Self::Replayed { .. }
            | Self::KeyReused { .. }
            | Self::ReadOnly => 0,
        }
    }

    /// Counts those of the recipients whose accounts are not in the books of whom it has been found
    /// out that they cannot be paid.
    pub fn count_unseen(&mut self, is_unable: impl Fn(usize) -> bool) {
        if let Self::Refused { unable, unseen, .. } = self {
            unable.extend(unseen.extract_if(.., |place| is_unable(*place)));
        }
    }
}

/// Decides a bulk in order and changes the balances in `books` accordingly; one that is refused as a
/// whole leaves them exactly as they were.
///
/// After a refusal the rest of an atomic bulk is judged as if the refused transfer had not been
/// asked for, so that the caller learns of everything that stands in the way at once. After one
/// whose recipient cannot be paid it is judged as if that were not so: what is told of the others
/// must not depend on it.
pub fn settle_bulk(books: &mut Books, bulk: &Bulk, now: Timestamp) -> BulkVerdict {
    if let Some(verdict) = earlier_use_of_key(books, bulk) {
        return verdict;
    }
    let exists = |change: &Change| books.versions.contains_key(&change.next.id());
    if bulk.changes.iter().any(exists) {
        return BulkVerdict::Landed;
    }
    if books.rules.stops.read_only {
        return BulkVerdict::ReadOnly;
    }
    let verdict = match bulk.mode {
        BulkMode::Independent => each(books, bulk, now),
        BulkMode::Atomic => all_or_none(books, &bulk.changes, now),
    };
    remember_key(books, bulk, &verdict);
    verdict
}

/// The changes at their prices; one whose fee no account can hold is judged as it is.
fn priced<'a>(books: &Books, changes: &'a [Change]) -> Vec<(Cow<'a, Change>, Result<(), Reason>)> {
    let rules = Arc::clone(&books.rules);
    let price = |change: &'a Change| match change.priced(&rules) {
        Ok(priced) => (priced, Ok(())),
        Err(reason) => (Cow::Borrowed(change), Err(reason)),
    };
    changes.iter().map(price).collect()
}

/// Judges a change that a bulk may have. What is no new transfer, or changes another one as well, is
/// refused like one that names a disabled asset: nobody has looked at the versions that it is made for.
fn judge_new(books: &Books, change: &Change, now: Timestamp) -> Result<(), Reason> {
    let is_new = change.expected == Expected::Absent
        && change.linked.is_none()
        && !books.versions.contains_key(&change.next.id());
    if !is_new {
        return Err(Reason::AssetDisabled);
    }
    judge(books, change, now).map_err(|no| no.reason)
}

fn each(books: &mut Books, bulk: &Bulk, now: Timestamp) -> BulkVerdict {
    let before = bulk.unable_max.map(|_| Before::of(books, &bulk.changes));
    let (mut unable, mut unseen) = (0_usize, vec![]);
    let mut applied = Vec::with_capacity(bulk.changes.len());
    for (place, (change, priced)) in priced(books, &bulk.changes).into_iter().enumerate() {
        let judged = priced.and_then(|()| judge_new(books, &change, now));
        applied.push(match judged {
            Ok(()) => apply(books, &change, now),
            Err(reason) => {
                if reason == Reason::RecipientUnavailable {
                    unable = unable.saturating_add(1);
                    unseen.extend(is_unseen(books, &change).then_some(place));
                }
                record_refusal(books, &change, reason, now)
            }
        });
    }
    let Some(before) = before.filter(|_| bulk.unable_max.is_some_and(|max| unable > max)) else {
        return BulkVerdict::Applied(applied);
    };
    before.restore(books, &bulk.changes);
    BulkVerdict::TooManyUnable { unable, unseen }
}

fn all_or_none(books: &mut Books, changes: &[Change], now: Timestamp) -> BulkVerdict {
    let before = Before::of(books, changes);
    let mut applied = Vec::with_capacity(changes.len());
    let mut reasons = Vec::with_capacity(changes.len());
    let (mut unable, mut unseen) = (vec![], vec![]);
    for (place, (change, priced)) in priced(books, changes).into_iter().enumerate() {
        let judged = priced.and_then(|()| judge_new(books, &change, now));
        reasons.push(match judged {
            Ok(()) => {
                applied.push(apply(books, &change, now));
                None
            }
            Err(Reason::RecipientUnavailable) => {
                if is_unseen(books, &change) {
                    unseen.push(place);
                } else {
                    unable.push(place);
                }
                spend(books, &change, now);
                None
            }
            Err(reason) => Some(reason),
        });
    }
    if unable.is_empty() && unseen.is_empty() && reasons.iter().all(Option::is_none) {
        return BulkVerdict::Applied(applied);
    }
    before.restore(books, changes);
    BulkVerdict::Refused {
        reasons,
        unable,
        unseen,
    }
}

/// Whether the books lack the account of a change's recipient, so that nobody knows yet whether it
/// can be paid.
fn is_unseen(books: &Books, change: &Change) -> bool {
    let account = change.recipient_account();
    account.is_some_and(|account| !books.accounts.contains_key(&account))
}

/// Takes what a change needs from its sender, as if its recipient could be paid.
fn spend(books: &mut Books, change: &Change, now: Timestamp) {
    for premise in &change.premises {
        if let Premise::Funds { account, needed } = premise
            && let Some(balance) = books.accounts.get_mut(account)
        {
            balance.available = balance.available.saturating_sub(needed.units());
        }
    }
    count_use(books, change, now);
}

/// Everything that new transfers may change, as it was before them.
struct Before {
    balances: Vec<(AccountKey, Balance)>,
    usage: Vec<(UsageKey, Usage)>,
}

impl Before {
    fn of(books: &Books, changes: &[Change]) -> Self {
        // A fee may be due whatever the changes say before they are priced.
        let fees = changes
            .iter()
            .map(|change| AccountKey::fees(change.next.parts().asset));
        let accounts = changes.iter().flat_map(Change::accounts).chain(fees);
        let keys = changes
            .iter()
            .flat_map(|change| change.usage_keys(&books.rules));
        Self {
            balances: accounts
                .filter_map(|account| Some((account, *books.accounts.get(&account)?)))
                .collect(),
            usage: keys
                .filter_map(|key| Some((key, books.usage.get(&key)?.clone())))
                .collect(),
        }
    }

    /// Makes the books as they were.
    fn restore(self, books: &mut Books, changes: &[Change]) {
        books.accounts.extend(self.balances);
        books.usage.extend(self.usage);
        for change in changes {
            books.versions.remove(&change.next.id());
        }
    }
}

/// What an earlier request with the same key means for this one.
fn earlier_use_of_key(books: &Books, bulk: &Bulk) -> Option<BulkVerdict> {
    let BulkClaim { claim, .. } = bulk.idempotency.as_ref()?;
    let stored = books.keys.get(&(claim.scope.clone(), claim.key.clone()))?;
    let results = stored.results.clone().unwrap_or_default();
    if stored.fingerprint != claim.fingerprint {
        return Some(BulkVerdict::KeyReused {
            originals: results.iter().filter_map(ItemResult::made).collect(),
            fields: claim.differing_fields(&stored.fields),
        });
    }
    if Some(stored.transfer) != bulk.first_id() {
        return Some(BulkVerdict::Replayed { results });
    }
    // Ids are made anew for every request, so this is this request's own earlier try.
    Some(if results.iter().any(|result| result.made().is_some()) {
        BulkVerdict::Landed
    } else {
        BulkVerdict::Refused {
            reasons: results.iter().map(reason_of).collect(),
            unable: vec![],
            unseen: vec![],
        }
    })
}

fn reason_of(result: &ItemResult) -> Option<Reason> {
    match result {
        ItemResult::Made(_) => None,
        ItemResult::Refused(refusal) => Reason::from_code(&refusal.code),
    }
}

fn remember_key(books: &mut Books, bulk: &Bulk, verdict: &BulkVerdict) {
    let (Some(BulkClaim { claim, results }), Some(first)) = (&bulk.idempotency, bulk.first_id())
    else {
        return;
    };
    if matches!(
        verdict,
        BulkVerdict::TooManyUnable { .. } | BulkVerdict::ReadOnly
    ) {
        return;
    }
    let results = match verdict {
        BulkVerdict::Refused { reasons, .. } => reasons
            .iter()
            .map(|reason| ItemResult::Refused(ItemRefusal::in_atomic(*reason)))
            .collect(),
        BulkVerdict::Applied(_)
        | BulkVerdict::Landed
        | BulkVerdict::TooManyUnable { .. }
        | BulkVerdict::Replayed { .. }
        | BulkVerdict::KeyReused { .. }
        | BulkVerdict::ReadOnly => results.clone(),
    };
    let stored = StoredClaim {
        fingerprint: claim.fingerprint,
        fields: claim.fields.clone(),
        transfer: first,
        refusal: None,
        results: Some(results),
    };
    books
        .keys
        .insert((claim.scope.clone(), claim.key.clone()), stored);
}
