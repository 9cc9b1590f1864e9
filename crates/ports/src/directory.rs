//! Users, assets and rates.

use async_trait::async_trait;
use bursar_domain::{
    Asset, AssetId, AuditDraft, BigDecimal, RecipientName, Timestamp, User, UserId, UserStatus,
};

use crate::{Expected, StoreError};

/// What became of writing a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutUser {
    /// Created or replaced. From now on a new status binds what is in flight.
    Written,
    /// Another user has this username, in whatever case.
    UsernameTaken,
    /// Another user has this email, in whatever case.
    EmailTaken,
}

/// What became of giving a user another status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum SetStatus {
    /// The user with its new status, which binds what is in flight.
    Written(User),
    /// The user has another status than the expected one, or is about to, or has it by another change:
    /// it stays.
    Overtaken,
    /// There is no such user.
    Unknown,
}

/// What became of writing an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutAsset {
    /// Created or replaced.
    Written,
    /// The asset has accounts, so its scale cannot change any more.
    ScaleInUse,
    /// What is there is not what was expected: nothing was written.
    Overtaken,
}

/// What became of writing a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutRate {
    /// In force, as written.
    Written(AssetRate),
    /// What is there is not what was expected: nothing was written.
    Overtaken,
}

/// What one of an asset is worth in the root asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRate {
    /// Root asset per one of the asset.
    pub rate: BigDecimal,
    /// Who or what said so.
    pub source: String,
    /// When that was said.
    pub rated_at: Timestamp,
}

/// A page of users, in order of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// Whether there are more.
    pub more: bool,
}

/// Who and what there is. Reads may be up to a few seconds old; decisions about money never rest
/// on them alone.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Directory: Send + Sync {
    /// The user with this id.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The users with these ids; unknown ids are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_users(&self, ids: Vec<UserId>) -> Result<Vec<User>, StoreError>;

    /// Whom a sender means by each of these names: the user with this id, or else with this email
    /// or, failing that, this username, without regard to case.
    ///
    /// Who has an email or username is read anew every time, because money goes there. Looking for
    /// somebody costs the same whether or not there is such a user, and all of them are looked for
    /// at once.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_recipients(
        &self,
        names: Vec<RecipientName>,
    ) -> Result<Vec<Option<User>>, StoreError>;

    /// Users after `after` in order of ids, at most `limit`, whose username or email contains
    /// `search` without regard to case.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn list_users(
        &self,
        search: Option<String>,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError>;

    /// Creates or replaces a user; its status reaches every book before this returns. What is
    /// written is written with its row of the audit log, here and below.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn put_user(&self, user: User, audit: AuditDraft) -> Result<PutUser, StoreError>;

    /// The number of the change that gave a user the status it has, read anew: who was stopped, let go
    /// on and stopped again looks as before, and has a higher one. None when there is no such user.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn status_revision(&self, id: UserId) -> Result<Option<i64>, StoreError>;

    /// Gives a user another status if it has the one that is expected, and changes nothing else; the
    /// new one reaches every book before this returns. Who is let go on must have the expected revision
    /// too, unless that was begun before and is completed now. A stop goes by the status alone: it errs
    /// on the safe side.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn set_status(
        &self,
        id: UserId,
        was: UserStatus,
        status: UserStatus,
        shown: Expected<i64>,
        audit: AuditDraft,
    ) -> Result<SetStatus, StoreError>;

    /// The asset with this id.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_asset(&self, id: AssetId) -> Result<Option<Asset>, StoreError>;

    /// The assets with these ids; unknown ids are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_assets(&self, ids: Vec<AssetId>) -> Result<Vec<Asset>, StoreError>;

    /// Every asset, in order of ids.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn list_assets(&self) -> Result<Vec<Asset>, StoreError>;

    /// Creates an asset or replaces the one that is expected.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn put_asset(
        &self,
        asset: Asset,
        was: Expected<Option<Asset>>,
        audit: AuditDraft,
    ) -> Result<PutAsset, StoreError>;

    /// What one of this asset is worth in the root asset; none when nobody said.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn find_rate(&self, asset: AssetId) -> Result<Option<AssetRate>, StoreError>;

    /// Sets what one of this asset is worth in the root asset, as a positive decimal, and who or what
    /// says so, if the rate so far is the one that is expected; as written, with its time.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot answer.
    async fn put_rate(
        &self,
        asset: AssetId,
        rate: BigDecimal,
        source: String,
        was: Expected<Option<BigDecimal>>,
        audit: AuditDraft,
    ) -> Result<PutRate, StoreError>;
}
