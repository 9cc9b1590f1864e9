//! One try at one batch: lock and read in one pipelined round trip, decide in memory, write and
//! commit in another.
//!
//! The lock order is the same everywhere: keys (sorted), transfers by id, accounts by id, uses in the
//! root asset by user. Only then comes what is read without a lock, in statements of their own, so
//! that it is as fresh as the locks. What was used of a limit over all assets that is new is counted
//! with all of the user's accounts locked: before the limit was known, whoever moved another asset
//! locked nothing else that the count could wait for. A single writer locks no accounts and no uses
//! beforehand, but writes them in the same order.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bursar_domain::{AccountKey, Rules, Timestamp, UsageKey, UserId, ledger::Books};
use bursar_ports::StoreError;
use diesel::{
    dsl::sql,
    result::{Error as DieselError, QueryResult},
    sql_query,
    sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::task::unconstrained;

use super::{
    batch::Batch,
    books::Before,
    landed::landed,
    planted,
    round_trips::{
        Last, Trouble, Written, flatten, lock_and_read, within, within_longer, write, write_ahead,
        write_last,
    },
    rules::KnownRules,
    sealer::Sealer,
    writer::{Ticket, Turn, Writer},
    writes::{Changed, Writes},
};
use crate::{
    accounts::inactive,
    error::is_disconnect,
    faults::{Point, reach},
    seal::SealKeys,
    statement::RowTypes,
    tx::{Begin, CommitTx, Rollback},
    usage::count_anew,
};

/// Why a try failed.
pub(super) enum Failure {
    /// Nothing was committed.
    NotCommitted(DieselError),
    /// The connection was lost when COMMIT was under way.
    OutcomeUnknown(DieselError),
    /// What the batch stood on was not committed, or is not as it was remembered. Nothing was
    /// committed.
    Overtaken,
    /// No connection was to be had. Nothing was committed.
    NotConnected(StoreError),
    /// Rows that the batch is tried with were not to be had. Nothing was committed.
    NotPrepared(StoreError),
    /// It takes too long to count what somebody in it has used of a limit. Nothing was committed.
    Uncounted(DieselError),
    /// The batch could not even be tried, or a row contradicts itself. Nothing was committed.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The accounts that a batch touches or names, and the uses of limits that it looks at.
pub(super) struct Wanted {
    /// Those that it cannot be tried without.
    pub(super) needed: BTreeSet<AccountKey>,
    /// Those that only receive. One that is missing is made when nothing else stands in the way of
    /// its payment: were it made beforehand, the time of a payment that its sender cannot afford
    /// would tell whether there is such a recipient.
    pub(super) receiving: BTreeSet<AccountKey>,
    /// Whose uses of which limits.
    pub(super) usage: BTreeSet<UsageKey>,
}

impl Wanted {
    /// What the batch needs under these rules.
    pub(super) fn by<B: Batch + ?Sized>(batch: &B, rules: &Rules) -> Self {
        let (mut needed, mut receiving) = (BTreeSet::new(), BTreeSet::new());
        let mut usage = BTreeSet::new();
        for change in batch.changes() {
            // One that cannot be priced is refused and moves nothing.
            let change = change.priced(rules).unwrap_or(Cow::Borrowed(change));
            let recipient = change.recipient_account();
            receiving.extend(recipient);
            let accounts = change.accounts().into_iter();
            needed.extend(accounts.filter(|account| Some(*account) != recipient));
            usage.extend(change.usage_keys(rules));
        }
        receiving.retain(|account| !needed.contains(account));
        Self {
            needed,
            receiving,
            usage,
        }
    }
}

/// What a try came to.
pub(super) enum Tried<T> {
    /// It is committed.
    Done(T),
    /// Nothing was written, because these recipients' accounts are missing and nothing else.
    Missing(BTreeSet<AccountKey>),
    /// Nothing was written, because other rules are in force than were known, and under them the
    /// batch needs what was not locked.
    OtherRules,
    /// Nothing was written, because all accounts of these users are to be locked while it is counted
    /// what they have used of a limit over all assets.
    Shared(BTreeSet<UserId>),
    /// Nothing was written, because what was read may not be what is remembered by now.
    OutOfDate,
    /// Nothing was written, because a replica holds the book and this is none that does.
    Held,
}

/// One try at one batch.
pub(super) struct Attempt<'a, B: ?Sized> {
    pub(super) batch: &'a B,
    /// The single writer, and what it has the batch read; none when accounts are locked.
    pub(super) order: Option<(&'a Writer, &'a Ticket)>,
    /// The types of rows, as the connection found them.
    pub(super) types: &'a RowTypes,
    pub(super) ids: &'a HashMap<AccountKey, i64>,
    /// The uses of limits to look at.
    pub(super) usage: &'a BTreeSet<UsageKey>,
    /// The users all of whose accounts are among those that are locked.
    pub(super) whole: &'a BTreeSet<UserId>,
    pub(super) now: Timestamp,
    /// What seals rows.
    pub(super) seals: &'a SealKeys,
    /// The recipients' accounts that were looked for: whichever of them is not there cannot be.
    pub(super) looked_for: &'a BTreeSet<AccountKey>,
    pub(super) ending: Ending,
    /// How long it may take to count uses anew.
    pub(super) counted_within: Duration,
}

/// How a try ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With COMMIT right behind what is written.
    Commit,
    /// An earlier try may have been committed: look, and send COMMIT alone.
    Resolve,
    /// It is only tried: everything is taken back.
    Rollback,
}

/// How much longer an answer may take than what is asked for.
const COUNTED_GRACE: Duration = Duration::from_secs(1);

impl<B: Batch + ?Sized> Attempt<'_, B> {
    /// `known` are the rules as they were last read; afterwards, those in force.
    pub(super) async fn run(
        &self,
        connection: &AsyncPgConnection,
        known: &mut KnownRules,
    ) -> Result<Tried<B::Outcomes>, Failure> {
        let mut read = within(unconstrained(lock_and_read(connection, self, false)))
            .await
            .flatten()
            .map_err(Failure::NotCommitted)?;
        strike(Point::Locked).await?;
        if read.is_held && self.order.is_none() {
            end_without_change(connection).await?;
            return Ok(Tried::Held);
        }
        if read.revision != known.rules.revision {
            *known = within(KnownRules::load(connection, read.revision))
                .await
                .flatten()
                .map_err(Failure::NotCommitted)??;
            if !self.has_locked(&Wanted::by(self.batch, &known.rules)) {
                end_without_change(connection).await?;
                return Ok(Tried::OtherRules);
            }
        }
        let turn = match self.order {
            Some((writer, ticket)) => {
                // A later one than was read above, if the rules changed while they were loaded.
                let revision = known.rules.revision;
                let turn = writer.turn(ticket, revision, &mut read, self.ids, self.usage);
                let turn = turn.await?;
                if turn.is_none() {
                    end_without_change(connection).await?;
                    return Ok(Tried::OutOfDate);
                }
                turn
            }
            None => None,
        };
        let claimed = read.claimed.clone();
        let mut sealer = Sealer::new(self.seals, &read)?;
        let (mut books, mut before) = read.into_books(self.batch, self.usage, known)?;
        let shared = self.shared(&before);
        if !shared.is_empty() {
            end_without_change(connection).await?;
            return Ok(Tried::Shared(shared));
        }
        if let Some(turn) = &turn
            && (self.ending == Ending::Rollback || !before.uncounted.is_empty())
        {
            turn.alone().await?;
        }
        self.count_uses(connection, &mut books, &mut before).await?;
        let mut verdicts = self.batch.settle(&mut books, self.now);
        let missing = self.missing(&verdicts);
        if !missing.is_empty() {
            end_without_change(connection).await?;
            return Ok(Tried::Missing(missing));
        }
        self.count_recipients(connection, &mut verdicts).await?;
        let landed = landed(connection, &self.batch.landed(&verdicts), self.seals).await?;
        planted::release_twice(&mut books);
        let changed = Changed {
            before: &before,
            books: &books,
            known,
            ids: self.ids,
            claimed: &claimed,
            now: self.now,
        };
        let writes = Writes::of(self.batch, &verdicts, &changed, &mut sealer)?;
        strike(Point::Decided).await?;
        self.write(connection, &writes, turn).await?;
        planted::tell_afterwards(connection, &writes).await?;
        Ok(Tried::Done(B::outcomes(verdicts, landed)))
    }

    /// Writes what there is to write, and ends the transaction.
    async fn write(
        &self,
        connection: &AsyncPgConnection,
        writes: &Writes<'_>,
        turn: Option<Turn>,
    ) -> Result<(), Failure> {
        match turn {
            Some(turn) if writes.is_empty() => {
                turn.pass().await?;
                end_without_change(connection).await
            }
            None if writes.is_empty() => end_without_change(connection).await,
            Some(turn) => self.write_in_order(connection, writes, turn).await,
            None => self.write_and_end(connection, writes).await,
        }
    }

    /// Writes ahead while the batches before it commit, and the rest after them.
    async fn write_in_order(
        &self,
        connection: &AsyncPgConnection,
        writes: &Writes<'_>,
        turn: Turn,
    ) -> Result<(), Failure> {
        if self.ending == Ending::Rollback {
            // Nobody else decides anything meanwhile.
            let done = self.write_and_end(connection, writes).await;
            drop(turn);
            return done;
        }
        let place = turn.leave(writes)?;
        if place.is_next() {
            self.write_all(connection, writes, Some(place.number()))
                .await?;
        } else {
            let ahead = write_ahead(connection, self.types, writes, false);
            let ahead = within(unconstrained(ahead)).await.flatten();
            ahead.map_err(Failure::NotCommitted)?;
            strike(Point::WrittenAhead).await?;
            place.next().await?;
            let last = self.last(Some(place.number()));
            let last = write_last(connection, self.types, writes, last);
            self.judge(within(unconstrained(last)).await)?;
        }
        self.end(connection).await?;
        place.commit();
        Ok(())
    }

    async fn write_and_end(
        &self,
        connection: &AsyncPgConnection,
        writes: &Writes<'_>,
    ) -> Result<(), Failure> {
        self.write_all(connection, writes, None).await?;
        self.end(connection).await
    }

    /// Writes everything in one round trip, with COMMIT behind it if the batch ends so.
    async fn write_all(
        &self,
        connection: &AsyncPgConnection,
        writes: &Writes<'_>,
        number: Option<(i64, i64)>,
    ) -> Result<(), Failure> {
        let last = self.last(number);
        let written = match planted::write_twice(connection, self.types, writes, last).await? {
            Some(written) => Ok(written),
            None => within(unconstrained(write(connection, self.types, writes, last))).await,
        };
        self.judge(written)
    }

    fn last(&self, number: Option<(i64, i64)>) -> Last {
        Last {
            number,
            commit: self.ending == Ending::Commit && !planted::commits_apart(),
            all: false,
        }
    }

    /// Whether it is written, and committed if COMMIT was sent along.
    fn judge(&self, written: QueryResult<Written>) -> Result<(), Failure> {
        flatten(written).map_err(|trouble| match trouble {
            Trouble::NotCounted(error) => {
                tracing::debug!(%error, "a batch was overtaken");
                Failure::Overtaken
            }
            // Only a COMMIT that was sent along can have got through.
            Trouble::Lost(error) if self.ending == Ending::Commit => Failure::OutcomeUnknown(error),
            Trouble::Lost(error) | Trouble::Refused(error) => Failure::NotCommitted(error),
        })
    }

    /// Ends what is written, unless COMMIT was sent along.
    async fn end(&self, connection: &AsyncPgConnection) -> Result<(), Failure> {
        match self.ending {
            Ending::Commit if !planted::commits_apart() || planted::answers_early() => Ok(()),
            Ending::Commit | Ending::Resolve => {
                strike(Point::Written).await?;
                let committed = within(async { CommitTx.execute(&mut &*connection).await }).await;
                let committed = committed.flatten().map_err(Failure::OutcomeUnknown);
                committed.map(|_| ())
            }
            Ending::Rollback => end_without_change(connection).await,
        }
    }

    /// Whether everything that the batch needs is locked. A recipient's account is looked for when
    /// nothing else stands in the way of a payment.
    fn has_locked(&self, wanted: &Wanted) -> bool {
        let accounts = wanted.needed.iter();
        wanted.usage.is_subset(self.usage)
            && accounts
                .filter(|account| account.owner.user().is_none())
                .all(|account| self.ids.contains_key(account))
    }

    /// Whose accounts are to be locked before it can be counted what they have used of a limit over all
    /// assets. A single writer has everything before it committed instead.
    fn shared(&self, before: &Before) -> BTreeSet<UserId> {
        if self.order.is_some() {
            return BTreeSet::new();
        }
        let over_all = before.uncounted.iter().filter(|key| key.asset.is_none());
        let users = over_all.map(|key| key.user);
        users.filter(|user| !self.whole.contains(user)).collect()
    }

    /// Counts anew what was counted for another epoch of a limit, or never.
    async fn count_uses(
        &self,
        connection: &AsyncPgConnection,
        books: &mut Books,
        before: &mut Before,
    ) -> Result<(), Failure> {
        if before.uncounted.is_empty() {
            return Ok(());
        }
        let time = self.counted_within;
        let counting = async {
            let was: String = sql::<Text>("SHOW statement_timeout")
                .get_result(&mut &*connection)
                .await?;
            set_statement_timeout(connection, &format!("{}ms", time.as_millis())).await?;
            let units = &books.rules.root_units;
            let counted = count_anew(connection, &before.uncounted, units, self.now).await?;
            set_statement_timeout(connection, &was).await?;
            Ok(counted)
        };
        let counted = within_longer(time.saturating_add(COUNTED_GRACE), counting)
            .await
            .flatten()
            .map_err(|error: DieselError| {
                if is_disconnect(&error) {
                    Failure::NotCommitted(error)
                } else {
                    Failure::Uncounted(error)
                }
            })??;
        books.usage.extend(counted.clone());
        before.usage.extend(counted);
        Ok(())
    }

    /// Finds out of recipients without accounts whether they can be paid, where that is counted.
    async fn count_recipients(
        &self,
        connection: &AsyncPgConnection,
        verdicts: &mut B::Verdicts,
    ) -> Result<(), Failure> {
        let users = self.batch.to_count(verdicts);
        if !users.is_empty() {
            let inactive = within(inactive(connection, &users)).await;
            let inactive = inactive.flatten().map_err(Failure::NotCommitted)?;
            self.batch.count(verdicts, &inactive);
        }
        Ok(())
    }

    /// The recipients' accounts that stand in the way only because they are missing.
    fn missing(&self, verdicts: &B::Verdicts) -> BTreeSet<AccountKey> {
        let can_be_made = |account: &AccountKey| {
            !self.ids.contains_key(account) && !self.looked_for.contains(account)
        };
        self.batch.missing(verdicts, &can_be_made)
    }

    /// Sends every hot statement once, over empty arrays, one after the other.
    pub(super) async fn prepare(&self, connection: &AsyncPgConnection) -> QueryResult<()> {
        Begin.execute(&mut &*connection).await?;
        lock_and_read(connection, self, true).await?;
        let last = Last {
            number: None,
            commit: false,
            all: true,
        };
        let nothing = Writes::default();
        let written = write(connection, self.types, &nothing, last).await;
        written.rows.and(written.counted)?;
        CommitTx.execute(&mut &*connection).await?;
        Begin.execute(&mut &*connection).await?;
        Rollback.execute(&mut &*connection).await?;
        Ok(())
    }
}

/// Changes how long a statement of this transaction may take.
async fn set_statement_timeout(connection: &AsyncPgConnection, time: &str) -> QueryResult<usize> {
    sql_query("SELECT set_config('statement_timeout', $1, true)")
        .bind::<Text, _>(time)
        .execute(&mut &*connection)
        .await
}

/// Something that a test wants to happen before a COMMIT.
pub(super) async fn strike(point: Point) -> Result<(), Failure> {
    reach(point).await.map_err(Failure::NotCommitted)
}

/// Nothing to write: what was claimed is given back with the transaction.
pub(super) async fn end_without_change(connection: &AsyncPgConnection) -> Result<(), Failure> {
    let ended = within(async { Rollback.execute(&mut &*connection).await }).await;
    ended.flatten().map(|_| ()).map_err(Failure::NotCommitted)
}
