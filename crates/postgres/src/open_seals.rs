//! The seals of open transfers under the first key.
//!
//! Nothing open is taken up whose seal no configured key has made ([`SealedRow::prove`]), and no callback
//! tells of it. Before a key leaves the configuration, what it has sealed and is still open, or still to
//! be told of, is sealed anew under the first one.
//! What nothing proves, because it was written when nothing was sealed, its key is lost or somebody has
//! changed it, is sealed as it is if somebody who has looked at it says so.

use std::{collections::BTreeSet, sync::Arc};

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::StoreError;
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _, QueryResult,
    SelectableHelper as _, dsl::sql, sql_types::Bool,
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
/// What is still needed: it is open, or a callback tells of it, which may wait for days.
const NEEDED: &str = "(state IN ('Pending', 'AwaitingConfirmation') OR EXISTS ( \
    SELECT FROM book_main.callbacks AS c WHERE c.transfer_id = transfers.id AND c.state = 'pending'))";

/// What became of the transfers that are open, or still to be told of, and were not sealed under the
/// first key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenSeals {
    /// Another configured key had sealed them; the first one has now.
    pub resealed: Vec<i64>,
    /// Nothing proved them, and they are sealed now as they were to be.
    pub accepted: Vec<i64>,
    /// They have no seal.
    pub unsealed: Vec<i64>,
    /// Their seal is of a key that is not configured.
    pub unknown: Vec<i64>,
    /// Their seal does not fit, or they can no longer be read: somebody has changed them.
    pub changed: Vec<i64>,
    /// They were to be accepted, and there are no such transfers.
    pub missing: Vec<i64>,
}

impl OpenSeals {
    /// How many are not taken up by whoever has these keys.
    pub fn left(&self) -> usize {
        let left = [&self.unsealed, &self.unknown, &self.changed, &self.missing];
        left.map(Vec::len).iter().sum()
    }

    fn append(&mut self, other: &mut Self) {
        self.resealed.append(&mut other.resealed);
        self.accepted.append(&mut other.accepted);
        self.unsealed.append(&mut other.unsealed);
        self.unknown.append(&mut other.unknown);
        self.changed.append(&mut other.changed);
        self.missing.append(&mut other.missing);
    }
}

/// Seals what is open or still to be told of in the database at `url` under the first of these keys:
/// what another one of them has sealed, and these, whatever they are, which are `accepted` as they stand.
/// Each batch is told in the audit log, as done at this time. It is safe while Bursar serves, and may be
/// broken off and repeated.
///
/// # Errors
/// [`StoreError`]; what was sealed before stays so.
pub async fn reseal_open(
    url: &str,
    seals: &SealKeys,
    accepted: &BTreeSet<i64>,
    audit: (AuditDraft, Timestamp),
) -> Result<OpenSeals, StoreError> {
    let database = Database::connect(PoolConfig {
        statement_timeout_ms: STATEMENT_TIMEOUT_MS,
        ..PoolConfig::new(url)
    })
    .await?;
    if seals.is_empty() {
        return Ok(OpenSeals::default());
    }
    let ids = database
        .run(async |connection| find(connection, accepted).await)
        .await?;
    let missing = accepted.iter().filter(|id| ids.binary_search(id).is_err());
    let mut done = OpenSeals {
        missing: missing.copied().collect(),
        ..OpenSeals::default()
    };
    let terms = Arc::new((seals.clone(), accepted.clone(), audit));
    for ids in ids.chunks(BATCH) {
        let sealed = run_tx(database.pool(), "seal open transfers", |connection| {
            let (ids, terms) = (ids.to_vec(), Arc::clone(&terms));
            async move {
                let (seals, accepted, audit) = &*terms;
                seal(connection, ids, seals, accepted, audit).await
            }
            .boxed()
        });
        done.append(&mut sealed.await?);
    }
    Ok(done)
}

/// The transfers that are needed and these, in order.
async fn find(
    connection: &mut AsyncPgConnection,
    accepted: &BTreeSet<i64>,
) -> QueryResult<Vec<i64>> {
    let ids: Vec<i64> = accepted.iter().copied().collect();
    transfers::table
        .filter(sql::<Bool>(NEEDED).or(transfers::id.eq_any(ids)))
        .order(transfers::id)
        .select(transfers::id)
        .load(connection)
        .await
}

async fn seal(
    connection: &mut AsyncPgConnection,
    ids: Vec<i64>,
    seals: &SealKeys,
    accepted: &BTreeSet<i64>,
    audit: &(AuditDraft, Timestamp),
) -> QueryResult<OpenSeals> {
    let these: Vec<i64> = accepted.iter().copied().collect();
    let rows: Vec<SealedRow> = transfers::table
        .filter(transfers::id.eq_any(ids))
        // It may have ended, and everybody been told, meanwhile.
        .filter(sql::<Bool>(NEEDED).or(transfers::id.eq_any(these)))
        .order(transfers::id)
        .select(SealedRow::as_select())
        .for_no_key_update()
        .load(connection)
        .await?;
    let mut done = OpenSeals::default();
    for row in rows {
        let id = row.id();
        // What cannot be read keeps nobody else from a seal.
        let Ok(judged) = row.judge(seals) else {
            done.changed.push(id);
            continue;
        };
        let anew = judged.sealed_anew(seals);
        let (list, is_sealed) = match judged.genuine {
            Some(Genuine::Yes) if judged.seal == anew => continue,
            Some(Genuine::Yes) => (&mut done.resealed, true),
            _ if accepted.contains(&id) => (&mut done.accepted, true),
            Some(Genuine::No) => (&mut done.changed, false),
            Some(Genuine::UnknownKey) => (&mut done.unknown, false),
            None => (&mut done.unsealed, false),
        };
        list.push(id);
        if is_sealed {
            write(connection, id, anew).await?;
        }
    }
    if !done.resealed.is_empty() || !done.accepted.is_empty() {
        let told = json!({"resealed": done.resealed, "accepted": done.accepted});
        let (draft, at) = audit;
        note_in_directory(connection, draft, *at, None, Some(&told)).await?;
    }
    Ok(done)
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
