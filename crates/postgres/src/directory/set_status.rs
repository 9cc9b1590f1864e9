//! Giving a user another status, and nothing else; the doctrine is told in the module above.

use bursar_domain::{AuditDraft, User, UserId, UserStatus};
use bursar_ports::{Expected, SetStatus, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;

use super::{
    status,
    users::{self, UserRow},
};
use crate::{audit_log::note_in_directory, pool::Database, schema, tx::run_tx, value::At};

/// What is to be, and over what.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) id: UserId,
    pub(super) was: UserStatus,
    pub(super) status: UserStatus,
    /// The directory's revision that a release is of.
    pub(super) shown: Expected<i64>,
    pub(super) at: At,
    pub(super) audit: AuditDraft,
}

/// What became of a change of the directory's row.
enum Shown {
    Written(UserRow),
    Overtaken,
    Unknown,
}

pub(super) async fn run(database: &Database, change: Change) -> Result<SetStatus, StoreError> {
    let (id, was, status) = (change.id, change.was, change.status);
    match users::find(database, id).await? {
        None => return Ok(SetStatus::Unknown),
        Some(user) if user.status != was => {
            // That the directory shows a release does not mean that the book knows of it.
            let is_shown = status == UserStatus::Active && user.status == status;
            return if is_shown {
                complete(database, id, was).await
            } else {
                Ok(SetStatus::Overtaken)
            };
        }
        Some(_) => {}
    }
    // What a change that was cut off has left in the book already is no other status.
    let over = [was, status];
    match status {
        UserStatus::Frozen | UserStatus::Terminated => {
            match status::stop(database, id, status, &over).await? {
                Some(revision) => {
                    let shown = show(database, change, revision).await;
                    shown.map_err(StoreError::of_what_happened)
                }
                None => Ok(SetStatus::Overtaken),
            }
        }
        UserStatus::Active => {
            let seen = status::seen(database, id).await?;
            if seen.is_some_and(|(_, is)| !over.contains(&is)) {
                return Ok(SetStatus::Overtaken);
            }
            let seen = seen.map(|(revision, _)| revision);
            let revision = seen.unwrap_or(0).saturating_add(1);
            let set = show(database, change, revision).await?;
            if let (SetStatus::Written(_), Some(seen)) = (&set, seen) {
                let released = status::release(database, id, seen).await;
                released.map_err(StoreError::of_what_happened)?;
            }
            Ok(set)
        }
    }
}

/// Completes a release that the directory shows already and that was cut off before the book. A stop
/// that came after it stands, also one that the directory has not been told of: the book's revision is
/// then no lower than the directory's.
async fn complete(
    database: &Database,
    id: UserId,
    was: UserStatus,
) -> Result<SetStatus, StoreError> {
    use schema::users;

    let seen = status::seen(database, id).await?;
    let Some((seen, _)) = seen.filter(|(_, is)| *is == was) else {
        return Ok(SetStatus::Overtaken);
    };
    let shown = users::table
        .find(id.as_uuid())
        .filter(users::status.eq(UserStatus::Active.as_str()))
        .filter(users::status_revision.gt(seen))
        .select(UserRow::as_select());
    let row: Option<UserRow> = database
        .run(async move |connection| shown.get_result(connection).await.optional())
        .await?;
    let Some(row) = row else {
        return Ok(SetStatus::Overtaken);
    };
    let user = User::try_from(row)?;
    // Half of it has happened, whoever did that.
    let released = status::release(database, id, seen).await;
    let is_released = released.map_err(StoreError::of_what_happened)?;
    Ok(if is_released {
        SetStatus::Written(user)
    } else {
        SetStatus::Overtaken
    })
}

/// Writes the directory's row, unless it shows something else by now.
async fn show(database: &Database, change: Change, revision: i64) -> Result<SetStatus, StoreError> {
    let shown = run_tx(database.pool(), "set user's status", move |connection| {
        let change = change.clone();
        async move { write(connection, &change, revision).await }.boxed()
    });
    Ok(match shown.await? {
        Shown::Written(row) => SetStatus::Written(User::try_from(row)?),
        Shown::Overtaken => SetStatus::Overtaken,
        Shown::Unknown => SetStatus::Unknown,
    })
}

async fn write(
    connection: &mut AsyncPgConnection,
    change: &Change,
    revision: i64,
) -> QueryResult<Shown> {
    use schema::users;

    let user = users::table.find(change.id.as_uuid());
    let old: Option<(String, i64)> = user
        .select((users::status, users::status_revision))
        .for_update()
        .get_result(connection)
        .await
        .optional()?;
    let Some((shows, of)) = old else {
        return Ok(Shown::Unknown);
    };
    // The higher revision counts, and on a tie the stop.
    let releases = change.status == UserStatus::Active;
    if of > revision || (of == revision && releases) {
        return Ok(Shown::Overtaken);
    }
    // A later stop shows the same status, and was not seen by whoever releases.
    let is_seen = shows == change.was.as_str() && change.shown.allows(&of);
    if releases && !is_seen {
        return Ok(Shown::Overtaken);
    }
    if shows == change.status.as_str() {
        // Somebody else's stop came first, and this one is the book's latest: no release that did not
        // know of it may pass.
        let latest = users::status_revision.eq(revision);
        diesel::update(user).set(latest).execute(connection).await?;
        return Ok(Shown::Overtaken);
    }
    let row = diesel::update(user)
        .set((
            users::status.eq(change.status.as_str()),
            users::status_revision.eq(revision),
            users::updated_at.eq(change.at),
        ))
        .returning(UserRow::as_returning())
        .get_result(connection)
        .await?;
    note_in_directory(connection, &change.audit, change.at.0, None, None).await?;
    Ok(Shown::Written(row))
}
