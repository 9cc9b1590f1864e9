//! A replica that writes the book alone: who it is, and what it must not write.

mod rules;

use std::{sync::Arc, time::Duration};

use bursar_domain::{Asset, Change, Commit, Reason, Status, UserId, UserStatus};
use bursar_ports::{CommitOutcome, Directory as _, PutUser, StoreError, TransferStore as _};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, EngineTasks, PgDirectory, PgStore, PoolConfig,
    testing::TestDatabase,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::support::{PATIENCE, client, draft, patient, patient_engine, until_ready, with_usd};

/// What a connection waits for that is to hold the book's lock, which its holder has.
const LOCK: &str = "SELECT pg_advisory_lock(x'0062757273617201'::bigint)";

struct Replica {
    store: PgStore,
    tasks: EngineTasks,
}

impl Replica {
    async fn end(self) {
        drop(self.store);
        self.tasks.join().await;
    }
}

struct Book {
    admin: Client,
    ids: SequentialIds,
    asset: Asset,
    connections: Database,
    clock: Arc<FixedClock>,
    pool: PoolConfig,
    _database: TestDatabase,
}

impl Book {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let admin = with_usd(&database).await;
        let pool = patient(database.url());
        Self {
            admin,
            ids: SequentialIds::default(),
            asset: build::asset("usd", 2),
            connections: Database::connect(pool.clone()).await.unwrap(),
            clock: Arc::new(FixedClock::default()),
            pool,
            _database: database,
        }
    }

    fn replica(&self, kind: EngineKind) -> Replica {
        let config = EngineConfig {
            kind,
            ..patient_engine()
        };
        let (connections, clock) = (self.connections.clone(), self.clock.clone());
        let (store, tasks) = PgStore::start(&self.pool, connections, &config, clock);
        Replica { store, tasks }
    }

    fn deposit(&self, user: UserId, units: i128) -> Change {
        let new = build::new_transfer(self.ids.transfer(), &self.asset, units, FixedClock::START);
        build::deposit(new, user).settled_at_once()
    }

    fn payment(&self, from: UserId, to: UserId, units: i128) -> Change {
        let new = build::new_transfer(self.ids.transfer(), &self.asset, units, FixedClock::START);
        build::internal(new, from, to).settled_at_once()
    }

    /// What a user has, by the database.
    async fn balance(&self, user: UserId) -> String {
        let query = "SELECT coalesce(sum(available), 0)::text FROM book_main.accounts \
                     WHERE owner = $1::text::uuid";
        let row = self.admin.query_one(query, &[&user.to_string()]).await;
        row.unwrap().get(0)
    }

    async fn run(&self, statements: &str) {
        self.admin.batch_execute(statements).await.unwrap();
    }

    /// Waits until the database says so.
    async fn until(&self, question: &str) {
        let so = async {
            loop {
                let row = self.admin.query_one(question, &[]).await.unwrap();
                if row.get::<_, bool>(0) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, so).await;
        waited.unwrap_or_else(|_| panic!("never: {question}"));
    }

    /// Has a connection wait for the book's lock, which gets it as soon as its holder lets go: no
    /// replica can have it then. It is let go with the task.
    async fn claim_the_lock(&self) -> JoinHandle<Client> {
        let claimant = client(&self.pool.url).await;
        let claiming = tokio::spawn(async move {
            claimant.batch_execute(LOCK).await.unwrap();
            claimant
        });
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        self.until(waits).await;
        claiming
    }

    /// Accounts whose balance is not what their entries say, or whose entries have a gap.
    async fn faults(&self) -> i64 {
        let query = "SELECT count(*) FROM book_main.accounts a CROSS JOIN LATERAL ( \
               SELECT coalesce(sum(available_delta), 0) AS available, \
               coalesce(sum(held_delta), 0) AS held, count(*) AS seq, \
               coalesce(max(seq), 0) AS last \
               FROM book_main.entries e WHERE e.account_id = a.id \
             ) AS e WHERE (a.available, a.held, a.seq, a.seq) IS DISTINCT FROM \
             (e.available, e.held, e.seq, e.last)";
        self.admin.query_one(query, &[]).await.unwrap().get(0)
    }
}

async fn commit(replica: &Replica, change: Change) -> Result<CommitOutcome, StoreError> {
    let outcomes = replica.store.commit(vec![Commit::new(change)]).await;
    outcomes.map(|mut outcomes| outcomes.pop().unwrap())
}

#[track_caller]
fn status(outcome: Result<CommitOutcome, StoreError>) -> (Status, Option<Reason>) {
    match outcome {
        Ok(CommitOutcome::Committed(transfer)) => (transfer.status(), transfer.reason()),
        other => panic!("{other:?}"),
    }
}

/// Makes a transfer that nothing stands in the way of, once the replica may.
async fn make(replica: &Replica, change: Change) {
    until_ready(&replica.store).await;
    assert_eq!(status(commit(replica, change).await).1, None);
}

#[track_caller]
fn assert_standby(outcome: &Result<CommitOutcome, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Standby)), "{outcome:?}");
}

/// Commits what it makes until it is known where the book is held, which is elsewhere.
async fn until_turned_away(replica: &Replica, change: impl Fn() -> Change) {
    let turned_away = async {
        loop {
            match commit(replica, change()).await {
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                outcome => return outcome,
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, turned_away).await;
    assert_standby(&outcome.unwrap());
}

/// Commits what it makes until that is no longer refused because the book is held elsewhere.
async fn until_held(replica: &Replica, change: impl Fn() -> Change) {
    let taken_over = async {
        while let Err(error) = commit(replica, change()).await {
            assert!(matches!(error, StoreError::Standby), "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_waits_and_takes_over_when_the_holder_is_gone() {
    let book = Book::open().await;
    let user = book.ids.user();
    let first = book.replica(EngineKind::SingleWriter);
    make(&first, book.deposit(user, 10)).await;
    assert!(first.store.ready().await.is_ok());

    let second = book.replica(EngineKind::SingleWriter);
    until_turned_away(&second, || book.deposit(user, 10)).await;
    assert!(second.store.ready().await.is_err());
    // What moves no money works there too.
    let transfer = book.ids.transfer();
    assert!(second.store.find(transfer).await.unwrap().is_none());

    make(&first, book.deposit(user, 10)).await;
    first.end().await;
    until_held(&second, || book.deposit(user, 10)).await;
    assert!(second.store.ready().await.is_ok());
    assert_eq!(book.balance(user).await, "30");
    assert_eq!(book.faults().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shares_the_book_keeps_off_while_it_is_held_and_frees_it_afterwards() {
    let book = Book::open().await;
    let user = book.ids.user();
    let shared = book.replica(EngineKind::Shared);
    make(&shared, book.deposit(user, 1)).await;

    let single = book.replica(EngineKind::SingleWriter);
    make(&single, book.deposit(user, 10)).await;
    assert_standby(&commit(&shared, book.deposit(user, 100)).await);
    make(&single, book.deposit(user, 10)).await;
    assert_eq!(book.balance(user).await, "21");

    single.end().await;
    until_held(&shared, || book.deposit(user, 100)).await;
    assert_eq!(book.balance(user).await, "121");
    let holder = "SELECT holder IS NULL FROM book_main.writers";
    assert!(
        book.admin
            .query_one(holder, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
    assert_eq!(book.faults().await, 0);
}

/// Who wants the book alone waits for those that found it free, and sees what they have written.
#[tokio::test(flavor = "multi_thread")]
async fn the_book_is_taken_when_nobody_writes_it_any_more() {
    let book = Book::open().await;
    let user = book.ids.user();
    let shared = book.replica(EngineKind::Shared);
    make(&shared, book.deposit(user, 10)).await;
    // As a batch that found the book free and has not written yet.
    let other = client(&book.pool.url).await;
    let lock = "BEGIN; SELECT FROM book_main.accounts FOR NO KEY UPDATE";
    other.batch_execute(lock).await.unwrap();

    let single = book.replica(EngineKind::SingleWriter);
    book.until("SELECT holder IS NOT NULL FROM book_main.writers")
        .await;
    // Time to go on in, if it did not wait.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(single.store.ready().await.is_err());
    let take = "UPDATE book_main.accounts SET available = 5 WHERE owner_kind = 'user'; COMMIT";
    other.batch_execute(take).await.unwrap();
    until_ready(&single.store).await;
    let paid = commit(&single, book.payment(user, book.ids.user(), 10)).await;
    let refused = (Status::Rejected, Some(Reason::BalanceInsufficient));
    assert_eq!(status(paid), refused);
}

/// What is written in other databases of the server, or is not of accounts, is nobody's business here.
#[tokio::test(flavor = "multi_thread")]
async fn the_book_is_taken_whatever_else_is_written_meanwhile() {
    let book = Book::open().await;
    let elsewhere = TestDatabase::create().await;
    let mut others = vec![];
    for url in [book.pool.url.as_str(), elsewhere.url()] {
        let other = client(url).await;
        let write = "BEGIN; SELECT pg_current_xact_id(); TABLE book_main.accounts";
        other.batch_execute(write).await.unwrap();
        others.push(other);
    }
    let single = book.replica(EngineKind::SingleWriter);
    make(&single, book.deposit(book.ids.user(), 10)).await;
    for other in others {
        other.batch_execute("COMMIT").await.unwrap();
    }
}

/// Somebody has locked accounts and left.
#[tokio::test(flavor = "multi_thread")]
async fn the_book_is_taken_in_the_end_though_somebody_has_forgotten_a_transaction() {
    let mut book = Book::open().await;
    book.pool.statement_timeout_ms = 300;
    let lock = "BEGIN; LOCK TABLE book_main.accounts IN ROW SHARE MODE";
    book.run(lock).await;
    let single = book.replica(EngineKind::SingleWriter);
    until_ready(&single.store).await;
    let made = async {
        let change = book.deposit(book.ids.user(), 10);
        while commit(&single, change.clone()).await.is_err() {}
    };
    tokio::time::timeout(PATIENCE, made).await.unwrap();
}

/// Nobody writes an account by other lines than it has, whatever else has gone wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_by_other_lines_is_not_written() {
    let book = Book::open().await;
    let user = book.ids.user();
    let single = book.replica(EngineKind::SingleWriter);
    make(&single, book.deposit(user, 10)).await;
    // As a writer would that the holder does not know of.
    book.run("UPDATE book_main.accounts SET available = 70, seq = 2 WHERE owner_kind = 'user'")
        .await;
    let first = commit(&single, book.payment(user, book.ids.user(), 10_000)).await;
    // It is refused by what it remembers, fails, and is refused by what there is.
    let refused = (Status::Rejected, Some(Reason::BalanceInsufficient));
    assert_eq!(status(first), refused);
    assert_eq!(book.balance(user).await, "70");
    make(&single, book.payment(user, book.ids.user(), 70)).await;
    assert_eq!(book.balance(user).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_binds_what_is_in_memory() {
    let book = Book::open().await;
    let (sender, recipient) = (book.ids.user(), book.ids.user());
    let directory = PgDirectory::new(book.connections.clone(), book.clock.clone());
    let put = async |status| {
        let user = bursar_domain::User {
            status,
            ..build::user(sender)
        };
        let put = directory.put_user(user, draft()).await.unwrap();
        assert_eq!(put, PutUser::Written);
    };
    put(UserStatus::Active).await;
    let single = book.replica(EngineKind::SingleWriter);
    make(&single, book.deposit(sender, 100)).await;
    for _ in 0..3 {
        let paid = commit(&single, book.payment(sender, recipient, 1)).await;
        assert_eq!(status(paid), (Status::Success, None));
        put(UserStatus::Frozen).await;
        let refused = commit(&single, book.payment(sender, recipient, 1)).await;
        assert_eq!(status(refused).0, Status::Rejected);
        put(UserStatus::Active).await;
    }
    assert_eq!(book.balance(recipient).await, "3");
}

/// Somebody has taken the book while this replica had batches to write and did not know of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_overtaken_commits_nothing() {
    let book = Book::open().await;
    let user = book.ids.user();
    let single = book.replica(EngineKind::SingleWriter);
    make(&single, book.deposit(user, 10)).await;
    // Else it could take the free lock, and the book, again before the last of them.
    let claiming = book.claim_the_lock().await;
    let take = "UPDATE book_main.writers SET holder = gen_random_uuid(), epoch = epoch + 1";
    book.run(take).await;
    let deposits = (0..50).map(|_| commit(&single, book.deposit(user, 10)));
    for outcome in join_all(deposits).await {
        // Or that it is not known yet who holds the book, where to look takes seconds.
        let is_refused = matches!(
            outcome,
            Err(StoreError::Standby | StoreError::Unavailable(_))
        );
        assert!(is_refused, "{outcome:?}");
    }
    assert_eq!(book.balance(user).await, "10");
    let count = "SELECT count(*) FROM book_main.transfers";
    let transfers: i64 = book.admin.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(transfers, 1);
    // It has let go of the lock, and learns that somebody else has it.
    let claimed = tokio::time::timeout(PATIENCE, claiming).await;
    let _claimant = claimed.unwrap().unwrap();
    until_turned_away(&single, || book.deposit(user, 10)).await;
}

/// The connection that holds the lock is lost, and with it the lock. Nobody else wants the book.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lock_takes_the_book_again() {
    let book = Book::open().await;
    let user = book.ids.user();
    let single = book.replica(EngineKind::SingleWriter);
    let holder = "SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut expected = 0;
    for _ in 0..3 {
        for _ in 0..20 {
            make(&single, book.deposit(user, 1)).await;
            expected += 1;
        }
        let lost: i32 = book.admin.query_one(holder, &[]).await.unwrap().get(0);
        book.run(&format!("SELECT pg_terminate_backend({lost})"))
            .await;
        book.until(&format!("SELECT coalesce(({holder}) <> {lost}, false)"))
            .await;
    }
    assert_eq!(book.balance(user).await, expected.to_string());
    assert_eq!(book.faults().await, 0);
}

/// Payments that each need the one before, from many at once, while others fail by themselves and
/// take those behind them along.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_takes_nobody_else_down() {
    let book = Book::open().await;
    let users: Vec<UserId> = (0..10).map(|_| book.ids.user()).collect();
    let single = book.replica(EngineKind::SingleWriter);
    for user in &users {
        make(&single, book.deposit(*user, 1_000)).await;
    }
    // Some rows cannot be written: a batch that has one of them is split until it is alone.
    book.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN RAISE EXCEPTION 'no'; END$$; \
         CREATE TRIGGER refuse_tg BEFORE INSERT ON book_main.transfers FOR EACH ROW \
         WHEN (NEW.amount = 7) EXECUTE FUNCTION refuse()",
    )
    .await;
    let payments = (0..400_usize).map(|number| {
        let (from, to) = (users[number % 10], users[(number + 1) % 10]);
        let units = if number % 50 == 49 { 7 } else { 1 };
        commit(&single, book.payment(from, to, units))
    });
    let outcomes = join_all(payments).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        if number % 50 == 49 {
            let poison = matches!(outcome, Err(StoreError::Unavailable(_)));
            assert!(poison, "{outcome:?}");
        } else {
            assert_eq!(status(outcome), (Status::Success, None), "{number}");
        }
    }
    assert_eq!(book.faults().await, 0);
    let sum = "SELECT sum(available)::text FROM book_main.accounts";
    let sum: String = book.admin.query_one(sum, &[]).await.unwrap().get(0);
    assert_eq!(sum, "0");
}
