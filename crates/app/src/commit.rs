//! Committing one change, and what its outcome means to the caller.

use bursar_domain::{
    Commit, IdempotencyClaim, IdempotencyKey, Kind, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{CommitOutcome, StoreError};

use crate::{App, Error, Original, RecipientTurn};

/// How the caller wants a request to be treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `Idempotency-Key`.
    pub key: Option<IdempotencyKey>,
    /// `Prefer: wait`: answer with the settled transfer.
    pub wait: bool,
}

/// A transfer or the results of a bulk, and how it came to be the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The transfer, or the results of a bulk.
    pub transfer: T,
    /// Whether an earlier request with the same key made it.
    pub replayed: bool,
    /// Whether the caller's wish to wait was honoured: what was made is settled.
    pub waited: bool,
}

/// The transfer that somebody has changed while a change of it was tried: who else, or this very change,
/// if the answer to its COMMIT was lost.
#[derive(Debug, Default)]
pub(crate) struct Overtaken(Option<Original>);

impl Overtaken {
    /// Somebody was faster.
    pub(crate) fn on(&mut self, transfer: Original) {
        self.0 = Some(transfer);
    }

    /// What is to be said of an error: once it may have been oneself who was faster, nobody knows that
    /// nothing happened.
    pub(crate) fn told(&self, error: Error) -> Error {
        let Some(transfer) = &self.0 else {
            return error;
        };
        let told = error.of_what_happened();
        if let Error::Store(source @ StoreError::OutcomeUnknown(_)) = told {
            let transfer = transfer.clone();
            Error::OutcomeUnknown { transfer, source }
        } else {
            told
        }
    }
}

impl App {
    /// Commits one change and turns its outcome into the transfer as it now is and whether an earlier
    /// request with the same key made it, or into an error. There is none where somebody else changed
    /// the transfer first.
    pub(crate) async fn commit_one(
        &self,
        commit: Commit,
    ) -> Result<Option<(Transfer, bool)>, Error> {
        let named = self.name_of(&commit.change.next);
        let outcome = match self.ports.store.commit(vec![commit]).await {
            Ok(outcomes) => outcomes
                .into_iter()
                .next()
                .ok_or(Error::Internal("the store gave no outcome"))?,
            Err(source @ StoreError::OutcomeUnknown(_)) => {
                return Err(Error::OutcomeUnknown {
                    transfer: named,
                    source,
                });
            }
            Err(
                error @ (StoreError::Overloaded
                | StoreError::Standby
                | StoreError::Unavailable(_)
                | StoreError::Inconsistent { .. }),
            ) => return Err(error.into()),
        };
        if let CommitOutcome::Committed(transfer) = &outcome {
            self.note_made([&**transfer]).await;
        }
        self.read_outcome(outcome).await
    }

    /// The transfer that an outcome tells of and whether an earlier request with the same key made it,
    /// or an error. There is none where somebody else changed the transfer first.
    pub(crate) async fn read_outcome(
        &self,
        outcome: CommitOutcome,
    ) -> Result<Option<(Transfer, bool)>, Error> {
        match outcome {
            CommitOutcome::Committed(transfer) => Ok(Some((*transfer, false))),
            CommitOutcome::Replayed { original } => {
                Ok(Some((self.made_before(original).await?, true)))
            }
            CommitOutcome::Stale { .. } => Ok(None),
            CommitOutcome::Refused { reason } => Err(Error::Refused {
                reason,
                replayed: false,
            }),
            CommitOutcome::RefusalReplayed { reason } => Err(Error::Refused {
                reason,
                replayed: true,
            }),
            CommitOutcome::OverLimit { reason, room } => Err(Error::OverLimit { reason, room }),
            CommitOutcome::ReadOnly => Err(Error::ReadOnly),
            CommitOutcome::KeyReused { original, fields } => {
                let original = match original {
                    Some(id) => Some(self.name_of(&self.recorded(id).await?)),
                    None => None,
                };
                Err(Error::KeyReused { original, fields })
            }
        }
    }

    /// What the same request with the same key came to before, for one that would now be refused
    /// without a commit: what is bound to a key replays whatever has changed since.
    pub(crate) async fn answered_before(
        &self,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<Transfer>, Error> {
        let Some(bound) = self.bound_before(claim).await? else {
            return Ok(None);
        };
        match bound.refusal {
            Some(reason) => Err(Error::Refused {
                reason,
                replayed: true,
            }),
            None => Ok(Some(self.made_before(bound.transfer).await?)),
        }
    }

    /// What a key is bound to, when this very request was made with it before.
    pub(crate) async fn bound_before(
        &self,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<StoredClaim>, Error> {
        let Some(IdempotencyClaim {
            scope,
            key,
            fingerprint,
            ..
        }) = claim
        else {
            return Ok(None);
        };
        let store = &self.ports.store;
        let bound = store.find_key(scope.clone(), key.clone()).await?;
        Ok(bound.filter(|bound| bound.fingerprint == *fingerprint))
    }

    /// Commits a new transfer, sees to its settlement, and answers as the caller wishes.
    pub(crate) async fn create(
        &self,
        mut commit: Commit,
        wait: bool,
        turn: Option<RecipientTurn>,
    ) -> Result<Answer<Transfer>, Error> {
        if wait {
            commit.change = commit.change.settled_at_once();
        }
        let made = self.commit_one(commit).await?;
        let (transfer, replayed) = made.ok_or(Error::Internal("a new transfer cannot be stale"))?;
        Ok(self.conclude(transfer, replayed, wait, turn).await)
    }

    /// Sees to the settlement of a transfer that exists and answers as the caller wishes. The turn
    /// ends with the settlement.
    pub(crate) async fn conclude(
        &self,
        transfer: Transfer,
        replayed: bool,
        wait: bool,
        turn: Option<RecipientTurn>,
    ) -> Answer<Transfer> {
        let settles_itself = transfer.kind() != Kind::Withdrawal && transfer.stage().is_none();
        let unsettled = settles_itself && !transfer.status().is_final();
        let transfer = match (unsettled, wait) {
            (true, true) => self.settle_now(transfer).await,
            (true, false) => {
                self.settle_later(transfer.clone(), turn);
                transfer
            }
            (false, _) => transfer,
        };
        let waited = wait && transfer.status().is_final();
        Answer {
            transfer,
            replayed,
            waited,
        }
    }

    /// The transfer with the id that was sent; none when what was sent can name no transfer.
    pub(crate) async fn find_sent(
        &self,
        id: Option<TransferId>,
    ) -> Result<Option<Transfer>, StoreError> {
        match id {
            Some(id) => self.ports.store.find(id).await,
            None => Ok(None),
        }
    }

    /// A transfer that must exist because something refers to it.
    pub(crate) async fn recorded(&self, id: TransferId) -> Result<Transfer, Error> {
        let found = self.ports.store.find(id).await?;
        found.ok_or(Error::Internal("a transfer that was recorded is gone"))
    }

    /// The transfer that an earlier request with the same key has made, or an earlier try of this one.
    async fn made_before(&self, id: TransferId) -> Result<Transfer, Error> {
        self.recorded(id).await.map_err(Error::of_what_happened)
    }

    /// The transfer as its callers name it.
    pub(crate) fn name_of(&self, transfer: &Transfer) -> Original {
        self.code_of(transfer)
            .map_or(Original::Id(transfer.id()), Original::Code)
    }
}

#[cfg(test)]
mod tests;
