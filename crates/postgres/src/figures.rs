//! Figures for people. Counts stop at a number, what callbacks did is told of the latest of them, and
//! volumes are read from hourly sums ([`summary`]): nothing here costs more because there are more
//! transfers.

mod callbacks;
mod summary;

use std::fmt;

use async_trait::async_trait;
use bigdecimal::{BigDecimal, ToPrimitive as _};
use bursar_domain::{AssetId, Kind, Timestamp};
use bursar_ports::{
    CallbackLag, Figures, HostHealth, StoreError, Volume, VolumeScan, Volumes, Waiting, WaitingWork,
};
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{BigInt, Integer, Nullable, Numeric, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    error::{inconsistent, unavailable},
    pool::Database,
    value::At,
};

/// The row of `sequencers` that says which event is counted next.
const SEQUENCE: &str = "volumes";

/// How much waits. Each count reads an index and stops at a number; predicates of the partial indexes
/// stand in the text. Nothing but withdrawals that nobody has confirmed is in the index by value
/// without a stage.
const WAITING: &str = "SELECT \
    (SELECT count(*) FROM (SELECT 1 FROM book_main.transfers \
      WHERE (state = 'AwaitingConfirmation' OR stage IS NOT NULL) AND stage IS NULL \
      LIMIT 10000) AS counted)::int AS withdrawals, \
    (SELECT created_at FROM book_main.transfers \
      WHERE kind = 'withdrawal' AND state = 'AwaitingConfirmation' AND stage IS NULL \
      ORDER BY created_at, id LIMIT 1) AS oldest_withdrawal, \
    (SELECT count(*) FROM (SELECT 1 FROM book_main.transfers \
      WHERE stage = 'approval' LIMIT 10000) AS counted)::int AS approvals, \
    (SELECT created_at FROM book_main.transfers WHERE stage = 'approval' \
      ORDER BY created_at, id LIMIT 1) AS oldest_approval, \
    (SELECT count(*) FROM (SELECT 1 FROM book_main.callbacks \
      WHERE state = 'dead' LIMIT 10000) AS counted)::int AS dead, \
    (SELECT created_at FROM book_main.callbacks WHERE state = 'dead' \
      ORDER BY created_at, id LIMIT 1) AS oldest_dead";

/// The hourly sums since a time, in longer pieces.
const VOLUMES: &str = "SELECT asset, kind, \
      date_bin($2 * interval '1 hour', hour, timestamptz '1970-01-01Z') AS start, \
      sum(count)::bigint AS count, sum(amount) AS amount \
    FROM book_main.hourly_volumes WHERE hour >= date_trunc('hour', $1, 'UTC') GROUP BY 1, 2, 3";

/// How many events have a number and are not counted.
const BEHIND: &str = "SELECT events.next_number - volumes.next_number AS behind \
    FROM book_main.sequencers AS events CROSS JOIN book_main.sequencers AS volumes \
    WHERE events.name = 'events' AND volumes.name = 'volumes'";

/// The figures of the main book.
#[derive(Clone)]
pub struct PgFigures {
    database: Database,
}

impl PgFigures {
    /// Works on these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

impl fmt::Debug for PgFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgFigures")
            .field("database", &self.database)
            .finish()
    }
}

#[async_trait]
impl Figures for PgFigures {
    async fn waiting(&self) -> Result<WaitingWork, StoreError> {
        self.database.read_list(waiting).await
    }

    async fn volumes(&self, scan: VolumeScan) -> Result<Volumes, StoreError> {
        self.database
            .read_list(async move |connection| volumes(connection, scan).await)
            .await
    }

    async fn callback_lag(&self, now: Timestamp) -> Result<CallbackLag, StoreError> {
        self.database
            .read_list(async move |connection| callbacks::lag(connection, now).await)
            .await
    }

    async fn callback_hosts(&self) -> Result<Vec<HostHealth>, StoreError> {
        self.database.read_list(callbacks::hosts).await
    }
}

#[derive(QueryableByName)]
struct WaitingRow {
    #[diesel(sql_type = Integer)]
    withdrawals: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_withdrawal: Option<At>,
    #[diesel(sql_type = Integer)]
    approvals: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_approval: Option<At>,
    #[diesel(sql_type = Integer)]
    dead: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_dead: Option<At>,
}

async fn waiting(connection: &mut AsyncPgConnection) -> Result<WaitingWork, StoreError> {
    let row: WaitingRow = sql_query(WAITING)
        .get_result(connection)
        .await
        .map_err(unavailable)?;
    let waiting = |number: i32, oldest: Option<At>| Waiting {
        count: count(number),
        oldest: oldest.map(Timestamp::from),
    };
    Ok(WaitingWork {
        withdrawals: waiting(row.withdrawals, row.oldest_withdrawal),
        approvals: waiting(row.approvals, row.oldest_approval),
        dead_callbacks: waiting(row.dead, row.oldest_dead),
    })
}

/// A number that SQL counted.
fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

#[derive(QueryableByName)]
struct VolumeRow {
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    start: At,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Numeric)]
    amount: BigDecimal,
}

#[derive(QueryableByName)]
struct BehindRow {
    #[diesel(sql_type = BigInt)]
    behind: i64,
}

async fn volumes(
    connection: &mut AsyncPgConnection,
    scan: VolumeScan,
) -> Result<Volumes, StoreError> {
    // Read first, so that what is counted meanwhile is at worst told of as if it were not.
    let behind: BehindRow = sql_query(BEHIND)
        .get_result(connection)
        .await
        .map_err(unavailable)?;
    let rows: Vec<VolumeRow> = sql_query(VOLUMES)
        .bind::<Timestamptz, _>(At(scan.from))
        .bind::<BigInt, _>(i64::from(scan.hours))
        .load(connection)
        .await
        .map_err(unavailable)?;
    let rows: Result<Vec<Volume>, StoreError> = rows.into_iter().map(Volume::try_from).collect();
    let mut rows = rows?;
    rows.sort_by_key(|row| (row.asset, row.kind.as_str(), row.start));
    Ok(Volumes {
        rows,
        behind: u64::try_from(behind.behind).unwrap_or_default(),
    })
}

impl TryFrom<VolumeRow> for Volume {
    type Error = StoreError;

    fn try_from(row: VolumeRow) -> Result<Self, StoreError> {
        let wrong = |what: &str| inconsistent("hourly_volumes", what);
        let mut kinds = Kind::ALL.into_iter();
        Ok(Self {
            asset: AssetId::parse(&row.asset).map_err(|_| wrong("no such asset"))?,
            kind: kinds
                .find(|kind| kind.as_str() == row.kind)
                .ok_or_else(|| wrong("no such kind"))?,
            start: row.start.0,
            count: u64::try_from(row.count).map_err(|_| wrong("a count below zero"))?,
            amount: row.amount.to_i128(),
        })
    }
}

#[cfg(test)]
mod tests;
