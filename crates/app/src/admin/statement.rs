//! Statements, and balances of the past.

use bursar_domain::{Asset, AssetId, Timestamp, UserId};
use bursar_ports::{
    AccountBalance, Holding, LedgerOwner, LedgerRecord, StatementAccount, StatementFilter,
    StatementPlace,
};

use super::READERS;
use crate::{App, Error, Grant, Missing, UserBalance};

/// A ledger line with the public code of its transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodedLine {
    /// The line.
    pub record: LedgerRecord,
    /// The public code, if the transfer has one.
    pub code: Option<String>,
}

/// A page of a user's statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserStatement {
    /// The accounts that the page is about.
    pub accounts: Vec<(StatementAccount, Asset)>,
    /// Their lines.
    pub lines: Vec<CodedLine>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<StatementPlace>,
}

impl App {
    /// A page of a user's statement: what happened on its accounts, oldest first, between what they
    /// held before and after.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user or asset.
    pub async fn read_statement(
        &self,
        grant: &Grant,
        filter: StatementFilter,
    ) -> Result<UserStatement, Error> {
        grant.require_any(&READERS)?;
        self.find_user(grant, filter.user).await?;
        if let Some(asset) = filter.asset {
            self.asset(asset, Missing::Asset).await?;
        }
        let untouched = filter.asset.filter(|_| filter.after.is_none());
        let mut read = self.ports.query.read_statement(filter).await?;
        if read.accounts.is_empty() {
            // Nothing is also an answer to what was on this account.
            read.accounts.extend(untouched.map(nothing));
        }
        let used = read.accounts.iter().map(|account| account.asset);
        let assets = self.assets_with(used.collect()).await?;
        let accounts = read.accounts.into_iter().map(|account| {
            let asset = of(&assets, account.asset)?;
            Ok((account, asset))
        });
        Ok(UserStatement {
            accounts: accounts.collect::<Result<_, Error>>()?,
            lines: self.coded(read.lines),
            next: read.next,
        })
    }

    /// What a user had of every asset at a time.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn list_user_balances_at(
        &self,
        grant: &Grant,
        user: UserId,
        at: Timestamp,
    ) -> Result<Vec<UserBalance>, Error> {
        grant.require_any(&READERS)?;
        self.find_user(grant, user).await?;
        let owner = LedgerOwner::User(user);
        let balances = self.ports.query.list_balances_at(owner, at).await?;
        self.with_every_asset(&balances).await
    }

    /// What the system accounts held at a time, each with its asset.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_system_balances_at(
        &self,
        grant: &Grant,
        at: Timestamp,
    ) -> Result<Vec<(AccountBalance, Asset)>, Error> {
        grant.require_any(&READERS)?;
        let system = LedgerOwner::System;
        let balances = self.ports.query.list_balances_at(system, at).await?;
        self.with_assets(balances).await
    }

    /// Each account with its asset.
    pub(super) async fn with_assets(
        &self,
        balances: Vec<AccountBalance>,
    ) -> Result<Vec<(AccountBalance, Asset)>, Error> {
        let used = balances.iter().map(|balance| balance.account.asset);
        let assets = self.assets_with(used.collect()).await?;
        let known = balances.into_iter().map(|balance| {
            let asset = of(&assets, balance.account.asset)?;
            Ok((balance, asset))
        });
        known.collect()
    }

    /// Each line with the code of its transfer.
    pub(super) fn coded(&self, records: Vec<LedgerRecord>) -> Vec<CodedLine> {
        let code = |record: &LedgerRecord| {
            let salt = record.salt.as_ref()?;
            Some(self.keyring.transfer_code(record.line.transfer, salt))
        };
        let coded = records.into_iter().map(|record| CodedLine {
            code: code(&record),
            record,
        });
        coded.collect()
    }
}

fn of(assets: &[Asset], id: AssetId) -> Result<Asset, Error> {
    let found = assets.iter().find(|asset| asset.id == id);
    let found = found.ok_or(Error::Internal("an account of an unknown asset"))?;
    Ok(found.clone())
}

/// The account of a user that nothing ever touched.
fn nothing(asset: AssetId) -> StatementAccount {
    StatementAccount {
        asset,
        opening: Holding::default(),
        closing: Holding::default(),
        lines: 0,
    }
}

#[cfg(test)]
mod tests;
