//! A server, or the way to it, that says nothing any more: look-ups end all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bursar_ports::{Directory, StoreError, TransferFilter, TransferQuery};
use bursar_postgres::{Database, PgDirectory, PgQuery, PoolConfig, testing::TestDatabase};
use bursar_testkit::FixedClock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

use crate::support::user_id;

/// Stands before PostgreSQL; what it is told while it is muted gets lost, and the connection stays.
async fn mutable(upstream: &str, muted: Arc<AtomicBool>) -> String {
    let (head, rest) = upstream.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{head}@{}/{database}", listener.local_addr().unwrap());
    let address = address.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            let muted = Arc::clone(&muted);
            tokio::spawn(async move {
                let mut said = vec![0; 65_536];
                let mut silent = false;
                while let Ok(length @ 1..) = from_server.read(&mut said).await {
                    silent |= muted.load(Ordering::SeqCst);
                    if !silent && to_client.write_all(&said[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_ends_although_nobody_answers_and_the_connection_is_given_up() {
    let database = TestDatabase::create().await;
    let muted = Arc::new(AtomicBool::default());
    let url = mutable(database.url(), Arc::clone(&muted)).await;
    let config = PoolConfig {
        connections_max: 1,
        lookups_max: 1,
        statement_timeout_ms: 200,
        ..PoolConfig::new(url)
    };
    let connections = Database::connect(config).await.unwrap();
    let query = PgQuery::new(connections.clone());
    let directory = PgDirectory::new(connections, Arc::new(FixedClock::default()));
    let filter = TransferFilter {
        limit: 1,
        ..TransferFilter::default()
    };
    query.list_transfers(filter.clone()).await.unwrap();
    for user in [1, 2] {
        muted.store(true, Ordering::SeqCst);
        let asked = async {
            if user == 1 {
                query.list_transfers(filter.clone()).await.map(drop)
            } else {
                directory.find_user(user_id(user)).await.map(drop)
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(30), asked).await;
        let answer = answer.expect("it waits for ever");
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
        // The only connection is not the silent one any more.
        muted.store(false, Ordering::SeqCst);
        query.list_transfers(filter.clone()).await.unwrap();
    }
}
