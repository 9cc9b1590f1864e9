//! Somebody keeps a row locked: nobody else waits for it, or not for long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_domain::{Commit, NewTransfer, UserId};
use bursar_ports::{CommitOutcome, StoreError, TransferStore};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, EngineTasks, PgStore, PoolConfig, testing::TestDatabase,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use futures_util::future::join_all;
use tokio_postgres::Client;

use crate::support::{until_ready, with_usd};

/// How long a statement waits for a lock.
const LOCK_MAX: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 10;

/// An exchange with one batcher and users with money, and somebody who locks rows.
struct Scene {
    admin: Client,
    store: PgStore,
    ids: SequentialIds,
    users: Vec<UserId>,
    _tasks: EngineTasks,
    _database: TestDatabase,
}

type Told = Result<Vec<CommitOutcome>, StoreError>;

impl Scene {
    async fn set(kind: EngineKind) -> Self {
        let database = TestDatabase::create().await;
        let admin = with_usd(&database).await;
        let pool = PoolConfig {
            statement_timeout_ms: 60_000,
            lock_timeout_ms: u32::try_from(LOCK_MAX.as_millis()).unwrap(),
            ..PoolConfig::new(database.url())
        };
        let config = EngineConfig {
            batchers: 1,
            queue_wait: Duration::from_secs(60),
            answer_within: Duration::from_secs(60),
            ..EngineConfig::of(kind)
        };
        let connections = Database::connect(pool.clone()).await.unwrap();
        let clock = Arc::new(FixedClock::default());
        let (store, tasks) = PgStore::start(&pool, connections, &config, clock);
        until_ready(&store).await;
        let ids = SequentialIds::default();
        let users = (0..32).map(|_| ids.user()).collect();
        let scene = Self {
            admin,
            store,
            ids,
            users,
            _tasks: tasks,
            _database: database,
        };
        let deposits = scene.users.iter().map(|user| scene.deposit(*user));
        scene.store.commit(deposits.collect()).await.unwrap();
        scene
    }

    fn transfer(&self) -> NewTransfer {
        let asset = build::asset("usd", 2);
        build::new_transfer(self.ids.transfer(), &asset, 100, FixedClock::START)
    }

    fn deposit(&self, user: UserId) -> Commit {
        Commit::new(build::deposit(self.transfer(), user).settled_at_once())
    }

    /// A payment to somebody who has no account.
    fn payment(&self, from: UserId) -> Commit {
        Commit::new(build::internal(self.transfer(), from, self.ids.user()).settled_at_once())
    }

    async fn commit(&self, commit: Commit) -> Told {
        self.store.commit(vec![commit]).await
    }
}

fn assert_made(told: &Told) {
    assert!(
        matches!(told.as_deref(), Ok([CommitOutcome::Committed(_)])),
        "{told:?}"
    );
}

fn assert_refused(told: &Told) {
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
}

async fn whoever_keeps_an_account_locked_holds_up_nobody_else(kind: EngineKind) {
    let scene = Scene::set(kind).await;
    let kept = scene.users[0];
    let lock = "BEGIN; SELECT FROM book_main.accounts WHERE owner = ";
    let lock = format!("{lock}'{kept}' FOR UPDATE");
    scene.admin.batch_execute(&lock).await.unwrap();
    let pay = async |from: UserId| scene.commit(scene.payment(from)).await;
    // All at once, and afterwards the one that has to be refused again and again.
    let mut paid = join_all(scene.users.iter().map(|from| pay(*from))).await;
    assert_refused(&paid.remove(0));
    paid.iter().for_each(assert_made);
    let began = Instant::now();
    for _ in 0..ROUNDS {
        assert_refused(&pay(kept).await);
    }
    assert!(began.elapsed() < LOCK_MAX * ROUNDS, "each of them waited");

    scene.admin.batch_execute("COMMIT").await.unwrap();
    let paid = async { while pay(kept).await.is_err() {} };
    let paid = tokio::time::timeout(Duration::from_secs(60), paid).await;
    paid.expect("it is free, and nobody sees it");
}

/// An account cannot be made for somebody whose row is locked; everybody else is paid.
async fn whoever_keeps_an_owner_locked_holds_up_nobody_else(kind: EngineKind) {
    let scene = Scene::set(kind).await;
    let kept = scene.ids.user();
    let lock = format!(
        "BEGIN; INSERT INTO book_main.owners (id, status, revision) VALUES ('{kept}', 'Active', 1)"
    );
    scene.admin.batch_execute(&lock).await.unwrap();
    let users = scene.users.iter();
    let mut commits: Vec<Commit> = users.map(|user| scene.payment(*user)).collect();
    commits.push(scene.deposit(kept));
    let mut told = join_all(commits.into_iter().map(|commit| scene.commit(commit))).await;
    assert_refused(&told.pop().unwrap());
    told.iter().for_each(assert_made);
    scene.admin.batch_execute("ROLLBACK").await.unwrap();
    assert_made(&scene.commit(scene.deposit(kept)).await);
}

crate::support::with_both_engines!(
    "multi_thread" whoever_keeps_an_account_locked_holds_up_nobody_else,
    "multi_thread" whoever_keeps_an_owner_locked_holds_up_nobody_else,
);
