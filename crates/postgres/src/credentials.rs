//! Issued tokens and access keys, with what was read lately kept in memory.

mod access_keys;
mod sealed;
mod tokens;

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp, UserId};
use bursar_ports::{
    AccessKey, CredentialStore, Permission, SealedRecord, SealedSecret, SealedSecrets, SecretOwner,
    StoreError, Token, TokenHash,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{cache::ReadCache, heard::Heard, pool::Database};

/// How long another replica's revocation may go unnoticed here, if nothing is heard of it.
const TIME_TO_LIVE: Duration = Duration::from_secs(10);
const CREDENTIALS_MAX: u64 = 100_000;
/// How long a credential that nobody has is not asked for again. Whoever guesses makes a new one
/// each time, so few are worth remembering.
const ABSENT_TIME_TO_LIVE: Duration = Duration::from_secs(5);
const ABSENT_MAX: u64 = 10_000;
/// How many look-ups may be under way at once: a flood of guesses leaves connections to others.
const LOOKUPS_MAX: usize = 4;
/// Longer ones are nobody's: those that were issued have 27 characters.
const ACCESS_KEY_BYTES_MAX: usize = 64;

/// The credentials, with what was read lately kept in memory.
#[derive(Clone)]
pub struct PgCredentials {
    database: Database,
    tokens: Arc<ReadCache<TokenHash, Token>>,
    access_keys: Arc<ReadCache<String, AccessKey>>,
    lookups: Arc<Semaphore>,
}

impl PgCredentials {
    /// Credentials on these connections.
    pub fn new(database: Database) -> Self {
        let heard = database.heard();
        Self {
            tokens: Arc::new(cache(heard)),
            access_keys: Arc::new(cache(heard)),
            database,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Somebody has written this token.
    pub(crate) fn forget_token(&self, hash: &TokenHash) {
        self.tokens.forget(hash);
    }

    /// Somebody has written this access key.
    pub(crate) fn forget_access_key(&self, access_key: &String) {
        self.access_keys.forget(access_key);
    }

    /// Waits for a turn to look something up.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.database.look_up_turn(&self.lookups).await
    }
}

#[async_trait]
impl CredentialStore for PgCredentials {
    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        let load = async || {
            let _turn = self.turn().await?;
            tokens::find(&self.database, hash).await
        };
        let found = self.tokens.get_or_load(hash, load).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn add_token(&self, token: Token, audit: AuditDraft) -> Result<(), StoreError> {
        let hash = token.hash;
        let added = tokens::add(&self.database, token, audit).await;
        self.tokens.forget(&hash);
        added
    }

    async fn list_tokens(
        &self,
        user: Option<UserId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        tokens::list(&self.database, user, after, limit).await
    }

    async fn revoke_token(
        &self,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let revoked = tokens::revoke(&self.database, id, at, audit).await;
        match &revoked {
            Ok(Some(hash)) => self.tokens.forget(hash),
            Ok(None) => {}
            // It may have been, and nobody says which token that was.
            Err(_) => self.tokens.forget_all(),
        }
        Ok(revoked?.is_some())
    }

    async fn find_access_key(&self, access_key: String) -> Result<Option<AccessKey>, StoreError> {
        // No `text` holds a NUL, so nobody's key has one.
        if access_key.len() > ACCESS_KEY_BYTES_MAX || access_key.contains('\0') {
            return Ok(None);
        }
        let load = async || {
            let _turn = self.turn().await?;
            access_keys::find(&self.database, access_key.clone()).await
        };
        let found = self
            .access_keys
            .get_or_load(access_key.clone(), load)
            .await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn add_access_key(&self, key: AccessKey, audit: AuditDraft) -> Result<(), StoreError> {
        let access_key = key.access_key.clone();
        let added = access_keys::add(&self.database, key, audit).await;
        self.access_keys.forget(&access_key);
        added
    }

    async fn list_access_keys(
        &self,
        user: Option<UserId>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, StoreError> {
        access_keys::list(&self.database, user, after, limit).await
    }

    async fn revoke_access_key(
        &self,
        access_key: String,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let database = &self.database;
        let revoked = access_keys::revoke(database, access_key.clone(), at, audit).await;
        self.access_keys.forget(&access_key);
        revoked
    }
}

#[async_trait]
impl SealedSecrets for PgCredentials {
    async fn list_sealed(
        &self,
        not_under: String,
        after: Option<SecretOwner>,
        limit: u32,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        sealed::list(&self.database, not_under, after, limit).await
    }

    async fn replace_sealed(
        &self,
        old: SealedRecord,
        new: SealedSecret,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        let owner = old.belongs_to.clone();
        let replaced = sealed::replace(&self.database, old, new, at, audit).await;
        // A callback secret is read anew soon enough: both keys are configured meanwhile.
        if let SecretOwner::AccessKey(access_key) = owner {
            self.access_keys.forget(&access_key);
        }
        replaced
    }

    async fn count_sealed(&self) -> Result<Vec<(String, u64)>, StoreError> {
        sealed::count(&self.database).await
    }
}

impl fmt::Debug for PgCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCredentials")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

fn cache<K, V>(heard: &Arc<Heard>) -> ReadCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    ReadCache::hearing(CREDENTIALS_MAX, TIME_TO_LIVE, Arc::clone(heard))
        .remembering_absence(ABSENT_MAX, ABSENT_TIME_TO_LIVE)
}

pub(crate) fn permission_names(permissions: &[Permission]) -> Vec<String> {
    permissions.iter().map(|p| p.as_str().to_owned()).collect()
}

/// None when one of the names is nobody's: a permission is never dropped in silence.
pub(crate) fn read_permissions(names: &[String]) -> Option<Vec<Permission>> {
    names.iter().map(|n| Permission::from_name(n)).collect()
}
