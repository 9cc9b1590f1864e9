//! What a user sees of its transfers and balances.

use bursar_domain::{Amount, Asset, AssetId, Body, Status, Timestamp, Transfer, UserId};
use bursar_ports::{AccountBalance, InternalFilter, Permission};

use super::{InternalView, UserBalance};
use crate::{App, Error, Grant, Missing};

impl App {
    /// One of a user's internal transfers, by its code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a code that names none, and alike for one that the user may not see.
    pub async fn find_internal(&self, grant: &Grant, code: &str) -> Result<InternalView, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let missing = || Error::NotFound(Missing::Transfer);
        let (id, salt) = self.keyring.read_transfer_code(code).ok_or_else(missing)?;
        let transfer = self.ports.store.find(id).await?.ok_or_else(missing)?;
        let visible = match &transfer.parts().body {
            Body::Internal {
                sender,
                recipient,
                salt: had,
                ..
            } => {
                let received =
                    recipient.user() == Some(user) && transfer.status() == Status::Success;
                *had == salt && (*sender == user || received)
            }
            Body::Deposit { .. } | Body::Withdrawal { .. } => false,
        };
        if visible {
            self.view(transfer, user)
        } else {
            Err(missing())
        }
    }

    /// A user's internal transfers, newest first. The user in `filter` is replaced by the caller.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_internal(
        &self,
        grant: &Grant,
        filter: InternalFilter,
    ) -> Result<Vec<InternalView>, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let transfers = self
            .ports
            .query
            .list_internal(InternalFilter { user, ..filter })
            .await?;
        transfers
            .into_iter()
            .map(|transfer| self.view(transfer, user))
            .collect()
    }

    /// What a user has of every asset, also of those it has nothing of.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn own_balances(&self, grant: &Grant) -> Result<Vec<UserBalance>, Error> {
        let user = grant.require_user(Permission::AllowBalance)?;
        self.balances_of(user).await
    }

    pub(crate) async fn balances_of(&self, user: UserId) -> Result<Vec<UserBalance>, Error> {
        let accounts = self.ports.query.list_user_balances(user).await?;
        self.with_every_asset(&accounts).await
    }

    /// What these accounts hold, and nothing of every other asset.
    pub(crate) async fn with_every_asset(
        &self,
        accounts: &[AccountBalance],
    ) -> Result<Vec<UserBalance>, Error> {
        let used = accounts.iter().map(|balance| balance.account.asset);
        let assets = self.assets_with(used.collect()).await?;
        let amount = |units| {
            Amount::try_from_units(units).map_err(|_| Error::Internal("a balance is out of range"))
        };
        assets
            .into_iter()
            .map(|asset| {
                let found = accounts
                    .iter()
                    .find(|balance| balance.account.asset == asset.id);
                Ok(UserBalance {
                    available: amount(found.map_or(0, |balance| balance.available))?,
                    held: amount(found.map_or(0, |balance| balance.held))?,
                    updated_at: found
                        .map(|balance| balance.updated_at)
                        .filter(|at| *at != Timestamp::EPOCH),
                    asset,
                })
            })
            .collect()
    }

    /// Every asset in order of ids, also those of `used` that are too new for the list.
    pub(crate) async fn assets_with(&self, mut used: Vec<AssetId>) -> Result<Vec<Asset>, Error> {
        let directory = &self.ports.directory;
        let mut assets = directory.list_assets().await?;
        used.sort_unstable();
        used.dedup();
        used.retain(|id| assets.iter().all(|asset| asset.id != *id));
        // The list may be some seconds old, and another replica may have made these since.
        if !used.is_empty() {
            assets.extend(directory.find_assets(used).await?);
            assets.sort_unstable_by_key(|asset| asset.id);
        }
        Ok(assets)
    }

    /// The public code of an internal transfer.
    pub fn code_of(&self, transfer: &Transfer) -> Option<String> {
        match &transfer.parts().body {
            Body::Internal { salt, .. } => Some(self.keyring.transfer_code(transfer.id(), salt)),
            Body::Deposit { .. } | Body::Withdrawal { .. } => None,
        }
    }

    pub(super) fn view(&self, transfer: Transfer, viewer: UserId) -> Result<InternalView, Error> {
        let code = self
            .code_of(&transfer)
            .ok_or(Error::Internal("not an internal transfer"))?;
        Ok(InternalView {
            code,
            seen_by_sender: transfer.owner() == viewer,
            transfer,
        })
    }
}
