//! A user's status in the book; the doctrine is told in the module above.

use bursar_domain::{UserId, UserStatus};
use bursar_ports::StoreError;
use diesel::{prelude::*, query_dsl, upsert::excluded};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;

use crate::{
    engine::RULE_SET,
    error::inconsistent,
    pool::Database,
    schema::{accounts, owners, writers},
    tx::run_tx,
};

/// Stops a user whose status is one of these, and tells the revision of that.
pub(super) async fn stop(
    database: &Database,
    user: UserId,
    status: UserStatus,
    over: &[UserStatus],
) -> Result<Option<i64>, StoreError> {
    let over: Vec<&str> = over.iter().map(|one| one.as_str()).collect();
    run_tx(database.pool(), "stop user", move |connection| {
        let over = over.clone();
        async move {
            let stopping = diesel::insert_into(owners::table)
                .values((
                    owners::id.eq(user.as_uuid()),
                    owners::status.eq(status.as_str()),
                    owners::revision.eq(1),
                ))
                .on_conflict(owners::id)
                .do_update()
                .set((
                    owners::status.eq(excluded(owners::status)),
                    owners::revision.eq(owners::revision + 1),
                ));
            // Named, for every table has a method of this name.
            let revision =
                query_dsl::methods::FilterDsl::filter(stopping, owners::status.eq_any(over))
                    .returning(owners::revision)
                    .get_result(connection)
                    .await
                    .optional()?;
            if revision.is_some() {
                write_accounts(connection, user, status).await?;
            }
            Ok(revision)
        }
        .boxed()
    })
    .await
}

/// The book's revision of a user's status, and that status; none when the book does not know the user.
pub(crate) async fn seen(
    database: &Database,
    user: UserId,
) -> Result<Option<(i64, UserStatus)>, StoreError> {
    let owner = owners::table.find(user.as_uuid());
    let seen: Option<(i64, String)> = database
        .run(async |connection| {
            let seen = owner.select((owners::revision, owners::status));
            seen.get_result(connection).await.optional()
        })
        .await?;
    let read = |(revision, status): (i64, String)| {
        let status = status.parse();
        let status = status.map_err(|_| inconsistent("owners", format!("id {user}: status")));
        Ok((revision, status?))
    };
    seen.map(read).transpose()
}

/// Releases a user, unless its status has changed since `seen`: then that change came later and
/// stands. Tells whether it did.
pub(super) async fn release(
    database: &Database,
    user: UserId,
    seen: i64,
) -> Result<bool, StoreError> {
    run_tx(database.pool(), "release user", move |connection| {
        async move {
            let unchanged = owners::table
                .find(user.as_uuid())
                .filter(owners::revision.eq(seen));
            let released = diesel::update(unchanged)
                .set((
                    owners::status.eq(UserStatus::Active.as_str()),
                    owners::revision.eq(owners::revision + 1),
                ))
                .execute(connection)
                .await?;
            let is_released = released > 0;
            if is_released {
                write_accounts(connection, user, UserStatus::Active).await?;
            }
            Ok(is_released)
        }
        .boxed()
    })
    .await
}

/// Binds what is in flight: waits for the money transactions that hold the accounts. The caller
/// holds the `owners` row, so no account is added meanwhile.
async fn write_accounts(
    connection: &mut AsyncPgConnection,
    user: UserId,
    status: UserStatus,
) -> QueryResult<()> {
    let ids: Vec<i64> = accounts::table
        .filter(accounts::owner.eq(user.as_uuid()))
        .filter(accounts::owner_kind.eq("user"))
        .filter(accounts::status.ne(status.as_str()))
        .select(accounts::id)
        .order(accounts::id)
        .for_no_key_update()
        .load(connection)
        .await?;
    if !ids.is_empty() {
        diesel::update(accounts::table.filter(accounts::id.eq_any(ids)))
            .set(accounts::status.eq(status.as_str()))
            .execute(connection)
            .await?;
        // A single writer remembers the accounts as they were: nothing that it decides by that is
        // committed after this. Moved on also while nobody holds the book, so as to meet whoever
        // takes it right now.
        diesel::update(writers::table.filter(writers::name.eq(RULE_SET)))
            .set(writers::epoch.eq(writers::epoch + 1))
            .execute(connection)
            .await?;
    }
    Ok(())
}
