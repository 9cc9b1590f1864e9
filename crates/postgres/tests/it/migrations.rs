//! Migrations are applied once, whoever asks and how often.

use bursar_postgres::{
    MigrateError, MigrationState, migrate, migration_state, testing::TestDatabase,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

#[tokio::test]
async fn an_empty_database_is_brought_up_to_date_once() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let state = migration_state(database.url()).await.unwrap();
    assert!(matches!(state, MigrationState::Behind { .. }), "{state:?}");
    migrate(database.url()).await.unwrap();
    migrate(database.url()).await.unwrap();
    assert_eq!(
        migration_state(database.url()).await.unwrap(),
        MigrationState::Current
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_together() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { migrate(&url).await })
        })
        .collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(
        migration_state(database.url()).await.unwrap(),
        MigrationState::Current
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = TestDatabase::create().await;
    let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
        .await
        .unwrap();
    let unknown = vec!["99991231000000".to_owned()];
    let state = migration_state(database.url()).await.unwrap();
    assert_eq!(state, MigrationState::Ahead { unknown });
    assert!(matches!(
        migrate(database.url()).await,
        Err(MigrateError::Ahead { .. })
    ));
}

#[tokio::test]
async fn a_database_out_of_reach_is_an_error() {
    let error = migrate("postgres://nobody@127.0.0.1:1/none")
        .await
        .unwrap_err();
    assert!(matches!(error, MigrateError::Connect(_)), "{error:?}");
}
