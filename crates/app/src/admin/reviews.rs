//! The second operator: approving and rejecting what waits for that.

use bursar_domain::{
    Command, Commit, Decision, IdempotencyClaim, Kind, Stage, Transfer, TransferId,
};
use bursar_ports::Permission;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    Answer, App, Conflict, Error, Grant, Missing, Options, Original, backoffice::finish_audit,
    commit::Overtaken, idempotency::RequestFields, settle::STALE_TRIES_MAX,
};

/// A second operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewRequest {
    /// The transfer; none when what was sent can name no transfer.
    pub transfer: Option<TransferId>,
    /// The digest of what the operator was shown, if it was given: the transfer must be that.
    pub digest: Option<[u8; 32]>,
}

#[derive(Clone, Copy)]
enum Word {
    Approve,
    Reject,
}

impl Word {
    /// What idempotency keys are kept apart by.
    const fn operation(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// What the audit log calls it.
    const fn action(self, transfer: &Transfer) -> &'static str {
        match (self, transfer.kind()) {
            (Self::Approve, Kind::Deposit) => "deposit.approve",
            (Self::Reject, Kind::Deposit) => "deposit.reject",
            (Self::Approve, Kind::Withdrawal | Kind::Internal) => "withdrawal.approve",
            (Self::Reject, Kind::Withdrawal | Kind::Internal) => "withdrawal.reject",
        }
    }
}

impl App {
    /// Lets a deposit or withdrawal through that waits for a second operator.
    ///
    /// # Errors
    /// See [`Error`]: [`Error::SameOperator`] for whoever made or confirmed it,
    /// [`Conflict::DigestMismatch`] when it is not what the operator was shown.
    pub async fn approve(
        &self,
        grant: &Grant,
        request: ReviewRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::BackofficeApprove)?;
        self.review(grant, &request, Word::Approve, options).await
    }

    /// Ends a deposit or withdrawal that waits for a second operator.
    ///
    /// # Errors
    /// As of [`App::approve`].
    pub async fn reject(
        &self,
        grant: &Grant,
        request: ReviewRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::BackofficeApprove)?;
        self.review(grant, &request, Word::Reject, options).await
    }

    async fn review(
        &self,
        grant: &Grant,
        request: &ReviewRequest,
        word: Word,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        let claim = claim(grant, word.operation(), request, &options);
        let answer = |transfer: Transfer, replayed| Answer {
            waited: options.wait && transfer.status().is_final(),
            transfer,
            replayed,
        };
        let mut overtaken = Overtaken::default();
        for _ in 0..STALE_TRIES_MAX {
            let current = self.reviewable(request.transfer).await;
            let current = current.map_err(|error| overtaken.told(error))?;
            let named = Original::Id(current.id());
            let digest = approval_digest(&current);
            let command = self.command(grant, word, digest);
            let change = match current.decide(&command, self.now()) {
                // It is not what the operator was shown.
                Ok(Decision::Apply(_)) if is_other(request.digest, &current) => {
                    return Err(Error::Conflict(Conflict::DigestMismatch));
                }
                Ok(Decision::Apply(change)) => *change,
                // No key to bind.
                Ok(Decision::AlreadyApplied) if claim.is_none() => {
                    return Ok(answer(current, false));
                }
                Ok(Decision::AlreadyApplied) => current.acknowledge(&command, None),
                Err(_) => {
                    if let Some(transfer) = self
                        .answered_before(claim.as_ref())
                        .await
                        .map_err(|error| overtaken.told(error))?
                    {
                        return Ok(answer(transfer, true));
                    }
                    let waits = current.stage() == Some(Stage::Approval);
                    return Err(if waits && current.was_made_by(&grant.actor()) {
                        Error::SameOperator
                    } else {
                        Error::Conflict(Conflict::of(&current))
                    });
                }
            };
            let commit = Commit {
                change,
                idempotency: claim.clone(),
                audit: Some(finish_audit(grant, word.action(&current), &current)),
            };
            let committed = self.commit_one(commit).await;
            if let Some((transfer, replayed)) = committed.map_err(|error| overtaken.told(error))? {
                return Ok(answer(transfer, replayed));
            }
            overtaken.on(named);
        }
        Err(Error::Conflict(Conflict::Busy))
    }

    async fn reviewable(&self, id: Option<TransferId>) -> Result<Transfer, Error> {
        self.find_sent(id)
            .await?
            .filter(|transfer| transfer.kind() != Kind::Internal)
            .ok_or(Error::NotFound(Missing::Transfer))
    }

    fn command(&self, grant: &Grant, word: Word, digest: [u8; 32]) -> Command {
        let by = grant.actor();
        match word {
            Word::Approve => Command::Approve {
                by,
                digest,
                route: self.settings.transfers.payout,
            },
            Word::Reject => Command::Reject { by, digest },
        }
    }
}

/// What a second operator says yes or no to, as SHA-256 over everything about the transfer that a
/// decision rests on, a line each. Any change of the transfer changes it: the version is in it.
pub fn approval_digest(transfer: &Transfer) -> [u8; 32] {
    let parts = transfer.parts();
    let confirmed = parts.confirmed.as_ref().map(|confirmed| &confirmed.by);
    let lines = [
        "bursar approval 1".to_owned(),
        parts.id.to_string(),
        parts.version.get().to_string(),
        transfer.kind().as_str().to_owned(),
        transfer.owner().to_string(),
        parts.asset.to_string(),
        parts.amount.to_plain(parts.scale),
        parts.fee.to_plain(parts.scale),
        parts.created_by.as_str().to_owned(),
        confirmed
            .map(|by| by.as_str().to_owned())
            .unwrap_or_default(),
        parts.created_at.to_micros_text(),
        parts.note.clone().unwrap_or_default(),
    ];
    let mut hasher = Sha256::new();
    for line in lines {
        // Lengths in front keep lines apart whatever is in them.
        hasher.update(format!("{}:", line.len()));
        hasher.update(line);
    }
    hasher.finalize().into()
}

/// Whether a transfer is another than the one that somebody was shown, if they said what that was.
pub(crate) fn is_other(shown: Option<[u8; 32]>, current: &Transfer) -> bool {
    shown.is_some_and(|shown| shown != approval_digest(current))
}

fn claim(
    grant: &Grant,
    operation: &'static str,
    request: &ReviewRequest,
    options: &Options,
) -> Option<IdempotencyClaim> {
    let key = options.key.clone()?;
    let transfer = request.transfer.map(|id| id.to_string());
    let digest = request.digest.map(|digest| HEXLOWER.encode(&digest));
    let fields = RequestFields::default()
        .with_optional("id", transfer.as_ref())
        .with_optional("digest", digest.as_ref());
    Some(fields.claim(grant.principal(), operation, key))
}

#[cfg(test)]
mod tests;
