//! The audit log: how a row is written with the change that it tells of, and how the rows of both
//! schemas are read as one list.
//!
//! The directory and the book have a table each, because no transaction that serves writes both and
//! no statement reads both. A list asks each for as many rows as the page needs and merges them here.

use std::{cmp::Reverse, fmt};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{AuditFilter, AuditLog, AuditRecord, StoreError};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::unavailable,
    ids::time_ordered_id,
    pool::Database,
    statement::{InsertBookAudit, InsertDirectoryAudit, RowTypes},
    value::At,
};

/// Rows of the audit log as the columns of their statements.
#[derive(Default)]
pub(crate) struct AuditColumns<'a> {
    ids: Vec<Uuid>,
    at: Vec<At>,
    actors: Vec<&'a str>,
    credentials: Vec<&'a str>,
    request_ids: Vec<&'a str>,
    addresses: Vec<&'a str>,
    actions: Vec<&'a str>,
    targets: Vec<&'a str>,
    before: Vec<Option<String>>,
    after: Vec<Option<String>>,
}

impl<'a> AuditColumns<'a> {
    /// Adds a row. What was there before and after is as found here, unless the draft tells it.
    pub(crate) fn push(
        &mut self,
        draft: &'a AuditDraft,
        at: Timestamp,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let text = |told: &Option<String>, found: Option<&Value>| {
            told.clone().or_else(|| found.map(Value::to_string))
        };
        self.ids.push(time_ordered_id(at));
        self.at.push(At(at));
        self.actors.push(draft.actor.as_str());
        self.credentials.push(&draft.credential);
        self.request_ids.push(&draft.request_id);
        self.addresses.push(&draft.address);
        self.actions.push(draft.action);
        self.targets.push(&draft.target);
        self.before.push(text(&draft.before, before));
        self.after.push(text(&draft.after, after));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn insert_into_book(&self, types: &RowTypes) -> InsertBookAudit<'_> {
        InsertBookAudit {
            row_type: types.audit,
            ids: &self.ids,
            at: &self.at,
            actors: &self.actors,
            credentials: &self.credentials,
            request_ids: &self.request_ids,
            addresses: &self.addresses,
            actions: &self.actions,
            targets: &self.targets,
            before: &self.before,
            after: &self.after,
        }
    }

    fn insert_into_directory(&self) -> InsertDirectoryAudit<'_> {
        InsertDirectoryAudit {
            ids: &self.ids,
            at: &self.at,
            actors: &self.actors,
            credentials: &self.credentials,
            request_ids: &self.request_ids,
            addresses: &self.addresses,
            actions: &self.actions,
            targets: &self.targets,
            before: &self.before,
            after: &self.after,
        }
    }
}

/// Appends a row about a change of the directory. The caller is in the transaction of that change.
pub(crate) async fn note_in_directory(
    connection: &mut AsyncPgConnection,
    draft: &AuditDraft,
    at: Timestamp,
    before: Option<&Value>,
    after: Option<&Value>,
) -> QueryResult<()> {
    let mut columns = AuditColumns::default();
    columns.push(draft, at, before, after);
    let insert = columns.insert_into_directory();
    insert.execute(connection).await.map(|_| ())
}

/// Appends a row about a change of the book outside of the batch engine. The caller is in the
/// transaction of that change.
pub(crate) async fn note_in_book(
    connection: &mut AsyncPgConnection,
    draft: &AuditDraft,
    at: Timestamp,
    before: Option<&Value>,
    after: Option<&Value>,
) -> QueryResult<()> {
    let mut columns = AuditColumns::default();
    columns.push(draft, at, before, after);
    let types = RowTypes::load(connection).await?;
    let insert = columns.insert_into_book(&types);
    insert.execute(connection).await.map(|_| ())
}

/// The audit log of the directory and the main book.
#[derive(Clone)]
pub struct PgAuditLog {
    database: Database,
}

impl PgAuditLog {
    /// Reads on these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

type Row = (
    (Uuid, At, String, String, String, String),
    (String, String, Option<Value>, Option<Value>),
);

/// The rows of one of the tables that a filter asks for.
macro_rules! rows_of {
    ($table:ident, $filter:expr) => {{
        use crate::schema::$table as log;

        let filter: &AuditFilter = $filter;
        let mut query = log::table
            .select((
                (
                    log::id,
                    log::at,
                    log::actor,
                    log::credential,
                    log::request_id,
                    log::address,
                ),
                (log::action, log::target, log::before, log::after),
            ))
            .order((log::at.desc(), log::id.desc()))
            .limit(i64::from(filter.limit))
            .into_boxed::<Pg>();
        if let Some(actor) = filter.actor.clone() {
            query = query.filter(log::actor.eq(actor));
        }
        if let Some(action) = filter.action.clone() {
            query = query.filter(log::action.eq(action));
        }
        if let Some(target) = filter.target.clone() {
            query = query.filter(log::target.eq(target));
        }
        if let Some(from) = filter.from {
            query = query.filter(log::at.ge(At(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(log::at.le(At(to)));
        }
        if let Some(after) = filter.after {
            let at = At(after.at);
            let same = log::at.eq(at).and(log::id.lt(after.id));
            query = query.filter(log::at.le(at)).filter(log::at.lt(at).or(same));
        }
        query
    }};
}

#[async_trait]
impl AuditLog for PgAuditLog {
    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        self.database
            .read_list(async move |connection| read_part(connection, &filter).await)
            .await
    }
}

/// The rows that a filter asks for, of both tables, newest first.
pub(crate) async fn read_part(
    connection: &mut AsyncPgConnection,
    filter: &AuditFilter,
) -> Result<Vec<AuditRecord>, StoreError> {
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let of_directory = rows_of!(directory_audit_log, filter);
    let of_book = rows_of!(book_audit_log, filter);
    let mut rows: Vec<Row> = of_directory.load(connection).await.map_err(unavailable)?;
    let others: Vec<Row> = of_book.load(connection).await.map_err(unavailable)?;
    rows.extend(others);
    let mut records: Vec<_> = rows.into_iter().map(read).collect();
    records.sort_unstable_by_key(|record| Reverse(record.place()));
    records.truncate(limit);
    Ok(records)
}

fn read(row: Row) -> AuditRecord {
    let ((id, at, actor, credential, request_id, address), (action, target, before, after)) = row;
    AuditRecord {
        id,
        at: at.0,
        actor,
        credential,
        request_id,
        address,
        action,
        target,
        before: before.map(|json| json.to_string()),
        after: after.map(|json| json.to_string()),
    }
}

impl fmt::Debug for PgAuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgAuditLog")
            .field("database", &self.database)
            .finish()
    }
}
