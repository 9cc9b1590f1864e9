//! A look into the database, and the audit of what must always be true there.

use std::collections::BTreeMap;

use bursar_audit::{Rule, Violation};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::eventually;

/// Every way in which the books could be wrong, each as a query that must find nothing.
const FAULTS: [(Rule, &str); 9] = [
    (
        Rule::SumsToZero,
        "SELECT asset, sum(available + held) FROM book_main.accounts
         GROUP BY asset HAVING sum(available + held) <> 0",
    ),
    (
        Rule::SumsToZero,
        "SELECT a.asset, sum(e.available_delta + e.held_delta)
         FROM book_main.entries e JOIN book_main.accounts a ON a.id = e.account_id
         GROUP BY a.asset HAVING sum(e.available_delta + e.held_delta) <> 0",
    ),
    (
        Rule::MovesWhatItSays,
        "SELECT transfer_id FROM book_main.entries
         GROUP BY transfer_id HAVING sum(available_delta + held_delta) <> 0",
    ),
    (
        Rule::BalanceIsItsEntries,
        "SELECT a.id, a.available, a.held, a.seq
         FROM book_main.accounts a LEFT JOIN book_main.entries e ON e.account_id = a.id
         GROUP BY a.id
         HAVING a.available <> coalesce(sum(e.available_delta), 0)
             OR a.held <> coalesce(sum(e.held_delta), 0)",
    ),
    (
        Rule::NumberedWithoutGap,
        "SELECT a.id, a.seq
         FROM book_main.accounts a LEFT JOIN book_main.entries e ON e.account_id = a.id
         GROUP BY a.id
         HAVING a.seq <> count(e.seq) OR a.seq <> coalesce(max(e.seq), 0)",
    ),
    (
        Rule::FollowsFromTheLast,
        "SELECT account_id, seq FROM (
             SELECT account_id, seq, available_after, held_after,
                 sum(available_delta) OVER history AS available,
                 sum(held_delta) OVER history AS held
             FROM book_main.entries
             WINDOW history AS (PARTITION BY account_id ORDER BY seq)) AS e
         WHERE available_after <> available OR held_after <> held",
    ),
    (
        Rule::NothingNegative,
        "SELECT id FROM book_main.accounts
         WHERE owner_kind = 'user' AND (available < 0 OR held < 0)",
    ),
    (
        Rule::HeldIsOpen,
        "SELECT a.id, a.held FROM book_main.accounts a
         LEFT JOIN book_main.transfers t ON t.user_id = a.owner AND t.asset = a.asset
             AND t.state = 'AwaitingConfirmation'
         WHERE a.owner_kind = 'user'
         GROUP BY a.id HAVING a.held <> coalesce(sum(t.amount + t.fee), 0)",
    ),
    (
        Rule::MovesWhatItSays,
        "SELECT t.id FROM book_main.transfers t
         JOIN book_main.entries e ON e.transfer_id = t.id
         WHERE t.state IN ('Pending', 'Rejected')
             OR (t.kind = 'deposit' AND t.state = 'Failed')",
    ),
];

/// One database, looked at over a connection of its own each time.
pub(super) struct Books {
    url: String,
}

impl Books {
    pub(super) fn of(database_url: &str) -> Self {
        Self {
            url: database_url.to_owned(),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The rows that a query finds; NULL is an empty text.
    pub(super) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).await.unwrap()
    }

    /// The same of a query that raises at what it finds wrong.
    pub(super) async fn try_rows(
        &self,
        sql: &str,
    ) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(sql).await?;
        drop(client);
        connection.await.unwrap().unwrap();
        Ok(rows_of(messages))
    }

    /// Changes rows as somebody could whom no trigger stops.
    pub(super) async fn tampered(&self, sql: &str) {
        let unhindered = format!("SET session_replication_role = replica; {sql}");
        self.rows(&unhindered).await;
    }

    /// The number that a query finds.
    pub(super) async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0][0].parse().unwrap()
    }

    /// How many rows everything has that a money request could add to or change.
    pub(super) async fn sizes(&self) -> BTreeMap<&'static str, String> {
        let mut sizes = BTreeMap::new();
        for table in [
            "transfers",
            "entries",
            "idempotency_keys",
            "callbacks",
            "accounts",
            "journal",
            "audit_log",
            "root_uses",
            "payouts",
        ] {
            let rows = self
                .rows(&format!("SELECT count(*) FROM book_main.{table}"))
                .await;
            sizes.insert(table, rows[0][0].clone());
        }
        let states = "SELECT string_agg(id || state || version, ' ' ORDER BY id) \
                      FROM book_main.transfers";
        sizes.insert("states", self.rows(states).await[0][0].clone());
        sizes
    }

    /// Waits until no transfer is left that settles by itself.
    pub(super) async fn settled(&self) {
        let pending = "SELECT count(*) FROM book_main.transfers WHERE state = 'Pending'";
        eventually("everything pending settles", async || {
            (self.number(pending).await == 0).then_some(())
        })
        .await;
    }

    /// Waits until every callback has been delivered, overtaken or given up.
    pub(super) async fn delivered(&self) {
        let pending = "SELECT count(*) FROM book_main.callbacks WHERE state = 'pending'";
        eventually("every callback is delivered", async || {
            (self.number(pending).await == 0).then_some(())
        })
        .await;
    }

    /// What a killed replica was delivering stays leased to it for half a minute. This is the end
    /// of that half minute.
    pub(super) async fn let_leases_run_out(&self) {
        self.rows(
            "UPDATE book_main.callbacks SET next_attempt_at = now()
             WHERE state = 'pending' AND lease IS NOT NULL",
        )
        .await;
    }

    /// Keeps everybody else from a table as long as the value lives.
    pub(super) async fn lock(&self, table: &str) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        client.batch_execute(&lock).await.unwrap();
        client
    }

    /// Everything that is wrong, with the rows that show it.
    pub(super) async fn faults(&self) -> Vec<Violation> {
        self.try_faults().await.unwrap()
    }

    /// The same of a database that may be away. Each query sees one moment, whatever is under way.
    pub(super) async fn try_faults(&self) -> Result<Vec<Violation>, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        // It ends with the client.
        tokio::spawn(connection);
        let mut faults = Vec::new();
        for (rule, query) in FAULTS {
            let found = rows_of(client.simple_query(query).await?);
            if !found.is_empty() {
                let shown_by = format!("{found:?}");
                faults.push(Violation { rule, shown_by });
            }
        }
        Ok(faults)
    }

    /// Checks everything that must be true at every moment.
    pub(super) async fn audit(&self) {
        let faults = self.faults().await;
        assert!(faults.is_empty(), "{}", told_of(&faults));
        let moved = self.number("SELECT count(*) FROM book_main.entries").await;
        assert!(moved > 0, "no money moved, so nothing was audited");
    }
}

/// The rows of an answer; NULL is an empty text.
fn rows_of(messages: Vec<SimpleQueryMessage>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let columns = 0..row.len();
            let texts = columns.map(|column| row.get(column).unwrap_or_default().to_owned());
            rows.push(texts.collect());
        }
    }
    rows
}

/// What is wrong, line by line.
pub(super) fn told_of(faults: &[Violation]) -> String {
    let told: Vec<String> = faults.iter().map(Violation::to_string).collect();
    told.join("\n")
}
