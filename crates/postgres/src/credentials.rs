//! Issued tokens and access keys, with what was read lately kept in memory.

mod access_keys;
mod tokens;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bursar_domain::Timestamp;
use bursar_ports::{AccessKey, CredentialStore, Permission, StoreError, Token, TokenHash};
use uuid::Uuid;

use crate::{cache::ReadCache, pool::Database};

/// How long another replica's revocation may go unnoticed here.
const TIME_TO_LIVE: Duration = Duration::from_secs(10);
const CREDENTIALS_MAX: u64 = 100_000;

/// The credentials, with what was read lately kept in memory.
#[derive(Clone)]
pub struct PgCredentials {
    database: Database,
    tokens: Arc<ReadCache<TokenHash, Token>>,
    access_keys: Arc<ReadCache<String, AccessKey>>,
}

impl PgCredentials {
    /// Credentials on these connections.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            tokens: Arc::new(ReadCache::new(CREDENTIALS_MAX, TIME_TO_LIVE)),
            access_keys: Arc::new(ReadCache::new(CREDENTIALS_MAX, TIME_TO_LIVE)),
        }
    }
}

#[async_trait]
impl CredentialStore for PgCredentials {
    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>, StoreError> {
        let load = || tokens::find(self.database.pool(), hash);
        let found = self.tokens.get_or_load(hash, load).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn add_token(&self, token: Token) -> Result<(), StoreError> {
        tokens::add(self.database.pool(), token).await
    }

    async fn list_tokens(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Token>, StoreError> {
        tokens::list(self.database.pool(), after, limit).await
    }

    async fn revoke_token(&self, id: Uuid, at: Timestamp) -> Result<bool, StoreError> {
        let hash = tokens::revoke(self.database.pool(), id, at).await?;
        if let Some(hash) = hash {
            self.tokens.forget(&hash);
        }
        Ok(hash.is_some())
    }

    async fn find_access_key(&self, access_key: String) -> Result<Option<AccessKey>, StoreError> {
        if access_key.contains('\0') {
            // No `text` holds it, so nobody's key is called that.
            return Ok(None);
        }
        let load = || access_keys::find(self.database.pool(), access_key.clone());
        let found = self
            .access_keys
            .get_or_load(access_key.clone(), load)
            .await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn add_access_key(&self, key: AccessKey) -> Result<(), StoreError> {
        access_keys::add(self.database.pool(), key).await
    }

    async fn list_access_keys(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<AccessKey>, StoreError> {
        access_keys::list(self.database.pool(), after, limit).await
    }

    async fn revoke_access_key(
        &self,
        access_key: String,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoked = access_keys::revoke(self.database.pool(), access_key.clone(), at).await;
        self.access_keys.forget(&access_key);
        revoked
    }
}

impl fmt::Debug for PgCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCredentials")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

fn permission_names(permissions: &[Permission]) -> Vec<&'static str> {
    permissions.iter().map(|p| p.as_str()).collect()
}

/// None when one of the names is nobody's: a permission is never dropped in silence.
fn read_permissions(names: &[String]) -> Option<Vec<Permission>> {
    names.iter().map(|n| Permission::from_name(n)).collect()
}
