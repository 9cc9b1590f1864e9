//! What was used of limits: as it is stored, and counted anew from the transfers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bursar_domain::{AccountKey, Amount, AssetId, Kind, Timestamp, Unit, Usage, UsageKey, UserId};
use bursar_ports::StoreError;
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult,
    prelude::QueryableByName,
    sql_query,
    sql_types::{Array, BigInt, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use moka::sync::Cache;
use uuid::Uuid;

use crate::{
    engine::scope_column,
    error::{inconsistent, unavailable},
    pool::Database,
    row::{Uses, read_account_key},
    schema::{accounts, root_uses},
    statement::InsertRootUses,
    tx::{not_prepared, run_tx},
    value::{At, Units},
};

/// How many rows are remembered to exist.
const REMEMBERED_MAX: u64 = 1_000_000;
/// Longer than any limit looks back, by a day: what was made before that counts only if it was settled
/// late.
const LOOK_BACK: i64 = 31 * 24 * 3_600 * 1_000_000;
/// Which internal transfers were settled late, as the index of them has it.
const SETTLED_LATE: &str =
    "kind = 'internal' AND state = 'Success' AND updated_at - created_at > interval '1 day'";

/// Transfers that began to count since a time, by the user: those made since then and, of a kind that
/// counts from its settlement, those made before and settled since.
pub(crate) fn counted_since(kind: Kind, is_users: &str, since: &str) -> String {
    let made = format!("SELECT * FROM transfers WHERE {is_users} AND created_at > {since}");
    match kind {
        Kind::Deposit | Kind::Withdrawal => made,
        Kind::Internal => format!(
            "{made} UNION ALL SELECT * FROM transfers WHERE {is_users} AND created_at <= {since} \
             AND updated_at > {since} AND {SETTLED_LATE}"
        ),
    }
}

/// Sees to it that rows of uses in the root asset exist before they are locked.
#[derive(Clone)]
pub(crate) struct RootUseRows {
    database: Database,
    known: Cache<(UserId, Kind), ()>,
}

impl RootUseRows {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            known: Cache::new(REMEMBERED_MAX),
        }
    }

    /// Makes the rows that are missing, in a transaction of their own, as accounts are made.
    pub(crate) async fn ensure(&self, keys: &BTreeSet<UsageKey>) -> Result<(), StoreError> {
        let rows = keys.iter().filter(|key| key.asset.is_none());
        let unknown: Vec<(UserId, Kind)> = rows
            .map(|key| (key.user, key.kind))
            .filter(|row| !self.known.contains_key(row))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        run_tx(self.database.lookups(), "create uses", |connection| {
            let unknown = unknown.clone();
            async move {
                let users: Vec<Uuid> = unknown.iter().map(|(user, _)| user.as_uuid()).collect();
                let kinds: Vec<&str> = unknown.iter().map(|(_, kind)| kind.as_str()).collect();
                let insert = InsertRootUses {
                    users: &users,
                    kinds: &kinds,
                };
                insert.execute(connection).await
            }
            .boxed()
        })
        .await
        .map_err(not_prepared)?;
        for row in unknown {
            self.known.insert(row, ());
        }
        Ok(())
    }
}

/// What is stored of these users' uses.
pub(crate) async fn load_uses(
    connection: &mut AsyncPgConnection,
    users: &[UserId],
) -> Result<HashMap<UsageKey, Uses>, StoreError> {
    type AccountUses = (Uuid, String, Option<Vec<u8>>, Option<Vec<u8>>);
    let ids: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
    let of_assets: Vec<AccountUses> = accounts::table
        .filter(accounts::owner.eq_any(&ids))
        .filter(accounts::owner_kind.eq("user"))
        .select((
            accounts::owner,
            accounts::asset,
            accounts::withdrawal_uses,
            accounts::internal_uses,
        ))
        .load(connection)
        .await
        .map_err(unavailable)?;
    let of_all: Vec<(Uuid, String, Option<Vec<u8>>)> = root_uses::table
        .filter(root_uses::user_id.eq_any(&ids))
        .load(connection)
        .await
        .map_err(unavailable)?;
    let mut found = HashMap::new();
    for (owner, asset, withdrawal, internal) in of_assets {
        let account = read_account_key("user", owner, &asset)?;
        for (kind, stored) in [(Kind::Withdrawal, withdrawal), (Kind::Internal, internal)] {
            if let Some((key, stored)) = usage_key(&account, kind).zip(stored) {
                found.insert(key, read_uses(&key, &stored)?);
            }
        }
    }
    for row in of_all {
        found.extend(read_root_uses(row)?);
    }
    Ok(found)
}

/// Which uses stand with an account; none with a system account.
pub(crate) fn usage_key(account: &AccountKey, kind: Kind) -> Option<UsageKey> {
    Some(UsageKey {
        user: account.owner.user()?,
        kind,
        asset: Some(account.asset),
    })
}

/// A row of uses in the root asset; none when it was never counted.
pub(crate) fn read_root_uses(
    (user, kind, stored): (Uuid, String, Option<Vec<u8>>),
) -> Result<Option<(UsageKey, Uses)>, StoreError> {
    let user = UserId::new(user);
    let bad = || inconsistent("root_uses", format!("{user} {kind}"));
    let kind = Kind::from_name(&kind).ok_or_else(bad)?;
    let key = UsageKey {
        user,
        kind,
        asset: None,
    };
    let uses = stored.map(|stored| read_uses(&key, &stored)).transpose()?;
    Ok(uses.map(|uses| (key, uses)))
}

/// The uses in a column.
pub(crate) fn read_uses(key: &UsageKey, stored: &[u8]) -> Result<Uses, StoreError> {
    let UsageKey { user, kind, asset } = key;
    let table = asset.map_or("root_uses", |_| "accounts");
    let bad = || {
        let scope = scope_column(asset.as_ref());
        inconsistent(table, format!("{user} {scope}: uses of {}", kind.as_str()))
    };
    Uses::read(stored).ok_or_else(bad)
}

/// What an amount is worth in smallest units of the root asset.
pub(crate) const ROOT_UNITS: &str = "round(amount * ('1e-' || scale)::numeric * root_rate, \
     root_scale) * ('1e' || root_scale)::numeric";

/// Which transfers of a kind count, and from when on: withdrawals from their hold, internal transfers
/// from their settlement, deposits never. The kind stands in the text, so that the planner sees which
/// partial index serves it.
pub(crate) const fn counted(kind: Kind) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::Deposit => None,
        Kind::Withdrawal => Some((
            "kind = 'withdrawal' AND state IN ('AwaitingConfirmation', 'Completed')",
            "created_at",
        )),
        Kind::Internal => Some(("kind = 'internal' AND state = 'Success'", "updated_at")),
    }
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = BigInt)]
    last: i64,
    #[diesel(sql_type = Numeric)]
    used: Units,
}

/// Counts what users have moved from the transfers themselves, as a limit that is new needs it: what
/// was moved before it counts too. Uses within five minutes are one, as [`Usage`] keeps them. Of limits
/// over all assets, whose units these are, only what is worth something in the same unit counts.
pub(crate) async fn count_anew(
    connection: &AsyncPgConnection,
    keys: &BTreeSet<UsageKey>,
    units: &BTreeMap<Kind, Unit>,
    now: Timestamp,
) -> QueryResult<Result<HashMap<UsageKey, Usage>, StoreError>> {
    let mut scopes: BTreeMap<(Kind, Option<AssetId>), Vec<UserId>> = BTreeMap::new();
    for key in keys {
        let users = scopes.entry((key.kind, key.asset)).or_default();
        users.push(key.user);
    }
    let mut found: HashMap<UsageKey, Usage> = HashMap::new();
    for ((kind, asset), users) in scopes {
        let mut uses: HashMap<UserId, Vec<(Timestamp, Amount)>> = HashMap::new();
        let scope = match asset {
            Some(asset) => Scope::Asset(asset),
            None => Scope::All(units.get(&kind).copied()),
        };
        for row in count_scope(connection, kind, scope, &users, now).await? {
            // More than any account can hold is as much as can be counted.
            let Ok(amount) = Amount::try_from_units(row.used.0.min(Amount::MAX.units())) else {
                let detail = format!("user {}: amount", row.user_id);
                return Ok(Err(inconsistent("transfers", detail)));
            };
            let uses = uses.entry(UserId::new(row.user_id)).or_default();
            uses.push((Timestamp::from_micros(row.last), amount));
        }
        found.extend(users.into_iter().map(|user| {
            let uses = uses.remove(&user).unwrap_or_default();
            (UsageKey { user, kind, asset }, Usage::from_uses(uses))
        }));
    }
    Ok(Ok(found))
}

/// What is counted together.
#[derive(Clone, Copy)]
enum Scope {
    /// One asset, in its own unit.
    Asset(AssetId),
    /// All of them, in this unit or, when nobody remembers it, in whichever each was told.
    All(Option<Unit>),
}

impl Scope {
    /// What counts of a transfer, and which do; by the asset in $3 and the scale in $4.
    const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Asset(_) => ("amount", "asset = $3 AND $4::smallint IS NULL"),
            Self::All(Some(_)) => (
                ROOT_UNITS,
                "root_rate IS NOT NULL AND root_asset = $3 AND root_scale = $4",
            ),
            Self::All(None) => (
                ROOT_UNITS,
                "root_rate IS NOT NULL AND $3 = '' AND $4::smallint IS NULL",
            ),
        }
    }
}

/// What these users moved of one scope, by user and time.
async fn count_scope(
    mut connection: &AsyncPgConnection,
    kind: Kind,
    scope: Scope,
    users: &[UserId],
    now: Timestamp,
) -> QueryResult<Vec<Counted>> {
    let Some((counts, at)) = counted(kind) else {
        return Ok(vec![]);
    };
    let (used, is_its) = scope.columns();
    let (asset, scale) = match &scope {
        Scope::Asset(asset) => (asset.as_str(), None),
        Scope::All(Some(unit)) => (unit.asset.as_str(), Some(unit.scale)),
        Scope::All(None) => ("", None),
    };
    let since = counted_since(kind, "user_id = ANY($1)", "$2");
    let query = sql_query(format!(
        "/* count_uses */ SELECT t.user_id, \
         (extract(epoch FROM max(t.at)) * 1000000)::bigint AS last, sum(t.used) AS used \
         FROM (SELECT user_id, {at} AS at, {used} AS used FROM ({since}) AS found \
         WHERE {counts} AND {is_its} AND reverses IS NULL) AS t \
         GROUP BY t.user_id, floor(extract(epoch FROM t.at) / 300) ORDER BY 1, 2"
    ));
    let users: Vec<Uuid> = users.iter().map(UserId::as_uuid).collect();
    query
        .bind::<Array<SqlUuid>, _>(users)
        .bind::<Timestamptz, _>(At(now.plus_micros(-LOOK_BACK)))
        .bind::<Text, _>(asset)
        .bind::<Nullable<SmallInt>, _>(scale.map(|scale| i16::from(scale.get())))
        .load(&mut connection)
        .await
}
