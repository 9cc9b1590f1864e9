//! Whether the ledger says what was paid, and balances.

use crate::ledger::{self, PAYMENT};

/// Payments, transactions in all, their entries, and the versions of balances: those that were
/// written and those that balances are at.
const COUNTS: &str = "
    SELECT (SELECT count(*) FROM cala_transactions t
              JOIN cala_tx_templates p ON p.id = t.tx_template_id WHERE p.code = $1),
           (SELECT count(*) FROM cala_transactions),
           (SELECT count(*) FROM cala_entries),
           (SELECT count(*) FROM cala_balance_history),
           (SELECT sum(latest_version)::bigint FROM cala_current_balances)";

/// What was debited and credited: by entries, and by balances.
const SUMS: &str = "
    WITH entries AS (
        SELECT sum((event->'values'->>'units')::numeric)
                   FILTER (WHERE event->'values'->>'direction' = 'debit') AS debits,
               sum((event->'values'->>'units')::numeric)
                   FILTER (WHERE event->'values'->>'direction' = 'credit') AS credits
          FROM cala_entry_events WHERE event_type = 'initialized'),
    balances AS (
        SELECT sum((latest_values->'settled'->>'dr_balance')::numeric) AS debits,
               sum((latest_values->'settled'->>'cr_balance')::numeric) AS credits
          FROM cala_current_balances)
    SELECT e.debits::text, e.credits::text, b.debits::text, b.credits::text,
           coalesce(e.debits = e.credits AND e.debits = b.debits AND b.debits = b.credits, false)
      FROM entries e, balances b";

/// What [`COUNTS`] says.
type Counts = (i64, i64, i64, i64, Option<i64>);

/// What [`SUMS`] says.
type Sums = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    bool,
);

/// Fails when anything is missing, is there twice, or does not balance.
pub(crate) async fn run(url: &str, made: i64) -> anyhow::Result<()> {
    let pool = ledger::pool(url, 1).await?;
    let (payments, transactions, entries, history, versions): Counts = sqlx::query_as(COUNTS)
        .bind(PAYMENT)
        .fetch_one(&pool)
        .await?;
    anyhow::ensure!(
        payments == made,
        "{made} payments were made, and the ledger has {payments}",
    );
    let of_each = (2 * transactions, 2 * transactions, Some(2 * transactions));
    anyhow::ensure!(
        (entries, history, versions) == of_each,
        "{transactions} transactions, but {entries} entries, {history} rows of history and \
         {versions:?} versions of balances",
    );
    let sums: Sums = sqlx::query_as(SUMS).fetch_one(&pool).await?;
    anyhow::ensure!(
        sums.4,
        "debits and credits differ, by entries and by balances: {sums:?}",
    );
    Ok(())
}
