//! Whether a database is one that the books can be kept in.

use diesel::{
    QueryableByName,
    sql_types::{Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::connect::establish;

/// How a database was made, and what the server would make of it today. Versions are none where order
/// cannot change, as with the locale `C`.
#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Nullable<Text>)]
    recorded: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    actual: Option<String>,
}

/// Why a database must not be served on.
#[derive(Debug, thiserror::Error)]
pub enum UnfitDatabase {
    /// No connection could be made.
    #[error("cannot connect to the database")]
    Connect(#[source] diesel::ConnectionError),
    /// It could not be asked.
    #[error("the database does not say how it was made")]
    Ask(#[source] diesel::result::Error),
    /// It cannot hold every text.
    #[error(
        "the database's encoding is {0} and has to be UTF8: make it with CREATE DATABASE … TEMPLATE \
         template0 ENCODING 'UTF8' LOCALE 'C'"
    )]
    Encoding(String),
    /// The order of texts is another one than its indexes were built by.
    #[error(
        "the database {name} was made with version {recorded} of its collation, and the server has \
         {actual}: its unique indexes may miss rows that are there, and a key would pay twice. Stop all \
         replicas, REINDEX DATABASE \"{name}\", then ALTER DATABASE \"{name}\" REFRESH COLLATION VERSION"
    )]
    Collation {
        /// The database's name.
        name: String,
        /// The version that its indexes were built by.
        recorded: String,
        /// The version that the server looks things up by.
        actual: String,
    },
}

/// Refuses a database that would lose texts, or not find what it has.
///
/// # Errors
/// [`UnfitDatabase`] when it is one, or does not say.
pub async fn require_fit(url: &str) -> Result<(), UnfitDatabase> {
    let mut connection = establish(url, false)
        .await
        .map_err(UnfitDatabase::Connect)?;
    let made = made_for_utf8(&mut connection).await?;
    match made.recorded {
        Some(recorded) if made.actual.as_ref() != Some(&recorded) => {
            Err(UnfitDatabase::Collation {
                name: made.name,
                recorded,
                actual: made.actual.unwrap_or_else(|| "none".to_owned()),
            })
        }
        _ => Ok(()),
    }
}

/// Refuses a database that would lose texts.
pub(crate) async fn require_utf8(connection: &mut AsyncPgConnection) -> Result<(), UnfitDatabase> {
    made_for_utf8(connection).await.map(drop)
}

/// How a database was made, unless it would lose texts.
async fn made_for_utf8(connection: &mut AsyncPgConnection) -> Result<Made, UnfitDatabase> {
    let query = diesel::sql_query(
        "SELECT datname::text AS name, pg_encoding_to_char(encoding)::text AS encoding, \
         datcollversion AS recorded, pg_database_collation_actual_version(oid) AS actual \
         FROM pg_database WHERE datname = current_database()",
    );
    let made: Made = query
        .get_result(connection)
        .await
        .map_err(UnfitDatabase::Ask)?;
    if made.encoding == "UTF8" {
        Ok(made)
    } else {
        Err(UnfitDatabase::Encoding(made.encoding))
    }
}
