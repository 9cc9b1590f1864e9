//! Reading what is recorded as used of limits, and the transfers that used them.

use bursar_domain::Kind;
use bursar_ports::StoreError;
use diesel::{
    prelude::QueryableByName,
    sql_query,
    sql_types::{Array, BigInt, Bytea, Integer, Numeric, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::{
    error::unavailable,
    proof::{Recorded, UsageFacts},
    row::Uses,
    usage::{ROOT_UNITS, counted, counted_since},
    value::Figure,
};

/// How many rows are read at once; each comes with all that it sums up.
const PAGE: i64 = 100;

/// Whose uses of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Of an asset, which stand with the account.
    Asset,
    /// Of all of them, counted in the root asset.
    Root,
}

impl Scope {
    pub(super) const ALL: [Self; 2] = [Self::Asset, Self::Root];

    /// Where the uses of a kind stand.
    fn rows(self, kind: &str) -> String {
        match self {
            Self::Asset => format!(
                "SELECT owner AS user_id, asset, {kind}_uses AS uses FROM accounts \
                 WHERE owner_kind = 'user'"
            ),
            Self::Root => {
                format!("SELECT user_id, '' AS asset, uses FROM root_uses WHERE kind = '{kind}'")
            }
        }
    }

    /// After a place, and in which order: each serves one index.
    const fn after(self) -> (&'static str, &'static str) {
        match self {
            Self::Asset => ("(u.user_id, u.asset) > ($1, $2)", "u.user_id, u.asset"),
            Self::Root => ("u.user_id > $1 AND $2 = ''", "u.user_id"),
        }
    }
}

/// The next uses of a kind after a place, by user and asset, with the transfers of the last 30 days
/// that count.
fn statement(kind: Kind, scope: Scope) -> Option<String> {
    let (counts, at) = counted(kind)?;
    let found = counted_since(kind, "user_id = u.user_id", "now() - interval '31 days'");
    let kind = kind.as_str();
    let (rows, (after, order)) = (scope.rows(kind), scope.after());
    let (used, is_its) = match scope {
        Scope::Asset => ("amount", "t.asset = u.asset"),
        // What is worth something in another unit than the limit's does not count.
        Scope::Root => (
            ROOT_UNITS,
            "t.root_rate IS NOT NULL AND (l.root_asset IS NULL OR (t.root_asset = l.root_asset \
             AND t.root_scale = l.root_scale))",
        ),
    };
    Some(format!(
        "/* verify_usage */ SELECT u.user_id, u.asset, l.epoch, u.uses, c.moved_at, c.moved, \
         (extract(epoch FROM now()) * 1000000)::bigint AS now \
         FROM ({rows}) AS u JOIN limits AS l ON l.kind = '{kind}' AND l.asset = u.asset \
         CROSS JOIN LATERAL (SELECT \
         coalesce(array_agg((extract(epoch FROM {at}) * 1000000)::bigint ORDER BY {at}), '{{}}') \
         AS moved_at, \
         coalesce(array_agg({used} ORDER BY {at}), '{{}}') AS moved \
         FROM ({found}) AS t WHERE {counts} AND t.reverses IS NULL AND {is_its} \
         AND {at} > now() - interval '30 days') AS c \
         WHERE u.uses IS NOT NULL AND (l.daily IS NOT NULL OR l.monthly IS NOT NULL) \
         AND {after} ORDER BY {order} LIMIT $3"
    ))
}

#[derive(QueryableByName)]
struct UsageRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Integer)]
    epoch: i32,
    #[diesel(sql_type = Bytea)]
    uses: Vec<u8>,
    #[diesel(sql_type = Array<BigInt>)]
    moved_at: Vec<i64>,
    #[diesel(sql_type = Array<Numeric>)]
    moved: Vec<Figure>,
    #[diesel(sql_type = BigInt)]
    now: i64,
}

impl UsageRow {
    /// Uses of an earlier epoch are counted anew before anybody looks at them, and say nothing.
    fn into_facts(self, kind: Kind) -> UsageFacts {
        let uses = match Uses::read(&self.uses) {
            Some(uses) if uses.epoch != self.epoch => Recorded::OfAnotherEpoch,
            Some(uses) => {
                let uses = uses.usage.uses().iter();
                let uses = uses.map(|(at, amount)| (at.as_micros(), amount.units()));
                Recorded::Uses(uses.collect())
            }
            None => Recorded::Unreadable,
        };
        let amounts = self.moved.into_iter().map(|amount| amount.0);
        UsageFacts {
            user: self.user_id,
            kind: kind.as_str(),
            asset: self.asset,
            uses,
            moved: self.moved_at.into_iter().zip(amounts).collect(),
            now: self.now,
        }
    }
}

/// The rows of a kind after this one, or the first ones.
pub(super) async fn page(
    connection: &mut AsyncPgConnection,
    (kind, scope): (Kind, Scope),
    after: Option<&UsageFacts>,
) -> Result<Vec<UsageFacts>, StoreError> {
    let Some(statement) = statement(kind, scope) else {
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
            VALUES ('withdrawal', 'btc', 9, 1), ('internal', 'btc', 9, 1), \
                ('withdrawal', '', 9, 1), ('internal', '', 9, 1); \
        INSERT INTO accounts (id, owner_kind, owner, asset, available, held, seq, status, \
            stamped_at, withdrawal_uses, internal_uses) \
        SELECT row_number() OVER (), 'user', user_id, 'btc', 0, 0, 0, 'Active', now(), \
            '\\x0200', '\\x0200' FROM (SELECT DISTINCT user_id FROM transfers) AS t; \
        INSERT INTO root_uses (user_id, kind, uses) \
            SELECT DISTINCT user_id, kind, '\\x0200'::bytea FROM transfers; \
        ANALYZE transfers, limits, accounts, root_uses";

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
        let kinds = [Kind::Withdrawal, Kind::Internal];
        for of in kinds
            .iter()
            .flat_map(|kind| Scope::ALL.map(|scope| (*kind, scope)))
        {
            let page = page(&mut connection, of, None).await.unwrap();
            assert_eq!(page.len(), 100);
            // Every other user has transfers of this kind; none of them has a root value.
            let moved = if of.1 == Scope::Root { 0 } else { 50 };
            let have = page.iter().filter(|facts| facts.moved.len() == 20).count();
            assert_eq!(have, moved);
            assert_eq!(page[0].uses, Recorded::Uses(vec![]));
            let explained = format!("EXPLAIN {}", statement(of.0, of.1).unwrap());
            let plan: Vec<PlanLine> = sql_query(explained)
                .bind::<SqlUuid, _>(Uuid::nil())
                .bind::<Text, _>("")
                .bind::<BigInt, _>(PAGE)
                .load(&mut connection)
                .await
                .unwrap();
            let plan: Vec<String> = plan.into_iter().map(|line| line.line).collect();
            let plan = plan.join("\n");
            let owner = match of.1 {
                Scope::Asset => "accounts.owner",
                Scope::Root => "root_uses.user_id",
            };
            let found = format!("(user_id = {owner}) AND (created_at >");
            assert!(plan.contains(&found), "{plan}");
            // A page is found, and not sorted out of all rows.
            let (outer, _) = plan.split_once("Aggregate").unwrap();
            assert!(!outer.contains("Sort"), "{plan}");
        }
        assert_eq!(statement(Kind::Deposit, Scope::Asset), None);
    }
}
