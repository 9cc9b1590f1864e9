//! The read side: lists, balances and the whole story of one transfer. Which index serves which
//! list is told in `docs/DATABASE.md` and tested here.

mod backoffice;
mod balances;
mod balances_at;
mod condition;
mod internal;
#[cfg(test)]
mod plan_tests;
mod ranges;
mod scan;
mod statement;
mod story;

use std::fmt;

use async_trait::async_trait;
use bursar_domain::{Timestamp, Transfer, TransferId, UserId};
use bursar_ports::{
    AccountBalance, AccountHistory, InternalFilter, LedgerLine, LedgerOwner, Statement,
    StatementFilter, StoreError, TransferFilter, TransferPage, TransferQuery, TransferScan,
    TransferSlice,
};
use uuid::Uuid;

pub(crate) use self::scan::part as scan_part;
use crate::{pool::Database, row::TransferRow};

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
        backoffice::list_account_history(&self.database, filter).await
    }

    async fn list_transfers(&self, filter: TransferFilter) -> Result<TransferPage, StoreError> {
        backoffice::list_transfers(&self.database, filter).await
    }

    async fn scan_transfers(&self, scan: TransferScan) -> Result<TransferSlice, StoreError> {
        scan::scan(&self.database, scan).await
    }

    async fn list_internal(&self, filter: InternalFilter) -> Result<Vec<Transfer>, StoreError> {
        internal::list(&self.database, filter).await
    }

    async fn list_user_balances(&self, user: UserId) -> Result<Vec<AccountBalance>, StoreError> {
        balances::list_of_user(&self.database, user).await
    }

    async fn list_system_balances(&self) -> Result<Vec<AccountBalance>, StoreError> {
        balances::list_of_system(&self.database).await
    }

    async fn list_entries(&self, transfer: TransferId) -> Result<Vec<LedgerLine>, StoreError> {
        self.database
            .read(async |connection| story::list_entries(connection, transfer).await)
            .await
    }

    async fn read_statement(&self, filter: StatementFilter) -> Result<Statement, StoreError> {
        self.database
            .look_up_list(async move |connection| statement::read(connection, filter).await)
            .await
    }

    async fn list_balances_at(
        &self,
        owner: LedgerOwner,
        at: Timestamp,
    ) -> Result<Vec<AccountBalance>, StoreError> {
        match owner {
            LedgerOwner::User(user) => {
                self.database
                    .read(async move |connection| balances_at::of_user(connection, user, at).await)
                    .await
            }
            LedgerOwner::System => balances_at::of_system(&self.database, at).await,
        }
    }
}

impl fmt::Debug for PgQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgQuery")
            .field("database", &self.database)
            .finish()
    }
}

/// How many users' ranges are merged; more are looked for in a list of all.
const USERS_MERGED_MAX: usize = 8;

/// The users when there are few, each of them once.
fn of_few(users: &[Uuid]) -> Option<Vec<Uuid>> {
    let mut few = users.to_vec();
    few.sort_unstable();
    few.dedup();
    (few.len() <= USERS_MERGED_MAX).then_some(few)
}

/// PostgreSQL's `text` holds every character but this one, so nobody's identifier has it.
fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

fn read_all(rows: Vec<TransferRow>) -> Result<Vec<Transfer>, StoreError> {
    rows.into_iter().map(Transfer::try_from).collect()
}

/// Offsets that no list reaches are as good as the largest one that PostgreSQL reads.
fn sql_offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
