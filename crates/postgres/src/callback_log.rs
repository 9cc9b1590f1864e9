//! Callbacks as operators see them, and replay.
//!
//! Replay makes a row `pending` that was final. That disturbs no claimer: whoever tries another
//! member of the family holds that member's lease, which every claimer sees (see `outbox.rs`). Nor
//! does it tell an older state after a newer one that arrives between the look for what is overtaken
//! and the write: whoever claims looks once more.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Kind, Operation, Status, Timestamp, TransferId};
use bursar_ports::{
    CallbackAttempt, CallbackFilter, CallbackLog, CallbackRecord, CallbackState, Replay,
    Replayable, StoreError,
};
use diesel::{
    dsl::{self, exists, not},
    pg::Pg,
    prelude::*,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::json;
use uuid::Uuid;

use crate::{
    audit_log::note_in_book,
    error::{inconsistent, unavailable},
    pool::Database,
    schema::{callback_attempts, callbacks, transfers},
    tx::run_tx,
    value::At,
};

/// The callbacks of the main book.
#[derive(Clone)]
pub struct PgCallbackLog {
    database: Database,
}

impl PgCallbackLog {
    /// Works on these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl CallbackLog for PgCallbackLog {
    async fn list(&self, filter: CallbackFilter) -> Result<Vec<CallbackRecord>, StoreError> {
        self.database
            .read_list(async move |connection| list(connection, filter).await)
            .await
    }

    async fn find(&self, id: Uuid) -> Result<Option<CallbackRecord>, StoreError> {
        self.database
            .read(async move |connection| find(connection, id).await)
            .await
    }

    async fn replay(
        &self,
        id: Uuid,
        now: Timestamp,
        audit: AuditDraft,
    ) -> Result<Replay, StoreError> {
        let replayed = run_tx(self.database.pool(), "replay callback", move |connection| {
            let audit = audit.clone();
            async move { replay(connection, id, now, &audit).await }.boxed()
        });
        let replayed = replayed.await?;
        Ok(match self.find(id).await? {
            None => Replay::Unknown,
            Some(record) if replayed || is_due(record.state) => Replay::Due(record),
            Some(_) => Replay::Overtaken,
        })
    }

    async fn replay_since(
        &self,
        which: Replayable,
        since: Timestamp,
        now: Timestamp,
        limit: u32,
        audit: AuditDraft,
    ) -> Result<u64, StoreError> {
        let replayed = run_tx(
            self.database.pool(),
            "replay callbacks",
            move |connection| {
                let audit = audit.clone();
                async move {
                    let replayed = replay_since(connection, which, since, now, limit).await?;
                    if replayed > 0 {
                        let after = json!({"replayed": replayed});
                        note_in_book(connection, &audit, now, None, Some(&after)).await?;
                    }
                    Ok(replayed)
                }
                .boxed()
            },
        );
        let replayed = replayed.await?;
        Ok(u64::try_from(replayed).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for PgCallbackLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCallbackLog")
            .field("database", &self.database)
            .finish()
    }
}

/// For how long replaying what arrived once more is taken for a repetition of the same request, in
/// microseconds.
const REPETITION_MICROS: i64 = 3_600 * 1_000_000;

diesel::alias!(callbacks as newer: Newer);

/// Callbacks of the same transfer and URL that tell a newer state and will be, or were, delivered.
#[dsl::auto_type]
fn newer_siblings() -> _ {
    newer
        .filter(
            newer
                .field(callbacks::transfer_id)
                .eq(callbacks::transfer_id),
        )
        .filter(newer.field(callbacks::url_digest).eq(callbacks::url_digest))
        .filter(newer.field(callbacks::created_at).gt(callbacks::created_at))
        .filter(newer.field(callbacks::state).ne("skipped"))
        .filter(newer.field(callbacks::state).ne("dead"))
}

/// The ids of callbacks that may be told again.
#[dsl::auto_type]
fn not_overtaken() -> _ {
    callbacks::table
        .filter(not(exists(newer_siblings())))
        .select(callbacks::id)
}

/// Makes those of these that have come to an end due, as if there had been no attempt yet.
async fn make_due(
    connection: &mut AsyncPgConnection,
    ids: Vec<Uuid>,
    now: Timestamp,
) -> QueryResult<usize> {
    let ended = callbacks::state.eq_any(["dead", "succeeded"]);
    diesel::update(callbacks::table)
        .filter(callbacks::id.eq_any(ids).and(ended))
        .set((
            callbacks::state.eq("pending"),
            callbacks::queued.eq(true),
            callbacks::next_attempt_at.eq(Some(At(now))),
            callbacks::replayed_at.eq(Some(At(now))),
            callbacks::attempts_before_replay.eq(callbacks::attempts),
        ))
        .execute(connection)
        .await
}

/// Whether the callback is due now and was not before.
async fn replay(
    connection: &mut AsyncPgConnection,
    id: Uuid,
    now: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    let before: Option<(String, i32)> = callbacks::table
        .find(id)
        .select((callbacks::state, callbacks::attempts))
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()?;
    let chosen = not_overtaken().filter(callbacks::id.eq(id));
    let chosen = chosen.load(connection).await?;
    let replayed = make_due(connection, chosen, now).await? > 0;
    if let Some((state, attempts)) = before.filter(|_| replayed) {
        let told = |state: &str| json!({"state": state, "attempts": attempts});
        let (before, after) = (told(&state), told("pending"));
        note_in_book(connection, audit, now, Some(&before), Some(&after)).await?;
    }
    Ok(replayed)
}

/// Oldest first, so that a limit stops at a time and not in the middle of everything.
async fn replay_since(
    connection: &mut AsyncPgConnection,
    which: Replayable,
    since: Timestamp,
    now: Timestamp,
    limit: u32,
) -> QueryResult<usize> {
    let mut chosen = not_overtaken()
        .order((callbacks::created_at, callbacks::id))
        .limit(i64::from(limit))
        .into_boxed::<Pg>();
    let due_since = callbacks::created_at.ge(At(since));
    chosen = match which {
        // Few enough to look at each of them.
        Replayable::Dead => chosen
            .filter(callbacks::state.eq("dead"))
            .filter(due_since.nullable().or(callbacks::made_at.ge(At(since)))),
        Replayable::Succeeded => chosen
            .filter(callbacks::state.eq("succeeded"))
            .filter(due_since),
    };
    // What failed or arrived again under this very call is not replayed once more, or it would have
    // no end; nor, of what arrived, what was replayed a moment ago: somebody repeats the request.
    let before = match which {
        Replayable::Dead => now,
        Replayable::Succeeded => now.plus_micros(-REPETITION_MICROS),
    };
    let replayed_at = callbacks::replayed_at;
    chosen = chosen.filter(replayed_at.is_null().or(replayed_at.lt(At(before))));
    let chosen = chosen.load(connection).await?;
    make_due(connection, chosen, now).await
}

type Row = (
    (Uuid, i64, String, String, String, String),
    (String, At, Option<At>, Option<bool>),
);

#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_attempts)]
struct AttemptRow {
    callback_id: Uuid,
    at: At,
    duration_ms: i64,
    http_status: Option<i32>,
    outcome: String,
}

#[dsl::auto_type]
fn is_leased() -> _ {
    callbacks::lease
        .is_not_null()
        .and(callbacks::next_attempt_at.gt(dsl::now))
}

async fn find(
    connection: &mut AsyncPgConnection,
    id: Uuid,
) -> Result<Option<CallbackRecord>, StoreError> {
    let rows = selected()
        .filter(callbacks::id.eq(id))
        .load(connection)
        .await
        .map_err(unavailable)?;
    Ok(with_attempts(connection, rows).await?.pop())
}

async fn list(
    connection: &mut AsyncPgConnection,
    filter: CallbackFilter,
) -> Result<Vec<CallbackRecord>, StoreError> {
    let mut query = selected()
        .order((callbacks::created_at.desc(), callbacks::id.desc()))
        .limit(i64::from(filter.limit))
        .into_boxed::<Pg>();
    if let Some(transfer) = filter.transfer {
        query = query.filter(callbacks::transfer_id.eq(transfer.get()));
    }
    if let Some(state) = filter.state {
        query = query.filter(callbacks::state.eq(stored(state)));
    }
    if let Some(leased) = filter.state.and_then(leased) {
        query = query.filter(is_leased().is_distinct_from(!leased));
    }
    if let Some(after) = filter.after {
        let place = (At(after.created_at), after.id);
        let earlier = callbacks::created_at.lt(place.0);
        let same = callbacks::created_at.eq(place.0);
        query = query
            .filter(callbacks::created_at.le(place.0))
            .filter(earlier.or(same.and(callbacks::id.lt(place.1))));
    }
    let rows = query.load(connection).await.map_err(unavailable)?;
    with_attempts(connection, rows).await
}

#[dsl::auto_type]
fn selected() -> _ {
    callbacks::table
        .inner_join(transfers::table.on(transfers::id.eq(callbacks::transfer_id)))
        .select((
            (
                callbacks::id,
                callbacks::transfer_id,
                transfers::kind,
                callbacks::operation,
                callbacks::url,
                callbacks::status,
            ),
            (
                callbacks::state,
                callbacks::created_at,
                callbacks::next_attempt_at,
                is_leased(),
            ),
        ))
}

async fn with_attempts(
    connection: &mut AsyncPgConnection,
    rows: Vec<Row>,
) -> Result<Vec<CallbackRecord>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|((id, ..), _)| *id).collect();
    let attempts: Vec<AttemptRow> = callback_attempts::table
        .filter(callback_attempts::callback_id.eq_any(ids))
        .order((callback_attempts::callback_id, callback_attempts::attempt))
        .select(AttemptRow::as_select())
        .load(connection)
        .await
        .map_err(unavailable)?;
    let mut tried: HashMap<Uuid, Vec<CallbackAttempt>> = HashMap::new();
    for row in attempts {
        tried
            .entry(row.callback_id)
            .or_default()
            .push(CallbackAttempt {
                at: row.at.0,
                duration_ms: row.duration_ms,
                http_status: row.http_status,
                outcome: row.outcome,
            });
    }
    rows.into_iter()
        .map(|row| {
            let attempts = tried.remove(&row.0.0).unwrap_or_default();
            read(row, attempts)
        })
        .collect()
}

/// While it is tried, when the next attempt is due is not known yet.
fn read(row: Row, attempts: Vec<CallbackAttempt>) -> Result<CallbackRecord, StoreError> {
    let ((id, transfer, kind, operation, url, status), (state, created_at, next, leased)) = row;
    let fault = |column| inconsistent("callbacks", format!("id {id}: {column}"));
    let mut kinds = Kind::ALL.into_iter();
    let delivering = leased == Some(true);
    let state = match state.as_str() {
        "pending" if delivering => CallbackState::Delivering,
        "pending" => CallbackState::Pending,
        "succeeded" => CallbackState::Succeeded,
        "dead" => CallbackState::Dead,
        "skipped" => CallbackState::Cancelled,
        _ => return Err(fault("state")),
    };
    Ok(CallbackRecord {
        id,
        transfer: TransferId::try_new(transfer).map_err(|_| fault("transfer_id"))?,
        kind: kinds
            .find(|one| one.as_str() == kind)
            .ok_or_else(|| fault("kind"))?,
        operation: Operation::from_name(&operation).ok_or_else(|| fault("operation"))?,
        status: Status::from_name(&status).ok_or_else(|| fault("status"))?,
        url,
        state,
        created_at: created_at.0,
        next_attempt_at: next.filter(|_| !delivering).map(|at| at.0),
        attempts,
    })
}

/// The state as rows have it; one that is being delivered is pending with a lease.
const fn stored(state: CallbackState) -> &'static str {
    match state {
        CallbackState::Pending | CallbackState::Delivering => "pending",
        CallbackState::Succeeded => "succeeded",
        CallbackState::Dead => "dead",
        CallbackState::Cancelled => "skipped",
    }
}

/// Whether a state is told by the lease.
const fn leased(state: CallbackState) -> Option<bool> {
    match state {
        CallbackState::Pending => Some(false),
        CallbackState::Delivering => Some(true),
        CallbackState::Succeeded | CallbackState::Dead | CallbackState::Cancelled => None,
    }
}

const fn is_due(state: CallbackState) -> bool {
    matches!(state, CallbackState::Pending | CallbackState::Delivering)
}
