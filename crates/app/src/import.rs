//! Deposits and withdrawals out of a file: many at once, and no row ever twice.
//!
//! A row's reference is its idempotency key. Keys are kept for ever and in a scope of their own, so a
//! row that was made is made no more, whoever imports it again, out of whichever file.

use bursar_domain::{Commit, IdempotencyClaim, IdempotencyKey, Kind, Transfer};
use bursar_ports::{CommitOutcome, Permission};
use futures_util::future::join_all;

use crate::{
    App, Error, FinishRequest, Grant, OpenRequest, Options,
    backoffice::{DEPOSIT, WITHDRAW},
    idempotency::RequestFields,
};

/// The operation that the keys of rows belong to, and whose they are: everybody's.
const OPERATION: &str = "import";

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// A deposit.
    Deposit,
    /// A withdrawal.
    Withdrawal,
}

impl ImportKind {
    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match Kind::from_name(name)? {
            Kind::Deposit => Some(Self::Deposit),
            Kind::Withdrawal => Some(Self::Withdrawal),
            Kind::Internal => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => Kind::Deposit.as_str(),
            Self::Withdrawal => Kind::Withdrawal.as_str(),
        }
    }
}

/// A row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// What makes it this row and no other, wherever it is read.
    pub reference: IdempotencyKey,
    /// What it asks for.
    pub kind: ImportKind,
    /// Whose money, and how much.
    pub request: OpenRequest,
}

/// What a row came to, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The transfer.
    pub transfer: Transfer,
    /// Whether it was made by an earlier import of the row.
    pub repeated: bool,
}

/// What each row came to, in order.
type Results = Vec<Result<Imported, Error>>;

impl App {
    /// Makes the transfers of rows in one transaction, as if one after the other. Each row that
    /// cannot be made is refused by itself.
    ///
    /// What is refused is looked at beforehand, in a rehearsal, and left out: a refusal would stay with
    /// the row's reference for ever, and what stands in the way today may be gone tomorrow.
    ///
    /// # Errors
    /// When the store cannot answer or nothing may move; then nothing is known of any row, and the
    /// same call is safe.
    pub async fn import_rows(&self, grant: &Grant, rows: Vec<ImportRow>) -> Result<Results, Error> {
        grant.require(Permission::BackofficeWrite)?;
        let rehearsed = self.rehearse(grant, rows).await?;
        let mut due = vec![];
        // What is known of each row; of those that are due, nothing yet.
        let mut known = Vec::with_capacity(rehearsed.len());
        for row in rehearsed {
            known.push(match row {
                Ok((commit, CommitOutcome::Committed(_))) => {
                    due.push(commit);
                    None
                }
                Ok((_, outcome)) => Some(self.read(outcome).await?),
                Err(error) => Some(Err(error)),
            });
        }
        let mut made = if due.is_empty() {
            vec![].into_iter()
        } else {
            self.ports.store.commit(due).await?.into_iter()
        };
        let mut results = Vec::with_capacity(known.len());
        for row in known {
            results.push(match row {
                // The others may be made by now.
                None => self
                    .read(made.next().ok_or(NO_OUTCOME)?)
                    .await
                    .map_err(Error::of_what_happened)?,
                Some(result) => result,
            });
        }
        Ok(results)
    }

    /// What [`App::import_rows`] would come to: the same, taken back.
    ///
    /// # Errors
    /// When the store cannot answer or nothing may move.
    pub async fn rehearse_rows(
        &self,
        grant: &Grant,
        rows: Vec<ImportRow>,
    ) -> Result<Results, Error> {
        grant.require(Permission::BackofficeWrite)?;
        let rehearsed = self.rehearse(grant, rows).await?;
        let mut results = Vec::with_capacity(rehearsed.len());
        for row in rehearsed {
            results.push(match row {
                Ok((_, outcome)) => self.read(outcome).await?,
                Err(error) => Err(error),
            });
        }
        Ok(results)
    }

    /// Confirms a withdrawal that was imported, unless it is confirmed already.
    ///
    /// # Errors
    /// See [`App::confirm_withdrawal`].
    pub async fn confirm_imported(
        &self,
        grant: &Grant,
        transfer: &Transfer,
    ) -> Result<Transfer, Error> {
        grant.require(Permission::BackofficeConfirm)?;
        let request = FinishRequest {
            user: transfer.owner(),
            transfer: Some(transfer.id()),
            callback_url: None,
            digest: None,
        };
        let answer = self.confirm_withdrawal(grant, request, Options::default());
        Ok(answer.await?.transfer)
    }

    /// Each row as it would be committed now with what that would come to, or what is wrong with it.
    async fn rehearse(
        &self,
        grant: &Grant,
        rows: Vec<ImportRow>,
    ) -> Result<Vec<Result<(Commit, CommitOutcome), Error>>, Error> {
        let prepared = rows.into_iter().map(|row| self.prepare_row(grant, row));
        let prepared = join_all(prepared).await.into_iter();
        // A store that cannot answer says nothing about the row.
        let prepared: Vec<Result<Commit, Error>> = prepared
            .map(|row| match row {
                Err(error @ Error::Store(_)) => Err(error),
                row => Ok(row),
            })
            .collect::<Result<_, _>>()?;
        let commits = prepared.iter().flatten().cloned().collect();
        let mut outcomes = self.ports.store.rehearse(commits).await?.into_iter();
        let rehearsed = prepared.into_iter().map(|row| match row {
            Ok(commit) => {
                let outcome = outcomes.next().ok_or(NO_OUTCOME)?;
                Ok(Ok((commit, outcome)))
            }
            Err(error) => Ok(Err(error)),
        });
        rehearsed.collect()
    }

    async fn prepare_row(&self, grant: &Grant, row: ImportRow) -> Result<Commit, Error> {
        let claim = claim(&row);
        let how = match row.kind {
            ImportKind::Deposit => &DEPOSIT,
            ImportKind::Withdrawal => &WITHDRAW,
        };
        let mut commit = self
            .prepare_opening(grant, how, row.request, Some(claim))
            .await?;
        commit.change = commit.change.settled_at_once();
        Ok(commit)
    }

    /// What an outcome means for its row. Trouble of the store says nothing about it.
    async fn read(&self, outcome: CommitOutcome) -> Result<Result<Imported, Error>, Error> {
        match self.read_outcome(outcome).await {
            Ok(Some((transfer, repeated))) => Ok(Ok(Imported { transfer, repeated })),
            Ok(None) => Err(Error::Internal("a new transfer cannot be stale")),
            Err(error @ (Error::Store(_) | Error::ReadOnly)) => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }
}

const NO_OUTCOME: Error = Error::Internal("the store gave no outcome");

/// The claim of a row on its reference, with the names that files have for its fields.
fn claim(row: &ImportRow) -> IdempotencyClaim {
    let ImportRow {
        reference,
        kind,
        request,
    } = row;
    let fields = RequestFields::default()
        .with("kind", &kind.as_str())
        .with("user_id", &request.user)
        .with("asset", &request.asset)
        .with("amount", &request.amount)
        .with_optional("comment", request.comment.as_ref())
        .with_optional("callback_url", request.callback_url.as_ref());
    fields.claim_for(OPERATION, OPERATION, reference.clone())
}

#[cfg(test)]
mod tests;
