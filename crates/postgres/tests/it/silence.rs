//! A server, or the way to it, that says nothing any more: look-ups end all the same.

use std::{sync::Arc, time::Duration};

use bursar_ports::{Directory, StoreError, TransferFilter, TransferQuery};
use bursar_postgres::{
    Database, PgDirectory, PgQuery, PoolConfig,
    testing::{TestDatabase, WireProxy},
};
use bursar_testkit::FixedClock;

use crate::support::user_id;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_ends_although_nobody_answers_and_the_connection_is_given_up() {
    let database = TestDatabase::create().await;
    let proxy = WireProxy::start(database.url()).await;
    let config = PoolConfig {
        connections_max: 1,
        lookups_max: 1,
        statement_timeout_ms: 200,
        ..PoolConfig::new(proxy.url(database.url()))
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
        proxy.silence_all(true);
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
        proxy.silence_all(false);
        query.list_transfers(filter.clone()).await.unwrap();
    }
}
