//! Assets, users, rates and balances.

use bursar_domain::{Asset, AssetId, BigDecimal, Timestamp, User, UserId};
use bursar_ports::{
    AccountBalance, AssetRate, Expected, Permission, PutAsset, PutRate, PutUser, UserPage,
};
use uuid::Uuid;

use super::READERS;
use crate::{App, Error, FieldError, Grant, Missing, UserBalance};

/// How an id is written: with its hyphens. Names may look like one without.
const ID_CHARACTERS: usize = 36;

impl App {
    /// Creates an asset or replaces the one that is expected.
    ///
    /// # Errors
    /// [`Error::ScaleInUse`] when the scale would change of an asset that has accounts, fees or limits
    /// in amounts or, of the root asset or the one that they were set in, while there are limits over all
    /// assets;
    /// [`Error::Overtaken`] when what is there is not what was expected.
    pub async fn put_asset(
        &self,
        grant: &Grant,
        asset: Asset,
        was: Expected<Option<Asset>>,
    ) -> Result<Asset, Error> {
        grant.require(Permission::Admin)?;
        let audit = grant.audit("asset.put", format!("asset:{}", asset.id));
        let directory = &self.ports.directory;
        if asset.id == self.settings.root_asset && self.has_limits_over_all().await? {
            let now = directory.find_asset(asset.id).await?;
            if now.is_some_and(|now| now.scale != asset.scale) {
                return Err(Error::ScaleInUse);
            }
        }
        match directory.put_asset(asset.clone(), was, audit).await? {
            PutAsset::Written => Ok(asset),
            PutAsset::ScaleInUse => Err(Error::ScaleInUse),
            PutAsset::Overtaken => Err(Error::Overtaken),
        }
    }

    /// Whether there are limits in amounts of the root asset, in whose smallest units they stand.
    async fn has_limits_over_all(&self) -> Result<bool, Error> {
        let rules = self.ports.rule_book.rules().await?;
        let mut limits = rules.limits.iter();
        Ok(limits.any(|((_, asset), limits)| asset.is_none() && !limits.is_empty()))
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

    /// Whether one of an asset may be worth so much.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_rate(&self, asset: AssetId, rate: &BigDecimal) -> Result<(), FieldError> {
        let detail = if *rate <= 0 {
            "must be greater than zero"
        } else if asset == self.settings.root_asset && *rate != 1 {
            "the root asset is always worth 1"
        } else {
            return Ok(());
        };
        Err(FieldError::new("rate", "rate.invalid", detail))
    }

    /// Sets what one of an asset is worth in the root asset, by somebody's word: the caller's, if no
    /// other is named.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such asset; [`Error::Invalid`] when the rate is not
    /// positive or would make the root asset worth something other than itself; [`Error::Overtaken`]
    /// when the rate so far is not the one that was expected.
    pub async fn put_rate(
        &self,
        grant: &Grant,
        asset: AssetId,
        rate: BigDecimal,
        source: Option<String>,
        was: Expected<Option<BigDecimal>>,
    ) -> Result<AssetRate, Error> {
        grant.require(Permission::Admin)?;
        let asset = self.asset(asset, Missing::Asset).await?;
        self.check_rate(asset.id, &rate)
            .map_err(|wrong| Error::Invalid(vec![wrong]))?;
        let source = source.unwrap_or_else(|| grant.actor().as_str().to_owned());
        let audit = grant.audit("rate.put", format!("rate:{}", asset.id));
        let directory = &self.ports.directory;
        match directory
            .put_rate(asset.id, rate, source, was, audit)
            .await?
        {
            PutRate::Written(rate) => Ok(rate),
            PutRate::Overtaken => Err(Error::Overtaken),
        }
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
        let balances = self.ports.query.list_system_balances().await?;
        self.with_assets(balances).await
    }
}

#[cfg(test)]
mod tests;
