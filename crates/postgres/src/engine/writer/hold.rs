//! Who holds the book.
//!
//! Whoever has the lock [`LOCK`] may take the book, and takes it by its name in `writers`. The lock
//! goes with the connection, so that another replica takes over within a second when this one is
//! gone; the name stays, and with it the epoch, so that nothing of this one is committed then.

use std::{sync::Arc, time::Duration};

use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Bool, Integer, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, error::Elapsed, sleep, timeout},
};
use uuid::Uuid;

use crate::{engine::rules::RULE_SET, pool::PoolConfig, schema::writers};

/// The advisory lock of the book's holder.
const LOCK: i64 = 0x0062_7572_7361_7201;
/// How often to see whether the book has become free, and whether the lock is still held.
const POLL: Duration = Duration::from_millis(500);
/// How long the server may take to say whether the lock is free, or still held.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long it may take to let somebody in.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long others' transactions may last before the log says that they are waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to see whether a transaction has ended that began when nobody held the book.
const PAUSE: Duration = Duration::from_millis(5);
/// How many times as long as a statement may run such a transaction is waited for. None of Bursar's
/// lasts for so long; one that somebody has forgotten must not keep the book for ever, and could not
/// change a balance unseen either.
const STATEMENTS: u32 = 20;

/// What this replica is to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not known yet.
    Seeking,
    /// Another replica holds it.
    Elsewhere,
    /// This replica holds it, by this name.
    Held(Uuid),
}

/// What holds the book.
pub(in crate::engine) struct Hold {
    pool: PoolConfig,
    standing: watch::Sender<Standing>,
    step_down: Arc<Notify>,
}

impl Hold {
    pub(super) fn new(pool: PoolConfig) -> (Self, watch::Receiver<Standing>) {
        let (standing, receiver) = watch::channel(Standing::Seeking);
        let hold = Self {
            pool,
            standing,
            step_down: Arc::default(),
        };
        (hold, receiver)
    }

    /// What has the book left to another replica, for good.
    pub(in crate::engine) fn step_down(&self) -> Arc<Notify> {
        Arc::clone(&self.step_down)
    }

    /// Holds the book, or waits for it, until nobody wants to write any more.
    pub(in crate::engine) async fn run(self) {
        tokio::select! {
            () = self.standing.closed() => {}
            () = self.keep_holding() => {}
            // The lock has gone with the connection.
            () = self.step_down.notified() => {
                self.standing.send_replace(Standing::Elsewhere);
                tracing::info!("the book is left to another replica");
                self.standing.closed().await;
            }
        }
    }

    async fn keep_holding(&self) {
        loop {
            match self.hold().await {
                Ok(()) => tracing::warn!("the lock on the book is lost"),
                Err(error) => tracing::warn!(%error, "the book cannot be held"),
            }
            self.standing.send_replace(Standing::Seeking);
            sleep(POLL).await;
        }
    }

    /// Holds the book for as long as the connection lasts.
    async fn hold(&self) -> Result<(), ConnectionOrQuery> {
        // A server that has stopped keeps its connections, and by them all is well. Whoever waited for
        // it would not notice that another one has taken its place.
        let mut connection = timeout(CONNECT_MAX, self.pool.connect()).await??;
        let free = format!("pg_try_advisory_lock({LOCK})");
        while !timeout(ANSWER_MAX, ask(&mut connection, &free)).await?? {
            if self.standing.send_replace(Standing::Elsewhere) != Standing::Elsewhere {
                tracing::info!("another replica is the book's single writer");
            }
            sleep(POLL).await;
        }
        let holder = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let statement = Duration::from_millis(self.pool.statement_timeout_ms.into());
        let wait_max = statement * STATEMENTS;
        // Beside the wait there are two statements, of which each may wait for its own time.
        let taken = take(&mut connection, holder, wait_max);
        timeout(wait_max + CONNECT_MAX, taken).await??;
        self.standing.send_replace(Standing::Held(holder));
        tracing::info!(%holder, "this replica is the book's single writer");
        let held = format!(
            "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
             AND granted AND (classid::bigint << 32 | objid::bigint) = {LOCK}) \
             AND EXISTS (SELECT FROM writers WHERE name = '{RULE_SET}' AND holder = '{holder}')"
        );
        loop {
            sleep(POLL).await;
            let answer = timeout(ANSWER_MAX, ask(&mut connection, &held)).await;
            if !matches!(answer, Ok(Ok(true))) {
                return Ok(());
            }
        }
    }
}

/// Why the book is not held.
#[derive(Debug, thiserror::Error)]
enum ConnectionOrQuery {
    #[error("no connection: {0}")]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
    #[error("the server says nothing")]
    Silent(#[from] Elapsed),
}

/// A transaction of this database that has locked accounts to write them, and the process of the
/// server that it belongs to, unless it is only prepared.
#[derive(Debug, PartialEq, Eq, QueryableByName)]
struct Writing {
    #[diesel(sql_type = Text)]
    transaction: String,
    #[diesel(sql_type = Nullable<Integer>)]
    process: Option<i32>,
}

async fn writing(connection: &mut AsyncPgConnection) -> QueryResult<Vec<Writing>> {
    let query = "SELECT DISTINCT virtualtransaction AS transaction, pid AS process FROM pg_locks \
        WHERE locktype = 'relation' AND granted \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
        AND relation = 'accounts'::regclass AND mode IN ('RowShareLock', 'RowExclusiveLock')";
    diesel::sql_query(query).load(connection).await
}

/// Takes the book and waits for those who found it free: whoever was to write balances then had
/// locked accounts before it looked, so its lock is there when the book has been taken.
async fn take(
    connection: &mut AsyncPgConnection,
    holder: Uuid,
    wait_max: Duration,
) -> QueryResult<()> {
    let book = writers::table.filter(writers::name.eq(RULE_SET));
    let taken = diesel::update(book)
        .set((
            writers::holder.eq(holder),
            writers::epoch.eq(writers::epoch + 1),
            writers::batch.eq(0),
        ))
        .execute(connection)
        .await?;
    if taken != 1 {
        return Err(diesel::result::Error::NotFound);
    }
    let mut earlier = writing(connection).await?;
    let (began, mut is_told) = (Instant::now(), false);
    while !earlier.is_empty() {
        if began.elapsed() > PATIENCE && !is_told {
            tracing::warn!(
                ?earlier,
                "transactions that are open for long keep the book from its writer"
            );
            is_told = true;
        }
        if began.elapsed() > wait_max {
            tracing::warn!(
                "the book is taken although a transaction is open that has locked accounts"
            );
            break;
        }
        sleep(PAUSE).await;
        let still = writing(connection).await?;
        earlier.retain(|one| still.contains(one));
    }
    Ok(())
}

async fn ask(connection: &mut AsyncPgConnection, what: &str) -> QueryResult<bool> {
    diesel::select(sql::<Bool>(what))
        .get_result(connection)
        .await
}

#[derive(QueryableByName)]
struct Freed {
    #[diesel(sql_type = Bool)]
    is_held: bool,
}

/// Frees the book if its holder is gone, so that every replica may write it; false while somebody
/// holds it.
pub(in crate::engine) async fn release(mut connection: &AsyncPgConnection) -> QueryResult<bool> {
    let release = format!(
        "/* release_book */ WITH alone AS MATERIALIZED \
         (SELECT pg_try_advisory_xact_lock({LOCK}) AS is_free), \
         freed AS (UPDATE writers SET holder = NULL, epoch = epoch + 1 FROM alone \
         WHERE name = '{RULE_SET}' AND is_free RETURNING 1) \
         SELECT w.holder IS NOT NULL AND NOT EXISTS (SELECT FROM freed) AS is_held \
         FROM writers w WHERE w.name = '{RULE_SET}'"
    );
    let freed: Freed = diesel::sql_query(release)
        .get_result(&mut connection)
        .await?;
    Ok(!freed.is_held)
}
