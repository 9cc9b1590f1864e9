//! Hears of what other replicas write in the directory, and forgets what was read of it before.
//!
//! Triggers of `directory` tell a row's key on [`CHANNEL`] when the write commits. Whether the
//! connection still listens is asked every second: when it does not, or when it is lost, entries
//! count as long as they did without it, and no longer.

use std::{
    convert::Infallible,
    fmt,
    time::{Duration, Instant},
};

use bursar_domain::UserId;
use bursar_ports::{StoreError, TokenHash};
use data_encoding::HEXLOWER;
use diesel::{pg::PgNotification, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{PgCredentials, PgDirectory, error::unavailable, heard::Session, pool::Database};

/// Where the triggers tell what was written.
const CHANNEL: &str = "bursar_directory";

/// How often to make sure that nothing was missed.
const CHECK: Duration = Duration::from_secs(1);

/// How long it may take until a connection listens.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a check may take.
const CHECK_MAX: Duration = Duration::from_secs(3);

/// Hears of changes of users, tokens and access keys.
#[derive(Clone)]
pub struct PgChanges {
    database: Database,
    directory: PgDirectory,
    credentials: PgCredentials,
}

impl PgChanges {
    /// For what these have in memory, which stand on the same connections.
    pub fn new(directory: &PgDirectory, credentials: &PgCredentials) -> Self {
        Self {
            database: directory.database().clone(),
            directory: directory.clone(),
            credentials: credentials.clone(),
        }
    }

    /// Listens on a connection of its own until that is lost; `began` is called once every change
    /// is heard of.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no connection, or it does not listen any more.
    pub async fn listen(&self, began: impl FnOnce()) -> Result<Infallible, StoreError> {
        // A server that has stopped keeps its connections, and says nothing.
        let listening = timeout(CONNECT_MAX, self.connect()).await;
        let mut connection =
            listening.map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;
        let Some(session) = self.database.heard().begin() else {
            return Err(StoreError::Unavailable("somebody listens already".into()));
        };
        began();
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = next(&mut connection) => self.forget(&change?),
                _ = checks.tick() => self.check(&mut connection, &session).await?,
            }
        }
    }

    /// A connection that listens.
    async fn connect(&self) -> Result<AsyncPgConnection, StoreError> {
        let mut connection = self.database.connect_apart().await?;
        let listen = format!("LISTEN {CHANNEL}");
        connection
            .batch_execute(&listen)
            .await
            .map_err(unavailable)?;
        Ok(connection)
    }

    /// Makes sure that everything that was told by now has been heard.
    async fn check(
        &self,
        connection: &mut AsyncPgConnection,
        session: &Session,
    ) -> Result<(), StoreError> {
        let asked = Instant::now();
        let listens = timeout(CHECK_MAX, listens(connection)).await;
        let listens = listens.map_err(|elapsed| StoreError::Unavailable(elapsed.into()))??;
        if !listens {
            let lost = "the connection does not listen; is there a pooler of transactions?";
            return Err(StoreError::Unavailable(lost.into()));
        }
        // The server tells what it has before it answers.
        while let Some(change) = next(connection).now_or_never() {
            self.forget(&change?);
        }
        session.heard_all_until(asked);
        Ok(())
    }

    /// Forgets what was read of a row that somebody has written.
    fn forget(&self, change: &PgNotification) {
        match Changed::parse(&change.payload) {
            Some(Changed::User(id)) => self.directory.forget_user(id),
            Some(Changed::Token(hash)) => self.credentials.forget_token(&hash),
            Some(Changed::AccessKey(key)) => self.credentials.forget_access_key(&key),
            None => tracing::warn!(payload = change.payload, "an unknown change was told"),
        }
    }
}

impl fmt::Debug for PgChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgChanges")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What was told next.
async fn next(connection: &mut AsyncPgConnection) -> Result<PgNotification, StoreError> {
    let told = std::pin::pin!(connection.notifications_stream())
        .next()
        .await;
    let ended = || StoreError::Unavailable("the connection has ended".into());
    told.ok_or_else(ended)?.map_err(unavailable)
}

/// Whether this connection listens: something in between may have given us another one.
async fn listens(connection: &mut AsyncPgConnection) -> Result<bool, StoreError> {
    let asked = format!("'{CHANNEL}' IN (SELECT pg_listening_channels())");
    diesel::select(diesel::dsl::sql::<Bool>(&asked))
        .get_result(connection)
        .await
        .map_err(unavailable)
}

/// A row that was written: its table and its key, as the triggers tell it.
#[derive(Debug, PartialEq, Eq)]
enum Changed {
    User(UserId),
    Token(TokenHash),
    AccessKey(String),
}

impl Changed {
    fn parse(told: &str) -> Option<Self> {
        let (table, key) = told.split_once(':')?;
        match table {
            "users" => key.parse().ok().map(UserId::new).map(Self::User),
            "tokens" => {
                let hash = HEXLOWER.decode(key.strip_prefix("\\x")?.as_bytes()).ok()?;
                hash.try_into().ok().map(TokenHash).map(Self::Token)
            }
            "access_keys" => Some(Self::AccessKey(key.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_triggers_tell_is_understood_and_nothing_else() {
        let user = "00000000-0000-0000-0000-000000000001";
        let parsed = Changed::parse(&format!("users:{user}"));
        assert_eq!(
            parsed,
            Some(Changed::User(UserId::new(user.parse().unwrap())))
        );
        let hash = "ab".repeat(32);
        let parsed = Changed::parse(&format!("tokens:\\x{hash}"));
        assert_eq!(parsed, Some(Changed::Token(TokenHash([0xab; 32]))));
        let parsed = Changed::parse("access_keys:a:b");
        assert_eq!(parsed, Some(Changed::AccessKey("a:b".to_owned())));
        for odd in [
            "",
            "users",
            "users:x",
            "tokens:ab",
            "tokens:\\xab",
            "assets:btc",
        ] {
            assert_eq!(Changed::parse(odd), None, "{odd}");
        }
    }
}
