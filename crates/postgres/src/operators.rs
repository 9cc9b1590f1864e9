//! Operators and their sessions. Nothing is kept in memory: what is changed counts for the next
//! request, wherever it is served.
//!
//! Whatever changes an operator or a session locks the operator's row first, so that no session is
//! opened beside a change that ends them all.

mod accounts;
mod identities;
mod row;
mod sessions;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bursar_domain::{AuditDraft, Timestamp};
use bursar_ports::{
    Identity, OpenSession, Operator, OperatorChange, OperatorSession, Operators, StoreError,
    TokenHash,
};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) use row::ACTIVE;

use crate::{audit_log::note_in_directory, pool::Database, tx::run_tx};

/// How many look-ups of sessions may be under way at once: a flood of made-up ones leaves connections
/// to others, also beside one of made-up tokens. Operators are few.
const LOOKUPS_MAX: usize = 1;

/// The operators of the directory.
#[derive(Clone)]
pub struct PgOperators {
    database: Database,
    lookups: Arc<Semaphore>,
}

impl PgOperators {
    /// Operators on these connections.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

#[async_trait]
impl Operators for PgOperators {
    async fn find(&self, name: String) -> Result<Option<Operator>, StoreError> {
        accounts::find(&self.database, name).await
    }

    async fn find_by_identity(&self, identity: Identity) -> Result<Option<Operator>, StoreError> {
        identities::find(&self.database, identity).await
    }

    async fn list(&self, after: Option<String>, limit: u32) -> Result<Vec<Operator>, StoreError> {
        accounts::list(&self.database, after, limit).await
    }

    async fn add(&self, operator: Operator, audit: AuditDraft) -> Result<bool, StoreError> {
        accounts::add(&self.database, operator, audit).await
    }

    async fn change(
        &self,
        name: String,
        change: OperatorChange,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        accounts::change(&self.database, name, change, at, audit).await
    }

    async fn count_try(
        &self,
        name: String,
        seen: u32,
        next_try_at: Timestamp,
    ) -> Result<bool, StoreError> {
        accounts::count_try(&self.database, name, seen, next_try_at).await
    }

    async fn note_failure(&self, at: Timestamp, audit: AuditDraft) -> Result<(), StoreError> {
        run_tx(self.database.pool(), "note failed sign-in", move |c| {
            let audit = audit.clone();
            async move { note_in_directory(c, &audit, at, None, None).await }.boxed()
        })
        .await
    }

    async fn open_session(
        &self,
        opening: OpenSession,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        sessions::open(&self.database, opening, audit).await
    }

    async fn find_session(
        &self,
        token: TokenHash,
    ) -> Result<Option<(OperatorSession, Operator)>, StoreError> {
        let _turn = self.database.look_up_turn(&self.lookups).await?;
        sessions::find(&self.database, token).await
    }

    async fn touch_session(&self, id: Uuid, at: Timestamp) -> Result<(), StoreError> {
        sessions::touch(&self.database, id, at).await
    }

    async fn list_sessions(
        &self,
        operator: String,
        at: Timestamp,
    ) -> Result<Vec<OperatorSession>, StoreError> {
        sessions::list(&self.database, operator, at).await
    }

    async fn end_session(
        &self,
        operator: String,
        id: Uuid,
        at: Timestamp,
        audit: AuditDraft,
    ) -> Result<bool, StoreError> {
        sessions::end(&self.database, operator, id, at, audit).await
    }
}

impl fmt::Debug for PgOperators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOperators")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
