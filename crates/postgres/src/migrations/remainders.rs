//! What a failed try may leave, of all that a migration does: an index that was built `CONCURRENTLY`
//! outside a transaction, is not valid, and keeps the next try from building it.

use diesel::{dsl::sql, result::QueryResult, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

/// Drops indexes that are not valid. One that somebody is building just now is not dropped: the lock
/// that its table is under is in the way.
pub(super) async fn drop_invalid(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let invalid = sql::<Text>(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index AS i \
         JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE NOT i.indisvalid AND n.nspname IN ('directory', 'book_main') ORDER BY 1",
    );
    let invalid: Vec<String> = invalid.load(connection).await?;
    for index in invalid {
        tracing::info!(index, "an index that was not built to its end is dropped");
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
        connection.batch_execute(&drop).await?;
    }
    Ok(())
}
