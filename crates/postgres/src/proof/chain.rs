//! One account with its entries, or the last of them.

use super::{AccountFacts, EntryFacts, Fault, Rules};
use crate::seal::{Genuine, Link, Seal};

/// Where an account's entries stood when they were exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) account: i64,
    /// How many entries it had.
    pub(crate) seq: i64,
    /// The seal of the last one.
    pub(crate) seal: Option<Seal>,
}

/// What an account had before the first entry that is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    seq: i64,
    available: i128,
    held: i128,
    /// The last seal.
    seal: Option<Seal>,
}

impl Start {
    /// After an entry that is taken as it is.
    pub(crate) fn after(entry: &EntryFacts) -> Result<Self, Fault> {
        let line = entry.line()?;
        Ok(Self {
            seq: line.seq,
            available: line.available_after,
            held: line.held_after,
            seal: entry.seal.clone(),
        })
    }
}

/// An account whose entries come one by one.
pub(crate) struct Chain {
    account: AccountFacts,
    last: Start,
    exported: Option<Head>,
}

impl Chain {
    pub(crate) fn new(account: AccountFacts, start: Start, exported: Option<Head>) -> Self {
        Self {
            account,
            last: start,
            exported,
        }
    }

    pub(crate) fn account(&self) -> &AccountFacts {
        &self.account
    }

    pub(crate) fn into_account(self) -> AccountFacts {
        self.account
    }

    /// Judges the next entry.
    pub(crate) fn entry(&mut self, rules: &Rules, facts: &EntryFacts) -> Vec<Fault> {
        let mut faults = vec![];
        let after = self.last.seq;
        if Some(facts.seq) != after.checked_add(1) {
            faults.push(Fault::Gap { after });
        }
        self.last.seq = facts.seq;
        let exported = self.exported.as_ref();
        if let Some(head) = exported.filter(|head| head.seq == facts.seq)
            && head.seal != facts.seal
        {
            faults.push(Fault::Exported);
        }
        match facts.line() {
            Ok(line) => {
                let adds = |before: i128, delta, after| before.checked_add(delta) == Some(after);
                if !adds(
                    self.last.available,
                    line.available_delta,
                    line.available_after,
                ) || !adds(self.last.held, line.held_delta, line.held_after)
                {
                    faults.push(Fault::Arithmetic);
                }
                let owes = line.available_after < 0 && !self.account.may_owe();
                if owes || line.held_after < 0 {
                    faults.push(Fault::BelowZero);
                }
                (self.last.available, self.last.held) = (line.available_after, line.held_after);
                let link = match &self.last.seal {
                    Some(seal) => Link::After(seal),
                    None => Link::First(self.account.name()),
                };
                let genuine = facts
                    .seal
                    .as_ref()
                    .map(|seal| rules.keys.judge_entry(link, &line, seal));
                faults.extend(genuine.and_then(fault_of));
            }
            Err(fault) => faults.push(fault),
        }
        // Nothing unsealed comes after a seal, or a line could be added without the key.
        let sealed = self.last.seal.is_some() || rules.must_be_sealed(facts.created_at.0);
        if facts.seal.is_some() {
            self.last.seal.clone_from(&facts.seal);
        } else if sealed {
            faults.push(Fault::Unsealed);
        }
        faults
    }

    /// Judges the account, now that all of its entries have come.
    pub(crate) fn end(&self, rules: &Rules) -> Vec<Fault> {
        let mut faults = vec![];
        let (account, last) = (&self.account, &self.last);
        for (column, figure) in [("available", account.available), ("held", account.held)] {
            if figure.0.is_none() {
                faults.push(Fault::NoNumber { column });
            }
        }
        if !matches!(account.owner_kind.as_str(), "user" | "fees" | "world") {
            faults.push(Fault::Owner);
        }
        let is = (account.seq, account.available.0, account.held.0);
        if is != (last.seq, Some(last.available), Some(last.held)) {
            faults.push(Fault::LastEntry);
        }
        match (&last.seal, &account.head) {
            (Some(_), head) => {
                if last.seal != *head {
                    faults.push(Fault::Head);
                }
            }
            // Before the first sealed entry it seals what names the account.
            (None, Some(head)) => {
                faults.extend(fault_of(rules.keys.judge_account(account.name(), head)));
            }
            (None, None) => {}
        }
        if let Some(head) = self.exported.as_ref().filter(|head| head.seq > last.seq) {
            faults.push(Fault::Cut {
                exported: head.seq,
                seq: last.seq,
            });
        }
        faults
    }
}

pub(super) const fn fault_of(genuine: Genuine) -> Option<Fault> {
    match genuine {
        Genuine::Yes => None,
        Genuine::No => Some(Fault::Seal),
        Genuine::UnknownKey => Some(Fault::UnknownKey),
    }
}
