//! One transfer with the entries that it refers to.

use bursar_domain::Owner;
use diesel::prelude::Queryable;
use uuid::Uuid;

use super::{Fault, Rules, chain::fault_of};
use crate::{
    row::{SealedRow, owner_columns},
    value::Figure,
};

/// What an entry moves, and whose account it is on.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub(crate) struct LineFacts {
    pub(crate) account_id: i64,
    pub(crate) seq: i64,
    pub(crate) transfer_id: i64,
    pub(crate) available: Figure,
    pub(crate) held: Figure,
    pub(crate) owner_kind: String,
    pub(crate) owner: Uuid,
    pub(crate) asset: String,
}

impl LineFacts {
    /// Whose account it is on. The account of fees has several rows, which differ in their owner's
    /// column.
    fn holder(&self) -> Uuid {
        let (fees, holder) = owner_columns(Owner::Fees);
        if self.owner_kind == fees {
            holder
        } else {
            self.owner
        }
    }
}

/// What a transfer is found to be.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) faults: Vec<Fault>,
    /// How many entries it refers to.
    pub(super) lines: u64,
    /// What it makes accounts hold: owner, asset, how much.
    pub(super) holds: Vec<(Uuid, String, i128)>,
    /// What was taken back of which transfer: by this one, and less what it says was of itself.
    pub(super) taken_back: Vec<(i64, i128)>,
}

pub(super) fn judge<'l>(
    rules: &Rules,
    sealed: &SealedRow,
    line: impl Fn(i64, i64) -> Option<&'l LineFacts>,
) -> Judgement {
    let mut judgement = Judgement::default();
    // Without a seal neither time is sure, and one of them is changed more easily than both.
    let written_at = sealed.row.updated_at.0.max(sealed.row.created_at.0);
    if sealed.seal.is_none() && rules.must_be_sealed(written_at) {
        judgement.faults.push(Fault::Unsealed);
    }
    let figures = match sealed.figures() {
        Ok(figures) => figures,
        Err(fault) => {
            judgement.faults.push(fault);
            return judgement;
        }
    };
    if let Some(seal) = &sealed.seal {
        let fields = sealed.fields(&figures);
        let genuine = rules.keys.judge_transfer(&fields, &sealed.entry_refs, seal);
        judgement.faults.extend(fault_of(genuine));
    }
    let mut moved = vec![];
    let (pairs, odd) = sealed.entry_refs.as_chunks::<2>();
    for [account, seq] in pairs {
        let (account, seq) = (*account, *seq);
        match line(account, seq).filter(|line| line.transfer_id == sealed.id()) {
            Some(line) => {
                judgement.lines = judgement.lines.saturating_add(1);
                let whose = (line.owner_kind.as_str(), line.holder(), line.asset.as_str());
                moved.push((whose, line.available.0, line.held.0));
            }
            None => judgement.faults.push(Fault::NoLine { account, seq }),
        }
    }
    let transfer = match sealed.transfer() {
        Ok(transfer) => transfer,
        Err(fault) => {
            judgement.faults.push(fault);
            return judgement;
        }
    };
    let postings = transfer.postings_so_far();
    let says = postings.iter().map(|posting| {
        let (owner_kind, owner) = owner_columns(posting.account.owner);
        let whose = (owner_kind, owner, posting.account.asset.as_str());
        (whose, Some(posting.available), Some(posting.held))
    });
    if !odd.is_empty() || !moved.into_iter().eq(says) {
        judgement.faults.push(Fault::Lines);
    }
    let parts = transfer.parts();
    if let Some(reversal) = parts.reversal.filter(|_| !postings.is_empty()) {
        let (of, covers) = (reversal.of.get(), reversal.covers.units());
        judgement.taken_back.push((of, covers));
    }
    if !parts.reversed.is_zero() {
        let units = parts.reversed.units();
        judgement
            .taken_back
            .push((sealed.id(), units.saturating_neg()));
    }
    for posting in postings.iter().filter(|posting| posting.held != 0) {
        let (_, owner) = owner_columns(posting.account.owner);
        let asset = posting.account.asset.to_string();
        judgement.holds.push((owner, asset, posting.held));
    }
    judgement
}
