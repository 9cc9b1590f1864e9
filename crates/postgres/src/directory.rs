//! Users, assets and rates.
//!
//! # How a status reaches the book
//!
//! Whether a user may move money is decided in the book, on rows that the money transaction has
//! locked; `directory.users.status` is what people see. Each is written by a transaction of its
//! own, because a book may live on another node. The book numbers the changes of a user's status
//! (`owners.revision`), and the directory keeps the number of the change it shows:
//!
//! - **A stop** (frozen, terminated) is committed to the book first, unconditionally, as the book's
//!   next revision. Then the directory is told, with that revision. Who reads "Frozen" can rely on
//!   it.
//! - **A release** (active) reads the book's revision first, without a lock. Then the directory is
//!   told, with the next one, and then the book is released, but only if its revision is still the
//!   one that was read.
//! - **The directory** keeps the higher revision, and on a tie the stop. Everything else about a
//!   user is as the last writer left it.
//!
//! So a release never undoes a stop that it did not know of, whatever is slow, repeated or cut off
//! in between: either it saw the stop's revision and was asked for after it, or the book refuses it
//! and the directory shows the stop. When both have ended, directory and book agree. What is cut
//! off half way leaves the user stopped rather than free, its caller is told that it failed, and
//! repeating the request completes it.
//!
//! A taken username or email is looked for before the book is touched. Should another user take it
//! in the moment between the look-up and the directory's write, the request is refused with the
//! stop in the book already: that again errs on the safe side, and for a user that does not exist
//! it means nothing.
//!
//! A change of the status alone expects what it replaces. Of a stop the book decides that, on the row
//! that it locks; what it has taken the directory shows, by the rule above. Of a release the directory
//! decides it, which is written first; it may expect the directory's revision too, for a stop that came
//! after the one that somebody was shown looks the same.
//!
//! So a release that is repeated finds the directory as it left it, and asks the book whether that is
//! behind: it is, if it still shows the stop that was to end, with a lower revision than the directory's.
//! Only a release writes a revision there that the book has not reached. A stop that came after it has
//! that revision in the book or a higher one, also before the directory is told, and is left alone.
//! The first try has moved the directory's revision on, so what the repeated one expects of it is not
//! compared.
//!
//! The row of the audit log belongs to the directory's write, whatever that was told of the book: it
//! says what people see afterwards. Who completes a release writes none.
//!
//! # A freeze against a new account
//!
//! An account is created in a transaction that (a) inserts the user's `owners` row unless there is
//! one (active, revision 0), (b) reads that row `FOR SHARE` in a statement of its own, and (c) inserts the account with
//! the status read. A stop (1) writes the `owners` row, then, in later statements, (2) locks the
//! user's accounts in order of ids and (3) updates them. Both meet on the `owners` row:
//!
//! - If the creation holds it first, (1) waits until the creation has committed. Under READ
//!   COMMITTED (2) is a new statement with a new snapshot, so it sees the new account.
//! - If the stop holds it first, (a) or (b) waits until the stop has committed, and (b) reads the
//!   new status, also when the `owners` row itself is new.
//!
//! Money that is on its way holds the account's lock: (2) waits for it, so when a stop returns,
//! what came before is committed and what comes after sees the stop.

mod assets;
mod rates;
mod set_status;
pub(crate) mod status;
mod users;
mod write_user;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_domain::{
    Asset, AssetId, AuditDraft, BigDecimal, RecipientName, User, UserId, UserStatus, fold_name,
};
use bursar_ports::{
    AssetRate, Clock, Directory, Expected, PutAsset, PutRate, PutUser, SetStatus, StoreError,
    UserPage,
};

use crate::{cache::ReadCache, pool::Database, value::At};

/// How old a read may be. Other replicas' writes show after this time at the latest.
const TIME_TO_LIVE: Duration = Duration::from_secs(5);
const USERS_MAX: u64 = 100_000;
const ASSETS_MAX: u64 = 10_000;

/// The directory, with what was read lately kept in memory.
#[derive(Clone)]
pub struct PgDirectory {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    clock: Arc<dyn Clock>,
    users: ReadCache<UserId, User>,
    /// That nobody has an id is kept for recipients alone, so that looking again costs the same.
    strangers: ReadCache<UserId, ()>,
    assets: ReadCache<AssetId, Asset>,
    asset_list: ReadCache<(), Vec<Asset>>,
    /// That there is no rate is kept too: without one, every request would ask.
    rates: ReadCache<AssetId, Option<AssetRate>>,
}

impl PgDirectory {
    /// A directory on these connections. The clock stamps what is written.
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        let heard = database.heard();
        Self {
            shared: Arc::new(Shared {
                users: ReadCache::hearing(USERS_MAX, TIME_TO_LIVE, Arc::clone(heard)),
                strangers: ReadCache::hearing(USERS_MAX, TIME_TO_LIVE, Arc::clone(heard)),
                database,
                clock,
                assets: ReadCache::new(ASSETS_MAX, TIME_TO_LIVE),
                asset_list: ReadCache::new(1, TIME_TO_LIVE),
                rates: ReadCache::new(ASSETS_MAX, TIME_TO_LIVE),
            }),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.shared.database
    }

    fn now(&self) -> At {
        At(self.shared.clock.now())
    }

    /// Writes a user and carries its status to the book.
    async fn change_user(&self, user: User, audit: AuditDraft) -> Result<PutUser, StoreError> {
        let shared = &self.shared;
        let id = user.id;
        let written = write_user::run(&shared.database, user, self.now(), audit).await;
        self.forget_user(id);
        written
    }

    /// Somebody has written this user.
    pub(crate) fn forget_user(&self, id: UserId) {
        self.shared.users.forget(&id);
        self.shared.strangers.forget(&id);
    }

    /// The users with these ids, from memory or from the database; that there is none is remembered
    /// too.
    async fn find_named_by_id(
        &self,
        ids: Vec<UserId>,
    ) -> Result<HashMap<UserId, User>, StoreError> {
        let shared = &self.shared;
        let mut known = HashMap::with_capacity(ids.len());
        let mut missing = HashMap::new();
        for id in ids {
            let (user, stranger) = (shared.users.get(&id), shared.strangers.get(&id));
            if let Some(user) = user {
                known.insert(id, Arc::unwrap_or_clone(user));
            } else if stranger.is_none() {
                missing.insert(id, (shared.users.mark(&id), shared.strangers.mark(&id)));
            }
        }
        if missing.is_empty() {
            return Ok(known);
        }
        let asked = missing.keys().copied().collect();
        for (id, user) in users::find_named(&shared.database, asked).await? {
            let Some((if_found, if_not)) = missing.remove(&id) else {
                continue;
            };
            if let Some(user) = user {
                shared.users.keep(id, if_found, Arc::new(user.clone()));
                known.insert(id, user);
            } else {
                shared.strangers.keep(id, if_not, Arc::new(()));
            }
        }
        Ok(known)
    }
}

/// What is asked of the database about a name.
enum Asked {
    Id(UserId),
    /// Folded.
    Alias(String),
    /// Nothing: no name is like this.
    Nothing,
}

impl Asked {
    fn by(name: &RecipientName) -> Self {
        match name {
            RecipientName::Id(id) => Self::Id(*id),
            RecipientName::Alias(alias) if is_text(alias) => Self::Alias(fold_name(alias)),
            RecipientName::Alias(_) => Self::Nothing,
        }
    }
}

/// PostgreSQL's `text` holds every character but this one.
fn is_text(name: &str) -> bool {
    !name.contains('\0')
}

#[async_trait]
impl Directory for PgDirectory {
    async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let database = &self.shared.database;
        let load = || users::find(database, id);
        let found = self.shared.users.get_or_load(id, load).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn find_users(&self, ids: Vec<UserId>) -> Result<Vec<User>, StoreError> {
        let cache = &self.shared.users;
        let mut users = Vec::with_capacity(ids.len());
        let mut missing = HashMap::new();
        for id in ids {
            match cache.get(&id) {
                Some(user) => users.push(Arc::unwrap_or_clone(user)),
                None => {
                    missing.insert(id, cache.mark(&id));
                }
            }
        }
        if missing.is_empty() {
            return Ok(users);
        }
        let ids = missing.keys().copied().collect();
        for user in users::find_many(&self.shared.database, ids).await? {
            if let Some(mark) = missing.get(&user.id) {
                cache.keep(user.id, *mark, Arc::new(user.clone()));
            }
            users.push(user);
        }
        Ok(users)
    }

    async fn find_recipients(
        &self,
        names: Vec<RecipientName>,
    ) -> Result<Vec<Option<User>>, StoreError> {
        let asked: Vec<Asked> = names.iter().map(Asked::by).collect();
        let (mut ids, mut aliases) = (vec![], vec![]);
        for one in &asked {
            match one {
                Asked::Id(id) => ids.push(*id),
                Asked::Alias(alias) => aliases.push(alias.clone()),
                Asked::Nothing => {}
            }
        }
        let by_id = self.find_named_by_id(ids).await?;
        let by_alias = if aliases.is_empty() {
            HashMap::new()
        } else {
            users::find_by_alias(&self.shared.database, aliases).await?
        };
        let found = asked.iter().map(|one| match one {
            Asked::Id(id) => by_id.get(id).cloned(),
            Asked::Alias(alias) => by_alias.get(alias).cloned().flatten(),
            Asked::Nothing => None,
        });
        Ok(found.collect())
    }

    async fn list_users(
        &self,
        search: Option<String>,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<UserPage, StoreError> {
        users::list(&self.shared.database, search, after, limit).await
    }

    async fn put_user(&self, user: User, audit: AuditDraft) -> Result<PutUser, StoreError> {
        // In a task of its own: a caller that hangs up must not leave a change half carried.
        let directory = self.clone();
        let change = tokio::spawn(async move { directory.change_user(user, audit).await });
        change
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?
    }

    async fn status_revision(&self, id: UserId) -> Result<Option<i64>, StoreError> {
        users::status_revision(&self.shared.database, id).await
    }

    async fn set_status(
        &self,
        id: UserId,
        was: UserStatus,
        status: UserStatus,
        shown: Expected<i64>,
        audit: AuditDraft,
    ) -> Result<SetStatus, StoreError> {
        let change = set_status::Change {
            id,
            was,
            status,
            shown,
            at: self.now(),
            audit,
        };
        // In a task of its own, as above.
        let directory = self.clone();
        let change = tokio::spawn(async move {
            let set = set_status::run(&directory.shared.database, change).await;
            directory.forget_user(id);
            set
        });
        change
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?
    }

    async fn find_asset(&self, id: AssetId) -> Result<Option<Asset>, StoreError> {
        let database = &self.shared.database;
        let load = || assets::find(database, id);
        let found = self.shared.assets.get_or_load(id, load).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn find_assets(&self, ids: Vec<AssetId>) -> Result<Vec<Asset>, StoreError> {
        let cache = &self.shared.assets;
        let mut found = Vec::with_capacity(ids.len());
        let mut missing = HashMap::new();
        for id in ids {
            match cache.get(&id) {
                Some(asset) => found.push(Arc::unwrap_or_clone(asset)),
                None => {
                    missing.insert(id, cache.mark(&id));
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let ids = missing.keys().copied().collect();
        for asset in assets::find_many(&self.shared.database, ids).await? {
            if let Some(mark) = missing.get(&asset.id) {
                cache.keep(asset.id, *mark, Arc::new(asset.clone()));
            }
            found.push(asset);
        }
        Ok(found)
    }

    async fn list_assets(&self) -> Result<Vec<Asset>, StoreError> {
        let database = &self.shared.database;
        let load = async || assets::list(database).await.map(Some);
        let listed = self.shared.asset_list.get_or_load((), load).await?;
        Ok(listed.map(Arc::unwrap_or_clone).unwrap_or_default())
    }

    async fn put_asset(
        &self,
        asset: Asset,
        was: Expected<Option<Asset>>,
        audit: AuditDraft,
    ) -> Result<PutAsset, StoreError> {
        let id = asset.id;
        let put = assets::put(&self.shared.database, asset, was, self.now(), audit).await;
        self.shared.assets.forget(&id);
        self.shared.asset_list.forget(&());
        put
    }

    async fn find_rate(&self, asset: AssetId) -> Result<Option<AssetRate>, StoreError> {
        let database = &self.shared.database;
        let load = async || rates::find(database, asset).await.map(Some);
        let found = self.shared.rates.get_or_load(asset, load).await?;
        Ok(found.and_then(Arc::unwrap_or_clone))
    }

    async fn put_rate(
        &self,
        asset: AssetId,
        rate: BigDecimal,
        source: String,
        was: Expected<Option<BigDecimal>>,
        audit: AuditDraft,
    ) -> Result<PutRate, StoreError> {
        let rate = AssetRate {
            rate,
            source,
            rated_at: self.now().0,
        };
        let put = rates::put(&self.shared.database, asset, rate, was, audit).await;
        self.shared.rates.forget(&asset);
        put
    }
}

impl fmt::Debug for PgDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgDirectory")
            .field("database", &self.shared.database)
            .finish_non_exhaustive()
    }
}
