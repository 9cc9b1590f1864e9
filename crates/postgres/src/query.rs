//! The read side: lists, balances and the whole story of one transfer. Which index serves which
//! list is told in `docs/DATABASE.md` and tested here.

mod backoffice;
mod balances;
mod internal;
mod part;
#[cfg(test)]
mod plan_tests;
mod story;

use std::fmt;

use async_trait::async_trait;
use bursar_domain::{Transfer, TransferId, UserId};
use bursar_ports::{
    AccountBalance, AccountHistory, CallbackRecord, InternalFilter, LedgerLine, StoreError,
    TransferFilter, TransferPage, TransferQuery,
};
use diesel::{
    dsl::{AsSelect, IntoBoxed, Select},
    pg::Pg,
    prelude::*,
};

use crate::{pool::Database, row::TransferRow, schema::transfers};

/// The lists of the main book.
#[derive(Clone)]
pub struct PgQuery {
    database: Database,
}

impl PgQuery {
    /// Lists read over these connections.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl TransferQuery for PgQuery {
    async fn list_account_history(
        &self,
        filter: AccountHistory,
    ) -> Result<Vec<Transfer>, StoreError> {
        backoffice::list_account_history(self.database.pool(), filter).await
    }

    async fn list_transfers(&self, filter: TransferFilter) -> Result<TransferPage, StoreError> {
        backoffice::list_transfers(self.database.pool(), filter).await
    }

    async fn list_internal(&self, filter: InternalFilter) -> Result<Vec<Transfer>, StoreError> {
        internal::list(self.database.pool(), filter).await
    }

    async fn list_user_balances(&self, user: UserId) -> Result<Vec<AccountBalance>, StoreError> {
        balances::list_of_user(self.database.pool(), user).await
    }

    async fn list_system_balances(&self) -> Result<Vec<AccountBalance>, StoreError> {
        balances::list_of_system(self.database.pool()).await
    }

    async fn list_entries(&self, transfer: TransferId) -> Result<Vec<LedgerLine>, StoreError> {
        story::list_entries(self.database.pool(), transfer).await
    }

    async fn list_callbacks(
        &self,
        transfer: TransferId,
    ) -> Result<Vec<CallbackRecord>, StoreError> {
        story::list_callbacks(self.database.pool(), transfer).await
    }
}

impl fmt::Debug for PgQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgQuery")
            .field("database", &self.database)
            .finish()
    }
}

/// A list of transfers to which filters are still added.
type Transfers = IntoBoxed<'static, Select<transfers::table, AsSelect<TransferRow, Pg>>, Pg>;

fn transfers_in(part: part::Part) -> Transfers {
    transfers::table
        .select(TransferRow::as_select())
        .into_boxed()
        .filter(part)
}

fn newest_first(list: Transfers) -> Transfers {
    list.order((transfers::created_at.desc(), transfers::id.desc()))
}

fn read_all(rows: Vec<TransferRow>) -> Result<Vec<Transfer>, StoreError> {
    rows.into_iter().map(Transfer::try_from).collect()
}

/// Offsets that no list reaches are as good as the largest one that PostgreSQL reads.
fn sql_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
