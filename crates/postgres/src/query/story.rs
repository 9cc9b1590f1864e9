//! The whole story of one transfer.

use bursar_domain::TransferId;
use bursar_ports::{LedgerLine, StoreError};
use diesel::{
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
    schema::transfers,
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
