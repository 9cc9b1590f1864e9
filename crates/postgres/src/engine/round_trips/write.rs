//! Second round trip: what is written, and COMMIT.

use diesel::result::{Error as DieselError, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::join;

use super::when;
use crate::{
    engine::writes::Writes,
    error::is_disconnect,
    faults::{Planted, is_planted},
    statement::{CountBatch, RowTypes},
    tx::CommitTx,
};

/// How the second round trip ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Last {
    /// The epoch and the number of a batch of the single writer.
    pub(in crate::engine) number: Option<(i64, i64)>,
    /// Whether COMMIT is sent right behind what is written.
    pub(in crate::engine) commit: bool,
    /// Sends every statement, to prepare it, and not only those that have something to write.
    pub(in crate::engine) all: bool,
}

/// What the second round trip came to.
pub(in crate::engine) struct Written {
    pub(in crate::engine) rows: QueryResult<()>,
    /// Whether a batch of the single writer was the next one.
    pub(in crate::engine) counted: QueryResult<()>,
    /// The server answers ROLLBACK to COMMIT, without an error, when a write failed.
    pub(in crate::engine) committed: QueryResult<()>,
}

/// Why a batch is not committed, or not known to be.
pub(in crate::engine) enum Trouble {
    /// The server refused a write: nothing was committed.
    Refused(DieselError),
    /// The batch was not the next one of the book's holder: nothing was committed.
    NotCounted(DieselError),
    /// The connection was lost.
    Lost(DieselError),
}

/// Second round trip: everything that is written.
pub(in crate::engine) async fn write(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    last: Last,
) -> Written {
    let (ahead, written) = join!(
        write_ahead(connection, types, writes, last.all),
        write_last(connection, types, writes, last),
    );
    Written {
        rows: first_error([ahead, written.rows]),
        ..written
    }
}

/// What nobody but the batch writes: it needs no turn.
pub(in crate::engine) async fn write_ahead(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    all: bool,
) -> QueryResult<()> {
    let (transfers, updates) = (&writes.inserted, &writes.updated);
    let has_callbacks = !writes.callbacks.ids.is_empty() && !is_planted(Planted::TellsAfterwards);
    let (inserted, updated, entries, rewritten, deleted, callbacks, audit, payouts) = join!(
        when(all || !transfers.is_empty(), async {
            let insert = transfers.insert(types);
            done(insert.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !updates.is_empty(), async {
            let update = updates.update(types);
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.entries.accounts.is_empty(), async {
            let insert = writes.entries.statement(types);
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.rewritten.is_empty(), async {
            let rewrite = writes.rewritten.rewrite();
            done(rewrite.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.deleted.is_empty(), async {
            done(writes.deleted.delete().execute(&mut &*connection).await)
        }),
        when(all || has_callbacks, async {
            let insert = writes.callbacks.statement();
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.audit.is_empty(), async {
            let insert = writes.audit.insert_into_book(types);
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !writes.payouts.ids.is_empty(), async {
            let insert = writes.payouts.statement();
            done(insert.execute(&mut &*connection).await)
        }),
    );
    first_error([
        inserted, updated, entries, rewritten, deleted, callbacks, audit, payouts,
    ])
}

/// Balances, which a batch of the single writer writes in its turn only, what was used of limits, and
/// the journal, which tells of batches in their order.
pub(in crate::engine) async fn write_last(
    connection: &AsyncPgConnection,
    types: &RowTypes,
    writes: &Writes<'_>,
    last: Last,
) -> Written {
    let all = last.all;
    let (epochs, batches): (Vec<i64>, Vec<i64>) = last.number.into_iter().unzip();
    let (accounts, used, told, counted, committed) = join!(
        when(all || !writes.accounts.ids.is_empty(), async {
            let update = writes.accounts.statement(types);
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.uses.is_empty(), async {
            let update = writes.uses.statement();
            done(update.load::<(i64,)>(&mut &*connection).await)
        }),
        when(all || !writes.journal.is_empty(), async {
            let insert = writes.journal.statement();
            done(insert.execute(&mut &*connection).await)
        }),
        when(all || !epochs.is_empty(), async {
            let count = CountBatch {
                epochs: &epochs,
                batches: &batches,
            };
            done(count.load::<(i64,)>(&mut &*connection).await)
        }),
        when(last.commit, async {
            done(CommitTx.execute(&mut &*connection).await)
        }),
    );
    Written {
        rows: first_error([accounts, used, told]),
        counted,
        committed,
    }
}

/// That a statement was executed is all that is asked of it.
fn done<T>(executed: QueryResult<T>) -> QueryResult<()> {
    executed.map(drop)
}

/// The error that says most: what the server reported, before what was merely cut off.
fn first_error<const N: usize>(results: [QueryResult<()>; N]) -> QueryResult<()> {
    let mut errors: Vec<DieselError> = results.into_iter().filter_map(Result::err).collect();
    let reported = errors
        .iter()
        .position(|error| !is_disconnect(error))
        .unwrap_or(0);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.swap_remove(reported))
    }
}

/// Whether the batch is written, and committed if COMMIT was sent along.
///
/// An error that the server reported for a write proves that nothing was committed. A connection
/// that was cut off during the writes does not, if COMMIT was sent along.
pub(in crate::engine) fn flatten(written: QueryResult<Written>) -> Result<(), Trouble> {
    let Written {
        rows,
        counted,
        committed,
    } = written.map_err(Trouble::Lost)?;
    match (rows, counted, committed) {
        (Err(error), _, _) if !is_disconnect(&error) => Err(Trouble::Refused(error)),
        (Ok(()), Err(error), _) if !is_disconnect(&error) => Err(Trouble::NotCounted(error)),
        (Err(error), _, _) | (Ok(()), Err(error), _) | (Ok(()), Ok(()), Err(error)) => {
            Err(Trouble::Lost(error))
        }
        (Ok(()), Ok(()), Ok(())) => Ok(()),
    }
}
