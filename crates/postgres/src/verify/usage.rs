//! Reading what is recorded as used of limits, and the transfers that used them.

use bursar_ports::StoreError;
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{Array, BigInt, Numeric, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::{error::unavailable, proof::UsageFacts, value::Figure};

/// How many rows are read at once; each comes with all that it sums up.
const PAGE: i64 = 100;

/// The next rows after a place, by user, kind and asset, with the transfers that count. Rows of
/// limits that count nothing any more, or of an earlier epoch, are counted anew before anybody looks at
/// them, and say nothing.
const READ_USAGE: &str = "/* verify_usage */ \
    SELECT u.user_id, u.kind, u.asset, u.times, u.amounts, c.moved_at, c.moved, \
        (extract(epoch FROM now()) * 1000000)::bigint AS now \
    FROM limit_usage AS u JOIN limits AS l USING (kind, asset, epoch) \
    CROSS JOIN LATERAL (SELECT \
        coalesce(array_agg((extract(epoch FROM t.created_at) * 1000000)::bigint \
            ORDER BY t.created_at), '{}') AS moved_at, \
        coalesce(array_agg(CASE WHEN u.asset <> '' THEN t.amount \
            ELSE round(t.amount * ('1e-' || t.scale)::numeric * t.root_rate, t.root_scale) \
                * ('1e' || t.root_scale)::numeric END ORDER BY t.created_at), '{}') AS moved \
        FROM transfers AS t \
        WHERE t.user_id = u.user_id AND t.kind = u.kind AND t.reverses IS NULL \
        AND CASE t.kind WHEN 'withdrawal' THEN t.state IN ('AwaitingConfirmation', 'Completed') \
            ELSE t.state = 'Success' END \
        AND CASE u.asset WHEN '' THEN t.root_rate IS NOT NULL ELSE t.asset = u.asset END \
        AND t.created_at > interval '-33 days' + coalesce( \
            'epoch'::timestamptz + u.times[1] * interval '1 microsecond', now())) AS c \
    WHERE (l.daily IS NOT NULL OR l.monthly IS NOT NULL) \
        AND (u.user_id, u.kind, u.asset) > ($1, $2, $3) \
    ORDER BY u.user_id, u.kind, u.asset LIMIT $4";

#[derive(QueryableByName)]
struct UsageRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Array<BigInt>)]
    times: Vec<i64>,
    #[diesel(sql_type = Array<Numeric>)]
    amounts: Vec<Figure>,
    #[diesel(sql_type = Array<BigInt>)]
    moved_at: Vec<i64>,
    #[diesel(sql_type = Array<Numeric>)]
    moved: Vec<Figure>,
    #[diesel(sql_type = BigInt)]
    now: i64,
}

impl From<UsageRow> for UsageFacts {
    fn from(row: UsageRow) -> Self {
        let figures = |times: Vec<i64>, amounts: Vec<Figure>| {
            let amounts = amounts.into_iter().map(|amount| amount.0);
            times.into_iter().zip(amounts).collect()
        };
        Self {
            user: row.user_id,
            kind: row.kind,
            asset: row.asset,
            uses: figures(row.times, row.amounts),
            moved: figures(row.moved_at, row.moved),
            now: row.now,
        }
    }
}

/// The rows after this one, or the first ones.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    after: Option<&UsageFacts>,
) -> Result<Vec<UsageFacts>, StoreError> {
    let (user, kind, asset) = after.map_or((Uuid::nil(), "", ""), |facts| {
        (facts.user, &*facts.kind, &*facts.asset)
    });
    let rows: Vec<UsageRow> = sql_query(READ_USAGE)
        .bind::<SqlUuid, _>(user)
        .bind::<Text, _>(kind)
        .bind::<Text, _>(asset)
        .bind::<BigInt, _>(PAGE)
        .load(connection)
        .await
        .map_err(unavailable)?;
    Ok(rows.into_iter().map(UsageFacts::from).collect())
}
