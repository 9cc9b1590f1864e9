//! Transfers and balances in PostgreSQL.

pub(crate) mod aside;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_domain::{
    Bulk, Commit, IdempotencyKey, KeyScope, Timestamp, Transfer, TransferId, ledger::StoredClaim,
};
use bursar_ports::{BulkOutcome, Clock, CommitOutcome, StoreError, TransferStore};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryResult,
    SelectableHelper as _,
    dsl::sql,
    sql_types::{Bool, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use self::aside::Aside;
use crate::{
    engine::{Engine, EngineConfig, EngineTasks, KeyRow, read_claim},
    pool::{Database, PoolConfig},
    row::SealedRow,
    schema::{idempotency_keys, transfers},
    seal::SealKeys,
    value::At,
};

/// How long the database may take to say that it takes writes: whoever asks has other replicas to go to.
const READY_MAX: Duration = Duration::from_secs(2);

/// Transfers and balances in PostgreSQL, behind the batch engine.
#[derive(Clone)]
pub struct PgStore {
    database: Database,
    engine: Engine,
    clock: Arc<dyn Clock>,
    seals: SealKeys,
    aside: Aside,
}

impl PgStore {
    /// Starts the engine over a database whose schema is current. Nothing is connected yet.
    pub fn start(
        pool: &PoolConfig,
        database: Database,
        config: &EngineConfig,
        clock: Arc<dyn Clock>,
    ) -> (Self, EngineTasks) {
        let (engine, tasks) = Engine::start(pool, database.clone(), config, &clock);
        (
            Self {
                database,
                engine,
                clock,
                seals: config.seals.clone(),
                aside: Aside::default(),
            },
            tasks,
        )
    }

    async fn look_up(&self, id: TransferId) -> Result<Option<SealedRow>, StoreError> {
        self.database
            .look_up_once(async |connection| find(connection, id).await)
            .await
    }

    fn read(&self, rows: Vec<SealedRow>) -> Result<Vec<Transfer>, StoreError> {
        let read = rows.into_iter().map(|row| row.read(&self.seals));
        read.collect()
    }
}

#[async_trait]
impl TransferStore for PgStore {
    async fn find(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        let row = self.look_up(id).await?;
        row.map(|row| row.read(&self.seals)).transpose()
    }

    async fn find_proven(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        let row = self.look_up(id).await?;
        row.map(|row| row.prove(&self.seals)).transpose()
    }

    async fn find_many(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, StoreError> {
        let ids: Vec<i64> = ids.into_iter().map(TransferId::get).collect();
        let rows = self
            .database
            .look_up_once(async |connection| SealedRow::load_many(connection, ids).await)
            .await?;
        self.read(rows)
    }

    async fn find_key(
        &self,
        scope: KeyScope,
        key: IdempotencyKey,
    ) -> Result<Option<StoredClaim>, StoreError> {
        let row: Option<KeyRow> = self
            .database
            .look_up_once(async |connection| {
                idempotency_keys::table
                    .filter(idempotency_keys::principal.eq(scope.principal))
                    .filter(idempotency_keys::operation.eq(scope.operation))
                    .filter(idempotency_keys::key.eq(key.as_str()))
                    .first(connection)
                    .await
                    .optional()
            })
            .await?;
        row.map(read_claim).transpose()
    }

    async fn commit(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.engine.commit(batch).await
    }

    async fn rehearse(&self, batch: Vec<Commit>) -> Result<Vec<CommitOutcome>, StoreError> {
        self.engine.rehearse(batch).await
    }

    async fn commit_bulk(&self, bulk: Bulk) -> Result<BulkOutcome, StoreError> {
        self.engine.commit_bulk(bulk).await
    }

    async fn list_unsettled(
        &self,
        older_than_ms: i64,
        limit: i64,
    ) -> Result<Vec<Transfer>, StoreError> {
        let now = self.clock.now();
        let before: Timestamp = now.plus_micros(older_than_ms.saturating_mul(-1_000));
        let aside = self.aside.ids();
        let rows = self
            .database
            .run(async |connection| unsettled(connection, before, aside, limit).await)
            .await?;
        Ok(self.aside.sort_out(rows, &self.seals))
    }

    async fn list_expired(&self, limit: i64) -> Result<Vec<Transfer>, StoreError> {
        let aside = self.aside.ids();
        let rows = self
            .database
            .run(async |connection| expired(connection, aside, limit).await)
            .await?;
        Ok(self.aside.sort_out(rows, &self.seals))
    }

    fn leave_alone(&self, id: TransferId) {
        self.aside.leave(id.get());
    }

    async fn list_reversals(&self, of: TransferId) -> Result<Vec<Transfer>, StoreError> {
        let rows = self
            .database
            .run(async |connection| reversals(connection, of).await)
            .await?;
        self.read(rows)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.engine.ready()?;
        let read_only: String = self
            .database
            .run_within(READY_MAX, async |connection| {
                sql::<Text>("SHOW transaction_read_only")
                    .get_result(connection)
                    .await
            })
            .await?;
        if read_only == "off" {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the database is read-only".into()))
        }
    }
}

// Functions of their own, for in a method that `async_trait` rewrites the compiler proves the types of
// such a query once for each step of it: seven seconds for each of them.

async fn find(
    connection: &mut AsyncPgConnection,
    id: TransferId,
) -> QueryResult<Option<SealedRow>> {
    transfers::table
        .filter(transfers::id.eq(id.get()))
        .select(SealedRow::as_select())
        .first(connection)
        .await
        .optional()
}

async fn unsettled(
    connection: &mut AsyncPgConnection,
    before: Timestamp,
    aside: Vec<i64>,
    limit: i64,
) -> QueryResult<Vec<SealedRow>> {
    transfers::table
        // A literal, so that the partial index serves it under every plan.
        .filter(sql::<Bool>("state = 'Pending' AND stage IS NULL"))
        .filter(transfers::created_at.lt(At(before)))
        .filter(transfers::id.ne_all(aside))
        .order(transfers::created_at)
        .limit(limit)
        .select(SealedRow::as_select())
        .load(connection)
        .await
}

const EXPIRED: &str =
    "state IN ('Pending', 'AwaitingConfirmation') AND expires_at <= statement_timestamp()";

async fn expired(
    connection: &mut AsyncPgConnection,
    aside: Vec<i64>,
    limit: i64,
) -> QueryResult<Vec<SealedRow>> {
    transfers::table
        // Literals, so that the partial index serves it under every plan. The database's clock, for
        // all replicas must agree; by the statement's time, for one that moves is compared row by row.
        .filter(sql::<Bool>(EXPIRED))
        .filter(transfers::id.ne_all(aside))
        .order(transfers::expires_at)
        .limit(limit)
        .select(SealedRow::as_select())
        .load(connection)
        .await
}

async fn reversals(
    connection: &mut AsyncPgConnection,
    of: TransferId,
) -> QueryResult<Vec<SealedRow>> {
    transfers::table
        .filter(transfers::reverses.eq(of.get()))
        .order(transfers::id)
        .select(SealedRow::as_select())
        .load(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::LIST_EXPIRING, explain::Explain, testing::TestDatabase};

    /// Both look ten times a second, mostly for nothing: they must not read what is open to find that.
    #[tokio::test]
    async fn what_has_time_left_is_not_read() {
        let database = TestDatabase::create().await;
        let config = crate::PoolConfig::new(database.url());
        let mut connection = config.connect_for_named_rows().await.unwrap();
        let expired =
            format!("SELECT id FROM transfers WHERE {EXPIRED} ORDER BY expires_at LIMIT 256");
        let expiring = LIST_EXPIRING.replace("$1", "60000").replace("$2", "256");
        let expiring = expiring.replace("$3", "'{1}'");
        for query in [expired, expiring] {
            let plan = Explain(diesel::sql_query(query));
            let plan: serde_json::Value = plan.get_result(&mut connection).await.unwrap();
            let is_sought = plan.to_string().contains(r#""Index Cond":"(expires_at <="#);
            assert!(is_sought, "{plan:#}");
        }
    }
}
