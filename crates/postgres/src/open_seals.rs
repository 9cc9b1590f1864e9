//! The seals of open transfers under the first key.
//!
//! Nothing open is taken up whose seal no configured key has made ([`SealedRow::prove`]). Before a key
//! leaves the configuration, what it has sealed and is still open is sealed anew under the first one;
//! and what was written when nothing was sealed gets its first seal, if somebody who has looked at it
//! says so.

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::StoreError;
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryResult, SelectableHelper as _,
    dsl::sql,
    sql_types::{Bool, Bytea},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use futures_util::FutureExt as _;
use serde_json::json;

use crate::{
    audit_log::note_in_directory,
    pool::{Database, PoolConfig},
    row::SealedRow,
    schema::transfers,
    seal::{Genuine, Seal, SealKeys},
    tx::run_tx,
};

/// How many transfers are locked at once.
const BATCH: usize = 200;
/// Finding them reads all transfers.
const STATEMENT_TIMEOUT_MS: u32 = 3_600_000;
const OPEN: &str = "state IN ('Pending', 'AwaitingConfirmation')";

/// What became of the open transfers that were not sealed under the first key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenSeals {
    /// Another configured key had sealed them; the first one has now.
    pub resealed: Vec<i64>,
    /// They had no seal, and have one now.
    pub sealed: Vec<i64>,
    /// They have no seal still.
    pub unsealed: Vec<i64>,
    /// Their seal is of a key that is not configured.
    pub unknown: Vec<i64>,
    /// Their seal does not fit: somebody has changed them.
    pub changed: Vec<i64>,
}

impl OpenSeals {
    /// How many are not taken up by whoever has these keys.
    pub fn left(&self) -> usize {
        [&self.unsealed, &self.unknown, &self.changed]
            .map(Vec::len)
            .iter()
            .sum()
    }

    fn append(&mut self, other: &mut Self) {
        self.resealed.append(&mut other.resealed);
        self.sealed.append(&mut other.sealed);
        self.unsealed.append(&mut other.unsealed);
        self.unknown.append(&mut other.unknown);
        self.changed.append(&mut other.changed);
    }
}

/// Seals what is open in the database at `url` under the first of these keys: what another one of
/// them has sealed, and, if `first_seals`, what has no seal. Each batch is told in the audit log,
/// as done at this time. It
/// is safe while Bursar serves, and may be broken off and repeated.
///
/// # Errors
/// [`StoreError`]; what was sealed before stays so.
pub async fn reseal_open(
    url: &str,
    seals: &SealKeys,
    first_seals: bool,
    audit: (AuditDraft, Timestamp),
) -> Result<OpenSeals, StoreError> {
    let database = Database::connect(PoolConfig {
        statement_timeout_ms: STATEMENT_TIMEOUT_MS,
        ..PoolConfig::new(url)
    })
    .await?;
    let Some(name) = seals.first_name() else {
        return Ok(OpenSeals::default());
    };
    let ids = database
        .run(async |connection| find(connection, name).await)
        .await?;
    let mut done = OpenSeals::default();
    for ids in ids.chunks(BATCH) {
        let (ids, seals, audit) = (ids.to_vec(), seals.clone(), audit.clone());
        let sealed = run_tx(database.pool(), "seal open transfers", move |connection| {
            let (ids, seals, audit) = (ids.clone(), seals.clone(), audit.clone());
            async move { seal(connection, ids, &seals, first_seals, &audit).await }.boxed()
        });
        done.append(&mut sealed.await??);
    }
    Ok(done)
}

/// The open transfers that a key of this name has not sealed.
async fn find(connection: &mut AsyncPgConnection, name: &[u8]) -> QueryResult<Vec<i64>> {
    transfers::table
        .filter(sql::<Bool>(OPEN))
        .filter(
            sql::<Bool>("substring(seal FROM 1 FOR 4) IS DISTINCT FROM ").bind::<Bytea, _>(name),
        )
        .order(transfers::id)
        .select(transfers::id)
        .load(connection)
        .await
}

async fn seal(
    connection: &mut AsyncPgConnection,
    ids: Vec<i64>,
    seals: &SealKeys,
    first_seals: bool,
    audit: &(AuditDraft, Timestamp),
) -> QueryResult<Result<OpenSeals, StoreError>> {
    let rows: Vec<SealedRow> = transfers::table
        .filter(transfers::id.eq_any(ids))
        .filter(sql::<Bool>(OPEN))
        .order(transfers::id)
        .select(SealedRow::as_select())
        .for_no_key_update()
        .load(connection)
        .await?;
    let mut done = OpenSeals::default();
    for row in rows {
        let id = row.id();
        let judged = match row.judge(seals) {
            Ok(judged) => judged,
            Err(error) => return Ok(Err(error)),
        };
        let list = match judged.genuine {
            // By the first key meanwhile, too; it is the same again.
            Some(Genuine::Yes) => &mut done.resealed,
            Some(Genuine::No) => &mut done.changed,
            Some(Genuine::UnknownKey) => &mut done.unknown,
            None if first_seals => &mut done.sealed,
            None => &mut done.unsealed,
        };
        list.push(id);
        if matches!(judged.genuine, Some(Genuine::Yes)) || (first_seals && judged.genuine.is_none())
        {
            write(connection, id, judged.seal).await?;
        }
    }
    if !done.resealed.is_empty() || !done.sealed.is_empty() {
        let told = json!({"resealed": done.resealed, "sealed": done.sealed});
        let (draft, at) = audit;
        note_in_directory(connection, draft, *at, None, Some(&told)).await?;
    }
    Ok(Ok(done))
}

async fn write(
    connection: &mut AsyncPgConnection,
    id: i64,
    seal: Option<Seal>,
) -> QueryResult<usize> {
    diesel::update(transfers::table.filter(transfers::id.eq(id)))
        .set(transfers::seal.eq(seal))
        .execute(connection)
        .await
}
