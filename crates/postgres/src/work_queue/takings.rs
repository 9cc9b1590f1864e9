//! Who is at what.

use bursar_domain::{ActorId, Timestamp, TransferId, Version};
use bursar_ports::{LetGo, StoreError, Take, Taking};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Integer, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    error::{inconsistent, unavailable},
    schema::takings,
    value::At,
};

/// Takes what is free at this version, or one's own for longer. Of an older version whoever had it has
/// it no longer: somebody has acted on the transfer.
const TAKE: &str = "INSERT INTO book_main.takings AS t \
       (transfer_id, version, taken_by, taken_at, ends_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (transfer_id) DO UPDATE \
     SET version = excluded.version, taken_by = excluded.taken_by, ends_at = excluded.ends_at, \
       taken_at = CASE WHEN t.version = excluded.version AND t.taken_by = excluded.taken_by \
         AND t.ends_at > excluded.taken_at THEN t.taken_at ELSE excluded.taken_at END \
     WHERE t.version < excluded.version OR t.version = excluded.version \
       AND (t.taken_by = excluded.taken_by OR t.ends_at <= excluded.taken_at) \
     RETURNING transfer_id, version, taken_by, taken_at, ends_at";

/// Takings that ended go when somebody takes something: there are never more than operators leave
/// behind. Waits for nobody.
const SWEEP: &str = "DELETE FROM book_main.takings WHERE transfer_id = ANY(ARRAY( \
       SELECT transfer_id FROM book_main.takings WHERE ends_at <= $1 \
       LIMIT 100 FOR UPDATE SKIP LOCKED))";

/// How often to look again who has something that could not be taken.
const TRIES_MAX: u32 = 3;

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = takings)]
struct TakingRow {
    transfer_id: i64,
    version: i32,
    taken_by: String,
    taken_at: At,
    ends_at: At,
}

impl TryFrom<TakingRow> for Taking {
    type Error = StoreError;

    fn try_from(row: TakingRow) -> Result<Self, StoreError> {
        let transfer = TransferId::try_new(row.transfer_id)
            .map_err(|error| inconsistent("takings", error.to_string()))?;
        Ok(Self {
            transfer,
            version: Version::new(row.version),
            by: ActorId::new(row.taken_by),
            taken_at: row.taken_at.0,
            until: row.ends_at.0,
        })
    }
}

pub(super) async fn take(
    connection: &mut AsyncPgConnection,
    taking: &Taking,
) -> Result<Take, StoreError> {
    for _ in 0..TRIES_MAX {
        let taken: Option<TakingRow> = sql_query(TAKE)
            .bind::<BigInt, _>(taking.transfer.get())
            .bind::<Integer, _>(taking.version.get())
            .bind::<Text, _>(taking.by.as_str())
            .bind::<Timestamptz, _>(At(taking.taken_at))
            .bind::<Timestamptz, _>(At(taking.until))
            .get_result(connection)
            .await
            .optional()
            .map_err(unavailable)?;
        if let Some(row) = taken {
            sweep(connection, taking.taken_at).await;
            return Ok(Take::Taken(row.try_into()?));
        }
        match find(connection, taking.transfer).await? {
            Some(other) if other.version > taking.version => return Ok(Take::Stale),
            Some(other) if other.version == taking.version && other.until > taking.taken_at => {
                return Ok(Take::Held(other));
            }
            // It was let go between the two statements.
            Some(_) | None => {}
        }
    }
    Ok(Take::Stale)
}

/// What it leaves behind is swept by the next one.
async fn sweep(connection: &mut AsyncPgConnection, now: Timestamp) {
    let swept = sql_query(SWEEP).bind::<Timestamptz, _>(At(now));
    if let Err(error) = swept.execute(connection).await {
        tracing::debug!(%error, "takings that ended stay for now");
    }
}

pub(super) async fn let_go(
    connection: &mut AsyncPgConnection,
    transfer: TransferId,
    version: Version,
    by: &ActorId,
    now: Timestamp,
) -> Result<LetGo, StoreError> {
    let own = takings::table
        .filter(takings::transfer_id.eq(transfer.get()))
        .filter(takings::version.le(version.get()))
        .filter(takings::taken_by.eq(by.as_str()));
    let ended = diesel::delete(own)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if ended > 0 {
        return Ok(LetGo::Free);
    }
    let held = find(connection, transfer)
        .await?
        .filter(|other| other.version == version && other.until > now && other.by != *by);
    Ok(held.map_or(LetGo::Free, LetGo::Held))
}

async fn find(
    connection: &mut AsyncPgConnection,
    transfer: TransferId,
) -> Result<Option<Taking>, StoreError> {
    let row: Option<TakingRow> = takings::table
        .find(transfer.get())
        .select(TakingRow::as_select())
        .first(connection)
        .await
        .optional()
        .map_err(unavailable)?;
    row.map(Taking::try_from).transpose()
}

pub(super) async fn list(
    connection: &mut AsyncPgConnection,
    transfers: &[TransferId],
    now: Timestamp,
) -> Result<Vec<Taking>, StoreError> {
    let ids: Vec<i64> = transfers.iter().map(|id| id.get()).collect();
    let rows: Vec<TakingRow> = takings::table
        .filter(takings::transfer_id.eq_any(ids))
        .filter(takings::ends_at.gt(At(now)))
        .order(takings::transfer_id)
        .select(TakingRow::as_select())
        .load(connection)
        .await
        .map_err(unavailable)?;
    rows.into_iter().map(Taking::try_from).collect()
}
