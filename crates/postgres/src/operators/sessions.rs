//! Operators' sessions.

use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{OpenSession, Operator, OperatorSession, SignInProof, StoreError, TokenHash};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::{
    accounts::{lock, write},
    identities,
    row::{OperatorRow, SessionRow, told_opening},
};
use crate::{
    audit_log::note_in_directory,
    error::unavailable,
    pool::Database,
    schema::{operator_identities, operator_sessions, operators},
    tx::run_tx,
    value::At,
};

/// A session with its operator.
type Found = (SessionRow, At, OperatorRow, Option<(String, String)>);

/// How long after its end a session is kept, in microseconds: the audit log tells of it for ever.
const KEPT_US: i64 = 90 * 86_400 * 1_000_000;

pub(super) async fn open(
    database: &Database,
    opening: OpenSession,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "open session", move |connection| {
        let (opening, audit) = (opening.clone(), audit.clone());
        async move { open_once(connection, opening, &audit).await }.boxed()
    })
    .await
}

async fn open_once(
    connection: &mut AsyncPgConnection,
    opening: OpenSession,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    let (name, at) = (opening.session.operator.clone(), opening.session.created_at);
    let Some(mut operator) = lock(connection, &name).await? else {
        return Ok(false);
    };
    if !operator.is_active() || operator.revision != opening.revision {
        return Ok(false);
    }
    match &opening.proof {
        SignInProof::Code(step) => {
            if operator.totp_step.is_some_and(|last| last >= *step) {
                return Ok(false);
            }
            operator.totp_step = Some(*step);
            operator.failures = 0;
            operator.next_try_at = None;
            write(connection, &name, &operator).await?;
        }
        SignInProof::Identity(identity) => {
            if identities::of(connection, &name).await?.as_ref() != Some(identity) {
                return Ok(false);
            }
        }
    }
    let old = operator_sessions::table
        .filter(operator_sessions::operator.eq(&name))
        .filter(operator_sessions::expires_at.lt(At(at.plus_micros(-KEPT_US))));
    diesel::delete(old).execute(connection).await?;
    let row = SessionRow::from(opening.session);
    diesel::insert_into(operator_sessions::table)
        .values(&row)
        .execute(connection)
        .await?;
    let after = told_opening(&row, &opening.proof);
    note_in_directory(connection, audit, at, None, Some(&after)).await?;
    Ok(true)
}

pub(super) async fn find(
    database: &Database,
    token: TokenHash,
) -> Result<Option<(OperatorSession, Operator)>, StoreError> {
    let session = operator_sessions::table
        .inner_join(operators::table.on(operators::name.eq(operator_sessions::operator)))
        .left_join(operator_identities::table.on(operator_identities::operator.eq(operators::name)))
        .filter(operator_sessions::token_hash.eq(token.0.to_vec()))
        .select((
            SessionRow::as_select(),
            operators::created_at,
            OperatorRow::as_select(),
            (operator_identities::issuer, operator_identities::subject).nullable(),
        ));
    let found: Option<Found> = database
        .look_up(async move |connection| {
            let found = session.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    found
        .map(|(session, created_at, operator, identity)| {
            let identity = identities::read(identity);
            let operator = operator.read(session.operator.clone(), created_at, identity)?;
            Ok((OperatorSession::try_from(session)?, operator))
        })
        .transpose()
}

/// Replicas' clocks differ: the time never goes back.
pub(super) async fn touch(database: &Database, id: Uuid, at: Timestamp) -> Result<(), StoreError> {
    let seen = operator_sessions::table
        .find(id)
        .filter(operator_sessions::last_seen_at.lt(At(at)));
    database
        .run(async |connection| {
            diesel::update(seen)
                .set(operator_sessions::last_seen_at.eq(At(at)))
                .execute(connection)
                .await
        })
        .await
        .map(|_| ())
}

pub(super) async fn list(
    database: &Database,
    operator: String,
    at: Timestamp,
) -> Result<Vec<OperatorSession>, StoreError> {
    let open = operator_sessions::table
        .filter(operator_sessions::operator.eq(operator))
        .filter(operator_sessions::ended_at.is_null())
        .filter(operator_sessions::expires_at.gt(At(at)))
        .select(SessionRow::as_select())
        .order(operator_sessions::id.desc());
    let rows: Vec<SessionRow> = database
        .run(async |connection| open.load(connection).await)
        .await?;
    rows.into_iter().map(OperatorSession::try_from).collect()
}

pub(super) async fn end(
    database: &Database,
    operator: String,
    id: Uuid,
    at: Timestamp,
    audit: AuditDraft,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "end session", move |connection| {
        let (operator, audit) = (operator.clone(), audit.clone());
        async move { end_once(connection, &operator, id, at, &audit).await }.boxed()
    })
    .await
}

async fn end_once(
    connection: &mut AsyncPgConnection,
    operator: &str,
    id: Uuid,
    at: Timestamp,
    audit: &AuditDraft,
) -> QueryResult<bool> {
    if lock(connection, operator).await?.is_none() {
        return Ok(false);
    }
    let found: Option<SessionRow> = operator_sessions::table
        .find(id)
        .filter(operator_sessions::operator.eq(operator))
        .select(SessionRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let Some(mut row) = found else {
        return Ok(false);
    };
    if row.ended_at.is_none() {
        let before = row.told();
        row.ended_at = Some(At(at));
        diesel::update(operator_sessions::table.find(id))
            .set(operator_sessions::ended_at.eq(row.ended_at))
            .execute(connection)
            .await?;
        let after = row.told();
        note_in_directory(connection, audit, at, Some(&before), Some(&after)).await?;
    }
    Ok(true)
}
