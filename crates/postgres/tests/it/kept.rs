//! Somebody keeps an account locked: nobody else waits for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_domain::{Commit, UserId};
use bursar_ports::{CommitOutcome, StoreError, TransferStore};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgStore, PoolConfig, testing::TestDatabase,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use futures_util::future::join_all;

use crate::support::{until_ready, with_usd};

/// How long a statement waits for a lock.
const LOCK_MAX: Duration = Duration::from_secs(2);
const ROUNDS: u32 = 10;

async fn whoever_keeps_an_account_locked_holds_up_nobody_else(kind: EngineKind) {
    let database = TestDatabase::create().await;
    let admin = with_usd(&database).await;
    let (ids, asset) = (SequentialIds::default(), build::asset("usd", 2));
    let pool = PoolConfig {
        statement_timeout_ms: 60_000,
        lock_timeout_ms: u32::try_from(LOCK_MAX.as_millis()).unwrap(),
        ..PoolConfig::new(database.url())
    };
    let config = EngineConfig {
        batchers: 1,
        answer_within: Duration::from_secs(60),
        ..EngineConfig::of(kind)
    };
    let connections = Database::connect(pool.clone()).await.unwrap();
    let clock = Arc::new(FixedClock::default());
    let (store, _tasks) = PgStore::start(&pool, connections, &config, clock);
    until_ready(&store).await;
    let transfer = || build::new_transfer(ids.transfer(), &asset, 100, FixedClock::START);
    let users: Vec<UserId> = (0..32).map(|_| ids.user()).collect();
    let deposit = |user: &UserId| Commit::new(build::deposit(transfer(), *user).settled_at_once());
    let funded = store.commit(users.iter().map(deposit).collect()).await;
    funded.unwrap();

    let lock = "BEGIN; SELECT FROM book_main.accounts WHERE owner = ";
    let lock = format!("{lock}'{}' FOR UPDATE", users[0]);
    admin.batch_execute(&lock).await.unwrap();
    let pay = async |from: &UserId| {
        let payment = build::internal(transfer(), *from, ids.user()).settled_at_once();
        store.commit(vec![Commit::new(payment)]).await
    };
    // All at once, and afterwards the one that has to be refused again and again.
    let mut paid = join_all(users.iter().map(&pay)).await;
    let refused = paid.remove(0);
    for told in paid {
        assert!(
            matches!(told.as_deref(), Ok([CommitOutcome::Committed(_)])),
            "{told:?}"
        );
    }
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let told = pay(&users[0]).await;
        assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    }
    assert!(began.elapsed() < LOCK_MAX * ROUNDS, "each of them waited");

    admin.batch_execute("COMMIT").await.unwrap();
    let paid = async { while pay(&users[0]).await.is_err() {} };
    let paid = tokio::time::timeout(Duration::from_secs(60), paid).await;
    paid.expect("it is free, and nobody sees it");
}

crate::support::with_both_engines!(
    "multi_thread" whoever_keeps_an_account_locked_holds_up_nobody_else,
);
