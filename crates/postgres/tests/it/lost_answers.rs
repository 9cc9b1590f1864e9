//! The answer to COMMIT gets lost: the engine finds out what is true by trying again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bursar_domain::{
    Asset, Bulk, BulkClaim, BulkMode, Change, Commit, ItemResult, NewTransfer, Reason, Status,
    Transfer, TransferId, UserId,
};
use bursar_ports::{BulkOutcome, CommitOutcome, TransferStore};
use bursar_postgres::{
    Database, EngineConfig, EngineKind, PgStore, PoolConfig, testing::TestDatabase,
};
use bursar_testkit::{FixedClock, SequentialIds, build};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::support::with_usd;

/// Stands between the engine and PostgreSQL and eats answers to COMMIT while it is armed.
struct AckEater {
    url: String,
    armed: Arc<AtomicUsize>,
    eaten: Arc<AtomicUsize>,
}

impl AckEater {
    async fn start(upstream: &str) -> Self {
        let (head, rest) = upstream.split_once('@').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{head}@{}/{database}", listener.local_addr().unwrap());
        let (armed, eaten) = (Arc::default(), Arc::default());
        let proxy = Self {
            url,
            armed: Arc::clone(&armed),
            eaten: Arc::clone(&eaten),
        };
        let address = address.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                tokio::spawn(relay(
                    from_server,
                    to_client,
                    Arc::clone(&armed),
                    Arc::clone(&eaten),
                ));
            }
        });
        proxy
    }

    /// Eats the next `count` answers.
    fn arm(&self, count: usize) {
        self.armed.store(count, Ordering::SeqCst);
    }
}

/// Passes the server's messages on, one by one, until an answer to COMMIT is to be eaten; then both
/// directions end.
async fn relay(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    armed: Arc<AtomicUsize>,
    eaten: Arc<AtomicUsize>,
) {
    while let Ok(kind) = from.read_u8().await {
        let length = from.read_u32().await.unwrap();
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        from.read_exact(&mut body).await.unwrap();
        let is_commit = kind == b'C' && body == b"COMMIT\0";
        let take = |left: usize| left.checked_sub(1);
        if is_commit
            && armed
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
        {
            eaten.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let message = [&[kind][..], &length.to_be_bytes(), &body].concat();
        if to.write_all(&message).await.is_err() {
            return;
        }
    }
}

/// A store behind the proxy, and two users, the first of whom has money.
struct Stage {
    store: PgStore,
    proxy: AckEater,
    admin: tokio_postgres::Client,
    asset: Asset,
    ids: SequentialIds,
    sender: UserId,
    recipient: UserId,
    // Last: nothing may use it when it is dropped.
    _database: TestDatabase,
}

impl Stage {
    async fn set(kind: EngineKind) -> Self {
        let database = TestDatabase::create().await;
        let proxy = AckEater::start(database.url()).await;
        let admin = with_usd(&database).await;
        let asset = build::asset("usd", 2);

        let clock = Arc::new(FixedClock::default());
        let ids = SequentialIds::default();
        let direct = Database::connect(PoolConfig::new(database.url()))
            .await
            .unwrap();
        // One batcher, connected by the first deposit: what is eaten is the answer to money's
        // COMMIT.
        let config = EngineConfig {
            kind,
            batchers: 1,
            ..EngineConfig::default()
        };
        let (store, _tasks) = PgStore::start(&PoolConfig::new(&proxy.url), direct, &config, clock);
        let (sender, recipient) = (ids.user(), ids.user());
        let stage = Self {
            store,
            proxy,
            admin,
            asset,
            ids,
            sender,
            recipient,
            _database: database,
        };
        let fund = build::deposit(stage.transfer(1_000), sender).settled_at_once();
        committed(&stage.store, Commit::new(fund)).await;
        // Both have an account before anything is eaten.
        committed(&stage.store, Commit::new(stage.payment(1))).await;
        stage
    }

    fn transfer(&self, units: i128) -> NewTransfer {
        let id = self.ids.transfer();
        build::new_transfer(id, &self.asset, units, FixedClock::START)
    }

    fn payment(&self, units: i128) -> Change {
        build::internal(self.transfer(units), self.sender, self.recipient).settled_at_once()
    }

    /// Eats the answers to the next commits; asserts afterwards that it did.
    async fn eating<T>(&self, answers: usize, work: impl Future<Output = T>) -> T {
        let eaten = self.proxy.eaten.load(Ordering::SeqCst);
        self.proxy.arm(answers);
        let done = work.await;
        let eaten = self.proxy.eaten.load(Ordering::SeqCst) - eaten;
        assert_eq!(eaten, answers, "answers that were lost");
        done
    }

    /// What the recipient has, the number of its entries, and of all transfers.
    async fn outcome(&self) -> (String, i64, i64) {
        let row = self
            .admin
            .query_one(
                "SELECT a.available::text, a.seq, (SELECT count(*) FROM book_main.transfers) \
                 FROM book_main.accounts a WHERE a.owner = $1::text::uuid",
                &[&self.recipient.to_string()],
            )
            .await
            .unwrap();
        (row.get(0), row.get(1), row.get(2))
    }
}

async fn what_was_committed_without_an_answer_is_found_out_and_not_done_twice(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    for round in 0..20 {
        let payment = stage.payment(1);
        let commit = if round % 2 == 0 {
            Commit::new(payment)
        } else {
            let claim = build::claim("sender", "pay", &format!("key-{round}"), &[]);
            build::keyed(payment, claim)
        };
        // Sometimes an answer to the second try gets lost as well.
        let lost = committed(&stage.store, commit);
        stage.eating(1 + round % 3 / 2, lost).await;
    }
    assert_eq!(stage.outcome().await, ("21".to_owned(), 21, 22));
}

/// Each way a bulk can come out, with its answer lost and nothing done twice.
async fn a_bulk_without_an_answer_is_found_out_and_not_done_twice(kind: EngineKind) {
    let stage = Stage::set(kind).await;
    let mut paid = 1;
    for round in 0..12 {
        let mode = if round % 2 == 0 {
            BulkMode::Independent
        } else {
            BulkMode::Atomic
        };
        let changes: Vec<Change> = (0..5).map(|_| stage.payment(2)).collect();
        let has_key = round % 4 < 2;
        let idempotency = has_key.then(|| claim_on(&format!("key-{round}"), &changes));
        let bulk = Bulk {
            changes,
            mode,
            unable_max: None,
            idempotency,
        };
        let ids: Vec<TransferId> = bulk.changes.iter().map(|change| change.next.id()).collect();
        let lost = stage.store.commit_bulk(bulk);
        let outcome = stage.eating(1 + round % 3 / 2, lost).await;
        let Ok(BulkOutcome::Committed(transfers)) = outcome else {
            panic!("round {round}: {outcome:?}");
        };
        let made: Vec<TransferId> = transfers.iter().map(Transfer::id).collect();
        assert_eq!(made, ids);
        assert!(transfers.iter().all(|t| t.status() == Status::Success));
        paid += 10;
    }
    // The refusal of an atomic bulk is committed with its key, and its answer lost too.
    let changes = vec![stage.payment(1), stage.payment(1_000_000)];
    let bulk = Bulk {
        idempotency: Some(claim_on("refused", &changes)),
        changes,
        mode: BulkMode::Atomic,
        unable_max: None,
    };
    let refused = stage.eating(1, stage.store.commit_bulk(bulk)).await;
    let told = BulkOutcome::Refused {
        reasons: vec![None, Some(Reason::BalanceInsufficient)],
        recipients_unable: 0,
    };
    assert_eq!(refused.unwrap(), told);
    assert_eq!(stage.outcome().await, (paid.to_string(), 61, 62));
}

fn claim_on(key: &str, changes: &[Change]) -> BulkClaim {
    let made = changes.iter().map(|change| change.next.id());
    BulkClaim {
        claim: build::claim("sender", "bulk", key, &[]),
        results: made.map(ItemResult::Made).collect(),
    }
}

async fn committed(store: &PgStore, commit: Commit) {
    let id = commit.change.next.id();
    let outcome = store.commit(vec![commit]).await.unwrap().pop().unwrap();
    let CommitOutcome::Committed(transfer) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(transfer.id(), id);
    assert!(matches!(
        transfer.status(),
        Status::Success | Status::Completed
    ));
}

crate::support::with_both_engines!(
    "multi_thread" what_was_committed_without_an_answer_is_found_out_and_not_done_twice,
    "multi_thread" a_bulk_without_an_answer_is_found_out_and_not_done_twice,
);
