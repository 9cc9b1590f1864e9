//! Statements, as one replica reads them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bursar_domain::{AccountKey, Kind, Timestamp, TransferId, UserId};
use bursar_ports::{
    AccountBalance, AccountHistory, Holding, InternalFilter, LedgerLine, LedgerOwner, LedgerRecord,
    Statement, StatementAccount, StatementFilter, StoreError, TransferFilter, TransferPage,
    TransferQuery, TransferScan, TransferSlice,
};

use crate::{bank::Bank, bug::Bug, directory::assets, world::World};

/// One replica's way to statements.
pub(crate) struct Statements {
    pub(crate) bank: Arc<Bank>,
    /// What was read before, for a replica that shows old things.
    pub(crate) read: Mutex<BTreeMap<UserId, Statement>>,
}

fn never_asked<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("nobody asks this here".into()))
}

impl Statements {
    fn of(&self, user: UserId) -> Statement {
        let mut statement = Statement::default();
        for asset in assets() {
            let lines = self.bank.books.entries(AccountKey::user(user, asset.id));
            let Some(last) = lines.last() else {
                continue;
            };
            statement.accounts.push(StatementAccount {
                asset: asset.id,
                opening: Holding::default(),
                closing: Holding {
                    available: last.available_after,
                    held: last.held_after,
                },
                lines: last.seq,
            });
            statement
                .lines
                .extend(lines.into_iter().map(|line| LedgerRecord {
                    line,
                    scale: asset.scale,
                    kind: Kind::Deposit,
                    salt: None,
                }));
        }
        statement
    }
}

#[async_trait]
impl TransferQuery for Statements {
    async fn read_statement(&self, filter: StatementFilter) -> Result<Statement, StoreError> {
        World::pause().await;
        let world = &self.bank.world;
        if self.bank.is_away() || world.fault(10) {
            return Err(StoreError::Unavailable("the database is away".into()));
        }
        let mut read = self.read.lock().unwrap();
        if let Some(old) = read.get(&filter.user)
            && world.has(Bug::ReadTooOld, 500)
        {
            return Ok(old.clone());
        }
        let statement = self.of(filter.user);
        read.insert(filter.user, statement.clone());
        Ok(statement)
    }

    async fn list_account_history(
        &self,
        _: AccountHistory,
    ) -> Result<Vec<bursar_domain::Transfer>, StoreError> {
        never_asked()
    }

    async fn list_transfers(&self, _: TransferFilter) -> Result<TransferPage, StoreError> {
        never_asked()
    }

    async fn scan_transfers(&self, _: TransferScan) -> Result<TransferSlice, StoreError> {
        never_asked()
    }

    async fn list_internal(
        &self,
        _: InternalFilter,
    ) -> Result<Vec<bursar_domain::Transfer>, StoreError> {
        never_asked()
    }

    async fn list_user_balances(&self, _: UserId) -> Result<Vec<AccountBalance>, StoreError> {
        never_asked()
    }

    async fn list_system_balances(&self) -> Result<Vec<AccountBalance>, StoreError> {
        never_asked()
    }

    async fn list_entries(&self, _: TransferId) -> Result<Vec<LedgerLine>, StoreError> {
        never_asked()
    }

    async fn list_balances_at(
        &self,
        _: LedgerOwner,
        _: Timestamp,
    ) -> Result<Vec<AccountBalance>, StoreError> {
        never_asked()
    }
}
