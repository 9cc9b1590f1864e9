//! Whom an identity provider means by which operator. Who changes it has locked the operator's row.

use bursar_domain::Timestamp;
use bursar_ports::{Identity, Operator, OperatorChange, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::accounts::{Named, named, read as read_operator};
use crate::{error::unavailable, pool::Database, schema::operator_identities, value::At};

/// What became of an identity, as it was and as it is.
pub(super) enum Changed {
    Done(Option<Identity>, Option<Identity>),
    /// It is somebody else's, or there is another.
    Refused,
}

pub(super) fn read(row: Option<(String, String)>) -> Option<Identity> {
    row.map(|(issuer, subject)| Identity { issuer, subject })
}

pub(super) async fn find(
    database: &Database,
    identity: Identity,
) -> Result<Option<Operator>, StoreError> {
    let operator = named()
        .filter(operator_identities::issuer.eq(identity.issuer))
        .filter(operator_identities::subject.eq(identity.subject));
    let row: Option<Named> = database
        .look_up(async move |connection| {
            let found = operator.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    row.map(read_operator).transpose()
}

/// The identity of an operator.
pub(super) async fn of(
    connection: &mut AsyncPgConnection,
    name: &str,
) -> QueryResult<Option<Identity>> {
    let row = operator_identities::table
        .filter(operator_identities::operator.eq(name))
        .select((operator_identities::issuer, operator_identities::subject))
        .get_result(connection)
        .await
        .optional()?;
    Ok(read(row))
}

/// Gives an identity to an operator; `false` when that cannot be.
pub(super) async fn add(
    connection: &mut AsyncPgConnection,
    name: &str,
    identity: &Identity,
    at: Timestamp,
) -> QueryResult<bool> {
    let added = diesel::insert_into(operator_identities::table)
        .values((
            operator_identities::issuer.eq(&identity.issuer),
            operator_identities::subject.eq(&identity.subject),
            operator_identities::operator.eq(name),
            operator_identities::created_at.eq(At(at)),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(added > 0)
}

/// Undoes an addition of the same transaction.
pub(super) async fn take_back(
    connection: &mut AsyncPgConnection,
    identity: &Identity,
) -> QueryResult<()> {
    let key = (&identity.issuer, &identity.subject);
    diesel::delete(operator_identities::table.find(key))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Makes what is of identities in a change.
pub(super) async fn change(
    connection: &mut AsyncPgConnection,
    name: &str,
    change: &OperatorChange,
    at: Timestamp,
) -> QueryResult<Changed> {
    match change {
        OperatorChange::Link(identity) => {
            let had = of(connection, name).await?;
            let has = Some(identity.clone());
            let is_there = had == has || add(connection, name, identity, at).await?;
            Ok(if is_there {
                Changed::Done(had, has)
            } else {
                Changed::Refused
            })
        }
        OperatorChange::Unlink => {
            let had = of(connection, name).await?;
            let theirs = operator_identities::table.filter(operator_identities::operator.eq(name));
            diesel::delete(theirs).execute(connection).await?;
            Ok(Changed::Done(had, None))
        }
        OperatorChange::Password(_)
        | OperatorChange::Totp(_)
        | OperatorChange::Permissions(_)
        | OperatorChange::Disable
        | OperatorChange::Enable => Ok(Changed::Done(None, None)),
    }
}
