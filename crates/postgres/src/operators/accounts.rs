//! Operators' accounts.

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{Operator, OperatorChange, StoreError};
use diesel::{dsl::AsSelect, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;

use super::{identities, row::OperatorRow};
use crate::{
    audit_log::note_in_directory,
    credentials::permission_names,
    error::unavailable,
    pool::Database,
    schema::{operator_identities, operator_sessions, operators},
    tx::run_tx,
    value::At,
};

/// An operator with what names it.
pub(super) type Named = (String, At, OperatorRow, Option<(String, String)>);

pub(super) fn read((name, created_at, row, identity): Named) -> Result<Operator, StoreError> {
    row.read(name, created_at, identities::read(identity))
}

/// Operators with what names them.
#[diesel::dsl::auto_type]
pub(super) fn named() -> _ {
    let row: AsSelect<OperatorRow, Pg> = OperatorRow::as_select();
    operators::table
        .left_join(operator_identities::table.on(operator_identities::operator.eq(operators::name)))
        .select((
            operators::name,
            operators::created_at,
            row,
            (operator_identities::issuer, operator_identities::subject).nullable(),
        ))
}

pub(super) async fn find(
    database: &Database,
    name: String,
) -> Result<Option<Operator>, StoreError> {
    let operator = named().filter(operators::name.eq(name));
    let row: Option<Named> = database
        .look_up(async move |connection| {
            let found = operator.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    row.map(read).transpose()
}

pub(super) async fn list(
    database: &Database,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<Operator>, StoreError> {
    let mut query = named()
        .order(operators::name)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(operators::name.gt(after));
    }
    let rows: Vec<Named> = database
        .run(async |connection| query.load(connection).await)
        .await?;
    rows.into_iter().map(read).collect()
}

pub(super) async fn add(
    database: &Database,
    operator: Operator,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    let row = OperatorRow::from(&operator);
    run_tx(database.pool(), "add operator", move |connection| {
        let (operator, row, audit) = (operator.clone(), row.clone(), audit.clone());
        async move { add_once(connection, &operator, &row, &audit).await }.boxed()
    })
    .await
}

async fn add_once(
    connection: &mut AsyncPgConnection,
    operator: &Operator,
    row: &OperatorRow,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    let (name, at) = (&operator.name, operator.created_at);
    let identity = operator.identity.as_ref();
    if let Some(identity) = identity
        && !identities::add(connection, name, identity, at).await?
    {
        return Ok(false);
    }
    let added = diesel::insert_into(operators::table)
        .values((
            operators::name.eq(name),
            operators::created_at.eq(At(at)),
            row,
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    if added == 0 {
        if let Some(identity) = identity {
            identities::take_back(connection, identity).await?;
        }
        return Ok(false);
    }
    let after = row.told_with(name, identity);
    note_in_directory(connection, audit, at, None, Some(&after)).await?;
    Ok(true)
}

pub(super) async fn change(
    database: &Database,
    name: String,
    change: OperatorChange,
    at: Timestamp,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "change operator", move |connection| {
        let (name, change, audit) = (name.clone(), change.clone(), audit.clone());
        async move { change_once(connection, &name, change, at, &audit).await }.boxed()
    })
    .await
}

async fn change_once(
    connection: &mut AsyncPgConnection,
    name: &str,
    change: OperatorChange,
    at: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    let Some(before) = lock(connection, name).await? else {
        return Ok(false);
    };
    let (had, has) = match identities::change(connection, name, &change, at).await? {
        identities::Changed::Done(had, has) => (had, has),
        identities::Changed::Refused => return Ok(false),
    };
    let mut after = before.clone();
    let ends_sessions = apply(&mut after, change);
    if after == before && had == has {
        return Ok(true);
    }
    after.revision = before.revision.saturating_add(1);
    write(connection, name, &after).await?;
    if ends_sessions {
        end_sessions(connection, name, at).await?;
    }
    let before = before.told_with(name, had.as_ref());
    let after = after.told_with(name, has.as_ref());
    note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    Ok(true)
}

async fn end_sessions(
    connection: &mut AsyncPgConnection,
    name: &str,
    at: Timestamp,
) -> QueryResult<()> {
    let open = operator_sessions::table
        .filter(operator_sessions::operator.eq(name))
        .filter(operator_sessions::ended_at.is_null());
    diesel::update(open)
        .set(operator_sessions::ended_at.eq(At(at)))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Makes a change of the row, and tells whether the change ends the sessions.
fn apply(row: &mut OperatorRow, change: OperatorChange) -> bool {
    match change {
        OperatorChange::Password(hash) => {
            row.password_hash = hash.0;
            true
        }
        OperatorChange::Totp(sealed) => {
            row.totp_key_id = sealed.key_id;
            row.totp_secret = sealed.bytes;
            row.totp_step = None;
            true
        }
        OperatorChange::Link(_) | OperatorChange::Unlink => true,
        OperatorChange::Permissions(permissions) => {
            row.permissions = permission_names(&permissions);
            false
        }
        OperatorChange::Disable => {
            row.set_active(false);
            true
        }
        OperatorChange::Enable => {
            row.set_active(true);
            row.failures = 0;
            row.next_try_at = None;
            false
        }
    }
}

/// An operator's row, locked until the transaction ends.
pub(super) async fn lock(
    connection: &mut AsyncPgConnection,
    name: &str,
) -> QueryResult<Option<OperatorRow>> {
    operators::table
        .find(name)
        .select(OperatorRow::as_select())
        .for_no_key_update()
        .get_result(connection)
        .await
        .optional()
}

/// Writes a row that is locked.
pub(super) async fn write(
    connection: &mut AsyncPgConnection,
    name: &str,
    row: &OperatorRow,
) -> QueryResult<()> {
    diesel::update(operators::table.find(name))
        .set(row)
        .execute(connection)
        .await
        .map(|_| ())
}

/// One statement, which the row's lock puts in an order: whoever comes second sees another number.
pub(super) async fn count_try(
    database: &Database,
    name: String,
    seen: u32,
    next_try_at: Timestamp,
) -> Result<bool, StoreError> {
    let Ok(seen) = i32::try_from(seen) else {
        return Ok(false);
    };
    let unchanged = operators::table
        .find(name)
        .filter(operators::failures.eq(seen));
    let counted = database
        .run(async |connection| {
            diesel::update(unchanged)
                .set((
                    operators::failures.eq(seen.saturating_add(1)),
                    operators::next_try_at.eq(At(next_try_at)),
                ))
                .execute(connection)
                .await
        })
        .await?;
    Ok(counted > 0)
}
