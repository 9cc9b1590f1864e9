//! What goes wrong round the database does not go wrong with the money, nor with its neighbours.

use std::sync::Arc;

use bursar_domain::{ActorId, Asset, Command, Commit, Operation, Status};
use bursar_ports::{
    AttemptRecord, CommitOutcome, LaneShare, Outbox, StoreError, TransferStore, Verdict,
};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgOutbox, PgStore, PoolConfig, SealKeys,
    testing::{TestDatabase, WireProxy},
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use tokio_postgres::Client;

use crate::support::{PATIENCE, patient, patient_engine, until_ready, with_usd};

struct Scene {
    store: PgStore,
    connections: Database,
    admin: Client,
    ids: SequentialIds,
    asset: Asset,
    database: TestDatabase,
}

impl Scene {
    async fn start(kind: EngineKind) -> Self {
        let database = TestDatabase::create().await;
        let pool = patient(database.url());
        let config = EngineConfig {
            kind,
            ..patient_engine()
        };
        Self::over(database, config, &pool, &pool).await
    }

    /// With the limits that there are by themselves, for what is never answered.
    async fn impatient(kind: EngineKind, database: TestDatabase, engine: &str, pool: &str) -> Self {
        let config = EngineConfig {
            kind,
            ..EngineConfig::default()
        };
        let (engine, pool) = (PoolConfig::new(engine), PoolConfig::new(pool));
        Self::over(database, config, &engine, &pool).await
    }

    /// One batcher, so that what is asked for together is one batch.
    async fn over(
        database: TestDatabase,
        config: EngineConfig,
        engine: &PoolConfig,
        pool: &PoolConfig,
    ) -> Self {
        let admin = with_usd(&database).await;
        let connections = Database::connect(pool.clone()).await.unwrap();
        let config = EngineConfig {
            batchers: 1,
            ..config
        };
        let clock = Arc::new(FixedClock::default());
        let (store, _tasks) = PgStore::start(engine, connections.clone(), &config, clock);
        until_ready(&store).await;
        Self {
            store,
            connections,
            admin,
            ids: SequentialIds::default(),
            asset: build::asset("usd", 2),
            database,
        }
    }

    fn deposit(&self, user: bursar_domain::UserId) -> bursar_domain::Change {
        let new = build::new_transfer(self.ids.transfer(), &self.asset, 1_000, FixedClock::START);
        build::deposit(new, user).settled_at_once()
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let mut outcomes = self.store.commit(vec![commit]).await?;
        Ok(outcomes.pop().unwrap())
    }
}

fn committed(outcome: Result<CommitOutcome, StoreError>) -> bursar_domain::Transfer {
    match outcome {
        Ok(CommitOutcome::Committed(transfer)) => *transfer,
        other => panic!("{other:?}"),
    }
}

/// A withdrawal was paid out, and somebody tried to cancel it afterwards, with the same URL. What
/// the receiver must hear is that it is completed.
async fn a_refused_cancel_does_not_swallow_the_callback_that_says_completed(kind: EngineKind) {
    const URL: &str = "https://example.com/hook";
    let scene = Scene::start(kind).await;
    let user = scene.ids.user();
    let mut lost = vec![];
    for _ in 0..8 {
        committed(scene.commit(Commit::new(scene.deposit(user))).await);
        let mut new =
            build::new_transfer(scene.ids.transfer(), &scene.asset, 10, FixedClock::START);
        new.callback_url = Some(URL.to_owned());
        let opened = build::withdrawal(new, user);
        let opened = committed(scene.commit(Commit::new(opened)).await);
        let confirm = Command::Confirm {
            route: bursar_domain::PayoutRoute::Manual,
            approval_expires_at: None,
            by: ActorId::new("operator"),
            callback_url: Some(URL.to_owned()),
        };
        let paid = build::step(&opened, &confirm, FixedClock::START);
        let paid = committed(scene.commit(Commit::new(paid)).await);
        // What `App::refuse_finish` commits for a cancel that comes too late.
        let error = Some("The transfer is already completed.".to_owned());
        let refused = paid.acknowledge(&build::cancel_telling(URL), error);
        committed(scene.commit(Commit::new(refused)).await);

        let outbox = PgOutbox::new(scene.connections.clone(), SealKeys::default());
        let now = FixedClock::START.plus_micros(60_000_000);
        let mut told = vec![];
        loop {
            let due = outbox.due_lanes(now, None, vec![]).await.unwrap().lanes;
            let share = |lane| LaneShare { lane, places: 10 };
            let shares = due.into_iter().map(|due| share(due.lane)).collect();
            let claims = outbox.claim_due(now, 30_000, shares).await.unwrap();
            if claims.is_empty() {
                break;
            }
            for claim in claims {
                told.push((claim.operation, claim.status));
                let record = AttemptRecord {
                    id: claim.id,
                    lease: claim.lease,
                    at: now,
                    duration_ms: 1,
                    http_status: Some(200),
                    outcome: "delivered",
                    verdict: Verdict::Succeeded,
                };
                assert!(outbox.record_attempt(record).await.unwrap());
            }
        }
        if !told.contains(&(Operation::Confirm, Status::Completed)) {
            lost.push(told);
        }
    }
    assert!(lost.is_empty(), "Completed was never told: {lost:?}");
}

/// A key's row that this version cannot read (a later version wrote it) is one request's trouble.
async fn an_unreadable_key_does_not_fail_its_neighbours(kind: EngineKind) {
    let scene = Scene::start(kind).await;
    let user = scene.ids.user();
    let claim = build::claim("p", "deposit", "from-a-later-version", &[]);
    committed(
        scene
            .commit(build::keyed(scene.deposit(user), claim.clone()))
            .await,
    );
    scene
        .admin
        .execute(
            "UPDATE book_main.idempotency_keys SET refusal = 'limit.hourly'",
            &[],
        )
        .await
        .unwrap();
    let poison = build::keyed(scene.deposit(user), claim);
    // Both are in the queue before the batcher runs: one batch.
    let (poison, good) = tokio::join!(
        scene.commit(poison),
        scene.commit(Commit::new(scene.deposit(user)))
    );
    assert!(poison.is_err());
    committed(good);
}

/// Another replica migrates while this one runs: a column gets wider.
async fn a_column_that_got_another_type_is_survived(kind: EngineKind) {
    let scene = Scene::start(kind).await;
    let user = scene.ids.user();
    committed(scene.commit(Commit::new(scene.deposit(user))).await);
    let widen = "ALTER TABLE book_main.accounts ALTER COLUMN available TYPE numeric(40, 0)";
    scene.admin.batch_execute(widen).await.unwrap();
    let mut errors = vec![];
    for _ in 0..4 {
        match scene.commit(Commit::new(scene.deposit(user))).await {
            Ok(_) => return,
            Err(error) => errors.push(format!("{:?}", std::error::Error::source(&error))),
        }
    }
    panic!("refused for good: {errors:#?}");
}

/// The first round trip is given up after ten seconds; what follows must end as well.
async fn a_server_that_falls_silent_before_commit_does_not_hang_the_batcher(kind: EngineKind) {
    let database = TestDatabase::create().await;
    let proxy = WireProxy::start(database.url()).await;
    let direct = database.url().to_owned();
    let scene = Scene::impatient(kind, database, &proxy.url(&direct), &direct).await;
    let user = scene.ids.user();
    committed(scene.commit(Commit::new(scene.deposit(user))).await);
    proxy.silence();
    let answer = scene.commit(Commit::new(scene.deposit(user)));
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    assert!(answer.is_ok(), "no answer at all, not even 503");
}

/// The same, when what waits is the creation of an account.
async fn a_server_that_falls_silent_while_an_account_is_made_does_not_hang_the_batcher(
    kind: EngineKind,
) {
    let database = TestDatabase::create().await;
    let proxy = WireProxy::start(database.url()).await;
    let direct = database.url().to_owned();
    let scene = Scene::impatient(kind, database, &direct, &proxy.url(&direct)).await;
    let user = scene.ids.user();
    committed(scene.commit(Commit::new(scene.deposit(user))).await);
    proxy.silence();
    let newcomer = scene.commit(Commit::new(scene.deposit(scene.ids.user())));
    let known = scene.commit(Commit::new(scene.deposit(user)));
    let answers = async { tokio::join!(newcomer, known) };
    let answers = tokio::time::timeout(PATIENCE, answers).await;
    assert!(answers.is_ok(), "no answer at all, not even 503");
    drop(scene.database);
}

crate::support::with_both_engines!(
    "current_thread" a_refused_cancel_does_not_swallow_the_callback_that_says_completed,
    "current_thread" an_unreadable_key_does_not_fail_its_neighbours,
    "current_thread" a_column_that_got_another_type_is_survived,
    "multi_thread" a_server_that_falls_silent_before_commit_does_not_hang_the_batcher,
    "multi_thread" a_server_that_falls_silent_while_an_account_is_made_does_not_hang_the_batcher,
);
