//! What the ledger has that a record of clients and receivers is held against.

use std::collections::{BTreeSet, HashMap};

use bursar_audit::{
    Bound, Callback, Ledger, Step,
    history::Place,
    record::{self, Line},
};
use bursar_ports::StoreError;
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{Array, BigInt, Bool, Json, Nullable, Numeric, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde_json::Value;

use crate::{
    error::{inconsistent, unavailable},
    pool::PoolConfig,
    tx::in_snapshot,
    value::Units,
};

/// Ends of transfers are keyed too, and make none.
const KEYS: &str = "
    SELECT key, transfer_id, results, refusal IS NOT NULL AS is_refusal,
        operation NOT IN ('withdraw-confirm', 'withdraw-cancel', 'approve', 'reject') AS makes
    FROM idempotency_keys";
/// Everything that transfers wrote which wrote something since. A withdrawal writes twice: when its
/// money is held, and at its end.
const LINES: &str = "
    WITH since AS (
        SELECT DISTINCT e.transfer_id FROM entries e
        LEFT JOIN unnest($1, $2) AS b (id, seq) ON b.id = e.account_id
        WHERE e.seq > coalesce(b.seq, 0))
    SELECT e.transfer_id, e.account_id, e.seq,
        dense_rank() OVER (PARTITION BY e.transfer_id ORDER BY e.created_at) > 1 AS is_end
    FROM since JOIN entries e USING (transfer_id)";
const AVAILABLE: &str = "
    SELECT account_id, available_after FROM entries WHERE account_id = ANY($1)
    ORDER BY account_id, seq";
/// That a confirmation or cancellation was refused is told as a failure, whatever the transfer is.
const CALLBACKS: &str = "
    SELECT c.id::text AS id, c.status, t.state AS transfer_state,
        c.status NOT IN ('Pending', 'AwaitingConfirmation')
            AND NOT (c.status = 'Failed' AND c.operation IN ('confirm', 'cancel')) AS is_end,
        c.state = 'succeeded' AS is_delivered, c.state = 'skipped' AS is_skipped
    FROM callbacks c LEFT JOIN transfers t ON t.id = c.transfer_id";
/// To the URL of the transfer itself, and not to another one.
const UNTOLD: &str = "
    SELECT t.id FROM transfers t
    WHERE t.callback_url IS NOT NULL AND t.state NOT IN ('Pending', 'AwaitingConfirmation')
        AND NOT EXISTS (
            SELECT FROM callbacks c
            WHERE c.transfer_id = t.id AND c.url = t.callback_url AND c.status = t.state
                AND NOT (c.status = 'Failed' AND c.operation IN ('confirm', 'cancel')))
    ORDER BY t.id";

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    transfer_id: i64,
    #[diesel(sql_type = Nullable<Json>)]
    results: Option<Value>,
    #[diesel(sql_type = Bool)]
    is_refusal: bool,
    #[diesel(sql_type = Bool)]
    makes: bool,
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = BigInt)]
    transfer_id: i64,
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Bool)]
    is_end: bool,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = Numeric)]
    available_after: Units,
}

#[derive(QueryableByName)]
struct CallbackRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    transfer_state: Option<String>,
    #[diesel(sql_type = Bool)]
    is_end: bool,
    #[diesel(sql_type = Bool)]
    is_delivered: bool,
    #[diesel(sql_type = Bool)]
    is_skipped: bool,
}

#[derive(QueryableByName)]
struct TransferRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// What the database at `url` has, of one moment, that this record is held against. All of it is in
/// memory at once.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub async fn audited(url: &str, record: &[Line]) -> Result<Ledger, StoreError> {
    let mut connection = PoolConfig::new(url).connect_for_exports().await?;
    in_snapshot(&mut connection, async |connection| {
        Ok(Ledger {
            keys: keys(connection).await?,
            steps: steps(connection, record).await?,
            available: available(connection, record).await?,
            callbacks: callbacks(connection).await?,
            untold: untold(connection).await?,
        })
    })
    .await
}

/// The same key of two principals counts as one that made what both made.
async fn keys(connection: &mut AsyncPgConnection) -> Result<HashMap<String, Bound>, StoreError> {
    let rows: Vec<KeyRow> = sql_query(KEYS)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let mut keys = HashMap::<String, Bound>::new();
    for row in rows {
        let bound = keys.entry(row.key).or_default();
        bound.is_refusal |= row.is_refusal;
        match &row.results {
            Some(results) => {
                let items = results.as_array().into_iter().flatten();
                bound.made.extend(items.filter_map(Value::as_i64));
            }
            None if row.makes && !row.is_refusal => bound.made.push(row.transfer_id),
            None => {}
        }
    }
    Ok(keys)
}

async fn steps(
    connection: &mut AsyncPgConnection,
    record: &[Line],
) -> Result<HashMap<Step, Vec<Place>>, StoreError> {
    let (mut accounts, mut lines) = (vec![], vec![]);
    for place in record::began(record) {
        // What is beyond them is beyond every line.
        accounts.push(i64::try_from(place.account).unwrap_or(i64::MAX));
        lines.push(i64::try_from(place.line).unwrap_or(i64::MAX));
    }
    let rows: Vec<LineRow> = sql_query(LINES)
        .bind::<Array<BigInt>, _>(accounts)
        .bind::<Array<BigInt>, _>(lines)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let mut steps = HashMap::<Step, Vec<Place>>::new();
    for row in rows {
        let number = |number: i64| {
            u64::try_from(number).map_err(|_| inconsistent("entries", "a number is below zero"))
        };
        let place = Place {
            account: number(row.account_id)?,
            line: number(row.seq)?,
        };
        let step = Step {
            transfer: row.transfer_id,
            is_end: row.is_end,
        };
        steps.entry(step).or_default().push(place);
    }
    Ok(steps)
}

/// What each account that the record says had too little had, from before its first line on.
async fn available(
    connection: &mut AsyncPgConnection,
    record: &[Line],
) -> Result<HashMap<u64, Vec<i128>>, StoreError> {
    let missing = record::missing(record);
    let accounts: BTreeSet<u64> = missing.map(|missing| missing.account).collect();
    let numbers = accounts.iter().map(|account| i64::try_from(*account));
    let rows: Vec<StateRow> = sql_query(AVAILABLE)
        .bind::<Array<BigInt>, _>(numbers.filter_map(Result::ok).collect::<Vec<_>>())
        .load(connection)
        .await
        .map_err(unavailable)?;
    let mut available: HashMap<u64, Vec<i128>> = accounts
        .into_iter()
        .map(|account| (account, vec![0]))
        .collect();
    for row in rows {
        let account = u64::try_from(row.account_id).ok();
        if let Some(states) = account.and_then(|account| available.get_mut(&account)) {
            states.push(row.available_after.0);
        }
    }
    Ok(available)
}

async fn callbacks(
    connection: &mut AsyncPgConnection,
) -> Result<HashMap<String, Callback>, StoreError> {
    let rows: Vec<CallbackRow> = sql_query(CALLBACKS)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let by_id = |row: CallbackRow| {
        let callback = Callback {
            status: row.status,
            state: row.transfer_state,
            is_end: row.is_end,
            is_delivered: row.is_delivered,
            is_skipped: row.is_skipped,
        };
        (row.id, callback)
    };
    Ok(rows.into_iter().map(by_id).collect())
}

async fn untold(connection: &mut AsyncPgConnection) -> Result<Vec<i64>, StoreError> {
    let rows: Vec<TransferRow> = sql_query(UNTOLD)
        .load(connection)
        .await
        .map_err(unavailable)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
