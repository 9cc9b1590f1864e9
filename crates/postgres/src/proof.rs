//! What the books must be, as a pure judgement over streams of rows.
//!
//! Transfers come first, in any order, then accounts by id with their entries by number; what users
//! have used of limits may come at any time. Nothing is
//! kept but what is held for open withdrawals, a sum for each asset, and the account under way.

mod chain;
mod facts;
#[cfg(test)]
pub(crate) mod filled;
mod transfer;
mod usage;
mod violation;

use std::{
    collections::{HashMap, VecDeque},
    iter::Peekable,
};

use bursar_domain::Timestamp;
use uuid::Uuid;

pub use self::violation::{Fault, Place, Violation};
pub(crate) use self::{
    chain::{Chain, Head, Start},
    facts::{AccountFacts, EntryFacts},
    transfer::LineFacts,
    usage::{Recorded, UsageFacts},
};
use crate::{row::SealedRow, seal::SealKeys};

/// Heads that were exported, by account id.
pub(crate) type Heads<'h> = Peekable<Box<dyn Iterator<Item = Head> + Send + 'h>>;

/// What is judged by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) keys: SealKeys,
    /// What was written at this time or later must be sealed. Without it, what has nothing sealed
    /// before it need not be: it may be from before there were seals.
    pub(crate) sealed_since: Option<Timestamp>,
}

impl Rules {
    /// Whether something that was written then must be sealed.
    fn must_be_sealed(&self, at: Timestamp) -> bool {
        self.sealed_since.is_some_and(|since| at >= since)
    }
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Transfers.
    pub transfers: u64,
    /// Accounts.
    pub accounts: u64,
    /// Entries.
    pub entries: u64,
    /// What users have used of limits.
    pub uses: u64,
    /// Transfers without a seal.
    pub unsealed_transfers: u64,
    /// Entries without a seal.
    pub unsealed_entries: u64,
    /// What is wrong.
    pub violations: u64,
}

/// A judgement under way.
pub(crate) struct Proof<'h> {
    rules: Rules,
    heads: Heads<'h>,
    /// Entries that transfers refer to.
    claimed: u64,
    /// What accounts must hold, by owner and asset, for those not yet seen.
    holds: HashMap<(Uuid, String), Option<i128>>,
    /// How much more reversals took back of a transfer than it says, for those seen so far.
    taken_back: HashMap<i64, i128>,
    /// The sum of all accounts of an asset; none when it is beyond every number.
    sums: HashMap<String, Option<i128>>,
    waiting: VecDeque<AccountFacts>,
    current: Option<Chain>,
    judged: Judged,
    found: Vec<Violation>,
}

impl<'h> Proof<'h> {
    pub(crate) fn new(rules: Rules, heads: Box<dyn Iterator<Item = Head> + Send + 'h>) -> Self {
        Self {
            rules,
            heads: heads.peekable(),
            claimed: 0,
            holds: HashMap::new(),
            taken_back: HashMap::new(),
            sums: HashMap::new(),
            waiting: VecDeque::new(),
            current: None,
            judged: Judged::default(),
            found: vec![],
        }
    }

    /// How much was judged so far.
    pub(crate) fn judged(&self) -> Judged {
        self.judged
    }

    /// What was found since the last call.
    pub(crate) fn take_found(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.found)
    }

    pub(crate) fn found(&mut self, place: Place, fault: Fault) {
        self.judged.violations = self.judged.violations.saturating_add(1);
        self.found.push(Violation { place, fault });
    }

    /// Judges a transfer by itself, and against the entries that it refers to.
    pub(crate) fn transfer<'l>(
        &mut self,
        sealed: &SealedRow,
        line: impl Fn(i64, i64) -> Option<&'l LineFacts>,
    ) {
        self.judged.transfers = self.judged.transfers.saturating_add(1);
        if sealed.seal.is_none() {
            self.judged.unsealed_transfers = self.judged.unsealed_transfers.saturating_add(1);
        }
        let judgement = transfer::judge(&self.rules, sealed, line);
        self.claimed = self.claimed.saturating_add(judgement.lines);
        for (owner, asset, held) in judgement.holds {
            let sum = self.holds.entry((owner, asset)).or_insert(Some(0));
            *sum = sum.and_then(|sum| sum.checked_add(held));
        }
        for (id, units) in judgement.taken_back {
            let sum = self.taken_back.entry(id).or_insert(0);
            *sum = sum.saturating_add(units);
            if *sum == 0 {
                self.taken_back.remove(&id);
            }
        }
        for fault in judgement.faults {
            self.found(Place::Transfer(sealed.id()), fault);
        }
    }

    /// Judges what a user has used of a limit.
    pub(crate) fn usage(&mut self, facts: &UsageFacts) {
        if facts.uses == Recorded::OfAnotherEpoch {
            return;
        }
        self.judged.uses = self.judged.uses.saturating_add(1);
        if let Some(fault) = usage::judge(facts) {
            let place = Place::Usage {
                user: facts.user,
                kind: facts.kind,
                asset: facts.asset.clone(),
            };
            self.found(place, fault);
        }
    }

    /// The next accounts, by id; their entries follow.
    pub(crate) fn accounts(&mut self, facts: impl IntoIterator<Item = AccountFacts>) {
        self.waiting.extend(facts);
    }

    /// The next entry, by account and number.
    pub(crate) fn entry(&mut self, facts: &EntryFacts) {
        self.judged.entries = self.judged.entries.saturating_add(1);
        if facts.seal.is_none() {
            self.judged.unsealed_entries = self.judged.unsealed_entries.saturating_add(1);
        }
        while self
            .current
            .as_ref()
            .is_none_or(|chain| chain.account().id < facts.account_id)
        {
            if !self.next_account() {
                break;
            }
        }
        let chain = self.current.as_mut();
        let Some(chain) = chain.filter(|chain| chain.account().id == facts.account_id) else {
            self.found(Place::entry(facts), Fault::NoAccount);
            return;
        };
        for fault in chain.entry(&self.rules, facts) {
            self.found(Place::entry(facts), fault);
        }
    }

    /// All entries of the accounts so far have come.
    pub(crate) fn end_of_page(&mut self) {
        while self.next_account() {}
        self.close_account();
    }

    /// Ends the account under way and begins with the one after it, if there is one.
    fn next_account(&mut self) -> bool {
        let Some(account) = self.waiting.pop_front() else {
            return false;
        };
        self.close_account();
        let mut exported = None;
        while let Some(head) = self.heads.next_if(|head| head.account <= account.id) {
            if head.account == account.id {
                exported = Some(head);
            } else {
                self.found(Place::Account(head.account), Fault::Gone);
            }
        }
        self.current = Some(Chain::new(account, Start::default(), exported));
        true
    }

    fn close_account(&mut self) {
        let Some(chain) = self.current.take() else {
            return;
        };
        self.judged.accounts = self.judged.accounts.saturating_add(1);
        let faults = chain.end(&self.rules);
        let account = chain.into_account();
        let place = Place::Account(account.id);
        for fault in faults {
            self.found(place.clone(), fault);
        }
        let expected = if account.is_user() {
            self.holds.remove(&(account.owner, account.asset.clone()))
        } else {
            None
        };
        let expected = expected.unwrap_or(Some(0));
        let held = account.held.0;
        if held != expected {
            self.found(place, Fault::Holds { held, expected });
        }
        let total = account.available.0.zip(held);
        let total = total.and_then(|(available, held)| available.checked_add(held));
        let sum = self.sums.entry(account.asset).or_insert(Some(0));
        *sum = sum
            .zip(total)
            .and_then(|(sum, total)| sum.checked_add(total));
    }

    /// Everything has come: judges what only all of it together shows.
    pub(crate) fn finish(&mut self) {
        self.end_of_page();
        while let Some(head) = self.heads.next() {
            self.found(Place::Account(head.account), Fault::Gone);
        }
        for (id, excess) in std::mem::take(&mut self.taken_back) {
            self.found(Place::Transfer(id), Fault::TakenBack { excess });
        }
        for ((owner, asset), expected) in std::mem::take(&mut self.holds) {
            if expected != Some(0) {
                self.found(Place::Asset(asset), Fault::HeldByNobody { owner });
            }
        }
        for (asset, sum) in std::mem::take(&mut self.sums) {
            if sum != Some(0) {
                self.found(Place::Asset(asset), Fault::Sum { sum });
            }
        }
        let (claimed, entries) = (self.claimed, self.judged.entries);
        if claimed != entries {
            self.found(Place::Books, Fault::Claimed { claimed, entries });
        }
    }
}

#[cfg(test)]
mod tests;
