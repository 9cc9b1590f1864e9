//! What is committed in one transaction: requests that came together, or one bulk.

use std::{collections::BTreeSet, iter};

use bursar_domain::{
    AccountKey, AuditDraft, Bulk, Change, Commit, IdempotencyClaim, ItemResult, Reason, Timestamp,
    Transfer, TransferId, UserId,
    ledger::{self, Applied, Books, BulkVerdict, Verdict},
};
use bursar_ports::{BulkOutcome, CommitOutcome};

use crate::faults::{Planted, is_planted};

/// A claim on a key with what the key is bound to unless something else comes of it.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) claim: &'a IdempotencyClaim,
    pub(super) id: TransferId,
    pub(super) results: Option<&'a [ItemResult]>,
}

/// What is committed in one transaction.
pub(super) trait Batch: Sync {
    /// What `domain` says becomes of it.
    type Verdicts: Send + Sync;
    /// What its callers are told.
    type Outcomes: Send;

    /// Every change, in the order in which they are decided.
    fn changes(&self) -> impl Iterator<Item = &Change>;

    /// Every claim on a key.
    fn claims(&self) -> impl Iterator<Item = Claim<'_>>;

    /// Decides it.
    fn settle(&self, books: &mut Books, now: Timestamp) -> Self::Verdicts;

    /// What is to be written.
    fn applied<'a>(
        &'a self,
        verdicts: &'a Self::Verdicts,
    ) -> impl Iterator<Item = (&'a Change, &'a Applied)>;

    /// What operators changed, with what the audit log keeps of it.
    fn audited<'a>(
        &'a self,
        verdicts: &'a Self::Verdicts,
    ) -> impl Iterator<Item = (&'a AuditDraft, &'a Applied)>;

    /// The new transfers that an earlier try has left.
    fn landed<'a>(&'a self, verdicts: &Self::Verdicts) -> Vec<&'a Transfer>;

    /// The recipients' accounts that stand in the way only because they are missing, out of those
    /// that can be made. An account is only made for money that will then be paid: were it made
    /// for less, the time of the answer would tell whether there is such a recipient.
    fn missing(
        &self,
        verdicts: &Self::Verdicts,
        can_be_made: &dyn Fn(&AccountKey) -> bool,
    ) -> BTreeSet<AccountKey>;

    /// The users of whom it must be known whether they can be paid even if they have no account, for
    /// whoever cannot is counted. Whether anybody has none makes no difference: the time of the answer
    /// must not tell.
    fn to_count(&self, verdicts: &Self::Verdicts) -> BTreeSet<UserId>;

    /// Counts those of them who cannot be paid.
    fn count(&self, verdicts: &mut Self::Verdicts, inactive: &BTreeSet<UserId>);

    /// What the callers are told; `landed` holds what was found of [`Batch::landed`], in order.
    fn outcomes(verdicts: Self::Verdicts, landed: Vec<Transfer>) -> Self::Outcomes;
}

impl Batch for [Commit] {
    type Verdicts = Vec<Verdict>;
    type Outcomes = Vec<CommitOutcome>;

    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.iter().map(|commit| &commit.change)
    }

    fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let kept = !is_planted(Planted::ForgetsKeys);
        self.iter().filter(move |_| kept).filter_map(|commit| {
            Some(Claim {
                claim: commit.idempotency.as_ref()?,
                id: commit.change.next.id(),
                results: None,
            })
        })
    }

    fn settle(&self, books: &mut Books, now: Timestamp) -> Vec<Verdict> {
        ledger::settle(books, self, now)
    }

    fn applied<'a>(
        &'a self,
        verdicts: &'a Vec<Verdict>,
    ) -> impl Iterator<Item = (&'a Change, &'a Applied)> {
        let changes = self.changes().zip(verdicts);
        changes.filter_map(|(change, verdict)| Some((change, written(verdict)?)))
    }

    fn audited<'a>(
        &'a self,
        verdicts: &'a Vec<Verdict>,
    ) -> impl Iterator<Item = (&'a AuditDraft, &'a Applied)> {
        let commits = self.iter().zip(verdicts);
        commits.filter_map(|(commit, verdict)| Some((commit.audited()?, written(verdict)?)))
    }

    fn landed<'a>(&'a self, verdicts: &Vec<Verdict>) -> Vec<&'a Transfer> {
        self.changes()
            .zip(verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Landed)
            .map(|(change, _)| &change.next)
            .collect()
    }

    fn missing(
        &self,
        verdicts: &Vec<Verdict>,
        can_be_made: &dyn Fn(&AccountKey) -> bool,
    ) -> BTreeSet<AccountKey> {
        let unpaid = self.changes().zip(verdicts).filter(|(_, verdict)| {
            let reason = match verdict {
                Verdict::Applied(applied) => applied.next.reason(),
                Verdict::Refused { reason } => Some(*reason),
                Verdict::Landed
                | Verdict::Replayed { .. }
                | Verdict::RefusalReplayed { .. }
                | Verdict::KeyReused { .. }
                | Verdict::Stale { .. }
                | Verdict::OverLimit { .. }
                | Verdict::ReadOnly => None,
            };
            reason == Some(Reason::RecipientUnavailable)
        });
        unpaid
            .filter_map(|(change, _)| change.recipient_account())
            .filter(can_be_made)
            .collect()
    }

    /// Each item is told of by itself.
    fn to_count(&self, _verdicts: &Vec<Verdict>) -> BTreeSet<UserId> {
        BTreeSet::new()
    }

    fn count(&self, _verdicts: &mut Vec<Verdict>, _inactive: &BTreeSet<UserId>) {}

    fn outcomes(verdicts: Vec<Verdict>, landed: Vec<Transfer>) -> Vec<CommitOutcome> {
        let mut landed = landed.into_iter();
        verdicts
            .into_iter()
            .filter_map(|verdict| {
                Some(match verdict {
                    Verdict::Applied(applied) => CommitOutcome::Committed(Box::new(applied.next)),
                    Verdict::Landed => CommitOutcome::Committed(Box::new(landed.next()?)),
                    Verdict::Replayed { original } => CommitOutcome::Replayed { original },
                    Verdict::RefusalReplayed { reason } => {
                        CommitOutcome::RefusalReplayed { reason }
                    }
                    Verdict::KeyReused { original, fields } => {
                        CommitOutcome::KeyReused { original, fields }
                    }
                    Verdict::Stale { current } => CommitOutcome::Stale { current },
                    Verdict::Refused { reason } => CommitOutcome::Refused { reason },
                    Verdict::OverLimit { reason, room } => {
                        CommitOutcome::OverLimit { reason, room }
                    }
                    Verdict::ReadOnly => CommitOutcome::ReadOnly,
                })
            })
            .collect()
    }
}

/// What is to be written of an item, if anything.
fn written(verdict: &Verdict) -> Option<&Applied> {
    match verdict {
        Verdict::Applied(applied) => Some(applied),
        Verdict::Landed
        | Verdict::Replayed { .. }
        | Verdict::RefusalReplayed { .. }
        | Verdict::KeyReused { .. }
        | Verdict::Stale { .. }
        | Verdict::Refused { .. }
        | Verdict::OverLimit { .. }
        | Verdict::ReadOnly => None,
    }
}

/// The user whom a change pays.
fn recipient(change: &Change) -> Option<UserId> {
    change.recipient_account()?.owner.user()
}

impl Batch for Bulk {
    type Verdicts = BulkVerdict;
    type Outcomes = BulkOutcome;

    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let claim = self
            .idempotency
            .as_ref()
            .zip(self.first_id())
            .map(|(bulk, id)| Claim {
                claim: &bulk.claim,
                id,
                results: Some(&bulk.results),
            });
        claim.into_iter()
    }

    fn settle(&self, books: &mut Books, now: Timestamp) -> BulkVerdict {
        ledger::settle_bulk(books, self, now)
    }

    fn applied<'a>(
        &'a self,
        verdict: &'a BulkVerdict,
    ) -> impl Iterator<Item = (&'a Change, &'a Applied)> {
        let applied = match verdict {
            BulkVerdict::Applied(applied) => applied.as_slice(),
            BulkVerdict::Landed
            | BulkVerdict::Refused { .. }
            | BulkVerdict::TooManyUnable { .. }
            | BulkVerdict::Replayed { .. }
            | BulkVerdict::KeyReused { .. }
            | BulkVerdict::ReadOnly => &[],
        };
        self.changes.iter().zip(applied)
    }

    /// Bulks are users' own.
    fn audited<'a>(
        &'a self,
        _verdict: &'a BulkVerdict,
    ) -> impl Iterator<Item = (&'a AuditDraft, &'a Applied)> {
        iter::empty()
    }

    fn landed<'a>(&'a self, verdict: &BulkVerdict) -> Vec<&'a Transfer> {
        if *verdict == BulkVerdict::Landed {
            self.changes().map(|change| &change.next).collect()
        } else {
            vec![]
        }
    }

    fn missing(
        &self,
        verdict: &BulkVerdict,
        can_be_made: &dyn Fn(&AccountKey) -> bool,
    ) -> BTreeSet<AccountKey> {
        match verdict {
            BulkVerdict::Applied(applied) => {
                let unable = Some(Reason::RecipientUnavailable);
                let applied = self.changes().zip(applied);
                applied
                    .filter(|(_, applied)| applied.next.reason() == unable)
                    .filter_map(|(change, _)| change.recipient_account())
                    .filter(can_be_made)
                    .collect()
            }
            // Only if few enough are left then.
            BulkVerdict::TooManyUnable { unable, unseen } => {
                let unseen = unseen.iter().filter_map(|place| self.changes.get(*place));
                let accounts = unseen.filter_map(Change::recipient_account);
                let made: Vec<AccountKey> = accounts.filter(can_be_made).collect();
                let left = unable.saturating_sub(made.len());
                if self.unable_max.is_some_and(|max| left <= max) {
                    made.into_iter().collect()
                } else {
                    BTreeSet::new()
                }
            }
            // Only if everything is paid then.
            BulkVerdict::Refused {
                reasons,
                unable,
                unseen,
            } if unable.is_empty() && reasons.iter().all(Option::is_none) => {
                let recipient = |place: &usize| {
                    let account = self.changes.get(*place)?.recipient_account();
                    account.filter(can_be_made)
                };
                let all: Option<_> = unseen.iter().map(recipient).collect();
                all.unwrap_or_default()
            }
            BulkVerdict::Refused { .. }
            | BulkVerdict::Landed
            | BulkVerdict::Replayed { .. }
            | BulkVerdict::KeyReused { .. }
            | BulkVerdict::ReadOnly => BTreeSet::new(),
        }
    }

    fn to_count(&self, verdict: &BulkVerdict) -> BTreeSet<UserId> {
        if verdict.recipients_unable() > 0 {
            self.changes().filter_map(recipient).collect()
        } else {
            BTreeSet::new()
        }
    }

    fn count(&self, verdict: &mut BulkVerdict, inactive: &BTreeSet<UserId>) {
        let recipient = |place: usize| recipient(self.changes.get(place)?);
        verdict.count_unseen(|place| recipient(place).is_some_and(|user| inactive.contains(&user)));
    }

    fn outcomes(verdict: BulkVerdict, landed: Vec<Transfer>) -> BulkOutcome {
        let recipients_unable = verdict.recipients_unable();
        match verdict {
            BulkVerdict::Applied(applied) => {
                BulkOutcome::Committed(applied.into_iter().map(|applied| applied.next).collect())
            }
            BulkVerdict::Landed => BulkOutcome::Committed(landed),
            BulkVerdict::Refused { reasons, .. } => BulkOutcome::Refused {
                reasons,
                recipients_unable,
            },
            BulkVerdict::TooManyUnable { .. } => BulkOutcome::TooManyUnable,
            BulkVerdict::Replayed { results } => BulkOutcome::Replayed { results },
            BulkVerdict::KeyReused { originals, fields } => {
                BulkOutcome::KeyReused { originals, fields }
            }
            BulkVerdict::ReadOnly => BulkOutcome::ReadOnly,
        }
    }
}
