//! How callbacks fare: of what waits up to a number, of what was tried the latest.

use bursar_domain::Timestamp;
use bursar_ports::{CallbackLag, HostHealth, StoreError};
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{BigInt, Integer, Nullable, Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::count;
use crate::{error::unavailable, value::At};

/// Of the latest 500 callbacks those that were delivered and not replayed tell how long it takes, from
/// being due first to the receiver's answer.
pub(super) const LAG: &str = "WITH latest AS ( \
      SELECT id, created_at, made_at, state, replayed_at FROM book_main.callbacks \
      ORDER BY created_at DESC, id DESC LIMIT 500 \
    ), taken AS ( \
      SELECT (1000 * extract(epoch FROM a.at - coalesce(c.made_at, c.created_at)))::bigint + a.duration_ms AS ms \
      FROM latest AS c CROSS JOIN LATERAL ( \
        SELECT at, duration_ms FROM book_main.callback_attempts \
        WHERE callback_id = c.id ORDER BY attempt DESC LIMIT 1) AS a \
      WHERE c.state = 'succeeded' AND c.replayed_at IS NULL \
    ), quantiles AS ( \
      SELECT count(*)::int AS sample, \
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ms) AS ms FROM taken \
    ) \
    SELECT sample, ms[1] AS p50_ms, ms[2] AS p95_ms, \
      (SELECT count(*) FROM (SELECT 1 FROM book_main.callbacks \
        WHERE state = 'pending' LIMIT 10000) AS counted)::int AS pending, \
      (SELECT next_attempt_at FROM book_main.callbacks \
        WHERE state = 'pending' AND next_attempt_at <= $1 \
        ORDER BY next_attempt_at LIMIT 1) AS oldest_due \
    FROM quantiles";

/// What waits is counted of the 10,000 that have been due for longest, dead letters of the latest
/// 10,000. What was tried is told of the latest callbacks, the latest dead letters, and what has waited
/// for longest, so that a host that takes nothing is seen too.
pub(super) const HOSTS: &str = "WITH waiting AS ( \
      SELECT id, host, coalesce(made_at, created_at) AS created_at, next_attempt_at \
      FROM book_main.callbacks WHERE state = 'pending' ORDER BY next_attempt_at LIMIT 10000 \
    ), dead AS ( \
      SELECT id, host, created_at FROM book_main.callbacks \
      WHERE state = 'dead' ORDER BY created_at DESC, id DESC LIMIT 10000 \
    ), latest AS ( \
      (SELECT id, host FROM book_main.callbacks ORDER BY created_at DESC, id DESC LIMIT 2000) \
      UNION (SELECT id, host FROM dead ORDER BY created_at DESC, id DESC LIMIT 500) \
      UNION (SELECT id, host FROM waiting ORDER BY next_attempt_at LIMIT 500) \
    ), tried AS ( \
      SELECT c.host, a.at, a.outcome, a.outcome = 'delivered' AS arrived \
      FROM latest AS c CROSS JOIN LATERAL ( \
        SELECT at, outcome FROM book_main.callback_attempts \
        WHERE callback_id = c.id ORDER BY attempt DESC LIMIT 3) AS a \
    ), hosts AS ( \
      SELECT host, 1 AS pending, 0 AS dead, created_at AS oldest, NULL::timestamptz AS success, \
        NULL::timestamptz AS failure, NULL AS outcome FROM waiting \
      UNION ALL SELECT host, 0, 1, NULL, NULL, NULL, NULL FROM dead \
      UNION ALL SELECT host, 0, 0, NULL, CASE WHEN arrived THEN at END, \
        CASE WHEN NOT arrived THEN at END, CASE WHEN NOT arrived THEN outcome END FROM tried \
    ) \
    SELECT host, sum(pending)::int AS pending, sum(dead)::int AS dead, \
      min(oldest) AS oldest_pending, max(success) AS last_success, max(failure) AS last_failure, \
      (array_agg(outcome ORDER BY failure DESC) FILTER (WHERE failure IS NOT NULL))[1] \
        AS last_failure_outcome \
    FROM hosts WHERE host <> '' GROUP BY host ORDER BY host";

#[derive(QueryableByName)]
struct LagRow {
    #[diesel(sql_type = Integer)]
    sample: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    p50_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    p95_ms: Option<i64>,
    #[diesel(sql_type = Integer)]
    pending: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_due: Option<At>,
}

pub(super) async fn lag(
    connection: &mut AsyncPgConnection,
    now: Timestamp,
) -> Result<CallbackLag, StoreError> {
    let row: LagRow = sql_query(LAG)
        .bind::<Timestamptz, _>(At(now))
        .get_result(connection)
        .await
        .map_err(unavailable)?;
    Ok(CallbackLag {
        pending: count(row.pending),
        oldest_due: row.oldest_due.map(Timestamp::from),
        sample: count(row.sample),
        p50_ms: row.p50_ms,
        p95_ms: row.p95_ms,
    })
}

#[derive(QueryableByName)]
struct HostRow {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Integer)]
    pending: i32,
    #[diesel(sql_type = Integer)]
    dead: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest_pending: Option<At>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_success: Option<At>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_failure: Option<At>,
    #[diesel(sql_type = Nullable<Text>)]
    last_failure_outcome: Option<String>,
}

pub(super) async fn hosts(
    connection: &mut AsyncPgConnection,
) -> Result<Vec<HostHealth>, StoreError> {
    let rows: Vec<HostRow> = sql_query(HOSTS)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let health = rows.into_iter().map(|row| HostHealth {
        host: row.host,
        pending: count(row.pending),
        dead: count(row.dead),
        oldest_pending: row.oldest_pending.map(Timestamp::from),
        last_success: row.last_success.map(Timestamp::from),
        last_failure: row.last_failure.map(Timestamp::from),
        last_failure_outcome: row.last_failure_outcome,
    });
    Ok(health.collect())
}
