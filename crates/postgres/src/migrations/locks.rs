//! Who is in a migration's way, seen from a second connection.

use std::time::Duration;

use bursar_ports::chain;
use diesel::{
    dsl::sql,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{BoxError, MigrateError, runner::TURN};

/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// A look at whoever the migrating session waits for.
pub(super) struct Locks {
    connection: AsyncPgConnection,
    /// The migrating session.
    session: i32,
    holders: Option<String>,
    /// What the server says to whoever has waited for a lock for too long.
    refusal: Option<String>,
}

impl Locks {
    /// Looks at `migrating` over a connection of its own.
    pub(super) async fn of(
        migrating: &mut AsyncPgConnection,
        connection: AsyncPgConnection,
    ) -> Result<Self, MigrateError> {
        let session = diesel::select(sql::<Integer>("pg_backend_pid()"))
            .get_result(migrating)
            .await
            .map_err(|error| MigrateError::Read(error.into()))?;
        Ok(Self {
            connection,
            session,
            holders: None,
            refusal: None,
        })
    }

    /// Does the work and looks meanwhile.
    pub(super) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            match tokio::time::timeout(LOOK, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.look().await,
            }
        }
    }

    async fn look(&mut self) {
        let query = format!(
            "SELECT coalesce(string_agg(format('process %s (%s)', b.pid, concat_ws(', ', \
             coalesce(a.usename, 'autovacuum'), nullif(a.application_name, ''))), '; '), '') \
             FROM unnest(pg_blocking_pids({})) AS b (pid) \
             LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid",
            self.session
        );
        // Only told, so a look that fails is none.
        let seen = sql::<Text>(&query).get_result(&mut self.connection).await;
        self.holders = seen
            .ok()
            .filter(|seen: &String| !seen.is_empty())
            .or(self.holders.take());
    }

    /// Who was in the way when that was seen last.
    pub(super) fn holders(&self) -> String {
        self.holders
            .clone()
            .unwrap_or_else(|| "nobody was seen".to_owned())
    }

    /// Whether a lock that was not to be had is why a migration failed.
    ///
    /// The driver keeps the SQLSTATE to itself, and the message is in the server's language. So the
    /// server is made to say the same once more: the lock of whoever migrates is held for certain.
    pub(super) async fn explain(&mut self, failure: &BoxError) -> bool {
        if self.refusal.is_none() {
            self.refusal = self.provoke().await;
        }
        let failure = chain(failure.as_ref());
        self.refusal
            .as_ref()
            .is_some_and(|refusal| failure.contains(refusal))
    }

    async fn provoke(&mut self) -> Option<String> {
        let wait = format!("SET lock_timeout = '1ms'; SELECT pg_advisory_lock({TURN})");
        match self.connection.batch_execute(&wait).await {
            Err(DieselError::DatabaseError(DatabaseErrorKind::Unknown, said)) => {
                Some(said.message().to_owned())
            }
            _ => None,
        }
    }
}
