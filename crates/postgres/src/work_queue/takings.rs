//! Who is at what.

use bursar_domain::{ActorId, AuditDraft, Timestamp, TransferId, Version};
use bursar_ports::{LetGo, StoreError, Take, Taking};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Integer, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::{
    audit_log::note_in_book,
    error::{inconsistent, unavailable},
    pool::Database,
    schema::takings,
    tx::run_tx,
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

impl TakingRow {
    /// As the audit log tells it.
    fn told(&self) -> Value {
        json!({"version": self.version, "until": self.ends_at.0.to_micros_text()})
    }
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

/// What a transaction that takes something came to.
enum Came {
    To(TakingRow),
    Held(TakingRow),
    Stale,
}

pub(super) async fn take(
    database: &Database,
    taking: Taking,
    audit: AuditDraft,
) -> Result<Take, StoreError> {
    let came = run_tx(database.pool(), "take", move |connection| {
        let (taking, audit) = (taking.clone(), audit.clone());
        async move { take_once(connection, &taking, &audit).await }.boxed()
    });
    Ok(match came.await? {
        Came::To(row) => Take::Taken(row.try_into()?),
        Came::Held(row) => Take::Held(row.try_into()?),
        Came::Stale => Take::Stale,
    })
}

async fn take_once(
    connection: &mut AsyncPgConnection,
    taking: &Taking,
    audit: &AuditDraft,
) -> QueryResult<Came> {
    let now = taking.taken_at;
    for _ in 0..TRIES_MAX {
        let taken: Option<TakingRow> = sql_query(TAKE)
            .bind::<BigInt, _>(taking.transfer.get())
            .bind::<Integer, _>(taking.version.get())
            .bind::<Text, _>(taking.by.as_str())
            .bind::<Timestamptz, _>(At(now))
            .bind::<Timestamptz, _>(At(taking.until))
            .get_result(connection)
            .await
            .optional()?;
        if let Some(row) = taken {
            note_in_book(connection, audit, now, None, Some(&row.told())).await?;
            return Ok(Came::To(row));
        }
        match find(connection, taking.transfer).await? {
            Some(other) if other.version > taking.version.get() => return Ok(Came::Stale),
            Some(other) if other.version == taking.version.get() && other.ends_at.0 > now => {
                return Ok(Came::Held(other));
            }
            // It was let go between the two statements.
            Some(_) | None => {}
        }
    }
    Ok(Came::Stale)
}

/// What it leaves behind is swept by the next one.
pub(super) async fn sweep(database: &Database, now: Timestamp) {
    let swept = database
        .run(async |connection| {
            let sweep = sql_query(SWEEP).bind::<Timestamptz, _>(At(now));
            sweep.execute(connection).await
        })
        .await;
    if let Err(error) = swept {
        tracing::debug!(%error, "takings that ended stay for now");
    }
}

/// What somebody lets go, at which version and when.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) transfer: TransferId,
    pub(super) version: Version,
    pub(super) by: ActorId,
    pub(super) now: Timestamp,
}

pub(super) async fn let_go(
    database: &Database,
    ended: Ended,
    audit: AuditDraft,
) -> Result<LetGo, StoreError> {
    let held = run_tx(database.pool(), "let go", move |connection| {
        let (ended, audit) = (ended.clone(), audit.clone());
        async move { let_go_once(connection, &ended, &audit).await }.boxed()
    });
    let held = held.await?.map(Taking::try_from).transpose()?;
    Ok(held.map_or(LetGo::Free, LetGo::Held))
}

/// Answers who else has it.
async fn let_go_once(
    connection: &mut AsyncPgConnection,
    ended: &Ended,
    audit: &AuditDraft,
) -> QueryResult<Option<TakingRow>> {
    let (version, now) = (ended.version.get(), ended.now);
    let holds = |row: &TakingRow| row.version == version && row.ends_at.0 > now;
    let own = takings::table
        .filter(takings::transfer_id.eq(ended.transfer.get()))
        .filter(takings::version.le(version))
        .filter(takings::taken_by.eq(ended.by.as_str()));
    let gone: Option<TakingRow> = diesel::delete(own)
        .returning(TakingRow::as_returning())
        .get_result(connection)
        .await
        .optional()?;
    if let Some(row) = gone {
        // One that had ended by itself changes nothing by going.
        if holds(&row) {
            note_in_book(connection, audit, now, Some(&row.told()), None).await?;
        }
        return Ok(None);
    }
    let found = find(connection, ended.transfer).await?;
    Ok(found.filter(|row| holds(row) && row.taken_by != ended.by.as_str()))
}

async fn find(
    connection: &mut AsyncPgConnection,
    transfer: TransferId,
) -> QueryResult<Option<TakingRow>> {
    takings::table
        .find(transfer.get())
        .select(TakingRow::as_select())
        .first(connection)
        .await
        .optional()
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
