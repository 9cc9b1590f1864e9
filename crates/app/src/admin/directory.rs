//! Assets, users, rates and balances.

use bursar_domain::{Asset, AssetId, BigDecimal, Timestamp, User, UserId};
use bursar_ports::{AccountBalance, AssetRate, Permission, PutAsset, PutUser, UserPage};
use uuid::Uuid;

use super::{READERS, statement::with_assets};
use crate::{App, Error, FieldError, Grant, Missing, UserBalance};

/// How an id is written: with its hyphens. Names may look like one without.
const ID_CHARACTERS: usize = 36;

impl App {
    /// Creates or replaces an asset.
    ///
    /// # Errors
    /// [`Error::ScaleInUse`] when the asset has accounts and the scale would change.
    pub async fn put_asset(&self, grant: &Grant, asset: Asset) -> Result<Asset, Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("asset.put", format!("asset:{}", asset.id));
        match self.ports.directory.put_asset(asset.clone(), audit).await? {
            PutAsset::Written => Ok(asset),
            PutAsset::ScaleInUse => Err(Error::ScaleInUse),
        }
    }

    /// One asset.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn find_asset(&self, grant: &Grant, id: AssetId) -> Result<Asset, Error> {
        grant.require_any(&READERS)?;
        self.asset(id, Missing::Asset).await
    }

    /// Every asset.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_assets(&self, grant: &Grant) -> Result<Vec<Asset>, Error> {
        grant.require_any(&READERS)?;
        Ok(self.ports.directory.list_assets().await?)
    }

    /// Creates or replaces a user. A status that stops the user binds what is in flight as soon as
    /// this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the fields that are wrong in themselves, [`Error::UsernameTaken`] and
    /// [`Error::EmailTaken`] for one that another user has.
    pub async fn put_user(&self, grant: &Grant, user: User) -> Result<User, Error> {
        grant.require(Permission::Admin)?;
        let wrong: Vec<FieldError> = user.faults().into_iter().map(FieldError::from).collect();
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let audit = grant.audit("user.put", format!("user:{}", user.id));
        match self.ports.directory.put_user(user.clone(), audit).await? {
            PutUser::Written => Ok(user),
            PutUser::UsernameTaken => Err(Error::UsernameTaken),
            PutUser::EmailTaken => Err(Error::EmailTaken),
        }
    }

    /// One user.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn find_user(&self, grant: &Grant, id: UserId) -> Result<User, Error> {
        grant.require_any(&READERS)?;
        let user = self.ports.directory.find_user(id).await?;
        user.ok_or(Error::NotFound(Missing::User))
    }

    /// Users in order of ids: all of them, the one whose id `search` is, or those whose username or
    /// email contains it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_users(
        &self,
        grant: &Grant,
        search: Option<String>,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, Error> {
        grant.require_any(&READERS)?;
        let named = search.as_deref().filter(|text| text.len() == ID_CHARACTERS);
        if let Some(Ok(id)) = named.map(Uuid::parse_str) {
            let found = self.ports.directory.find_user(UserId::new(id)).await?;
            let behind = found.filter(|user| after.is_none_or(|after| user.id > after));
            return Ok(UserPage {
                users: behind.into_iter().collect(),
                more: false,
            });
        }
        Ok(self
            .ports
            .directory
            .list_users(search, after, limit)
            .await?)
    }

    /// What one of an asset is worth in the root asset.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset or nobody said.
    pub async fn find_rate(&self, grant: &Grant, asset: AssetId) -> Result<AssetRate, Error> {
        grant.require_any(&READERS)?;
        let asset = self.asset(asset, Missing::Asset).await?;
        if asset.id == self.settings.root_asset {
            return Ok(AssetRate {
                rate: 1.into(),
                source: String::new(),
                rated_at: Timestamp::EPOCH,
            });
        }
        let rate = self.rate_of(asset.id).await?;
        rate.ok_or(Error::NotFound(Missing::Rate))
    }

    /// Sets what one of an asset is worth in the root asset, by somebody's word: the caller's, if no
    /// other is named.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset; [`Error::Invalid`] when the rate is not
    /// positive or would make the root asset worth something other than itself.
    pub async fn put_rate(
        &self,
        grant: &Grant,
        asset: AssetId,
        rate: BigDecimal,
        source: Option<String>,
    ) -> Result<AssetRate, Error> {
        grant.require(Permission::Admin)?;
        let invalid =
            |detail: &str| Error::Invalid(vec![FieldError::new("rate", "rate.invalid", detail)]);
        let asset = self.asset(asset, Missing::Asset).await?;
        if rate <= 0 {
            return Err(invalid("must be greater than zero"));
        }
        if asset.id == self.settings.root_asset && rate != 1 {
            return Err(invalid("the root asset is always worth 1"));
        }
        let source = source.unwrap_or_else(|| grant.actor().as_str().to_owned());
        let audit = grant.audit("rate.put", format!("rate:{}", asset.id));
        let directory = &self.ports.directory;
        Ok(directory.put_rate(asset.id, rate, source, audit).await?)
    }

    /// What a user has of every asset.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn list_user_balances(
        &self,
        grant: &Grant,
        user: UserId,
    ) -> Result<Vec<UserBalance>, Error> {
        grant.require_any(&READERS)?;
        self.find_user(grant, user).await?;
        self.balances_of(user).await
    }

    /// The system accounts, each with its asset.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_system_balances(
        &self,
        grant: &Grant,
    ) -> Result<Vec<(AccountBalance, Asset)>, Error> {
        grant.require_any(&READERS)?;
        let assets = self.ports.directory.list_assets().await?;
        let balances = self.ports.query.list_system_balances().await?;
        with_assets(&assets, balances)
    }
}

#[cfg(test)]
mod tests;
