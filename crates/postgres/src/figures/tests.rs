use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use super::*;
use crate::{explain::read_by, pool::PoolConfig, testing::TestDatabase};

/// Transfers and callbacks of which few wait or are dead, hourly sums of a year, and a long journal.
const BOOKS: &str = "SET search_path = book_main; \
    INSERT INTO transfers (id, version, kind, state, asset, scale, amount, fee, user_id, created_by, \
      root_asset, root_scale, root_rate, created_at, updated_at, entry_refs, stage) \
    SELECT n, 1, 'withdrawal', CASE WHEN n % 500 < 2 THEN 'AwaitingConfirmation' ELSE 'Completed' END, \
      'btc', 8, n, 0, gen_random_uuid(), 'somebody', 'usd', 2, 1.5, \
      timestamptz '2026-01-01Z' + n * interval '1 minute', \
      timestamptz '2026-01-01Z' + n * interval '1 minute', '{}', \
      CASE WHEN n % 500 = 1 THEN 'approval' END \
    FROM generate_series(1, 60000) AS n; \
    INSERT INTO callbacks (id, transfer_id, operation, url, url_digest, status, state, attempts, \
      created_at, next_attempt_at, subscriber, host, queued) \
    SELECT gen_random_uuid(), n, 'create', 'https://a.example', '', 'Completed', state, 1, \
      timestamptz '2026-01-01Z' + n * interval '1 minute', \
      CASE state WHEN 'pending' THEN timestamptz '2026-06-01Z' END, 'client:a', 'a.example:443', \
      state = 'pending' \
    FROM (SELECT n, CASE n % 300 WHEN 0 THEN 'dead' WHEN 1 THEN 'pending' ELSE 'succeeded' END \
      AS state FROM generate_series(1, 60000) AS n) AS drawn; \
    INSERT INTO callback_attempts (callback_id, attempt, at, duration_ms, outcome) \
    SELECT id, 1, created_at, 5, 'delivered' FROM callbacks; \
    INSERT INTO hourly_volumes (hour, asset, kind, count, amount) \
    SELECT timestamptz '2026-01-01Z' + h * interval '1 hour', 'asset' || a, kind, 1, 1 \
    FROM generate_series(1, 8000) AS h, generate_series(1, 4) AS a, \
      unnest(ARRAY['deposit', 'internal']) AS kind; \
    INSERT INTO journal (id, topic, locked_at, transfer_ids, versions, states, ats, count, \
      first_number) \
    SELECT gen_random_uuid(), 'transfers', now(), ARRAY[n], '{1}', '{Completed}', ARRAY[now()], 1, n \
    FROM generate_series(1, 60000) AS n";

async fn books() -> (TestDatabase, AsyncPgConnection) {
    let database = TestDatabase::create().await;
    let mut filling = AsyncPgConnection::establish(database.url()).await.unwrap();
    filling.batch_execute(BOOKS).await.unwrap();
    filling.batch_execute("VACUUM ANALYZE").await.unwrap();
    let config = PoolConfig::new(database.url());
    let connection = config.connect_for_reading().await.unwrap();
    (database, connection)
}

#[tokio::test]
async fn no_figure_reads_a_table_from_end_to_end() {
    let (_database, mut connection) = books().await;
    let now = At(Timestamp::parse("2026-07-01T00:00:00Z").unwrap());
    let read = read_by(&mut connection, sql_query(WAITING)).await;
    let indexes = [
        "callbacks_dead_idx",
        "transfers_open_value_idx",
        "transfers_others_idx",
        "transfers_stage_idx",
    ];
    assert_eq!(read, indexes);
    let lag = sql_query(callbacks::LAG).bind::<Timestamptz, _>(now);
    let read = read_by(&mut connection, lag).await;
    let indexes = [
        "callback_attempts_callback_id_attempt_pk",
        "callbacks_due_idx",
        "callbacks_list_idx",
    ];
    assert_eq!(read, indexes);
    let read = read_by(&mut connection, sql_query(callbacks::HOSTS)).await;
    let indexes = [
        "callback_attempts_callback_id_attempt_pk",
        "callbacks_dead_idx",
        "callbacks_due_idx",
        "callbacks_list_idx",
    ];
    assert_eq!(read, indexes);
}

#[tokio::test]
async fn a_period_reads_its_hours_and_a_chunk_its_transfers() {
    let (_database, mut connection) = books().await;
    let from = At(Timestamp::parse("2026-11-25T00:00:00Z").unwrap());
    let volumes = sql_query(VOLUMES)
        .bind::<Timestamptz, _>(from)
        .bind::<BigInt, _>(1);
    let read = read_by(&mut connection, volumes).await;
    assert_eq!(read, ["hourly_volumes_hour_asset_kind_pk"]);
    let fold = sql_query(summary::FOLD)
        .bind::<BigInt, _>(50_000)
        .bind::<BigInt, _>(128);
    let mut read = read_by(&mut connection, fold).await;
    // A table of two rows, which is read however the planner likes.
    read.retain(|one| !one.starts_with("sequencers"));
    assert_eq!(read, ["journal_first_number_uq", "transfers_id_pk"]);
}
