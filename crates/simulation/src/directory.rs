//! Users and assets, which are always the same.

use async_trait::async_trait;
use bursar_domain::{
    Asset, AssetId, AuditDraft, BigDecimal, RecipientName, User, UserId, UserStatus,
};
use bursar_ports::{
    AssetRate, Directory, Expected, PutAsset, PutRate, PutUser, SetStatus, StoreError, UserPage,
};
use bursar_testkit::build;

use crate::world::World;

/// How many users there are.
pub(crate) const USERS: u64 = 4;

/// A user, by number.
pub(crate) fn user(number: u64) -> UserId {
    build::user_id(u128::from(number) + 1)
}

/// All users.
pub(crate) fn users() -> Vec<User> {
    (0..USERS).map(|number| build::user(user(number))).collect()
}

/// All assets. The first is the root asset.
pub(crate) fn assets() -> [Asset; 2] {
    [build::asset("usd", 2), build::asset("btc", 8)]
}

/// The directory.
pub(crate) struct FixedDirectory;

fn never_asked<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("nobody asks this here".into()))
}

#[async_trait]
impl Directory for FixedDirectory {
    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        World::pause().await;
        Ok(users().into_iter().find(|user| user.id == id))
    }

    async fn find_users(&self, ids: Vec<UserId>) -> Result<Vec<User>, StoreError> {
        World::pause().await;
        let known = users().into_iter();
        Ok(known.filter(|user| ids.contains(&user.id)).collect())
    }

    async fn find_recipients(
        &self,
        names: Vec<RecipientName>,
    ) -> Result<Vec<Option<User>>, StoreError> {
        World::pause().await;
        let find = |name: &RecipientName| {
            users().into_iter().find(|user| match name {
                RecipientName::Id(id) => user.id == *id,
                RecipientName::Alias(alias) => user.email == *alias || user.username == *alias,
            })
        };
        Ok(names.iter().map(find).collect())
    }

    async fn list_users(
        &self,
        _: Option<String>,
        _: Option<UserId>,
        _: u32,
    ) -> Result<UserPage, StoreError> {
        never_asked()
    }

    async fn put_user(&self, _: User, _: AuditDraft) -> Result<PutUser, StoreError> {
        never_asked()
    }

    async fn status_revision(&self, _: UserId) -> Result<Option<i64>, StoreError> {
        never_asked()
    }

    async fn set_status(
        &self,
        _: UserId,
        _: UserStatus,
        _: UserStatus,
        _: Expected<i64>,
        _: AuditDraft,
    ) -> Result<SetStatus, StoreError> {
        never_asked()
    }

    async fn find_asset(&self, id: AssetId) -> Result<Option<Asset>, StoreError> {
        World::pause().await;
        Ok(assets().into_iter().find(|asset| asset.id == id))
    }

    async fn find_assets(&self, ids: Vec<AssetId>) -> Result<Vec<Asset>, StoreError> {
        let known = assets().into_iter();
        Ok(known.filter(|asset| ids.contains(&asset.id)).collect())
    }

    async fn list_assets(&self) -> Result<Vec<Asset>, StoreError> {
        World::pause().await;
        Ok(assets().to_vec())
    }

    async fn put_asset(
        &self,
        _: Asset,
        _: Expected<Option<Asset>>,
        _: AuditDraft,
    ) -> Result<PutAsset, StoreError> {
        never_asked()
    }

    async fn find_rate(&self, _: AssetId) -> Result<Option<AssetRate>, StoreError> {
        Ok(None)
    }

    async fn put_rate(
        &self,
        _: AssetId,
        _: BigDecimal,
        _: String,
        _: Expected<Option<BigDecimal>>,
        _: AuditDraft,
    ) -> Result<PutRate, StoreError> {
        never_asked()
    }
}
