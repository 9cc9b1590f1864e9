//! What was used of the limits: the rows that are locked, and counting anew from the transfers.

use std::collections::BTreeSet;

use bursar_domain::{Amount, Kind, Timestamp, Usage, UsageKey};
use bursar_ports::StoreError;
use diesel::{
    QueryResult,
    prelude::QueryableByName,
    sql_query,
    sql_types::{BigInt, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use moka::sync::Cache;

use crate::{
    engine::{UsageKeyColumns, scope_column},
    error::inconsistent,
    pool::Database,
    statement::InsertUsage,
    tx::run_tx,
    value::{At, Units},
};

/// How many rows are remembered to exist.
const REMEMBERED_MAX: u64 = 1_000_000;
/// Longer than any limit looks back, by more than settling takes.
const LOOK_BACK: i64 = 31 * 24 * 3_600 * 1_000_000;

/// Sees to it that rows exist before they are locked.
#[derive(Clone)]
pub(crate) struct UsageRows {
    database: Database,
    known: Cache<UsageKey, ()>,
}

impl UsageRows {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            known: Cache::new(REMEMBERED_MAX),
        }
    }

    /// Makes the rows that are missing, in a transaction of their own, as accounts are made.
    pub(crate) async fn ensure(&self, keys: &BTreeSet<UsageKey>) -> Result<(), StoreError> {
        let unknown: Vec<UsageKey> = keys
            .iter()
            .copied()
            .filter(|key| !self.known.contains_key(key))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        run_tx(self.database.pool(), "create uses", |connection| {
            let unknown = unknown.clone();
            async move {
                let columns = UsageKeyColumns::of(&unknown);
                let insert = InsertUsage {
                    users: &columns.users,
                    kinds: &columns.kinds,
                    assets: &columns.assets,
                };
                insert.execute(connection).await
            }
            .boxed()
        })
        .await?;
        for key in unknown {
            self.known.insert(key, ());
        }
        Ok(())
    }
}

/// What an amount is worth in smallest units of the root asset.
pub(crate) const ROOT_UNITS: &str = "round(amount * ('1e-' || scale)::numeric * root_rate, \
     root_scale) * ('1e' || root_scale)::numeric";

/// Which transfers of a kind count, and from when on: withdrawals from their hold, internal transfers
/// from their settlement, deposits never. The kind stands in the text, so that the planner sees which
/// partial index serves it.
pub(crate) const fn counted(kind: Kind) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::Deposit => None,
        Kind::Withdrawal => Some((
            "kind = 'withdrawal' AND state IN ('AwaitingConfirmation', 'Completed')",
            "created_at",
        )),
        Kind::Internal => Some(("kind = 'internal' AND state = 'Success'", "updated_at")),
    }
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    last: i64,
    #[diesel(sql_type = Numeric)]
    used: Units,
}

/// Counts what a user has moved from the transfers themselves, as a limit that is new needs it: what
/// was moved before it counts too. Uses within five minutes are one, as [`Usage`] keeps them.
pub(crate) async fn count_anew(
    connection: &AsyncPgConnection,
    key: UsageKey,
    now: Timestamp,
) -> QueryResult<Result<Usage, StoreError>> {
    let Some((counts, at)) = counted(key.kind) else {
        return Ok(Ok(Usage::default()));
    };
    let (used, scope) = match key.asset {
        Some(_) => ("amount", "asset = $3"),
        None => (ROOT_UNITS, "root_rate IS NOT NULL AND $3 = ''"),
    };
    let query = sql_query(format!(
        "/* count_uses */ SELECT (extract(epoch FROM max(t.at)) * 1000000)::bigint AS last, \
         sum(t.used) AS used FROM (SELECT {at} AS at, {used} AS used FROM transfers \
         WHERE {counts} AND {scope} AND user_id = $1 AND created_at > $2 \
         AND reverses IS NULL) AS t \
         GROUP BY floor(extract(epoch FROM t.at) / 300) ORDER BY 1"
    ));
    let mut connection = connection;
    let rows: Vec<Counted> = query
        .bind::<SqlUuid, _>(key.user.as_uuid())
        .bind::<Timestamptz, _>(At(now.plus_micros(-LOOK_BACK)))
        .bind::<Text, _>(scope_column(key.asset.as_ref()))
        .load(&mut connection)
        .await?;
    let mut uses = Vec::with_capacity(rows.len());
    for Counted { last, used } in rows {
        // More than any account can hold is as much as can be counted.
        let Ok(amount) = Amount::try_from_units(used.0.min(Amount::MAX.units())) else {
            let detail = format!("user {}: amount", key.user);
            return Ok(Err(inconsistent("transfers", detail)));
        };
        uses.push((Timestamp::from_micros(last), amount));
    }
    Ok(Ok(Usage::from_uses(uses)))
}
