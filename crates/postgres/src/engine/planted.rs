//! Faults that tests plant in a batch, to find out whether they are noticed. Without the feature
//! `failpoints` nothing here does anything.

use bursar_domain::ledger::Books;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    attempt::Failure,
    round_trips::{Last, Written, write_ahead, write_last},
    writes::Writes,
};
use crate::{
    faults::{Planted, Point, is_chosen, is_planted, tarry},
    statement::RowTypes,
    tx::{Begin, CommitTx},
};

/// Whether COMMIT is not sent along with what is written, because of something that a test wants to
/// happen before it.
pub(super) fn commits_apart() -> bool {
    is_chosen(Point::Written) || answers_early()
}

/// Whether callers are answered before COMMIT.
pub(super) fn answers_early() -> bool {
    is_planted(Planted::AnswersEarly)
}

/// What is held becomes less than the lines say.
pub(super) fn release_twice(books: &mut Books) {
    if is_planted(Planted::ReleasesTwice) {
        for balance in books.accounts.values_mut() {
            balance.held = balance.held.saturating_sub(1).max(0);
        }
    }
}

/// Lines are committed in one transaction, and balances written in another.
pub(super) async fn write_twice(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    last: Last,
) -> Result<Option<Written>, Failure> {
    if !is_planted(Planted::TwoTransactions) {
        return Ok(None);
    }
    let halves = async {
        write_ahead(connection, types, writes, false).await?;
        CommitTx.execute(&mut &*connection).await?;
        tarry().await;
        Begin.execute(&mut &*connection).await
    };
    halves.await.map_err(Failure::NotCommitted)?;
    Ok(Some(write_last(connection, types, writes, last).await))
}

/// Callbacks are written once the transfer is committed.
pub(super) async fn tell_afterwards(
    connection: &AsyncPgConnection,
    writes: &Writes<'_>,
) -> Result<(), Failure> {
    if is_planted(Planted::TellsAfterwards) {
        tarry().await;
        let told = writes.callbacks.statement();
        let told = told.execute(&mut &*connection).await;
        told.map_err(Failure::OutcomeUnknown)?;
    }
    Ok(())
}
