//! The answer to COMMIT gets lost: the engine finds out what is true by trying again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bursar_domain::{Commit, Status};
use bursar_ports::{CommitOutcome, TransferStore};
use bursar_postgres::{Database, EngineConfig, PgStore, PoolConfig, testing::TestDatabase};
use bursar_testkit::{FixedClock, SequentialIds, build};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_postgres::NoTls;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_without_an_answer_is_found_out_and_not_done_twice() {
    let database = TestDatabase::create().await;
    let proxy = AckEater::start(database.url()).await;
    let (admin, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let asset = build::asset("usd", 2);
    let insert = "INSERT INTO book_main.assets VALUES ('usd', 'usd', 2, true, true, true)";
    admin.execute(insert, &[]).await.unwrap();

    let clock = Arc::new(FixedClock::default());
    let ids = SequentialIds::default();
    let direct = Database::connect(PoolConfig::new(database.url()))
        .await
        .unwrap();
    // One batcher, connected by the first deposit: what is eaten is the answer to money's COMMIT.
    let config = EngineConfig {
        batchers: 1,
        ..EngineConfig::default()
    };
    let (store, _tasks) = PgStore::start(&PoolConfig::new(&proxy.url), direct, &config, clock);
    let (sender, recipient) = (ids.user(), ids.user());
    let new = |units| build::new_transfer(ids.transfer(), &asset, units, FixedClock::START);
    let fund = build::deposit(new(1_000), sender).settled_at_once();
    committed(&store, Commit::new(fund)).await;

    for round in 0..20 {
        let payment = build::internal(new(1), sender, recipient).settled_at_once();
        let commit = if round % 2 == 0 {
            Commit::new(payment)
        } else {
            let claim = build::claim("sender", "pay", &format!("key-{round}"), &[]);
            build::keyed(payment, claim)
        };
        // Sometimes the answer to the second try gets lost as well.
        proxy.arm(1 + round % 3 / 2);
        committed(&store, commit).await;
        assert_eq!(
            proxy.armed.load(Ordering::SeqCst),
            0,
            "nothing was eaten in round {round}"
        );
    }

    let row = admin
        .query_one(
            "SELECT a.available::text, a.seq, (SELECT count(*) FROM book_main.transfers) \
             FROM book_main.accounts a WHERE a.owner = $1::text::uuid",
            &[&recipient.to_string()],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("20", 20));
    assert_eq!(row.get::<_, i64>(2), 21);
    assert!(proxy.eaten.load(Ordering::SeqCst) >= 20);
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
