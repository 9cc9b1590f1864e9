//! Reading what is recorded as used of limits, and the transfers that used them.

use bursar_domain::Kind;
use bursar_ports::StoreError;
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{Array, BigInt, Numeric, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::{
    error::unavailable,
    proof::UsageFacts,
    usage::{ROOT_UNITS, counted},
    value::Figure,
};

/// How many rows are read at once; each comes with all that it sums up.
const PAGE: i64 = 100;

/// The next rows of a kind after a place, by user and asset, with the transfers of the last 30 days
/// that count. Rows of limits that count nothing any more, or of an earlier epoch, are counted anew
/// before anybody looks at them, and say nothing.
///
/// A payment that was made a month before it was settled is not looked for.
fn statement(kind: Kind) -> Option<String> {
    let (counts, at) = counted(kind)?;
    Some(format!(
        "/* verify_usage */ SELECT u.user_id, u.asset, u.times, u.amounts, c.moved_at, c.moved, \
         (extract(epoch FROM now()) * 1000000)::bigint AS now \
         FROM limit_usage AS u JOIN limits AS l USING (kind, asset, epoch) \
         CROSS JOIN LATERAL (SELECT \
         coalesce(array_agg((extract(epoch FROM {at}) * 1000000)::bigint ORDER BY {at}), '{{}}') \
         AS moved_at, \
         coalesce(array_agg(CASE WHEN u.asset <> '' THEN amount ELSE {ROOT_UNITS} END \
         ORDER BY {at}), '{{}}') AS moved \
         FROM transfers AS t WHERE t.user_id = u.user_id AND {counts} AND t.reverses IS NULL \
         AND CASE u.asset WHEN '' THEN t.root_rate IS NOT NULL ELSE t.asset = u.asset END \
         AND t.created_at > now() - interval '60 days' AND {at} > now() - interval '30 days') AS c \
         WHERE u.kind = '{}' AND (l.daily IS NOT NULL OR l.monthly IS NOT NULL) \
         AND (u.user_id, u.asset) > ($1, $2) ORDER BY u.user_id, u.asset LIMIT $3",
        kind.as_str()
    ))
}

#[derive(QueryableByName)]
struct UsageRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
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

impl UsageRow {
    fn into_facts(self, kind: Kind) -> UsageFacts {
        let figures = |times: Vec<i64>, amounts: Vec<Figure>| {
            let amounts = amounts.into_iter().map(|amount| amount.0);
            times.into_iter().zip(amounts).collect()
        };
        UsageFacts {
            user: self.user_id,
            kind: kind.as_str(),
            asset: self.asset,
            uses: figures(self.times, self.amounts),
            moved: figures(self.moved_at, self.moved),
            now: self.now,
        }
    }
}

/// The rows of a kind after this one, or the first ones.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    kind: Kind,
    after: Option<&UsageFacts>,
) -> Result<Vec<UsageFacts>, StoreError> {
    let Some(statement) = statement(kind) else {
        return Ok(vec![]);
    };
    let (user, asset) = after.map_or((Uuid::nil(), ""), |facts| (facts.user, &facts.asset));
    let rows: Vec<UsageRow> = sql_query(statement)
        .bind::<SqlUuid, _>(user)
        .bind::<Text, _>(asset)
        .bind::<BigInt, _>(PAGE)
        .load(connection)
        .await
        .map_err(unavailable)?;
    let facts = rows.into_iter().map(|row| row.into_facts(kind));
    Ok(facts.collect())
}

#[cfg(test)]
mod tests {
    use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};

    use super::*;
    use crate::testing::TestDatabase;

    /// Many users' transfers, and some of them with limits.
    const MANY: &str = "SET search_path = book_main; \
        SET session_replication_role = replica; \
        INSERT INTO transfers (id, kind, state, version, user_id, recipient_id, recipient_typed, \
            code_salt, asset, scale, amount, fee, created_by, created_at, updated_at, entry_refs) \
        SELECT n, CASE n % 2 WHEN 0 THEN 'withdrawal' ELSE 'internal' END, \
            CASE n % 2 WHEN 0 THEN 'Completed' ELSE 'Success' END, 1, \
            ('00000000-0000-0000-0000-' || lpad((n % 2000)::text, 12, '0'))::uuid, \
            CASE n % 2 WHEN 1 THEN gen_random_uuid() END, CASE n % 2 WHEN 1 THEN 'bob' END, \
            CASE n % 2 WHEN 1 THEN '\\x00010203040506070809'::bytea END, 'btc', 8, 5, 0, 'op', now() - n * interval '1 minute', now(), '{}' \
        FROM generate_series(1, 40000) AS n; \
        INSERT INTO limits (kind, asset, monthly, epoch) \
            VALUES ('withdrawal', 'btc', 9, 1), ('internal', 'btc', 9, 1); \
        INSERT INTO limit_usage (user_id, kind, asset, epoch, times, amounts) \
            SELECT DISTINCT user_id, kind, 'btc', 1, '{}'::bigint[], '{}'::numeric[] FROM transfers; \
        ANALYZE transfers, limits, limit_usage";

    #[derive(QueryableByName)]
    struct PlanLine {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }

    /// Else a proof would read every user's transfers for each of them.
    #[tokio::test]
    async fn transfers_are_looked_for_user_by_user() {
        let database = TestDatabase::create().await;
        let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
        connection.batch_execute(MANY).await.unwrap();
        for kind in [Kind::Withdrawal, Kind::Internal] {
            let page = page(&mut connection, kind, None).await.unwrap();
            assert_eq!(page.len(), 100);
            assert_eq!(page[0].moved.len(), 20);
            let plan: Vec<PlanLine> = sql_query(format!("EXPLAIN {}", statement(kind).unwrap()))
                .bind::<SqlUuid, _>(Uuid::nil())
                .bind::<Text, _>("")
                .bind::<BigInt, _>(PAGE)
                .load(&mut connection)
                .await
                .unwrap();
            let plan: Vec<String> = plan.into_iter().map(|line| line.line).collect();
            let plan = plan.join("\n");
            assert!(
                plan.contains("(user_id = u.user_id) AND (created_at >"),
                "{plan}"
            );
        }
        assert_eq!(statement(Kind::Deposit), None);
    }
}
