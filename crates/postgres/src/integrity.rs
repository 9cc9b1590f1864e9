//! Judges the books while they are in use.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bursar_domain::AssetId;
use bursar_ports::{AssetIntegrity, AssetSums, BookIntegrity, Breach, CheckedAccounts, StoreError};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Numeric, Text},
};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection, pooled_connection::deadpool::Object,
};

use crate::{
    error::unavailable,
    pool::{Database, checkout},
    proof::{AccountFacts, Chain, EntryFacts, Fault, Place, Rules, Start, Violation},
    schema::accounts,
    seal::SealKeys,
    statement::ReadTails,
    tx::in_snapshot,
    value::Figure,
};

/// How many accounts are compared with their last entry by one statement.
const PAGE: i64 = 10_000;
/// How long an examination may take.
const EXAMINATION_MAX: Duration = Duration::from_secs(60);
/// For as long as the snapshot is open.
const STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = 60000";
/// How long to wait for another examination to end.
const TURN_MAX: Duration = Duration::from_secs(1);
/// How many of an account's last entries are looked at, at the most.
const TAIL: i64 = 256;
/// Of how many accounts it is remembered which entries were looked at; of the others a few are
/// looked at every time.
const REMEMBERED_MAX: usize = 1_000_000;
/// How many last entries of an account that is not remembered are looked at.
const FIRST_TAIL: i64 = 8;
/// How many characters are told of a text that can be no asset.
const STRAY_SHOWN: usize = 40;

/// Judges the books in PostgreSQL.
pub struct PgIntegrity {
    database: Database,
    rules: Rules,
    /// The number of the last entry that was looked at, by account.
    seen: Mutex<HashMap<i64, i64>>,
    /// One examination at a time: each reads everything.
    turn: tokio::sync::Mutex<()>,
}

impl PgIntegrity {
    /// An adapter over a database, with the keys of its seals.
    pub fn new(database: Database, seals: SealKeys) -> Self {
        Self {
            database,
            rules: Rules {
                keys: seals,
                sealed_since: None,
            },
            seen: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Reads from one snapshot, for as long as an examination may take.
    async fn read<T>(
        &self,
        ask: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = checkout(self.database.pool()).await?;
        let answer = in_snapshot(&mut connection, async |connection| {
            let longer = connection.batch_execute(STATEMENT_TIMEOUT).await;
            longer.map_err(unavailable)?;
            ask(connection).await
        });
        match tokio::time::timeout(EXAMINATION_MAX, answer).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                drop(Object::take(connection));
                Err(StoreError::Unavailable(elapsed.into()))
            }
        }
    }

    /// From which entry on an account is looked at.
    fn anchor(&self, account: &AccountFacts) -> i64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = account.seq;
        let from = match seen.get(&account.id) {
            // Beyond the last one when entries were cut off since.
            Some(seen) => (*seen).min(last).max(last.saturating_sub(TAIL)),
            None => last.saturating_sub(FIRST_TAIL),
        };
        from.max(0)
    }

    /// Remembers the last entry of an account.
    fn remember(&self, account: i64, seq: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&account) || seen.len() < REMEMBERED_MAX {
            seen.insert(account, seq);
        }
    }

    /// Whether an account had more entries once.
    fn cut(&self, account: &AccountFacts) -> Option<Fault> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let exported = seen.get(&account.id).copied();
        Some(Fault::Cut {
            exported: exported.filter(|before| *before > account.seq)?,
            seq: account.seq,
        })
    }

    /// Judges an account with its entries from `anchor` on; the one with that number is taken as it
    /// is, for it was judged before. What is wrong stays so: only where nothing is found is the next look
    /// about what comes behind.
    fn judge(&self, account: AccountFacts, anchor: i64, entries: &[EntryFacts]) -> Vec<Violation> {
        let of_account = Place::Account(account.id);
        let in_account = |fault| Violation {
            place: of_account.clone(),
            fault,
        };
        let (id, seq) = (account.id, account.seq);
        let mut found: Vec<Violation> = self.cut(&account).map(in_account).into_iter().collect();
        let (start, rest) = match entries.split_first() {
            Some((first, rest)) if first.seq == anchor => (Start::after(first), rest),
            Some(_) | None => (Ok(Start::default()), entries),
        };
        let start = match start {
            Ok(start) => start,
            Err(fault) => {
                found.push(in_account(fault));
                return found;
            }
        };
        let mut chain = Chain::new(account, start, None);
        for entry in rest {
            let faults = chain.entry(&self.rules, entry).into_iter();
            found.extend(faults.map(|fault| Violation {
                place: Place::Entry {
                    account: entry.account_id,
                    seq: entry.seq,
                },
                fault,
            }));
        }
        found.extend(chain.end(&self.rules).into_iter().map(in_account));
        // A key that is not configured here proves nothing, neither way.
        found.retain(|violation| violation.fault != Fault::UnknownKey);
        if found.is_empty() {
            self.remember(id, seq);
        }
        found
    }
}

#[async_trait]
impl BookIntegrity for PgIntegrity {
    async fn sums(&self) -> Result<Vec<AssetSums>, StoreError> {
        let (sums, _strays) = self.read(async |connection| sums(connection).await).await?;
        Ok(sums)
    }

    async fn examine(&self) -> Result<(Vec<AssetIntegrity>, Vec<Breach>), StoreError> {
        let turn = tokio::time::timeout(TURN_MAX, self.turn.lock()).await;
        let _turn = turn.map_err(|_elapsed| StoreError::Overloaded)?;
        self.read(async |connection| {
            let (sums, strays) = sums(connection).await?;
            let wrong = wrong_accounts(connection).await?;
            let with_accounts = |sums: AssetSums| AssetIntegrity {
                accounts: wrong.get(sums.asset.as_str()).copied().unwrap_or(0),
                sums,
            };
            Ok((sums.into_iter().map(with_accounts).collect(), strays))
        })
        .await
    }

    async fn check_accounts(
        &self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<CheckedAccounts, StoreError> {
        let read = async |connection: &mut AsyncPgConnection| {
            let page = load_page(connection, after.unwrap_or(i64::MIN), limit)
                .await
                .map_err(unavailable)?;
            let ids: Vec<i64> = page.iter().map(|account| account.id).collect();
            let anchors: Vec<i64> = page.iter().map(|account| self.anchor(account)).collect();
            let tails = ReadTails {
                accounts: &ids,
                from: &anchors,
            };
            let entries: Vec<EntryFacts> = tails.load(connection).await.map_err(unavailable)?;
            Ok((page, anchors, entries))
        };
        let (page, anchors, entries) = self.read(read).await?;
        let full = u32::try_from(page.len()).is_ok_and(|count| count == limit);
        let mut checked = CheckedAccounts {
            accounts: u64::try_from(page.len()).unwrap_or(u64::MAX),
            entries: u64::try_from(entries.len()).unwrap_or(u64::MAX),
            last: page.last().map(|account| account.id).filter(|_| full),
            breaches: vec![],
        };
        let mut entries = entries.as_slice();
        for (account, anchor) in page.into_iter().zip(anchors) {
            let count = entries.partition_point(|entry| entry.account_id <= account.id);
            let (own, others) = entries.split_at_checked(count).unwrap_or((entries, &[]));
            entries = others;
            let asset = AssetId::parse(&account.asset).ok();
            if asset.is_none() {
                let of = format!("account {}", account.id);
                checked.breaches.push(stray(&of, &account.asset));
            }
            let found = self.judge(account, anchor, own);
            checked
                .breaches
                .extend(found.iter().map(|violation| Breach {
                    asset,
                    detail: violation.to_string(),
                }));
        }
        Ok(checked)
    }
}

#[derive(QueryableByName)]
struct SumRow {
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Numeric)]
    total: Figure,
    #[diesel(sql_type = Numeric)]
    held: Figure,
    #[diesel(sql_type = Numeric)]
    entries: Figure,
}

#[derive(QueryableByName)]
struct OpenRow {
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Numeric)]
    held: Figure,
}

async fn load_page(
    connection: &mut AsyncPgConnection,
    after: i64,
    limit: u32,
) -> QueryResult<Vec<AccountFacts>> {
    accounts::table
        .filter(accounts::id.gt(after))
        .order(accounts::id)
        .limit(limit.into())
        .select(AccountFacts::as_select())
        .load(connection)
        .await
}

/// What every asset comes to, and what is of no asset that can be.
async fn sums(
    connection: &mut AsyncPgConnection,
) -> Result<(Vec<AssetSums>, Vec<Breach>), StoreError> {
    let rows: Vec<SumRow> = diesel::sql_query(
        "SELECT asset, sum(available + held) AS total, sum(held) AS held, sum(seq) AS entries \
         FROM accounts GROUP BY asset",
    )
    .load(connection)
    .await
    .map_err(unavailable)?;
    let open: Vec<OpenRow> = diesel::sql_query(
        "SELECT asset, sum(amount + fee) AS held FROM transfers \
         WHERE kind = 'withdrawal' AND state = 'AwaitingConfirmation' GROUP BY asset",
    )
    .load(connection)
    .await
    .map_err(unavailable)?;
    let mut open: HashMap<String, Figure> =
        open.into_iter().map(|row| (row.asset, row.held)).collect();
    let (mut sums, mut strays) = (Vec::with_capacity(rows.len()), vec![]);
    for row in rows {
        let expected = open.remove(&row.asset).unwrap_or(Figure(Some(0)));
        // One that cannot be read keeps none of the others from being summed up.
        let Ok(asset) = AssetId::parse(&row.asset) else {
            strays.push(stray("accounts", &row.asset));
            continue;
        };
        sums.push(AssetSums {
            asset,
            sum: row.total.0,
            holds: difference(row.held, expected),
            entries: row
                .entries
                .0
                .and_then(|count| u64::try_from(count).ok())
                .unwrap_or(0),
        });
    }
    // What open withdrawals hold of an asset that has no account at all.
    for (asset, expected) in open {
        let Ok(asset) = AssetId::parse(&asset) else {
            strays.push(stray("open withdrawals", &asset));
            continue;
        };
        sums.push(AssetSums {
            asset,
            sum: Some(0),
            holds: difference(Figure(Some(0)), expected),
            entries: 0,
        });
    }
    Ok((sums, strays))
}

fn difference(held: Figure, expected: Figure) -> Option<i128> {
    held.0?.checked_sub(expected.0?)
}

/// What is of no asset that can be. Whoever wrote the text may neither fill a log with it nor make lines
/// of it.
fn stray(what: &str, asset: &str) -> Breach {
    let asset: String = asset.chars().take(STRAY_SHOWN).collect();
    Breach {
        asset: None,
        detail: format!("{what}: {asset:?} can be no asset"),
    }
}

#[derive(QueryableByName)]
struct ComparedRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    asset: String,
    #[diesel(sql_type = Bool)]
    wrong: bool,
}

/// How many accounts of each asset are not what their last entry says.
///
/// Page by page, so that each account finds its last entry by the primary key, however many entries
/// there are.
async fn wrong_accounts(
    connection: &mut AsyncPgConnection,
) -> Result<HashMap<String, u64>, StoreError> {
    let mut wrong: HashMap<String, u64> = HashMap::new();
    let mut after = i64::MIN;
    loop {
        // Of the right ones only the last comes back, which says where to go on.
        let compared = diesel::sql_query(
            "WITH page AS MATERIALIZED (SELECT id, asset, available, held, seq, head FROM accounts \
             WHERE id > $1 ORDER BY id LIMIT $2), \
             compared AS (SELECT p.id, p.asset, (p.available, p.held) IS DISTINCT FROM \
             (coalesce(e.available_after, 0), coalesce(e.held_after, 0)) \
             OR (e.seal IS NOT NULL AND p.head IS DISTINCT FROM e.seal) \
             OR (e.seq IS NULL AND p.seq <> 0) AS wrong FROM page p \
             LEFT JOIN LATERAL (SELECT * FROM entries e WHERE e.account_id = p.id \
             AND e.seq = p.seq OFFSET 0) AS e ON true) \
             SELECT id, asset, wrong FROM compared \
             WHERE wrong OR id = (SELECT max(id) FROM page) ORDER BY id",
        )
        .bind::<BigInt, _>(after)
        .bind::<BigInt, _>(PAGE);
        let rows: Vec<ComparedRow> = compared.load(connection).await.map_err(unavailable)?;
        let Some(last) = rows.last() else {
            return Ok(wrong);
        };
        after = last.id;
        for row in rows.into_iter().filter(|row| row.wrong) {
            let count = wrong.entry(row.asset).or_default();
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
