//! The whole story of one transfer.

use std::collections::HashMap;

use bursar_domain::{Operation, Status, TransferId};
use bursar_ports::{CallbackAttempt, CallbackRecord, LedgerLine, StoreError};
use diesel::{
    dsl::now,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    error::{inconsistent, unavailable},
    row::read_account_key,
    schema::{callback_attempts, callbacks, transfers},
    value::{At, Units},
};

/// The transfer keeps the numbers of its lines, so finding them needs no index of their own.
pub(super) async fn list_entries(
    connection: &mut AsyncPgConnection,
    transfer: TransferId,
) -> Result<Vec<LedgerLine>, StoreError> {
    let refs: Option<Vec<i64>> = transfers::table
        .find(transfer.get())
        .select(transfers::entry_refs)
        .get_result(connection)
        .await
        .optional()
        .map_err(unavailable)?;
    let lines = EntriesByRef::of(&refs.unwrap_or_default());
    let expected = lines.accounts.len();
    let rows: Vec<EntryRow> = lines.load(connection).await.map_err(unavailable)?;
    let entries: Vec<LedgerLine> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let belong = entries.iter().all(|entry| entry.transfer == transfer);
    if entries.len() == expected && belong {
        Ok(entries)
    } else {
        let detail = format!("id {transfer}: entry_refs");
        Err(inconsistent("transfers", detail))
    }
}

/// The ledger lines with these numbers, in this order, with their accounts.
struct EntriesByRef {
    accounts: Vec<i64>,
    seqs: Vec<i64>,
}

impl EntriesByRef {
    /// From (account, seq) pairs one after the other.
    fn of(refs: &[i64]) -> Self {
        let (accounts, seqs) = refs
            .chunks(2)
            .map(|pair| {
                let part = |at| pair.get(at).copied().unwrap_or_default();
                (part(0), part(1))
            })
            .unzip();
        Self { accounts, seqs }
    }
}

impl QueryId for EntriesByRef {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for EntriesByRef {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT a.owner_kind, a.owner, a.asset, e.seq, e.transfer_id, e.available_delta, \
               e.held_delta, e.available_after, e.held_after, e.created_at \
             FROM unnest(",
        );
        out.push_bind_param::<Array<BigInt>, _>(&self.accounts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.seqs)?;
        out.push_sql(
            ") WITH ORDINALITY AS r (account_id, seq, place) \
             JOIN book_main.entries AS e ON e.account_id = r.account_id AND e.seq = r.seq \
             JOIN book_main.accounts AS a ON a.id = e.account_id \
             ORDER BY r.place",
        );
        Ok(())
    }
}

impl Query for EntriesByRef {
    type SqlType = (
        Text,
        SqlUuid,
        Text,
        BigInt,
        BigInt,
        Numeric,
        Numeric,
        Numeric,
        Numeric,
        Timestamptz,
    );
}

impl<Conn> diesel::RunQueryDsl<Conn> for EntriesByRef {}

#[derive(Queryable)]
struct EntryRow {
    owner_kind: String,
    owner: Uuid,
    asset: String,
    seq: i64,
    transfer_id: i64,
    available_delta: Units,
    held_delta: Units,
    available_after: Units,
    held_after: Units,
    created_at: At,
}

fn read(row: &EntryRow) -> Result<LedgerLine, StoreError> {
    let transfer = TransferId::try_new(row.transfer_id)
        .map_err(|error| inconsistent("entries", error.to_string()))?;
    Ok(LedgerLine {
        account: read_account_key(&row.owner_kind, row.owner, &row.asset)?,
        seq: row.seq,
        transfer,
        available_delta: row.available_delta.0,
        held_delta: row.held_delta.0,
        available_after: row.available_after.0,
        held_after: row.held_after.0,
        at: row.created_at.0,
    })
}

#[derive(Queryable)]
struct CallbackRow {
    id: Uuid,
    operation: String,
    url: String,
    status: String,
    state: String,
    created_at: At,
    next_attempt_at: Option<At>,
    is_leased: Option<bool>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = callback_attempts)]
struct AttemptRow {
    callback_id: Uuid,
    at: At,
    duration_ms: i64,
    http_status: Option<i32>,
    outcome: String,
}

pub(super) async fn list_callbacks(
    connection: &mut AsyncPgConnection,
    transfer: TransferId,
) -> Result<Vec<CallbackRecord>, StoreError> {
    let is_leased = callbacks::lease
        .is_not_null()
        .and(callbacks::next_attempt_at.gt(now));
    let rows: Vec<CallbackRow> = callbacks::table
        .filter(callbacks::transfer_id.eq(transfer.get()))
        .order((callbacks::created_at, callbacks::id))
        .select((
            callbacks::id,
            callbacks::operation,
            callbacks::url,
            callbacks::status,
            callbacks::state,
            callbacks::created_at,
            callbacks::next_attempt_at,
            is_leased,
        ))
        .load(connection)
        .await
        .map_err(unavailable)?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
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
            let attempts = tried.remove(&row.id).unwrap_or_default();
            read_callback(row, attempts)
        })
        .collect()
}

/// While it is tried, when the next attempt is due is not known yet.
fn read_callback(
    row: CallbackRow,
    attempts: Vec<CallbackAttempt>,
) -> Result<CallbackRecord, StoreError> {
    let fault = |column| inconsistent("callbacks", format!("id {}: {column}", row.id));
    let delivering = row.is_leased == Some(true);
    let state = match row.state.as_str() {
        _ if delivering => "delivering",
        // Why is in its attempts: another one overtook it.
        "skipped" => "cancelled",
        as_stored => as_stored,
    };
    Ok(CallbackRecord {
        id: row.id,
        operation: Operation::from_name(&row.operation).ok_or_else(|| fault("operation"))?,
        status: Status::from_name(&row.status).ok_or_else(|| fault("status"))?,
        url: row.url,
        state: state.to_owned(),
        created_at: row.created_at.0,
        next_attempt_at: row.next_attempt_at.filter(|_| !delivering).map(|at| at.0),
        attempts,
    })
}
