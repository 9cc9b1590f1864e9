//! A database that holds everything up: whoever asks is told in time what is true.

use std::{sync::Arc, time::Duration};

use bursar_domain::Commit;
use bursar_ports::{CommitOutcome, StoreError, TransferStore};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgStore, PoolConfig, testing::TestDatabase,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use tokio_postgres::Client;

use crate::support::with_usd;

/// Waits until there are so many.
async fn until(admin: &Client, count: i64, query: &str) {
    let wait = async {
        while Client::query_one(admin, query, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            != count
        {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.unwrap_or_else(|_| panic!("never {count}: {query}"));
}

async fn a_request_waits_neither_for_its_turn_nor_for_its_answer_for_ever(kind: EngineKind) {
    let database = TestDatabase::create().await;
    let admin = with_usd(&database).await;
    let asset = build::asset("usd", 2);
    let ids = SequentialIds::default();
    let pool = PoolConfig {
        statement_timeout_ms: 60_000,
        lock_timeout_ms: 60_000,
        ..PoolConfig::new(database.url())
    };
    let config = EngineConfig {
        batchers: 1,
        queue_wait: Duration::from_millis(500),
        answer_within: Duration::from_secs(2),
        ..EngineConfig::of(kind)
    };
    let connections = Database::connect(pool.clone()).await.unwrap();
    let clock = Arc::new(FixedClock::default());
    let (store, _tasks) = PgStore::start(&pool, connections, &config, clock);
    let user = ids.user();
    let deposit = || {
        let new = build::new_transfer(ids.transfer(), &asset, 1_000, FixedClock::START);
        Commit::new(build::deposit(new, user).settled_at_once())
    };
    // Whatever a busy machine takes to get ready for the first one.
    while store.commit(vec![deposit()]).await.is_err() {}
    let transfers = "SELECT count(*) FROM book_main.transfers";
    let before: i64 = Client::query_one(&admin, transfers, &[])
        .await
        .unwrap()
        .get(0);

    let (first, second) = (deposit(), deposit());
    let lock = "BEGIN; LOCK TABLE book_main.accounts IN ACCESS EXCLUSIVE MODE";
    admin.batch_execute(lock).await.unwrap();
    let begun = store.commit(vec![first.clone()]);
    let waiting = async {
        let waits = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until(&admin, 1, waits).await;
        store.commit(vec![second.clone()]).await
    };
    let (begun, waiting) = tokio::join!(begun, waiting);
    assert!(
        matches!(begun, Err(StoreError::OutcomeUnknown(_))),
        "{begun:?}"
    );
    assert!(
        matches!(waiting, Err(StoreError::Overloaded)),
        "{waiting:?}"
    );

    admin.batch_execute("COMMIT").await.unwrap();
    until(&admin, before + 1, transfers).await;
    // Whatever was to be done is done when what came behind it is.
    while store.commit(vec![deposit()]).await.is_err() {}
    until(&admin, before + 2, transfers).await;
    for repeated in [first, second] {
        let outcomes = store.commit(vec![repeated]).await.unwrap();
        assert!(
            matches!(outcomes[..], [CommitOutcome::Committed(_)]),
            "{outcomes:?}"
        );
    }
    until(&admin, before + 3, transfers).await;
}

crate::support::with_both_engines!(
    "multi_thread" a_request_waits_neither_for_its_turn_nor_for_its_answer_for_ever,
);
