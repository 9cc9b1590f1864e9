//! Reading users.

use std::collections::HashMap;

use bursar_domain::{User, UserId, fold_name};
use bursar_ports::{StoreError, UserPage};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::is_text;
use crate::{
    error::{inconsistent, unavailable},
    pool::Database,
    schema::users,
    statement::{FindAliases, FindNamed},
};

/// A row of `users`, as far as a [`User`] needs it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(super) struct UserRow {
    id: Uuid,
    username: String,
    email: String,
    roles: Vec<String>,
    status: String,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let status = row.status.parse();
        Ok(Self {
            id: UserId::new(row.id),
            username: row.username,
            email: row.email,
            roles: row.roles,
            status: status.map_err(|_| inconsistent("users", format!("id {}: status", row.id)))?,
        })
    }
}

pub(super) async fn find(database: &Database, id: UserId) -> Result<Option<User>, StoreError> {
    let user = users::table.find(id.as_uuid()).select(UserRow::as_select());
    let row = database
        .look_up(async move |connection| {
            let found = user.get_result(connection).await.optional();
            found.map_err(unavailable)
        })
        .await?;
    row.map(User::try_from).transpose()
}

/// The revision of the status that the directory shows.
pub(super) async fn status_revision(
    database: &Database,
    id: UserId,
) -> Result<Option<i64>, StoreError> {
    let user = users::table.find(id.as_uuid());
    let revision = user.select(users::status_revision);
    database
        .look_up_once(async move |connection| revision.get_result(connection).await.optional())
        .await
}

pub(super) async fn find_many(
    database: &Database,
    ids: Vec<UserId>,
) -> Result<Vec<User>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(UserId::as_uuid).collect();
    let users = users::table
        .filter(users::id.eq_any(ids))
        .select(UserRow::as_select());
    let rows: Vec<UserRow> = database
        .look_up(async move |connection| users.load(connection).await.map_err(unavailable))
        .await?;
    rows.into_iter().map(User::try_from).collect()
}

/// What was asked for, whether there is such a user, and the user or nobody.
type NamedRow<K> = (K, bool, Uuid, String, String, Vec<String>, String);

/// Each of these ids with whose it is.
pub(super) async fn find_named(
    database: &Database,
    ids: Vec<UserId>,
) -> Result<Vec<(UserId, Option<User>)>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(UserId::as_uuid).collect();
    let rows: Vec<NamedRow<Uuid>> = database
        .look_up(async move |connection| {
            let find = FindNamed { ids: &ids };
            find.load(connection).await.map_err(unavailable)
        })
        .await?;
    let named = rows.into_iter().map(named);
    named
        .map(|one| one.map(|(id, user)| (UserId::new(id), user)))
        .collect()
}

/// Each of these names, which are folded, with who answers to it. The email counts before the
/// username.
pub(super) async fn find_by_alias(
    database: &Database,
    aliases: Vec<String>,
) -> Result<HashMap<String, Option<User>>, StoreError> {
    let rows: Vec<NamedRow<String>> = database
        .look_up(async move |connection| {
            let find = FindAliases { aliases: &aliases };
            find.load(connection).await.map_err(unavailable)
        })
        .await?;
    rows.into_iter().map(named).collect()
}

fn named<K>(row: NamedRow<K>) -> Result<(K, Option<User>), StoreError> {
    let (asked, answers, id, username, email, roles, status) = row;
    let user = User::try_from(UserRow {
        id,
        username,
        email,
        roles,
        status,
    })?;
    Ok((asked, answers.then_some(user)))
}

/// Users in the order of their ids. A part of a name that few have is found by the index of parts; else,
/// and where there is none, a search reads every user after `after` until it has found enough.
pub(super) async fn list(
    database: &Database,
    search: Option<String>,
    after: Option<UserId>,
    limit: u32,
) -> Result<UserPage, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut query = users::table
        .select(UserRow::as_select())
        .order(users::id)
        // One more than asked for tells whether there are more.
        .limit(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(users::id.gt(after.as_uuid()));
    }
    let search = search.filter(|search| !search.is_empty());
    if !search.as_deref().is_none_or(is_text) {
        return Ok(UserPage {
            users: vec![],
            more: false,
        });
    }
    let part = search.map(|search| contains_pattern(&fold_name(&search)));
    let rows: Vec<UserRow> = database
        .read_list(async move |connection| {
            if let Some(part) = part {
                query = match few_with(connection, &part).await? {
                    Some(few) => query.filter(users::id.eq_any(few)),
                    None => query.filter(contains(part)),
                };
            }
            query.load(connection).await.map_err(unavailable)
        })
        .await?;
    let more = rows.len() > limit;
    let users: Result<_, _> = rows.into_iter().take(limit).map(User::try_from).collect();
    Ok(UserPage {
        users: users?,
        more,
    })
}

/// How many users have a part of a name so that all of them are looked up.
const FEW: usize = 1_000;

/// Everybody with this part, by an index where there is one, unless they are many: then the first ones
/// are soon found by walking through all users in their order. PostgreSQL cannot know which it is, and
/// would walk past a million for the one.
async fn few_with(
    connection: &mut AsyncPgConnection,
    part: &str,
) -> Result<Option<Vec<Uuid>>, StoreError> {
    let found = users::table
        .select(users::id)
        .filter(contains(part.to_owned()))
        .limit(i64::try_from(FEW.saturating_add(1)).unwrap_or(i64::MAX));
    let found: Vec<Uuid> = found.load(connection).await.map_err(unavailable)?;
    Ok((found.len() <= FEW).then_some(found))
}

/// Whose name or email is like this.
#[diesel::dsl::auto_type(no_type_alias)]
fn contains(pattern: String) -> _ {
    let by_name: diesel::dsl::Like<users::username_fold, String> =
        users::username_fold.like(pattern.clone());
    by_name.or(users::email_fold.like(pattern))
}

/// A `LIKE` pattern for every text that contains `part`, which is taken literally.
fn contains_pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len().saturating_add(2));
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_literally() {
        assert_eq!(contains_pattern("al_i%c\\e"), "%al\\_i\\%c\\\\e%");
    }
}
