//! Each test has a database of its own.

use bursar_postgres::{MigrationState, migration_state, testing::TestDatabase};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

#[tokio::test]
async fn a_test_database_is_migrated_and_nobody_elses() {
    let (one, two) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    assert_ne!(one.name(), two.name());
    assert_eq!(
        migration_state(one.url()).await.unwrap(),
        MigrationState::Current
    );
    let mut first = AsyncPgConnection::establish(one.url()).await.unwrap();
    first
        .batch_execute("CREATE TABLE only_here ()")
        .await
        .unwrap();
    let mut second = AsyncPgConnection::establish(two.url()).await.unwrap();
    assert!(second.batch_execute("TABLE only_here").await.is_err());
}

#[tokio::test]
async fn a_test_database_goes_with_its_value() {
    let database = TestDatabase::create().await;
    let url = database.url().to_owned();
    let _still_connected = AsyncPgConnection::establish(&url).await.unwrap();
    drop(database);
    assert!(AsyncPgConnection::establish(&url).await.is_err());

    let database = TestDatabase::create().await;
    let url = database.url().to_owned();
    database.close().await.unwrap();
    assert!(AsyncPgConnection::establish(&url).await.is_err());
}
