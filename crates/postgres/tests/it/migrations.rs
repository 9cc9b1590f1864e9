//! Migrations are applied once, whoever asks and how often.

use std::time::Duration;

use bursar_postgres::{
    MigrateError, MigrationState, migrate, migration_state, migrations::TURN, testing::TestDatabase,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

use crate::{
    roles::as_owner,
    support::{run, texts},
};

/// A migration that wants a lock on the table of transfers is not applied yet.
const INDEX_PENDING: &str = "DROP INDEX book_main.transfers_open_value_idx; \
    DELETE FROM __diesel_schema_migrations WHERE version = '20261128000024'";
/// What a payment takes of that table.
const WRITE: &str = "LOCK TABLE book_main.transfers IN ROW EXCLUSIVE MODE";

/// Returns when the query answers something.
async fn until_some(connection: &mut AsyncPgConnection, query: &str) {
    let wait = async {
        while texts(connection, query).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .expect(query);
}

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

#[tokio::test]
async fn money_passes_a_migration_that_waits_for_a_lock() {
    let database = TestDatabase::create().await;
    let mut holder = AsyncPgConnection::establish(database.url()).await.unwrap();
    let mut payment = AsyncPgConnection::establish(database.url()).await.unwrap();
    run(&mut holder, INDEX_PENDING).await;
    run(&mut holder, &format!("BEGIN; {WRITE}")).await;
    let url = database.url().to_owned();
    let migrating = tokio::spawn(async move { migrate(&url).await });
    let waits = "SELECT pid::text FROM pg_locks WHERE NOT granted \
                 AND relation = 'book_main.transfers'::regclass";
    // It comes back, and each time who comes after it goes on although the holder does not.
    for _ in 0..3 {
        until_some(&mut payment, waits).await;
        let pay = format!("BEGIN; SET LOCAL lock_timeout = '20s'; {WRITE}; COMMIT");
        run(&mut payment, &pay).await;
    }
    assert!(!migrating.is_finished());
    run(&mut holder, "COMMIT").await;
    migrating.await.unwrap().unwrap();
    assert_eq!(
        migration_state(database.url()).await.unwrap(),
        MigrationState::Current
    );
}

#[tokio::test]
async fn a_migration_that_is_refused_is_not_tried_for_minutes() {
    let database = TestDatabase::create().await;
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    let (_, forgotten) = INDEX_PENDING.split_once("; ").unwrap();
    run(&mut owner, forgotten).await;
    let refused = migrate(database.url()).await;
    assert!(
        matches!(&refused, Err(MigrateError::Failed { version, .. }) if version == "20261128000024"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_process_migrates_and_the_others_wait_outside_a_transaction() {
    let database = TestDatabase::create().await;
    let mut first = AsyncPgConnection::establish(database.url()).await.unwrap();
    run(&mut first, INDEX_PENDING).await;
    run(&mut first, &format!("SELECT pg_advisory_lock({TURN})")).await;
    let url = database.url().to_owned();
    let second = tokio::spawn(async move { migrate(&url).await });
    let asking = "SELECT query_start::text FROM pg_stat_activity WHERE state = 'idle' \
                  AND datname = current_database() AND query LIKE '%pg_try_advisory_lock%' \
                  AND pid <> pg_backend_pid()";
    until_some(&mut first, asking).await;
    let once = texts(&mut first, asking).await.join("");
    until_some(
        &mut first,
        &format!("{asking} AND query_start::text <> '{once}'"),
    )
    .await;
    let state = migration_state(database.url()).await.unwrap();
    assert!(matches!(state, MigrationState::Behind { .. }), "{state:?}");
    drop(first);
    second.await.unwrap().unwrap();
}

/// As `CREATE INDEX CONCURRENTLY` leaves one that it could not build to its end.
#[tokio::test]
async fn an_index_that_a_failed_try_has_left_is_in_nobodys_way() {
    let database = TestDatabase::create().await;
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    let (_, forgotten) = INDEX_PENDING.split_once("; ").unwrap();
    run(&mut admin, forgotten).await;
    let index = "indexrelid = 'book_main.transfers_open_value_idx'::regclass";
    let invalid = format!("UPDATE pg_index SET indisvalid = false WHERE {index}");
    run(&mut admin, &invalid).await;
    migrate(database.url()).await.unwrap();
    let valid = format!("SELECT indisvalid::text FROM pg_index WHERE {index}");
    assert_eq!(texts(&mut admin, &valid).await, ["true"]);
}

/// Whether parts of names have an index.
async fn has_name_parts(owner: &mut AsyncPgConnection) -> bool {
    let index = "SELECT indexname::text FROM pg_indexes WHERE indexname = 'users_name_parts_idx'";
    !texts(owner, index).await.is_empty()
}

/// Whether this server has what the index is made with; without it there is nothing to be refused.
async fn assert_trigrams(owner: &mut AsyncPgConnection) {
    let there = "SELECT name::text FROM pg_available_extensions WHERE name = 'pg_trgm'";
    assert_eq!(texts(owner, there).await, ["pg_trgm"]);
}

#[tokio::test]
async fn a_server_that_refuses_the_extension_for_whatever_reason_is_migrated_without() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let mut owner = AsyncPgConnection::establish(database.url()).await.unwrap();
    assert_trigrams(&mut owner).await;
    // As where extensions are to be allow-listed.
    let refusing = "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ \
            BEGIN RAISE EXCEPTION 'not allow-listed' USING ERRCODE = '0A000'; END $$; \
        CREATE EVENT TRIGGER refuse_tg ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') \
            EXECUTE FUNCTION public.refuse()";
    run(&mut owner, refusing).await;
    migrate(database.url()).await.unwrap();
    assert!(!has_name_parts(&mut owner).await);
}

#[tokio::test]
async fn an_extension_that_may_not_be_used_is_done_without() {
    let database = TestDatabase::try_create_empty().await.unwrap();
    let mut admin = AsyncPgConnection::establish(database.url()).await.unwrap();
    assert_trigrams(&mut admin).await;
    run(
        &mut admin,
        "CREATE SCHEMA others; CREATE EXTENSION pg_trgm WITH SCHEMA others",
    )
    .await;
    let url = as_owner(&database).await;
    migrate(&url).await.unwrap();
    assert!(!has_name_parts(&mut admin).await);
}

#[tokio::test]
async fn an_index_waits_for_its_lock_also_where_it_could_be_done_without() {
    let database = TestDatabase::create().await;
    let mut holder = AsyncPgConnection::establish(database.url()).await.unwrap();
    assert_trigrams(&mut holder).await;
    let pending = "DROP INDEX directory.users_name_parts_idx; \
        DELETE FROM __diesel_schema_migrations WHERE version = '20261128000027'";
    run(&mut holder, pending).await;
    let hold = "BEGIN; LOCK TABLE directory.users IN ROW EXCLUSIVE MODE";
    run(&mut holder, hold).await;
    let url = database.url().to_owned();
    let migrating = tokio::spawn(async move { migrate(&url).await });
    let waits = "SELECT pid::text FROM pg_locks WHERE NOT granted \
                 AND relation = 'directory.users'::regclass";
    let gone = "SELECT 'gone' WHERE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted \
                AND relation = 'directory.users'::regclass)";
    for seen in [waits, gone, waits] {
        until_some(&mut holder, seen).await;
    }
    run(&mut holder, "COMMIT").await;
    migrating.await.unwrap().unwrap();
    assert!(has_name_parts(&mut holder).await);
}
