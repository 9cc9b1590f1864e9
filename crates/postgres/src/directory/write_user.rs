//! Writing a user; the doctrine is told in the module above.

use bursar_domain::{AuditDraft, User, UserStatus, fold_name};
use bursar_ports::{PutUser, StoreError};
use diesel::{
    prelude::*,
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::status;
use crate::{
    audit_log::note_in_directory, error::inconsistent, pool::Database, schema::users, tx::run_tx,
    value::At,
};

/// How often a name is looked up again that somebody else took between look-up and write.
const LOOKS_MAX: u32 = 3;

#[derive(Clone, Insertable, AsChangeset)]
#[diesel(table_name = users)]
struct NewUser {
    id: Uuid,
    username: String,
    username_fold: String,
    email: String,
    email_fold: String,
    roles: Vec<String>,
    status: String,
    updated_at: At,
    status_revision: i64,
}

/// The row that is replaced.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct OldUser {
    username: String,
    email: String,
    roles: Vec<String>,
    status: String,
    status_revision: i64,
}

/// A user as the audit log tells it.
fn told(username: &str, email: &str, roles: &[String], status: &str) -> Value {
    json!({"username": username, "email": email, "roles": roles, "status": status})
}

impl NewUser {
    fn told(&self) -> Value {
        told(&self.username, &self.email, &self.roles, &self.status)
    }
}

impl OldUser {
    fn told(&self) -> Value {
        told(&self.username, &self.email, &self.roles, &self.status)
    }
}

pub(super) async fn run(
    database: &Database,
    user: User,
    at: At,
    audit: AuditDraft,
) -> Result<PutUser, StoreError> {
    let (id, status) = (user.id, user.status);
    let mut row = NewUser {
        id: id.as_uuid(),
        username_fold: fold_name(&user.username),
        username: user.username,
        email_fold: fold_name(&user.email),
        email: user.email,
        roles: user.roles,
        status: status.as_str().to_owned(),
        updated_at: at,
        status_revision: 0,
    };
    let clash = database
        .run(async |connection| find_clash(connection, &row).await)
        .await?;
    if let Some(outcome) = clash {
        return Ok(outcome);
    }
    match status {
        UserStatus::Frozen | UserStatus::Terminated => {
            let stopped = status::stop(database, id, status, &UserStatus::ALL).await?;
            row.status_revision =
                stopped.ok_or_else(|| inconsistent("owners", format!("id {id}: status")))?;
            write(database, row, audit)
                .await
                .map_err(StoreError::of_what_happened)
        }
        UserStatus::Active => {
            let seen = status::seen(database, id).await?.map(|(seen, _)| seen);
            row.status_revision = seen.unwrap_or(0).saturating_add(1);
            let written = write(database, row, audit).await?;
            // A book that did not know the user had nothing to release.
            if let (PutUser::Written, Some(seen)) = (&written, seen) {
                let released = status::release(database, id, seen).await;
                released.map_err(StoreError::of_what_happened)?;
            }
            Ok(written)
        }
    }
}

/// Writes the directory's row.
async fn write(
    database: &Database,
    row: NewUser,
    audit: AuditDraft,
) -> Result<PutUser, StoreError> {
    let mut looks = 1;
    loop {
        let (row, audit) = (row.clone(), audit.clone());
        let written = run_tx(database.pool(), "write user", move |connection| {
            let (row, audit) = (row.clone(), audit.clone());
            async move { write_once(connection, row, &audit).await }.boxed()
        })
        .await;
        match written {
            Err(error) if is_taken_meanwhile(&error) && looks < LOOKS_MAX => looks += 1,
            other => return other,
        }
    }
}

async fn write_once(
    connection: &mut AsyncPgConnection,
    mut row: NewUser,
    audit: &AuditDraft,
) -> QueryResult<PutUser> {
    let clash = find_clash(connection, &row).await?;
    let mut old = lock(connection, row.id).await?;
    if let (None, None) = (&clash, &old) {
        let inserted = diesel::insert_into(users::table)
            .values(&row)
            .on_conflict(users::id)
            .do_nothing()
            .execute(connection)
            .await?;
        if inserted == 0 {
            // Somebody else inserted it in this moment; it has a row to lock now.
            old = lock(connection, row.id).await?;
        }
    }
    if let Some(outcome) = clash {
        return Ok(outcome);
    }
    let before = old.as_ref().map(OldUser::told);
    if let Some(old) = old {
        row = with_later_status(row, old);
        diesel::update(users::table.find(row.id))
            .set(&row)
            .execute(connection)
            .await?;
    }
    let (at, after) = (row.updated_at.0, row.told());
    note_in_directory(connection, audit, at, before.as_ref(), Some(&after)).await?;
    Ok(PutUser::Written)
}

/// The higher revision counts, and on a tie the stop.
fn with_later_status(row: NewUser, old: OldUser) -> NewUser {
    let releases = row.status == UserStatus::Active.as_str();
    let is_later = old.status_revision > row.status_revision
        || (old.status_revision == row.status_revision && releases);
    if is_later {
        NewUser {
            status: old.status,
            status_revision: old.status_revision,
            ..row
        }
    } else {
        row
    }
}

async fn lock(connection: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<OldUser>> {
    users::table
        .find(id)
        .select(OldUser::as_select())
        .for_update()
        .get_result(connection)
        .await
        .optional()
}

/// Which of the user's names another user has.
async fn find_clash(
    connection: &mut AsyncPgConnection,
    row: &NewUser,
) -> QueryResult<Option<PutUser>> {
    let has_username = users::username_fold.eq(row.username_fold.clone());
    let has_email = users::email_fold
        .eq(row.email_fold.clone())
        .and(users::email_fold.ne(""));
    let others: Vec<String> = users::table
        .filter(users::id.ne(row.id))
        .filter(has_username.or(has_email))
        .select(users::username_fold)
        .load(connection)
        .await?;
    Ok(if others.contains(&row.username_fold) {
        Some(PutUser::UsernameTaken)
    } else if others.is_empty() {
        None
    } else {
        Some(PutUser::EmailTaken)
    })
}

/// Somebody took a name between the look-up and the write. Which name shows at the next look-up,
/// not by the name of a constraint: a shard renames those.
fn is_taken_meanwhile(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else {
        return false;
    };
    matches!(
        cause.downcast_ref(),
        Some(DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation,
            _
        ))
    )
}

#[cfg(test)]
mod tests {
    use bursar_domain::Timestamp;

    use super::*;

    fn row(status: &str, status_revision: i64) -> NewUser {
        NewUser {
            id: Uuid::nil(),
            username: "new".to_owned(),
            username_fold: "new".to_owned(),
            email: String::new(),
            email_fold: String::new(),
            roles: vec![],
            status: status.to_owned(),
            updated_at: At(Timestamp::EPOCH),
            status_revision,
        }
    }

    #[test]
    fn the_later_status_stands_and_on_a_tie_the_stop() {
        let cases = [
            (("Active", 2), ("Frozen", 3), ("Frozen", 3)),
            (("Frozen", 2), ("Active", 3), ("Active", 3)),
            (("Frozen", 3), ("Active", 2), ("Frozen", 3)),
            (("Active", 3), ("Frozen", 2), ("Active", 3)),
            (("Frozen", 3), ("Active", 3), ("Frozen", 3)),
            (("Active", 3), ("Frozen", 3), ("Frozen", 3)),
            (("Active", 3), ("Active", 3), ("Active", 3)),
        ];
        for (old, new, expected) in cases {
            let old = OldUser {
                username: "old".to_owned(),
                email: String::new(),
                roles: vec![],
                status: old.0.to_owned(),
                status_revision: old.1,
            };
            let kept = with_later_status(row(new.0, new.1), old);
            assert_eq!((kept.status.as_str(), kept.status_revision), expected);
            assert_eq!(kept.username, "new");
        }
    }
}
