//! Address books. They live beside the users in the directory and refer to none of them: an entry
//! is what its owner typed.

use std::fmt;

use async_trait::async_trait;
use bursar_domain::UserId;
use bursar_ports::{AddEntry, AddressBook, AddressBookEntry, StoreError};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use uuid::Uuid;

use crate::{
    error::unavailable,
    pool::Database,
    schema::{address_book, users},
    tx::run_tx,
    value::At,
};

/// The address books.
#[derive(Clone)]
pub struct PgAddressBook {
    database: Database,
}

impl PgAddressBook {
    /// Address books on these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = address_book)]
struct EntryRow {
    user_id: Uuid,
    code: String,
    recipient: String,
    label: Option<String>,
    created_at: At,
}

impl From<AddressBookEntry> for EntryRow {
    fn from(entry: AddressBookEntry) -> Self {
        Self {
            user_id: entry.user.as_uuid(),
            code: entry.code,
            recipient: entry.recipient,
            label: entry.label,
            created_at: At(entry.created_at),
        }
    }
}

impl From<EntryRow> for AddressBookEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            user: UserId::new(row.user_id),
            code: row.code,
            recipient: row.recipient,
            label: row.label,
            created_at: row.created_at.0,
        }
    }
}

#[async_trait]
impl AddressBook for PgAddressBook {
    async fn find_many(
        &self,
        user: UserId,
        codes: Vec<String>,
    ) -> Result<Vec<AddressBookEntry>, StoreError> {
        let rows: Vec<EntryRow> = self
            .database
            .run(async |connection| {
                address_book::table
                    .filter(address_book::user_id.eq(user.as_uuid()))
                    .filter(address_book::code.eq_any(&codes))
                    .select(EntryRow::as_select())
                    .load(connection)
                    .await
            })
            .await?;
        Ok(rows.into_iter().map(AddressBookEntry::from).collect())
    }

    /// Sorted here, so that the order does not depend on the server's locale.
    async fn list(&self, user: UserId) -> Result<Vec<AddressBookEntry>, StoreError> {
        let rows = self
            .database
            .read_list(async |connection| load(connection, user).await.map_err(unavailable))
            .await?;
        let mut entries: Vec<AddressBookEntry> =
            rows.into_iter().map(AddressBookEntry::from).collect();
        entries.sort_unstable_by(|one, other| {
            let newest_first = other.created_at.cmp(&one.created_at);
            newest_first.then_with(|| one.code.cmp(&other.code))
        });
        Ok(entries)
    }

    async fn add(&self, entry: AddressBookEntry, entries_max: u32) -> Result<AddEntry, StoreError> {
        let row = EntryRow::from(entry);
        run_tx(self.database.pool(), "add address", move |connection| {
            let row = row.clone();
            async move { add(connection, row, entries_max).await }.boxed()
        })
        .await
    }

    async fn remove(&self, user: UserId, code: String) -> Result<bool, StoreError> {
        let removed = run_tx(self.database.pool(), "remove address", move |connection| {
            let entry = address_book::table.find((user.as_uuid(), code.clone()));
            async move { diesel::delete(entry).execute(connection).await }.boxed()
        })
        .await?;
        Ok(removed > 0)
    }
}

/// With the user's row locked the entries are counted and the new one is added as if one request
/// came after the other.
async fn add(
    connection: &mut AsyncPgConnection,
    row: EntryRow,
    entries_max: u32,
) -> QueryResult<AddEntry> {
    users::table
        .find(row.user_id)
        .select(users::id)
        .for_no_key_update()
        .get_result::<Uuid>(connection)
        .await
        .optional()?;
    if let Some(had) = find(connection, row.user_id, &row.code).await? {
        return Ok(AddEntry::Exists(had.into()));
    }
    let entries: i64 = address_book::table
        .filter(address_book::user_id.eq(row.user_id))
        .count()
        .get_result(connection)
        .await?;
    if entries >= i64::from(entries_max) {
        return Ok(AddEntry::Full);
    }
    diesel::insert_into(address_book::table)
        .values(&row)
        .execute(connection)
        .await?;
    Ok(AddEntry::Added)
}

async fn load(connection: &mut AsyncPgConnection, user: UserId) -> QueryResult<Vec<EntryRow>> {
    address_book::table
        .filter(address_book::user_id.eq(user.as_uuid()))
        .select(EntryRow::as_select())
        .load(connection)
        .await
}

async fn find(
    connection: &mut AsyncPgConnection,
    user: Uuid,
    code: &str,
) -> QueryResult<Option<EntryRow>> {
    address_book::table
        .find((user, code))
        .select(EntryRow::as_select())
        .get_result(connection)
        .await
        .optional()
}

impl fmt::Debug for PgAddressBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgAddressBook")
            .field("database", &self.database)
            .finish()
    }
}
